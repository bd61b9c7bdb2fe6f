package cli

import (
	"fmt"
	"io"
	"strings"
)

// flags returns how the flags of an option are shown: -n, --node=NAME.
func (o *option) flags() string {
	name := "--" + o.name
	switch {
	case o.isToggle() && o.def == "true":
		name = "--[no-]" + o.name
	case o.takesValue():
		name += "=" + o.value.placeholder()
	}
	if o.short == 0 {
		return "    " + name
	}
	return "-" + string(o.short) + ", " + name
}

// defaultText says what an option is if nothing sets it, "" if that goes without
// saying.
func (o *option) defaultText() string {
	if o.def == "" || o.def == "false" {
		return o.shown
	}
	return o.def
}

// writeServeHelp writes the help of serve.
func writeServeHelp(w io.Writer, p program, groups []group) error {
	const width, indent = 88, "        "
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", p.serveUsage())
	b.WriteString(`Run a backend: it takes events from NATS and writes alarms.

Every flag may be written as --max-eps, --max_eps or --maxEPS, and stand before or
after serve. A switch is turned on by --json, off by --json=false or --no-json.
Lists have commas in between. Times are numbers of the unit that is shown, or
durations like 1m30s. The variables in brackets are read from the first to the last
until one is not empty; a flag counts more than they do.
`)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n%s:\n", g.title)
		for _, o := range g.options {
			fmt.Fprintf(&b, "  %s\n", o.flags())
			for _, line := range wrap(o.describe(), width-len(indent)) {
				fmt.Fprintf(&b, "%s%s\n", indent, line)
			}
		}
	}
	b.WriteString("\nExit codes: 0 stopped by a signal, 1 failed, 2 usage.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// describe returns the text below the flags of an option.
func (o *option) describe() string {
	parts := []string{o.help}
	if o.isForeign() {
		parts = append(parts, "No effect: "+o.noEffect+".")
	}
	if len(o.aliases) > 0 {
		parts = append(parts, "Also called "+strings.Join(o.aliases, ", ")+".")
	}
	if o.defaultText() != "" {
		parts = append(parts, "Default: "+o.defaultText()+".")
	}
	if len(o.env) > 0 {
		parts = append(parts, "["+strings.Join(o.env, ", ")+"]")
	}
	return strings.Join(parts, " ")
}

// wrap breaks a text into lines of at most width bytes, where it can.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// isForeign reports whether an option is another program's.
func (o *option) isForeign() bool { return o.noEffect != "" && o.only == "" }
