package correlate_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/alarm"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// Properties of the reference that need no second engine.

// D33: input in order, ties and any lag included, has no look-backs.
func TestReferenceLooksNotBackOnInputInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := aWorld(kind{inOrder: true}).Draw(t, "world")
		on, off := newReference(&w), newReference(&w)
		on.opts.LookBack, off.opts.LookBack = 60, 0
		if diff := cmp.Diff(play(off, w.ops), play(on, w.ops)); diff != "" || on.counters["lookedBack"] > 0 {
			t.Fatalf("off - on +, counters %v:\n%s", on.counters, diff)
		}
	})
}

// Compatibility: on plain worlds the new options change nothing.
func TestReferencePlainInputKnowsNoOptions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := aWorld(kind{plain: true}).Draw(t, "world")
		one, other := newReference(&w), newReference(&w)
		grace := w.opts.Grace
		other.opts = someSettings(t, kind{plain: true})
		other.opts.Grace = grace
		if diff := cmp.Diff(play(one, w.ops), play(other, w.ops)); diff != "" {
			t.Fatalf("one - other +:\n%s", diff)
		}
		if n := len(one.counters); n > 1 || n == 1 && one.counters["repeated"] == 0 {
			t.Fatalf("counters %v", one.counters)
		}
	})
}

// D29 and D33: an attack of just as many events as its stages need is found in
// whatever order its events arrive within the look-back.
func TestReferenceFindsAnAttackInEveryOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		occurrences := append([]uint64{1}, rapid.SliceOfN(rapid.Uint64Range(1, 3), 1, 3).Draw(t, "occurrences")...)
		d := stages(occurrences...)
		d.AllRulesAlwaysActive = rapid.Bool().Draw(t, "always active")
		opts := defaults()
		opts.OrderTolerance = rapid.SampledFrom([]int64{0, 5}).Draw(t, "tolerance")
		r := site(opts, d)
		var ops []op
		stamp := 0.0
		for i, n := range occurrences {
			for range n {
				stamp += rapid.Float64Range(0.001, 5).Draw(t, "pause")
				ops = append(ops, op{event: sends(stamp, "e"+strconv.Itoa(len(ops)), uint64(i+1))})
			}
		}
		ops = rapid.Permutation(ops).Draw(t, "arrival")
		for i := range ops {
			ops[i].clock = moment(stamp + float64(i)*10/float64(len(ops)))
		}
		lines := play(r, ops)
		if len(lines) == 0 || strings.Count(lines[len(lines)-1], `"status":"finished"`) != len(occurrences) {
			t.Fatalf("not found: %q", story(lines))
		}
	})
}

// D31, D32: windows go by the events' times, waiting by the clock: a constant lag
// changes only when alarms are made (scenario 4).
func TestReferenceConstantLagChangesNothing(t *testing.T) {
	times := regexp.MustCompile(`"created_time":(\d+),"update_time":(\d+)`)
	earlier := func(lines []string, lag int64) []string {
		out := make([]string, len(lines))
		for i, line := range lines {
			if m := times.FindStringSubmatch(line); m != nil {
				created, _ := strconv.ParseInt(m[1], 10, 64)
				updated, _ := strconv.ParseInt(m[2], 10, 64)
				line = strings.Replace(line, m[0], fmt.Sprint(created-lag, " ", updated-lag), 1)
			}
			out[i] = line
		}
		return out
	}
	rapid.Check(t, func(t *rapid.T) {
		w := aWorld(kind{}).Draw(t, "world")
		w.ops = slices.DeleteFunc(w.ops, func(o op) bool {
			return o.kind == stepping && sent(&o.event) > o.clock || o.clock > worldStart*2
		})
		late := slices.Clone(w.ops)
		const lag = 300
		for i := range late {
			late[i].clock += lag * nanos
		}
		if diff := cmp.Diff(earlier(play(newReference(&w), w.ops), 0), earlier(play(newReference(&w), late), lag)); diff != "" {
			t.Fatalf("in time - late +:\n%s", diff)
		}
	})
}

// D28: an event of no directive moves nothing, whatever it is dated.
func TestReferenceForeignEventsMoveNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := aWorld(kind{}).Draw(t, "world")
		want := play(newReference(&w), w.ops)
		place := rapid.IntRange(0, len(w.ops)-1).Draw(t, "place")
		foreign := op{clock: w.ops[place].clock, event: at(event.Event{ID: "f", PluginID: 9, PluginSID: 9}, worldStart*3)}
		got := play(newReference(&w), slices.Insert(slices.Clone(w.ops), place, foreign))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("without - with +:\n%s", diff)
		}
	})
}

// D26 and others: what a directive finds does not depend on the others beside it,
// as long as no bound of the engine is reached.
func TestReferenceDirectivesAreIndependent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := aWorld(kind{}).Draw(t, "world")
		want := byAlarm(play(newReference(&w), w.ops))
		got := map[string][]string{}
		for _, d := range w.directives {
			for id, lines := range byAlarm(play(newReference(w.withDirectives([]*directive.Directive{d})), w.ops)) {
				got[id] = append(got[id], lines...)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("together - alone +:\n%s", diff)
		}
	})
}

// What holds at all times, in all worlds.
func TestReferenceInvariants(t *testing.T) {
	for name, k := range map[string]kind{"timed": {}, "low bounds": {lowBounds: true}} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := aWorld(k).Draw(t, "world")
				in := invariants{reference: newReference(&w), opened: map[*refBacklog]bool{}, ids: map[string]bool{}}
				for i := range w.ops {
					play(in.reference, w.ops[i:i+1])
					in.check(t)
				}
			})
		})
	}
}

// invariants watches a reference.
type invariants struct {
	*reference

	opened map[*refBacklog]bool
	ids    map[string]bool // of alarms
}

func (in *invariants) check(t *rapid.T) {
	like, ofDirective := map[refGroup]int{}, map[int]int{}
	for _, b := range in.live {
		if b.created > second(in.clock) || b.updated > second(in.clock) || b.created > b.updated || b.arrival > in.clock {
			t.Fatalf("%s: made %d, updated %d, arrival %d, clock %d", b.id, b.created, b.updated, b.arrival, in.clock)
		}
		in.checkStages(t, b)
		if b.due && b.lineAt != second(in.clock) { // D37
			t.Fatalf("%s: a line is due since second %d, clock %d", b.id, b.lineAt, in.clock)
		}
		like[b.group()]++
		ofDirective[b.order]++
		if !in.opened[b] && in.opts.Remember == 3600 && in.bounds == specified() {
			in.opened[b] = true
			// An alarm id is never given twice (D35).
			if in.ids[b.id] && in.clock < worldStart+3600*nanos {
				t.Fatalf("%s is opened again", b.id)
			}
			in.ids[b.id] = true
		}
	}
	for key, n := range like {
		if n > in.bounds.live {
			t.Fatalf("%d live backlogs of %+v", n, key)
		}
	}
	for order, n := range ofDirective {
		if n > in.bounds.directive {
			t.Fatalf("%d live backlogs of directive %d", n, order)
		}
	}
	if len(in.live) > in.bounds.engine {
		t.Fatalf("%d live backlogs", len(in.live))
	}
	if len(in.remembered) > in.bounds.remembered || len(in.ended) > in.bounds.known {
		t.Fatalf("%d remembered, %d known", len(in.remembered), len(in.ended))
	}
}

func (in *invariants) checkStages(t *rapid.T, b *refBacklog) {
	for i := range b.rules[:b.current+1] {
		rule := &b.rules[i]
		finished := i < b.current
		switch {
		case finished != (rule.status == alarm.Finished):
			t.Fatalf("%s: stage %d of %d has status %v", b.id, i, b.current, rule.status)
		case finished && len(rule.ids) > in.bounds.ids:
			t.Fatalf("%s: %d ids", b.id, len(rule.ids))
		case finished && (second(rule.end) < rule.start || rule.end > in.clock):
			t.Fatalf("%s: stage %d from %d to %d, clock %d", b.id, i, rule.start, rule.end, in.clock)
		case i > 0 && (rule.start != second(b.rules[i-1].end) || finished && rule.end < b.rules[i-1].end): // D29
			t.Fatalf("%s: stage %d from %d to %d, the one before to %d", b.id, i, rule.start, rule.end, b.rules[i-1].end)
		case !finished && uint64(len(rule.ids)) >= rule.Occurrence:
			t.Fatalf("%s: stage %d is complete and goes on", b.id, i)
		}
	}
	if len(b.shownSrc) > in.opts.MaxAlarmValues || len(b.shownDst) > in.opts.MaxAlarmValues || len(b.custom) > in.bounds.custom || b.listed() > in.bounds.listed {
		t.Fatalf("%s lists %d, %d, %d values in %d bytes", b.id, len(b.shownSrc), len(b.shownDst), len(b.custom), b.listed())
	}
}

// D37: within a second of the clock an alarm has at most one line for events that
// only earlier stages took, so no two lines with the same state of the stages; and
// no line is due after a flush.
func TestReferenceLinesOfASecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := aWorld(kind{}).Draw(t, "world")
		w.opts.Remember = 3600 // an alarm id is not given twice
		r := newReference(&w)
		seen := map[string]bool{}
		for i := range w.ops {
			done := len(r.lines)
			play(r, w.ops[i:i+1])
			for _, b := range r.live {
				if b.due && w.ops[i].kind == flushing {
					t.Fatalf("%s: a line is due after a flush", b.id)
				}
			}
			if w.ops[i].kind == flushing {
				continue
			}
			for j, line := range r.lines[done:] {
				id, _, _ := strings.Cut(strings.TrimPrefix(line, `{"alarm_id":"`), `"`)
				state := fmt.Sprint(id, second(r.clock), story(r.lines[done : done+j+1])[j])
				if strings.Contains(line, `"title"`) && seen[state] {
					t.Fatalf("line %d: second line in a second: %s", done+j, line)
				}
				seen[state] = true
			}
		}
	})
}
