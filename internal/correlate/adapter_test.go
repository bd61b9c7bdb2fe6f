package correlate_test

import (
	"math"
	"net/netip"
	"slices"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/correlate/resume"
	"dsiem/internal/correlate/shard"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// This file is the only one of the property tests that knows how the engine is
// called.

// subject is what the property tests play worlds to: the reference, or engines
// that share the directives of one configuration.
type subject interface {
	// Step lets an event arrive at a time of the clock, UNIX nanoseconds, which
	// never goes back. Events have ids when they come here (D34).
	Step(clock int64, ev *event.Event)
	// Expire lets time pass; math.MaxInt64 ends everything.
	Expire(clock int64)
	// Flush writes lines that are due, as at the end of a replay (D37).
	Flush(clock int64)
	// Lines returns all lines so far, as they stand in the two files: alarm events
	// and alarms in the order in which the engine made them.
	Lines() []string
	// Counters returns the counters so far, those that the subject has: repeated,
	// outOfOrder, outside, known, future, late, lookedBack, truncated, crowded
	// (backlogs ended by the bound of D32), forgottenEvents (D33), forgottenEnded
	// (D35) and forgottenIDs (D37).
	Counters() map[string]uint64
}

// settings are the options of docs/spec/correlation.md §15; times are seconds, and 0 is off.
type settings struct {
	OrderTolerance         int64
	LookBack, Remember     int64
	Grace                  int64 // --min-alarm-lifetime
	MaxAlarmValues         int
	MedRiskMin, MedRiskMax int
	Status, Tag            string
}

// defaults are the settings of a server.
func defaults() settings {
	return settings{
		OrderTolerance: 5, LookBack: 10, Remember: 3600, MaxAlarmValues: 1000,
		MedRiskMin: 3, MedRiskMax: 6, Status: "Open", Tag: "T",
	}
}

const nanos = 1_000_000_000

// second returns the whole second of a time in nanoseconds.
func second(t int64) int64 {
	if t < 0 {
		return -((-(t + 1))/nanos + 1)
	}
	return t / nanos
}

// options gives the engine its settings.
func (w *world) options() correlate.Options {
	off := func(seconds int64) int64 {
		if seconds == 0 {
			return correlate.Off
		}
		return seconds
	}
	return correlate.Options{
		MinAlarmLifetime: w.opts.Grace, OrderTolerance: off(w.opts.OrderTolerance),
		LookBack: off(w.opts.LookBack), Remember: off(w.opts.Remember), MaxAlarmValues: w.opts.MaxAlarmValues,
		MedRiskMin: w.opts.MedRiskMin, MedRiskMax: w.opts.MedRiskMax, Status: w.opts.Status, Tag: w.opts.Tag,
	}
}

// apply does to one engine what a world has it do.
func apply(e *correlate.Engine, o *op) []correlate.Change {
	switch o.kind {
	case stepping:
		return e.Step(o.clock, &o.event)
	case expiring:
		return e.Expire(o.clock)
	case flushing:
		return e.Flush()
	}
	return nil
}

// counters names the engine's counters.
func counters(s correlate.Stats) map[string]uint64 {
	return map[string]uint64{
		"repeated": s.Repeated, "outOfOrder": s.OutOfOrder, "outside": s.Outside, "known": s.Known, "future": s.Future,
		"lookedBack": s.LookedBack, "truncated": s.Truncated, "crowded": s.Evicted, "refused": s.Refused,
		"forgottenEvents": s.ForgottenEarly, "forgottenEnded": s.ForgottenEnded, "forgottenIDs": s.ForgottenIDs,
	}
}

// engines are the engines that a configuration is split over.
type engines struct {
	list  []*correlate.Engine
	lines []string
	clock int64 // of the last step or expiry, 0 before
}

func newEngines(w *world, count int) *engines {
	plans, table := correlate.Plans(w.directives), asset.NewTable(w.assets)
	s := &engines{}
	for i := range count {
		e := correlate.New(shard.Plans(plans, i, count), table, w.options())
		if b := &w.bounds; *b != specified() {
			e.Bound(b.live, b.directive, b.engine, b.considered, b.offered, b.remembered, b.known, b.custom, b.listed, b.ids)
		}
		s.list = append(s.list, e)
	}
	return s
}

// restarted returns a new engine for a world with what s, which is one engine, would
// save, and its lines. It goes on at a time: of what ended, the time until then does not
// count.
func (s *engines) restarted(w *world, goesOn int64) (*engines, error) {
	again := newEngines(w, 1)
	again.lines = slices.Clone(s.lines)
	for id, saved := range s.list[0].Save() {
		if err := again.list[0].Restore(id, &saved); err != nil {
			return nil, err
		}
	}
	var err error
	remembered := resume.Collect(func(yield func(*resume.Remembered) bool) {
		for part := range s.list[0].Remembered() {
			if part, err = resume.Parse(part.AppendJSON(nil)); err != nil || !yield(part) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if s.clock > 0 { // there was a time
		again.list[0].RestoreRemembered(max(s.clock, goesOn), remembered)
		again.clock = s.clock
	}
	return again, nil
}

// upgraded returns a new engine for a world with what an older version would have
// saved of s, which is one engine, and its lines.
func (s *engines) upgraded(w *world) (*engines, error) {
	again := newEngines(w, 1)
	again.lines = slices.Clone(s.lines)
	for id, saved := range s.list[0].Save() {
		saved.Arrival, saved.Opened, saved.Latest, saved.Opener = 0, 0, 0, netip.Addr{}
		saved.LineTime, saved.LineDue = 0, false
		for i := range saved.Extras {
			saved.Extras[i].Events, saved.Extras[i].Others = nil, nil
		}
		if err := again.list[0].Restore(id, &saved); err != nil {
			return nil, err
		}
	}
	return again, nil
}

func (s *engines) do(o *op) {
	var changes []correlate.Change
	for _, e := range s.list {
		changes = append(changes, apply(e, o)...)
	}
	slices.SortStableFunc(changes, func(a, b correlate.Change) int { return a.Order.Compare(b.Order) })
	s.lines = append(s.lines, linesOf(changes)...)
}

func (s *engines) Step(clock int64, ev *event.Event) {
	s.clock = max(s.clock, clock)
	s.do(&op{kind: stepping, clock: clock, event: *ev})
}

func (s *engines) Expire(clock int64) {
	if clock != math.MaxInt64 {
		s.clock = max(s.clock, clock)
	}
	s.do(&op{kind: expiring, clock: clock})
}
func (s *engines) Flush(clock int64) { s.do(&op{kind: flushing, clock: clock}) }
func (s *engines) Lines() []string   { return s.lines }

func (s *engines) Counters() map[string]uint64 {
	var stats correlate.Stats
	for _, e := range s.list {
		stats.Add(e.Stats())
	}
	return counters(stats)
}

// linesOf returns the output lines of changes.
func linesOf(changes []correlate.Change) []string {
	var out []string
	for i := range changes {
		switch c := &changes[i]; c.Kind {
		case correlate.Accepted:
			out = append(out, string((&alarm.Event{AlarmID: c.AlarmID, Stage: c.Stage, EventID: c.EventID}).AppendJSON(nil)))
		case correlate.Updated:
			out = append(out, string(c.Alarm.AppendJSON(nil)))
		case correlate.Opened, correlate.Advanced, correlate.Finished, correlate.Expired:
		}
	}
	return out
}

// newReference returns the reference for a world.
func newReference(w *world) *reference {
	return &reference{directives: slices.Clone(w.directives), assets: w.assets, opts: w.opts, bounds: w.bounds}
}

// withDirectives is a world with other directives.
func (w *world) withDirectives(directives []*directive.Directive) *world {
	other := *w
	other.directives = directives
	return &other
}
