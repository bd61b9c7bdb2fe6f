package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Result is what one run of the program left behind.
type Result struct {
	// ExitCode is the program's exit code, Console everything it said. A nil
	// Console means that the messages are not known and need no check.
	ExitCode int
	Console  []byte
	// Rejected is the number of rejected events by reason; nil as for Console.
	Rejected map[string]int
	// Given, if not nil, reports whether the program has given an id to an event that
	// has none; without it, the ids are those of a replay.
	Given func(id string) bool
	// AlarmEvents and Alarms are the contents of siem_alarm_events.json and
	// siem_alarms.json.
	AlarmEvents, Alarms []byte
	// Live holds the files written for --save-backlogs, by name; nil means that
	// they are not known and need no check.
	Live map[string][]byte
	// Saved holds the scenario's folder of saved backlogs after the run; nil as
	// for Live.
	Saved map[string][]byte
}

// Check compares the output files of the scenario's first run with its wants.
func (s *Scenario) Check(alarmEvents, alarms []byte) error {
	return s.NewChecker().Check(s.Runs[0], &Result{AlarmEvents: alarmEvents, Alarms: alarms})
}

// Checker compares the runs of a scenario with its wants. It remembers which
// alarm id belongs to which backlog from one run to the next.
type Checker struct {
	file  string
	names map[string]string // by alarm id
	taken map[string]bool   // the ids of events that were taken, in any run
}

// NewChecker returns a checker for one pass through the runs in their order.
func (s *Scenario) NewChecker() *Checker {
	return &Checker{file: s.file, names: map[string]string{}, taken: map[string]bool{}}
}

// Check compares the result of a run with its wants. The error lists every
// difference.
func (c *Checker) Check(r *Run, res *Result) error {
	d := &differ{file: c.file, run: r, names: c.names, given: res.Given, taken: c.taken}
	if d.given == nil {
		ids := r.givenIDs()
		d.given = func(id string) bool { return ids[id] }
	}
	d.checkProgram(res)
	d.readAlarmEvents(res.AlarmEvents)
	d.readAlarms(res.Alarms)
	d.readLive(res.Live)
	if !r.want.alarmsOnly {
		d.compare(res.Live != nil)
	}
	d.compareAlarms()
	if res.Saved != nil {
		for _, file := range r.want.gone {
			if _, there := res.Saved[file]; there {
				d.failf(0, "saved file %s is still there", file)
			}
		}
	}
	return errors.Join(d.problems...)
}

// gotBacklog is what one backlog really brought about.
type gotBacklog struct {
	events []taken
	shapes []shape
	alarms []any // decoded by decodeAny
	live   *live
	saved  any
}

// differ gathers the results of one run by backlog and compares them.
type differ struct {
	file     string
	run      *Run
	names    map[string]string
	given    func(id string) bool // is that of an event without one
	taken    map[string]bool      // those of Checker
	backlogs map[string]*gotBacklog
	order    []string
	problems []error
}

// failf notes a difference; line 0 means that no line of the scenario states it.
func (d *differ) failf(line int, format string, args ...any) {
	place := d.file
	if line > 0 {
		place = fmt.Sprintf("%s:%d", d.file, line)
	}
	text := fmt.Sprintf(format, args...)
	d.problems = append(d.problems, fmt.Errorf("%s: run %d: %s", place, d.run.Number, text))
}

// backlog returns the results of a backlog, made where necessary.
func (d *differ) backlog(name string) *gotBacklog {
	if b, ok := d.backlogs[name]; ok {
		return b
	}
	if d.backlogs == nil {
		d.backlogs = map[string]*gotBacklog{}
	}
	b := new(gotBacklog)
	d.backlogs[name] = b
	d.order = append(d.order, name)
	return b
}

// checkProgram compares the exit code, the messages and the rejected events.
func (d *differ) checkProgram(res *Result) {
	w := &d.run.want
	if res.ExitCode != w.exitCode {
		d.failf(0, "exit code %d, want %d; messages:\n%s", res.ExitCode, w.exitCode, res.Console)
	}
	if res.Rejected != nil && !maps.Equal(res.Rejected, w.rejected) {
		d.failf(w.rejectedLine, "rejected events:\n\twant %s\n\tgot  %s", renderCounts(w.rejected), renderCounts(res.Rejected))
	}
	if res.Console == nil {
		return
	}
	for _, p := range w.messages {
		if !p.in(string(res.Console)) {
			d.failf(0, "the messages lack a line with %q:\n%s", p, res.Console)
		}
	}
}

// in reports whether one line of the messages has all texts in their order.
func (p phrase) in(messages string) bool {
	for line := range strings.Lines(messages) {
		found := true
		for _, text := range p {
			if _, line, found = strings.Cut(line, text); !found {
				break
			}
		}
		if found {
			return true
		}
	}
	return false
}

// renderCounts writes rejected events in the notation of scenarios.
func renderCounts(counts map[string]int) string {
	if len(counts) == 0 {
		return "none"
	}
	var items []string
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		items = append(items, fmt.Sprintf("%s %d", reason, counts[reason]))
	}
	return strings.Join(items, ", ")
}

// readAlarmEvents reads siem_alarm_events.json and names the new backlogs.
func (d *differ) readAlarmEvents(data []byte) {
	rows, err := lines(data)
	if err != nil {
		d.failf(0, "siem_alarm_events.json: %v", err)
	}
	for i, row := range rows {
		doc, err := parseAlarmEvent(row)
		if err != nil {
			d.failf(0, "siem_alarm_events.json:%d: %v\n\t%s", i+1, err, row)
			continue
		}
		event := doc.EventID
		d.taken[event] = true
		if event == "" || d.given(event) {
			event = noID
		}
		name, known := d.names[doc.ID]
		if !known {
			if doc.Stage != 1 {
				d.failf(0, "siem_alarm_events.json:%d: alarm %s starts with stage %d", i+1, doc.ID, doc.Stage)
			}
			name = d.newName(event)
			d.names[doc.ID] = name
		}
		b := d.backlog(name)
		b.events = append(b.events, taken{stage: doc.Stage, event: event})
	}
}

// newName returns the name of a backlog opened by an event: e1, e1~2 and so on.
func (d *differ) newName(event string) string {
	taken := slices.Collect(maps.Values(d.names))
	name := event
	for n := 2; slices.Contains(taken, name); n++ {
		name = fmt.Sprintf("%s~%d", event, n)
	}
	return name
}

// readAlarms reads siem_alarms.json.
func (d *differ) readAlarms(data []byte) {
	rows, err := lines(data)
	if err != nil {
		d.failf(0, "siem_alarms.json: %v", err)
	}
	for i, row := range rows {
		doc, err := parseAlarm(row)
		if err != nil {
			d.failf(0, "siem_alarms.json:%d: %v\n\t%s", i+1, err, row)
			continue
		}
		d.checkDefaults(doc, fmt.Sprintf("siem_alarms.json:%d", i+1))
		if doc.Risk == 0 && !d.run.Options.LoadBacklogs && len(d.backlog(d.names[doc.ID]).alarms) == 0 { // later ones may (D36)
			d.failf(0, "siem_alarms.json:%d: risk is 0 in the first line of alarm %s", i+1, doc.ID)
		}
		name, known := d.names[doc.ID]
		if !known {
			d.failf(0, "siem_alarms.json:%d: alarm %s has no alarm-event line", i+1, doc.ID)
			continue
		}
		value, err := decodeAny(row)
		if err != nil {
			d.failf(0, "siem_alarms.json:%d: %v", i+1, err)
			continue
		}
		b := d.backlog(name)
		b.shapes = append(b.shapes, doc.shape())
		b.alarms = append(b.alarms, value)
	}
}

// checkDefaults checks that an alarm has the first status and tag.
func (d *differ) checkDefaults(doc *alarmDoc, where string) {
	opt := &d.run.Options
	if doc.Status != opt.Status[0] || doc.Tag != opt.Tags[0] {
		d.failf(0, "%s: status %q and tag %q, want %q and %q", where, doc.Status, doc.Tag, opt.Status[0], opt.Tags[0])
	}
}

// readLive reads the backlogs saved at the end of the run.
func (d *differ) readLive(files map[string][]byte) {
	for _, file := range slices.Sorted(maps.Keys(files)) {
		var list []json.RawMessage
		if err := json.Unmarshal(files[file], &list); err != nil {
			d.failf(0, "saved file %s: %v", file, err)
			continue
		}
		for i, raw := range list {
			where := fmt.Sprintf("saved file %s, backlog %d", file, i)
			doc, err := parseDoc(raw, savedBacklogFields(), savedRuleFields())
			if err != nil {
				d.failf(0, "%s: %v", where, err)
				continue
			}
			d.checkDefaults(doc, where)
			if err := doc.checkIDs(d.taken); err != nil {
				d.failf(0, "%s: %v", where, err)
			}
			name, known := d.names[doc.ID]
			if !known {
				d.failf(0, "%s: alarm %s has no alarm-event line", where, doc.ID)
				continue
			}
			b := d.backlog(name)
			if b.saved, err = decodeAny(raw); err != nil {
				d.failf(0, "%s: %v", where, err)
			}
			b.live = doc.live()
		}
	}
}

// live returns the state of a saved backlog; its stage is the lowest without a
// status (§11.3).
func (a *alarmDoc) live() *live {
	for _, r := range a.Rules {
		if r.Status == "" {
			return &live{stage: r.Stage, count: len(r.SavedEventIDs), occurrence: r.Occurrence}
		}
	}
	return &live{}
}

// compare compares backlog by backlog, wanted ones first.
func (d *differ) compare(withLive bool) {
	wanted := make([]string, 0, len(d.run.want.backlogs))
	for _, w := range d.run.want.backlogs {
		wanted = append(wanted, w.name)
		got := d.backlogs[w.name]
		if got == nil {
			got = new(gotBacklog)
		}
		d.compareBacklog(w, got, withLive)
	}
	for _, name := range d.order {
		if !slices.Contains(wanted, name) {
			d.compareBacklog(&wantBacklog{name: name}, d.backlogs[name], withLive)
		}
	}
}

func (d *differ) compareBacklog(w *wantBacklog, got *gotBacklog, withLive bool) {
	if !slices.Equal(w.events, got.events) {
		d.diff(w.eventsLine, w, "alarm events", renderTaken(w.events), renderTaken(got.events))
	}
	if !slices.Equal(w.alarms, got.shapes) {
		d.diff(w.alarmsLine, w, "alarms", renderShapes(w.alarms), renderShapes(got.shapes))
	}
	for _, f := range w.alarmFacts {
		if f.nth > len(got.alarms) {
			d.failf(f.line, "backlog %s has no alarm line %d", w.name, f.nth)
		} else if err := f.check(got.alarms[f.nth-1]); err != nil {
			d.failf(f.line, "backlog %s, alarm line %d: %v", w.name, f.nth, err)
		}
	}
	if !withLive {
		return
	}
	if wantEnd, gotEnd := end(w.live), end(got.live); wantEnd != gotEnd {
		d.diff(w.liveLine, w, "at the end", wantEnd, gotEnd)
	}
	for _, f := range w.savedFacts {
		if got.saved == nil {
			d.failf(f.line, "backlog %s is not saved", w.name)
		} else if err := f.check(got.saved); err != nil {
			d.failf(f.line, "backlog %s, saved: %v", w.name, err)
		}
	}
}

// end writes the state of a backlog at the end of a run.
func end(l *live) string {
	if l == nil {
		return "gone"
	}
	return l.String()
}

// diff notes that a backlog brought about something else than wanted.
func (d *differ) diff(line int, w *wantBacklog, what, wanted, got string) {
	if line == 0 {
		line = w.line
	}
	d.failf(line, "backlog %s, %s:\n\twant %s\n\tgot  %s", w.name, what, strings.TrimSpace(wanted), strings.TrimSpace(got))
}
