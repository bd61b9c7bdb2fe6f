// Package nodetest shows what a command line made of the options of a node. It is
// test support.
package nodetest

import "dsiem/internal/node"

// Effective returns a setting as it is logged, nil if it is not.
func Effective(o *node.Options, name string) any {
	for _, a := range o.Effective {
		if a.Key == name {
			return a.Value.Any()
		}
	}
	return nil
}

// Notes returns the remarks as text: LEVEL message key=value.
func Notes(o *node.Options) []string {
	var texts []string
	for _, n := range o.Notes {
		text := n.Level.String() + " " + n.Message
		for _, a := range n.Attrs {
			text += " " + a.String()
		}
		texts = append(texts, text)
	}
	return texts
}
