package options

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"dsiem/internal/node"
	"dsiem/internal/observe/log"
	words "dsiem/internal/text"
)

const variablePrefix = "DSIEM_"

// environment holds the variables of a process that have a value. An empty
// variable is as good as none (docs/spec/interfaces.md §1.6).
type environment map[string]string

// newEnvironment takes NAME=value texts, as os.Environ has them.
func newEnvironment(environ []string) environment {
	env := environment{}
	for _, variable := range environ {
		if name, text, _ := strings.Cut(variable, "="); strings.TrimSpace(text) != "" {
			env[name] = text
		}
	}
	return env
}

// resolved says where the values of options come from.
type resolved struct {
	groups  []group
	mode    modeSet
	sources map[*option]string // the flag or variable, none for a default
	// notes are for the log; problems are texts that an option cannot take.
	notes    []node.Note
	problems []string
}

// resolve sets every option of the mode: from the command line, or else
// from the environment, or else to its default. Those of other modes stay as
// they are.
func resolve(groups []group, line *commandLine, env environment) *resolved {
	const mode = "mode"
	r := &resolved{groups: groups, mode: anyMode, sources: map[*option]string{}}
	for o := range each(groups) {
		if o.name == mode {
			r.take(o, line, env)
			r.mode = modeOf(o.value.get())
		}
	}
	for o := range each(groups) {
		if o.name != mode {
			r.take(o, line, env)
		}
	}
	r.warnOfUnknown(env)
	return r
}

// take sets one option.
func (r *resolved) take(o *option, line *commandLine, env environment) {
	reason, v := o.reason(r.mode), o.valueIn(r.mode)
	if o.def != "" && o.appliesTo(r.mode) {
		v.set([]string{o.def})
	}
	source, texts := line.texts(o)
	if source == "" {
		var text string
		if source, text = r.variable(o, env); source == "" {
			return
		}
		texts = []string{text}
	}
	switch {
	case reason != "" && o.asksForNothing(last(texts)):
	case reason != "" && o.only != "" && strings.HasPrefix(source, "-"):
		r.problems = append(r.problems, fmt.Sprintf("%s: %q is not possible; use %s", source, last(texts), o.only))
	case reason != "":
		r.note(slog.LevelWarn, "setting has no effect", slog.String("setting", source), slog.String("reason", reason))
	case !v.set(texts):
		r.problems = append(r.problems, o.impossible(source, strings.Join(texts, ","), v))
	default:
		r.sources[o] = source
	}
}

// impossible says that a value cannot be a text.
func (o *option) impossible(source, text string, v value) string {
	return source + ": " + o.refusal(text, v)
}

// refusal says that a text is not possible, and which ones are.
func (o *option) refusal(text string, v value) string {
	if o.urls {
		text = log.Redact(text)
	}
	problem := fmt.Sprintf("%q is not possible; use %s", text, v.accepts())
	if o.original != "" {
		problem += " (" + strings.ReplaceAll(o.original, "%s", Printable(text)) + ")"
	}
	return problem
}

// given reports whether a flag or a variable set an option.
func (r *resolved) given(name string) bool {
	return r.source(name) != ""
}

// source returns the flag or variable that set an option, "" if none did.
func (r *resolved) source(name string) string {
	for o, source := range r.sources {
		if o.name == name {
			return source
		}
	}
	return ""
}

// asksForNothing reports whether a text for an option without effect needs no
// remark.
func (o *option) asksForNothing(text string) bool {
	if o.isToggle() {
		on, ok := parseBool(text)
		return ok && !on
	}
	return o.only != "" && strings.EqualFold(o.only, strings.TrimSpace(text))
}

// variable returns the first variable of an option that is set, and its value.
func (r *resolved) variable(o *option, env environment) (name, text string) {
	for _, variable := range o.env {
		switch other, set := env[variable]; {
		case !set:
		case name != "" && other != text:
			r.note(slog.LevelInfo, "environment variable is overridden", slog.String("variable", variable), slog.String("by", name))
		case name == "":
			name, text = variable, other
		}
	}
	if name != "" && !strings.HasPrefix(name, variablePrefix) {
		r.note(slog.LevelWarn, "environment variable without prefix", slog.String("variable", name), slog.String("use", o.env[0]))
	}
	return name, text
}

func (r *resolved) note(level slog.Level, message string, attrs ...slog.Attr) {
	r.notes = append(r.notes, node.Note{Level: level, Message: message, Attrs: attrs})
}

// warnOfUnknown warns of variables that look like ours and are not.
func (r *resolved) warnOfUnknown(env environment) {
	bare := func(variable string) string { return normalized(strings.TrimPrefix(variable, variablePrefix)) }
	known := map[string]string{} // from the bare name to that of the variable
	names := map[string]bool{}
	for o := range each(r.groups) {
		for _, name := range o.env {
			known[bare(name)], names[name] = o.env[0], true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !strings.HasPrefix(name, variablePrefix) || names[name] || isForeign(name) {
			continue
		}
		attrs := []slog.Attr{slog.String("variable", name)}
		if like := words.Suggest(bare(name), slices.Sorted(maps.Keys(known))); like != "" {
			attrs = append(attrs, slog.String("did_you_mean", known[like]))
		}
		r.note(slog.LevelWarn, "unknown environment variable", attrs...)
	}
}

// Printable returns a text in one line and without control characters, as a
// terminal and a log can show it.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsGraphic(r) {
			return ' '
		}
		return r
	}, text)
}

func isForeign(name string) bool {
	return slices.ContainsFunc(foreignVariables(), func(pattern string) bool {
		prefix, anyEnd := strings.CutSuffix(pattern, "*")
		return name == pattern || anyEnd && strings.HasPrefix(name, prefix)
	})
}

// effective returns the settings for the log, in the order of the table: all of
// the node's mode that have a value, without passwords, and where those that are no defaults
// come from.
func (r *resolved) effective() []slog.Attr {
	var attrs []slog.Attr
	var setBy []string
	for o := range each(r.groups) {
		if o.reason(r.mode) != "" || o.stops {
			continue
		}
		key := strings.ReplaceAll(o.name, "-", "_")
		v := o.value.get()
		if urls, ok := v.(string); ok && o.urls {
			v = log.Redact(urls)
		}
		if v != "" {
			attrs = append(attrs, slog.Any(key, v))
		}
		if source := r.sources[o]; source != "" {
			setBy = append(setBy, key+"="+source)
		}
	}
	return append(attrs, slog.String("set_by", strings.Join(setBy, " ")))
}

// suggestFlag returns what to say about an unknown flag.
func (x *flagIndex) suggestFlag(name string) string {
	if like := words.Suggest(name, slices.Sorted(maps.Keys(x.long))); like != "" {
		return "; did you mean --" + x.long[like].name + "?"
	}
	return ""
}
