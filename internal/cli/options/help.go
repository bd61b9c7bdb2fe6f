package options

import (
	"fmt"
	"io"
	"strings"

	"dsiem/internal/node"
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

// page is the help of a command whose options are in a table.
type page struct {
	usage, about, exitCodes string
	groups                  []group
}

// ServeHelp writes the help of serve.
func (p Program) ServeHelp(w io.Writer) error {
	return serveHelp(p, optionTable(p, &settings{})).write(w, p)
}

// serveHelp is the help of serve.
func serveHelp(p Program, groups []group) page {
	return page{
		usage: p.serveUsage(), groups: groups,
		about: map[string]string{
			"": "Run a node: standalone, frontend or backend.\n\n" +
				"A standalone node takes events over HTTP, correlates them and writes alarms. In a cluster\n" +
				"a frontend takes events over HTTP, publishes them over NATS and hands out configuration\n" +
				"files; backends take them from NATS, correlate them and write alarms.",
			node.ModeFrontend: "Run a frontend: it takes events over HTTP, publishes them over NATS and hands out\n" +
				"configuration files.",
			node.ModeBackend: "Run a backend: it takes events from NATS and writes alarms.",
		}[p.Mode],
		exitCodes: "0 stopped by a signal, 1 failed, 2 usage",
	}
}

// write writes the help.
func (h page) write(w io.Writer, p Program) error {
	const width, indent = 88, "        "
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n", h.usage, h.about)
	b.WriteString(`
Every flag may be written as --max-eps, --max_eps or --maxEPS, and stand before or
after the command. A switch is turned on by --json, off by --json=false or --no-json.
Lists have commas in between. Times are numbers of the unit that is shown, or
durations like 1m30s. The variables in brackets are read from the first to the last
until one is not empty; a flag counts more than they do.
`)
	for _, g := range h.groups {
		fmt.Fprintf(&b, "\n%s:\n", g.title)
		for _, o := range g.options {
			fmt.Fprintf(&b, "  %s\n", o.flags())
			for _, line := range wrap(o.describe(p), width-len(indent)) {
				fmt.Fprintf(&b, "%s%s\n", indent, line)
			}
		}
	}
	fmt.Fprintf(&b, "\nExit codes: %s.\n", h.exitCodes)
	_, err := io.WriteString(w, b.String())
	return err
}

// describe returns the text below the flags of an option. Of one that the
// program does not have it says who has it.
func (o *option) describe(p Program) string {
	var parts []string
	has := o.appliesTo(p.possible())
	if has {
		parts = append(parts, o.help)
	}
	if o.modes != 0 && (p.Mode == "" || !has) {
		parts = append(parts, "Only in "+strings.Join(o.modes.names(), " and ")+".")
	}
	if o.noEffect != "" && o.only == "" {
		parts = append(parts, "No effect: "+o.noEffect+".")
	}
	if len(o.aliases) > 0 {
		parts = append(parts, "Also called "+strings.Join(o.aliases, ", ")+".")
	}
	if o.defaultText() != "" && has {
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
