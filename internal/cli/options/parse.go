package options

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// occurrence is a flag on the command line.
type occurrence struct {
	option *option
	flag   string // as it was written, without the value: --maxEPS, -n
	text   string
}

// commandLine is what arguments say.
type commandLine struct {
	words []string // what is neither a flag nor the value of one
	flags []occurrence
	// stop is the flag after which the rest was not looked at, nil if none.
	stop *option
}

// texts returns the flag that an option was set with, the last one if there are
// several, and all its values.
func (l *commandLine) texts(o *option) (flag string, texts []string) {
	for _, f := range l.flags {
		if f.option == o {
			flag, texts = f.flag, append(texts, f.text)
		}
	}
	return flag, texts
}

// flagIndex finds options by their flags.
type flagIndex struct {
	long          map[string]*option // by normalized name
	short         map[byte]*option
	shortWithMode map[byte]*option // nil if the program is not called dsiem
}

func newFlagIndex(p Program, groups []group) *flagIndex {
	x := &flagIndex{long: map[string]*option{}, short: map[byte]*option{}}
	if p.Called == "dsiem" {
		x.shortWithMode = map[byte]*option{}
	}
	for o := range each(groups) {
		x.long[normalized(o.name)] = o
		for _, alias := range o.aliases {
			x.long[normalized(alias)] = o
		}
		if o.short != 0 {
			x.short[o.short] = o
		}
		if o.shortWithMode != 0 && x.shortWithMode != nil {
			x.shortWithMode[o.shortWithMode] = o
		}
	}
	return x
}

// normalized returns a name as names are compared: without - and _, in small
// letters (docs/spec/interfaces.md §1.6).
func normalized(name string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r == '-' || r == '_' {
			return -1
		}
		return r
	}, name))
}

// parse reads arguments; flags and words may be mixed. Its error says which flag
// is unknown or lacks a value.
func (x *flagIndex) parse(args []string) (*commandLine, error) {
	s := scanner{index: x, args: args}
	for len(s.args) > 0 && s.line.stop == nil {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	s.reinterpret()
	return &s.line, nil
}

// untilCommand reads the arguments up to the first word, the command. Flags it
// does not know are left to who runs the command.
func (x *flagIndex) untilCommand(args []string) *commandLine {
	s := scanner{index: x, args: args}
	for len(s.args) > 0 && len(s.line.words) == 0 && s.line.stop == nil {
		_ = s.step() // takes an argument in any case
	}
	return &s.line
}

// scanner goes through arguments.
type scanner struct {
	index *flagIndex
	args  []string // what is left
	line  commandLine
}

// step takes a word, or a flag and its value.
func (s *scanner) step() error {
	arg := s.args[0]
	s.args = s.args[1:]
	switch {
	case arg == "--":
		s.line.words = append(s.line.words, s.args...)
		s.args = nil
	case strings.HasPrefix(arg, "--"):
		return s.long(arg)
	case len(arg) > 1 && arg[0] == '-':
		return s.short(arg)
	default:
		s.line.words = append(s.line.words, arg)
	}
	return nil
}

// long takes --name, --name=value, --name value and --no-name.
func (s *scanner) long(arg string) error {
	flag, text, hasText := strings.Cut(arg, "=")
	name := normalized(flag)
	o := s.index.long[name]
	if o == nil && !hasText && strings.HasPrefix(name, "no") {
		if o = s.index.long[name[len("no"):]]; o != nil && o.isToggle() && !o.stops {
			s.add(o, flag, "false")
			return nil
		}
		o = nil
	}
	if o == nil {
		return UsageError("unknown flag " + flag + s.index.suggestFlag(name))
	}
	if hasText {
		s.add(o, flag, text)
		return nil
	}
	return s.separate(o, flag)
}

// short takes -x, -x value, -xvalue, -x=value and several switches as in -vvj.
func (s *scanner) short(arg string) error {
	for i := 1; i < len(arg) && s.line.stop == nil; i++ {
		flag, rest := "-"+arg[i:i+1], arg[i+1:]
		o := s.index.short[arg[i]]
		text, assigned := strings.CutPrefix(rest, "=")
		switch {
		case o == nil:
			unknown, _ := utf8.DecodeRuneInString(arg[i:])
			return UsageError("unknown flag -" + string(unknown))
		case rest == "":
			return s.separate(o, flag)
		case assigned || o.takesValue():
			s.add(o, flag, text)
			return nil
		}
		s.add(o, flag, "1")
	}
	return nil
}

// separate takes a flag whose value, if it needs one, is the next argument. A
// switch has a value there only if it is one of the words for on and off: serve
// has no other words for arguments.
func (s *scanner) separate(o *option, flag string) error {
	next := ""
	if len(s.args) > 0 {
		next = s.args[0]
	}
	_, isBool := parseBool(next)
	switch {
	case o.isToggle() && isBool && !o.stops:
	case !o.takesValue():
		s.add(o, flag, "1")
		return nil
	case len(s.args) == 0 || IsFlag(next):
		return UsageError(fmt.Sprintf("%s needs a value: %s=%s", flag, flag, o.value.placeholder()))
	}
	s.args = s.args[1:]
	s.add(o, flag, next)
	return nil
}

func (s *scanner) add(o *option, flag, text string) {
	s.line.flags = append(s.line.flags, occurrence{o, flag, text})
	if on, _ := parseBool(text); o.stops && on {
		s.line.stop = o
	}
}

// reinterpret gives short flags their meaning beside --mode.
func (s *scanner) reinterpret() {
	if flag, _ := s.line.texts(s.index.long["mode"]); flag == "" {
		return
	}
	for i := range s.line.flags {
		f := &s.line.flags[i]
		if o := s.index.shortWithMode[f.flag[1]]; o != nil && len(f.flag) == len("-n") {
			f.option = o
		}
	}
}

func (o *option) isToggle() bool {
	_, ok := o.value.(toggle)
	return ok
}

func (o *option) takesValue() bool {
	_, isCounter := o.value.(counter)
	return !isCounter && !o.isToggle()
}
