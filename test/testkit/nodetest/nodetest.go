// Package nodetest shows what a command line made of the options of a node. It is
// test support.
package nodetest

import (
	"strings"

	"dsiem/internal/node"
)

// Effective returns a setting as it is logged, nil if it is not.
func Effective(o *node.Options, name string) any {
	for _, a := range o.Effective {
		if a.Key == name {
			return a.Value.Any()
		}
	}
	return nil
}

// Notes returns the remarks as text, LEVEL message key=value, nil if there are none.
func Notes(o *node.Options) []string {
	if len(o.Notes) == 0 {
		return nil
	}
	texts := make([]string, len(o.Notes))
	for i, n := range o.Notes {
		words := []string{n.Level.String(), n.Message}
		for _, a := range n.Attrs {
			words = append(words, a.String())
		}
		texts[i] = strings.Join(words, " ")
	}
	return texts
}
