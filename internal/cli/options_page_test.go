package cli

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestOptionsPage keeps docs/backend-options.md as the table of options says.
func TestOptionsPage(t *testing.T) {
	t.Parallel()
	golden(t, filepath.Join("..", "..", "docs", "backend-options.md"), optionsPage())
}

// optionsPage returns docs/backend-options.md.
func optionsPage() string {
	var b strings.Builder
	b.WriteString(`# Flags and variables of a backend

This page is made from the table in ` + "`internal/cli/options.go`" + `;
run ` + "`go test ./internal/cli -run OptionsPage -update`" + ` after a change there.

- A flag counts more than a variable, a variable more than the default. An empty variable is none.
- Names of flags are compared without ` + "`-` and `_`" + ` and in small letters, so those of all generations of
  Dsiem are understood. Flags may stand before or after ` + "`serve`" + `. For a flag that is repeated the last
  one counts; lists are put together.
- Of several variables the first one that is not empty counts. One without the prefix is reported.
- Switches take true, yes, on, t or 1 and false, no, off, f or 0, in small or capital letters. On the command
  line the name alone turns them on, and with "no-" before it off.
- Lists have commas in between; blanks around the items do not count.
- Numbers are whole and not negative.
- Times are whole numbers of the unit in the table, or durations like ` + "`1m30s`" + `.
- What cannot be understood ends the program with exit code 2 before it does anything.
- Unknown variables that begin with ` + "`DSIEM_`" + ` are reported, and nothing more.

The defaults are those of ` + "`dsiem-backend serve`" + `. ` + "`dsiem serve`" + ` also needs ` + "`--mode=cluster-backend`" + ` and
` + "`--frontend`" + `; if its mode stands on the command line, ` + "`-n`" + ` is the short form of ` + "`--hold-duration`" + `, as it
was for the original.
`)
	for _, g := range optionTable(backendCalled(""), &settings{}) {
		fmt.Fprintf(&b, "\n## %s\n\n| Setting | Variables | Values | Default | Meaning |\n|---|---|---|---|---|\n", g.title)
		for _, o := range g.options {
			b.WriteString(row(o))
		}
	}
	return b.String()
}

// row returns the row of an option in the docs page.
func row(o *option) string {
	flags := []string{"--" + o.name}
	if o.short != 0 {
		flags = append(flags, "-"+string(o.short))
	}
	def := o.shown
	if o.def != "" {
		def = code(o.def)
	}
	meaning := longFlag.ReplaceAllString(o.help, "`$0`")
	if o.isForeign() {
		meaning += " No effect: " + longFlag.ReplaceAllString(o.noEffect, "`$0`") + "."
	}
	if len(o.aliases) > 0 {
		meaning += " Also called " + code(o.aliases...) + "."
	}
	return "| " + strings.Join([]string{code(flags...), code(o.env...), values(o.value), def, meaning}, " | ") + " |\n"
}

var longFlag = regexp.MustCompile(`--[a-z][a-z-]*(=[a-z:]+)?`)

// code puts words between backquotes.
func code(words ...string) string {
	if len(words) == 0 {
		return ""
	}
	return "`" + strings.Join(words, "`, `") + "`"
}

// values returns what a value may be, in few words.
func values(v value) string {
	from := func(kind string, lowest int) string {
		if lowest == 0 {
			return kind
		}
		return kind + ", from " + strconv.Itoa(lowest)
	}
	switch v := v.(type) {
	case text:
		return v.form
	case choice:
		return code(v.of...)
	case toggle:
		return "switch"
	case counter:
		return "count"
	case number:
		if v.max < math.MaxInt {
			return from("number", v.min) + ", up to " + strconv.Itoa(v.max)
		}
		return from("number", v.min)
	case span:
		return from(v.units(), int(v.min/v.unit))
	}
	return "list"
}
