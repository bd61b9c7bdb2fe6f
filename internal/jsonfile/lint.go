package jsonfile

import (
	"fmt"
	"slices"

	"dsiem/internal/text"
)

// LintOff is the key of a file, and of a directive, whose value lists the names of
// warnings that are switched off there.
const LintOff = "lint_off"

// Lint is the name of a warning: what is written to switch it off. Errors have
// none.
type Lint string

// The names of all warnings, whoever makes them, so that none is given twice. They
// stand in users' files, and so none is ever changed. docs/directives.md lists them.
const (
	UnknownKey  Lint = "unknown-key"
	UnknownLint Lint = "lint-unknown"
	FileNotRead Lint = "file-not-read"

	NameNotReplaced       Lint = "name-not-replaced"
	NeverAlarms           Lint = "never-alarms"
	StageGap              Lint = "stage-gap"
	TimeoutInStage1       Lint = "timeout-in-stage-1"
	StickyInStage1        Lint = "sticky-in-stage-1"
	TimeoutMissing        Lint = "timeout-missing"
	ProtocolNotCompared   Lint = "protocol-not-compared"
	CustomDataNotCompared Lint = "custom-data-not-compared"
	AnyAsText             Lint = "any-as-text"
	ReferenceAsText       Lint = "reference-as-text"
	EmptyElement          Lint = "empty-element"
	HostsNotTied          Lint = "hosts-not-tied"
	TooFewValues          Lint = "too-few-values"
	ReliabilityFalls      Lint = "reliability-falls"

	AssetValueHigh Lint = "asset-value-high"

	SourceNotEnabled Lint = "source-not-enabled"
	SourceOff        Lint = "source-off"
	PluginMisplaced  Lint = "plugin-misplaced"
	PluginUnknown    Lint = "plugin-unknown"
	URLPlaceholder   Lint = "url-placeholder"

	AnonymousWrites Lint = "anonymous-writes"
	NobodyAllowed   Lint = "nobody-allowed"
	HashCheap       Lint = "hash-cheap"
)

// Lints returns the names of all warnings.
func Lints() []Lint {
	return []Lint{
		UnknownKey, UnknownLint, FileNotRead,
		NameNotReplaced, NeverAlarms, StageGap, TimeoutInStage1, StickyInStage1, TimeoutMissing, ProtocolNotCompared,
		CustomDataNotCompared, AnyAsText, ReferenceAsText, EmptyElement, HostsNotTied, TooFewValues, ReliabilityFalls,
		AssetValueHigh,
		SourceNotEnabled, SourceOff, PluginMisplaced, PluginUnknown, URLPlaceholder,
		AnonymousWrites, NobodyAllowed, HashCheap,
	}
}

// UnknownLintError is a name that no warning has.
type UnknownLintError string

func (e UnknownLintError) Error() string {
	lints := Lints()
	known := make([]string, 0, len(lints))
	for _, l := range lints {
		known = append(known, string(l))
	}
	nearest := text.Suggest(string(e), known)
	if nearest == "" {
		return "no warning is called " + Quote(string(e))
	}
	return fmt.Sprintf("no warning is called %s; did you mean %q?", Quote(string(e)), nearest)
}

// ParseLint returns the warning of a name.
func ParseLint(name string) (Lint, error) {
	if l := Lint(name); slices.Contains(Lints(), l) {
		return l, nil
	}
	return "", UnknownLintError(name)
}

// Lints reads a list of names of warnings that are to be switched off. A name that
// no warning has is a warning itself.
func (s *Scope) Lints(name string) []Lint {
	list := s.list(name, String, false)
	if list == nil {
		return nil
	}
	var off []Lint
	for i := range list.Elems {
		v := &list.Elems[i]
		if v.Kind != String {
			continue
		}
		l, err := ParseLint(v.Text)
		if err != nil {
			s.Warnf(UnknownLint, v.Offset, name, "%s", err)
			continue
		}
		off = append(off, l)
	}
	return off
}

// SwitchOff leaves out the warnings of some names, in all files.
func (r *Report) SwitchOff(off ...Lint) { r.off = append(r.off, off...) }

// switchOffIn leaves out the warnings of some names in a file: those that follow,
// and those that were added before its list was read.
func (r *Report) switchOffIn(file string, off []Lint) {
	if len(off) == 0 {
		return
	}
	if r.fileOff == nil {
		r.fileOff = map[string][]Lint{}
	}
	r.fileOff[file] = append(r.fileOff[file], off...)
	r.drop(0, r.isOff)
}

// Drop leaves out the warnings of some names that were added after the first n
// problems.
func (r *Report) Drop(n int, off []Lint) {
	if len(off) > 0 {
		r.drop(n, func(p *Problem) bool { return p.is(off) })
	}
}

func (r *Report) drop(n int, off func(*Problem) bool) {
	kept := r.Problems[:n]
	for _, p := range r.Problems[n:] {
		if !off(&p) {
			kept = append(kept, p)
		}
	}
	r.SwitchedOff += len(r.Problems) - len(kept)
	clear(r.Problems[len(kept):])
	r.Problems = kept
}

func (r *Report) isOff(p *Problem) bool { return p.is(r.off) || p.is(r.fileOff[p.File]) }

// is reports whether a problem is a warning that has one of these names.
func (p *Problem) is(names []Lint) bool {
	return p.Severity == Warning && slices.Contains(names, p.Lint)
}
