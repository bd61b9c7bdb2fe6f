package options

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"dsiem/test/testkit"
)

// TestOptionsPage keeps docs/options.md as the table of options says.
func TestOptionsPage(t *testing.T) {
	t.Parallel()
	testkit.Golden(t, filepath.Join("..", "..", "..", "docs", "options.md"), optionsPage())
}

// optionsPage returns docs/options.md.
func optionsPage() string {
	var b strings.Builder
	b.WriteString(`# Flags and variables of serve

This page is made from the table in ` + "`internal/cli/options`" + `;
run ` + "`go test ./internal/cli/options -run OptionsPage -update`" + ` after a change there.

- ` + "`dsiem serve`" + ` runs a node of any mode, and without ` + "`--mode`" + ` a standalone one, which needs no setting at all.
  ` + "`dsiem-frontend serve`" + ` and ` + "`dsiem-backend serve`" + ` run a node of their mode, whatever ` + "`DSIEM_MODE`" + ` says. A program
  that is called by one of these two names is that program, whatever it was built as.
- The column "Modes" says where a setting does something: in S, standalone; F, cluster-frontend; B, cluster-backend.
  Elsewhere it is accepted, its value is not looked at, and one line in the log says that it has no effect.
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
- Sizes are whole numbers with a unit: B, KiB, MiB or GiB.
- What cannot be understood ends the program with exit code 2 before it does anything.
- Unknown variables that begin with ` + "`DSIEM_`" + ` are reported, and nothing more.

` + "`dsiem-backend serve`" + ` has a default for ` + "`--frontend`" + `: ` + "`http://frontend:8080`" + `. If the mode of ` + "`dsiem serve`" + ` stands on
the command line, ` + "`-n`" + ` is the short form of ` + "`--hold-duration`" + `, as it was for the original.
`)
	for _, g := range optionTable(dsiem, &settings{}) {
		fmt.Fprintf(&b, "\n## %s\n\n| Setting | Variables | Values | Default | Modes | Meaning |\n|---|---|---|---|---|---|\n", g.title)
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
	if o.noEffect != "" {
		meaning += " No effect: " + longFlag.ReplaceAllString(o.noEffect, "`$0`") + "."
	}
	if len(o.aliases) > 0 {
		meaning += " Also called " + code(o.aliases...) + "."
	}
	possible := values(o.value)
	if o.inBackend != nil {
		possible += "; in a backend " + values(o.inBackend)
	}
	return "| " + strings.Join([]string{code(flags...), code(o.env...), possible, def, marks(o), meaning}, " | ") + " |\n"
}

// marks returns the modes in which an option does something.
func marks(o *option) string {
	var marks []string
	for i, mark := range []string{"S", "F", "B"} {
		if o.reason(1<<i) == "" {
			marks = append(marks, mark)
		}
	}
	return strings.Join(marks, " ")
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
	case size:
		return "size, from " + sizeText(v.min) + " to " + sizeText(v.max)
	case span:
		return from(v.units(), int(v.min/v.unit))
	case engineTime:
		if v.whole {
			return "whole seconds"
		}
		return "seconds"
	case list, hostNames:
		return "list"
	}
	return v.placeholder()
}
