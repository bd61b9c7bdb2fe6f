package scenario

import (
	"embed"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// BaseUnix is the time, in UNIX seconds, that event times in a scenario are
// offsets from.
const BaseUnix = 1_700_000_000

// Base returns the base time of all scenarios: 2023-11-14T22:13:20Z.
func Base() time.Time { return time.Unix(BaseUnix, 0).UTC() }

// Scenario is one parsed scenario file.
type Scenario struct {
	// Name is the file name without its extension: "01-ping-flood".
	Name string
	// Description is the text before the first section.
	Description string
	// Runs are the program runs it consists of, at least one. They share one
	// folder of saved backlogs.
	Runs []*Run

	file string
}

// Run is one run of the program: what to give it and what must come out.
type Run struct {
	// Number counts the runs of a scenario from 1.
	Number int
	// Config holds the configuration files by name: assets_*.json and
	// directives_*.json.
	Config map[string][]byte
	// Events is the input: normalized events as NDJSON, and whatever else the
	// program must reject.
	Events []byte
	// Arrivals has, for each line of Events, the time of its arrival as an offset from
	// Base in nanoseconds, NoArrival where the scenario states none; nil if it states
	// none at all. Then the arrival is the largest time of the events so far, as in a
	// replay.
	Arrivals []int64
	// Args are the flags for dsiem replay, without those that name files or
	// folders; Options are the same settings for an engine in this process.
	Args    []string
	Options Options

	saved []savedEdit
	want  want
}

// NoArrival is the arrival of an event whose scenario states none.
const NoArrival = math.MinInt64

// ByArrival reports whether the scenario states when events arrive, so that it can be
// played by who gives an engine the time of arrival only.
func (s *Scenario) ByArrival() bool {
	return slices.ContainsFunc(s.Runs, func(r *Run) bool { return r.Arrivals != nil })
}

// StartupError reports whether the program must refuse to start.
func (r *Run) StartupError() bool { return r.want.exitCode != 0 }

//go:embed testdata/*.txtar
var files embed.FS

// All returns the project's scenarios in order of their names.
func All() ([]*Scenario, error) {
	names, err := fs.Glob(files, "testdata/*.txtar")
	if err != nil {
		return nil, fmt.Errorf("list scenarios: %w", err)
	}
	all := make([]*Scenario, 0, len(names))
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read scenario: %w", err)
		}
		s, err := Parse(path.Base(name), data)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Parse reads a scenario; the notation is described at the top of the package.
// The error names every mistake, each with file and line.
func Parse(name string, data []byte) (*Scenario, error) {
	src := &source{file: name}
	comment, sections := src.split(data)
	if comment == "" {
		src.failf(1, "say before the first section what the scenario shows")
	}
	sc := &Scenario{
		Name:        strings.TrimSuffix(path.Base(name), path.Ext(name)),
		Description: comment,
		file:        name,
	}
	var prev *Run
	clock := eventClock{gap: time.Second}
	for i, parts := range src.runs(sections) {
		run := &Run{Number: i + 1}
		src.parseRun(run, prev, parts, &clock)
		sc.Runs = append(sc.Runs, run)
		prev = run
	}
	if len(sc.Runs) == 0 {
		src.failf(1, "a scenario needs the sections directives, events and want")
	}
	if err := src.err(); err != nil {
		return nil, err
	}
	return sc, nil
}

// runParts are the sections of one run by name, without the run prefix.
type runParts struct {
	byName map[string]*section
	saved  []*section // "saved" and "saved/FILE", in the order of the file
	line   int        // of the first section
}

// runs sorts the sections to their runs.
func (s *source) runs(sections []*section) []*runParts {
	var runs []*runParts
	for _, sec := range sections {
		number, name, ok := runSection(sec.name)
		if !ok {
			s.failf(sec.line, "unknown section %q; known are assets, assets_NAME.json, directives, directives_NAME.json, options, events, want, want.json, saved and saved/FILE, each also as runN/…", sec.name)
			continue
		}
		if number > len(runs)+1 {
			s.failf(sec.line, "section %q comes before any section of run %d", sec.name, number-1)
			continue
		}
		if number > len(runs) {
			runs = append(runs, &runParts{byName: map[string]*section{}, line: sec.line})
		}
		parts := runs[number-1]
		switch {
		case name == "saved" || strings.HasPrefix(name, "saved/"):
			parts.saved = append(parts.saved, sec)
		case parts.byName[name] != nil:
			s.failf(sec.line, "section %q is the same as the one in line %d", sec.name, parts.byName[name].line)
		default:
			parts.byName[name] = sec
		}
	}
	return runs
}

// runSection takes a section name apart: "run2/events" is ("events", 2), a name
// without prefix belongs to run 1.
func runSection(full string) (number int, name string, ok bool) {
	number, name = 1, full
	if rest, found := strings.CutPrefix(full, "run"); found {
		digits, tail, _ := strings.Cut(rest, "/")
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 {
			return 0, "", false
		}
		number, name = n, tail
	}
	if file, found := strings.CutPrefix(name, "saved/"); found {
		return number, name, fs.ValidPath(file) && !strings.Contains(file, "/")
	}
	known := []string{assetKind, directiveKind, "options", "events", "want", alarmsName, "saved"}
	return number, name, slices.Contains(known, name) || isConfig(name, assetKind) || isConfig(name, directiveKind)
}

// parseRun fills run from its sections; prev is the run before it, or nil.
func (s *source) parseRun(run, prev *Run, parts *runParts, clock *eventClock) {
	run.Config = s.parseConfig(prev, parts)
	run.Options = defaultOptions()
	if sec := parts.byName["options"]; sec != nil {
		run.Args = s.parseOptions(sec, &run.Options)
	}
	for _, sec := range parts.saved {
		run.saved = append(run.saved, s.parseSaved(sec)...)
	}
	if sec := parts.byName["events"]; sec != nil {
		run.Events, run.Arrivals = s.parseEvents(sec, clock)
	}
	run.want = s.parseWants(run.Number, parts, clock.ids)
	if parts.byName["events"] == nil && !run.StartupError() {
		s.failf(parts.line, "section \"events\" of run %d is missing", run.Number)
	}
}
