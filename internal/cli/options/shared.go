package options

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Read reads the text of an option that another command shares with serve, as serve
// reads it, into *to: a *int, *bool, *time.Duration or *[]string. A list is added to.
// The error says what is possible.
func Read(name, text string, to any) error {
	o, v := sharedOption(name), value(nil)
	switch to := to.(type) {
	case *int:
		if n, ok := o.value.(number); ok {
			v = number{to, n.min, n.max}
		}
	case *bool:
		v = toggle{to}
	case *time.Duration:
		switch of := o.value.(type) {
		case span:
			v = span{to, of.unit, of.min}
		case engineTime:
			v = engineTime{span{to, of.unit, of.min}, of.whole}
		}
	case *[]string:
		v = list{to, ""}
		text = strings.Join(append(*to, text), ",")
	}
	switch {
	case v == nil:
		return fmt.Errorf("serve has no such option for a %T", to)
	case !v.set([]string{text}):
		return errors.New(o.refusal(text, v))
	}
	return nil
}

// sharedOption returns an option of serve by its name, or of a replay's own time, and an
// empty one if there is none.
func sharedOption(name string) *option {
	if name == "max-jump" {
		return &option{name: name, value: span{unit: time.Second}}
	}
	for o := range each(optionTable(Program{}, &settings{})) {
		if o.name == name {
			return o
		}
	}
	return &option{}
}

// IsFlag reports whether an argument cannot be the value of a flag: it begins with a
// dash and is neither a negative number nor a dash alone.
func IsFlag(arg string) bool {
	return len(arg) > 1 && arg[0] == '-' && (arg[1] < '0' || arg[1] > '9')
}
