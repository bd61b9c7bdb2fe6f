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

// defaultText says what an option is if nothing sets it, "" if it is nothing.
func (o *option) defaultText() string {
	if o.def == "" {
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
	if o.noEffect != "" && o.quiet == "" {
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
	for _, word := range strings.Fields(text) {
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

// writeOptionsPage writes docs/backend-options.md.
func writeOptionsPage(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`# Flags and variables of a backend

This page is made from the table in internal/cli/options.go:
run "go test ./internal/cli -run OptionsPage -update" after a change there.

- A flag counts more than a variable, a variable more than the default. An empty variable is none.
- Names of flags are compared without ` + "`-` and `_`" + ` and in small letters, so those of all generations of
  Dsiem are understood. Flags may stand before or after ` + "`serve`" + `. For a flag that is repeated the last
  one counts; lists are put together.
- Of several variables the first one that is not empty counts. One without the prefix is reported.
- Switches take true, yes, on, t or 1 and false, no, off, f or 0, in small or capital letters. On the command
  line the name alone turns them on, and with "no-" before it off.
- Lists have commas in between; blanks around the items do not count.
- Times are whole numbers of the unit in the table, or durations like ` + "`1m30s`" + `.
- What cannot be understood ends the program with exit code 2 before it does anything.
- Unknown variables that begin with ` + "`DSIEM_`" + ` are reported, and nothing more.

The defaults are those of ` + "`dsiem-backend serve`" + `. ` + "`dsiem serve`" + ` also needs ` + "`--mode=cluster-backend`" + ` and
` + "`--frontend`" + `; if its mode stands on the command line, ` + "`-n`" + ` is the short form of ` + "`--hold-duration`" + `, as it
was for the original.
`)
	for _, g := range optionTable(program{called: "dsiem-backend", backend: true}, &settings{}) {
		fmt.Fprintf(&b, "\n## %s\n\n| Setting | Variables | Values | Default | Meaning |\n|---|---|---|---|---|\n", g.title)
		for _, o := range g.options {
			b.WriteString(o.row())
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// row returns the row of an option in the docs page.
func (o *option) row() string {
	flags := "`--" + o.name + "`"
	if o.short != 0 {
		flags += ", `-" + string(o.short) + "`"
	}
	vars := make([]string, len(o.env))
	for i, name := range o.env {
		vars[i] = "`" + name + "`"
	}
	def := o.shown
	if o.def != "" {
		def = "`" + o.def + "`"
	}
	meaning := o.help
	if o.noEffect != "" && o.quiet == "" {
		meaning += " No effect: " + o.noEffect + "."
	}
	for i, alias := range o.aliases {
		if i == 0 {
			meaning += " Also called "
		}
		meaning += "`" + alias + "`"
		meaning += map[bool]string{true: ".", false: ", "}[i == len(o.aliases)-1]
	}
	values := o.value.accepts()
	switch {
	case o.isToggle() || o.noEffect != "" && o.quiet == "":
		values = map[bool]string{true: "switch", false: "any"}[o.isToggle()]
	}
	return "| " + strings.Join([]string{flags, strings.Join(vars, ", "), values, def, meaning}, " | ") + " |\n"
}
