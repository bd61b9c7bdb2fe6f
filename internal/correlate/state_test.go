package correlate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/correlate"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// arrivals is a world with times of arrival that have little to do with the events'
// own.
type arrivals struct {
	world
	clocks []int64
}

func someArrivals() *rapid.Generator[arrivals] {
	return rapid.Custom(func(t *rapid.T) arrivals {
		a := arrivals{world: aWorld().Draw(t, "world")}
		a.opts.OrderTolerance = rapid.SampledFrom([]int64{correlate.Off, 1, 5}).Draw(t, "tolerance")
		a.opts.LookBack = rapid.SampledFrom([]int64{correlate.Off, 2, 10, 60}).Draw(t, "look-back")
		a.opts.Remember = rapid.SampledFrom([]int64{correlate.Off, 3, 3600}).Draw(t, "remember")
		a.opts.MaxAlarmValues = rapid.SampledFrom([]int{1, 2, 1000}).Draw(t, "values")
		clock := int64(1_700_000_000e9)
		for i := range a.events {
			ev := &a.events[i]
			clock += rapid.SampledFrom([]int64{0, 0, 3e8, 1e9, 2e9, 20e9}).Draw(t, "later")
			ev.Seconds = clock/1e9 - rapid.SampledFrom([]int64{0, 0, 0, 1, 2, 4, 9, -3, 100}).Draw(t, "late")
			ev.Nanos = rapid.SampledFrom([]int32{0, 0, 1, 500_000_000}).Draw(t, "nanos")
			// Equal ids of one second and other ports would give two alarms one id (D13).
			ev.ID = fmt.Sprint(ev.ID, ev.SrcPort, "-", ev.DstPort)
			if i > 0 && rapid.IntRange(0, 5).Draw(t, "again") == 0 {
				*ev = a.events[rapid.IntRange(0, i-1).Draw(t, "which")]
			}
			a.clocks = append(a.clocks, clock)
		}
		return a
	})
}

func (a *arrivals) play(engines []*correlate.Engine, from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, a.all(engines, func(e *correlate.Engine) []correlate.Change { return e.Step(a.clocks[i], &a.events[i]) })...)
	}
	return out
}

func (a *arrivals) all(engines []*correlate.Engine, fn func(*correlate.Engine) []correlate.Change) []string {
	var changes []correlate.Change
	for _, e := range engines {
		changes = append(changes, fn(e)...)
	}
	slices.SortStableFunc(changes, func(a, b correlate.Change) int { return a.Order.Compare(b.Order) })
	return lines(changes)
}

// The number of engines changes nothing, whatever the order of arrival.
func TestShardCountDoesNotChangeOutputOfAnyArrivals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := someArrivals().Draw(t, "arrivals")
		var want []string
		for _, count := range []int{1, 3} {
			engines := a.engines(count)
			got := a.play(engines, 0, len(a.events))
			got = append(got, a.all(engines, (*correlate.Engine).Flush)...)
			var stats correlate.Stats
			for _, e := range engines {
				stats.Add(e.Stats())
			}
			stats.Remembered, stats.RememberedBytes = 0, 0 // an event may be remembered by several
			got = append(got, fmt.Sprintf("%+v", stats))
			if want == nil {
				want = got
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("one engine - three +:\n%s", diff)
			}
		}
	})
}

// An engine that is saved and restored at any point, with what it remembers, goes on
// as if nothing had happened.
func TestSaveAndRestoreWithMemoryEqualsNoRestart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := someArrivals().Draw(t, "arrivals")
		stop := rapid.IntRange(0, len(a.events)).Draw(t, "stop")
		straight := a.engines(1)
		before := a.play(straight, 0, stop)
		restarted := a.engines(1)
		for id, saved := range straight[0].Save() {
			if err := restarted[0].Restore(id, &saved); err != nil {
				t.Fatalf("directive %d, backlog %s: %v", id, saved.ID, err)
			}
		}
		text := straight[0].Remembered().AppendJSON(nil)
		remembered, err := correlate.ParseRemembered(text)
		if err != nil {
			t.Fatal(err)
		}
		if stop > 0 { // no time has passed
			restarted[0].RestoreRemembered(a.clocks[stop-1], remembered)
		}
		if diff := cmp.Diff(saved(straight[0]), saved(restarted[0])); diff != "" {
			t.Fatalf("saved before - after restart +:\n%s", diff)
		}
		want := append(a.play(straight, stop, len(a.events)), lines(straight[0].Flush())...)
		got := append(a.play(restarted, stop, len(a.events)), lines(restarted[0].Flush())...)
		if diff := cmp.Diff(byAlarm(before, want), byAlarm(before, got)); diff != "" {
			t.Fatalf("no restart - restart +:\n%s", diff)
		}
		if stop < len(a.events) { // the clock has begun, so that ages can be told
			// Backlogs of different directives that end in one second may change places.
			texts := func(e *correlate.Engine) (out []string) {
				for _, one := range e.Remembered().Events {
					out = append(out, fmt.Sprint(one.Arrival, string(event.AppendJSON(nil, one.Event))))
				}
				ended := len(out)
				for _, some := range e.Remembered().Ended {
					for _, one := range some.Events {
						out = append(out, fmt.Sprint(some.Directive, some.Age, one))
					}
				}
				slices.Sort(out[ended:])
				return out
			}
			if diff := cmp.Diff(texts(straight[0]), texts(restarted[0])); diff != "" {
				t.Fatalf("remembered without - with restart +:\n%s", diff)
			}
		}
	})
}

// Events in the order of their times, each at its time, are found as they were before
// there was a look-back: it changes nothing (D33).
func TestLookBackChangesNothingOfEventsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := someArrivals().Draw(t, "arrivals")
		at := int64(1_700_000_000e9)
		for i := range a.events {
			at += rapid.SampledFrom([]int64{0, 0, 1, 3e8, 1e9, 5e9}).Draw(t, "later")
			a.clocks[i], a.events[i].Seconds, a.events[i].Nanos = at, at/1e9, int32(at%1e9)
		}
		var want []string
		for _, d := range []int64{correlate.Off, 60} {
			a.opts.LookBack = d
			engines := a.engines(1)
			got := append(a.play(engines, 0, len(a.events)), lines(engines[0].Flush())...)
			if n := engines[0].Stats().LookedBack; n > 0 {
				t.Fatalf("%d events were looked back to", n)
			}
			if want == nil {
				want = got
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("without - with look-back +:\n%s", diff)
			}
		}
	})
}

// A log that is read from before the saved position gives what there is to look back
// to.
func TestRememberFromALog(t *testing.T) {
	straight, again := engineFor(correlate.Options{}, alwaysActive()), engineFor(correlate.Options{}, alwaysActive())
	for i := range int64(5) {
		ev := eventAt(100+i, fmt.Sprint(i), 2+uint64(i%2), "10.0.0.1")
		straight.Step((100+i)*1e9, ev)
		again.Remember((100+i)*1e9, ev)
	}
	for _, e := range []*correlate.Engine{straight, again} {
		got := lines(e.Step(104e9, eventAt(99, "opener", 1, "10.0.0.1")))
		text := strings.Join(got, "")
		if strings.Count(text, `"stage":2`) < 2 || !strings.Contains(text, `"stage":3,"event_id":"1"`) {
			t.Errorf("got %s", text)
		}
		if s := e.Stats(); s.LookedBack != 2 {
			t.Errorf("%+v", s)
		}
	}
	if diff := cmp.Diff(saved(straight), saved(again)); diff != "" {
		t.Error(diff)
	}
}

// What ended is remembered for its time by the clock; a restart does not count.
func TestEndedEventsAreKnown(t *testing.T) {
	e := engineFor(correlate.Options{Remember: 10}, twoStages())
	opener := eventAt(100, "e1", 1, "10.0.0.1")
	e.Step(100e9, opener)
	e.Step(101e9, eventAt(101, "e2", 2, "10.0.0.1"))
	if got := e.Step(105e9, opener); len(got) != 0 || e.Stats().Known != 1 {
		t.Errorf("after 4 s: %v, %+v", kinds(got), e.Stats())
	}
	other := *opener
	other.Seconds++ // the same event, but not as it was sent
	again := engineFor(correlate.Options{Remember: 10}, twoStages())
	again.RestoreRemembered(9000e9, e.Remembered())
	again.Expire(8000e9) // what was due before the restart ends first
	for _, c := range []struct {
		at    int64
		ev    *event.Event
		opens bool
	}{{9000e9, opener, false}, {9006e9, opener, false}, {9006e9, &other, true}, {9008e9, eventAt(100, "e1", 1, "10.0.0.2"), true}, {9200e9, opener, true}} {
		if got := again.Step(c.at, c.ev); (len(got) > 0 && slices.Contains(kinds(got), correlate.Opened)) != c.opens {
			t.Errorf("at %d: %v", c.at, kinds(got))
		}
	}
}

// A directive that is always active has what it needs to be looked back to, with
// references compared before the choice of the stage.
func TestLookBackOfAlwaysActiveDirectives(t *testing.T) {
	rule := func(stage int, occurrence uint64, sid uint64, from string) directive.Rule {
		return directive.Rule{
			Name: "r", Stage: stage, Occurrence: occurrence, PluginID: 1001, PluginSID: []uint64{sid},
			From: from, To: "ANY", PortFrom: "ANY", PortTo: "ANY", Protocol: "ANY", Reliability: 10, Timeout: 100,
		}
	}
	d := &directive.Directive{
		ID: 7, Name: "brute force", Kingdom: "K", Category: "C", Priority: 3, AllRulesAlwaysActive: true,
		Rules: []directive.Rule{rule(1, 1, 1, "ANY"), rule(2, 2, 1, ":1"), rule(3, 1, 2, ":1")},
	}
	for _, c := range []struct {
		want   string
		events []string // id, event time, SID, source, arrival
	}{
		{"1[f2] 2[f1] 2[f3] 3[ok]", []string{"ok 110 2 1 115", "f2 103 1 1 116", "f1 101 1 1 116", "x 104 1 2 116", "f3 104 1 1 117"}},
		{
			"1[f110] 2[f111] 2[f112] 1[f113] 1[f90] 2[f110] 2[f111] 1[f112] 1[f113]",
			[]string{"f110 110 1 1 115", "f111 111 1 1 115", "f112 112 1 1 115", "f113 113 1 1 115", "f90 90 1 1 116"},
		},
	} {
		e := engineFor(correlate.Options{}, d)
		var got []string
		for _, text := range c.events {
			var id, src string
			var at, sid, arrival int64
			if _, err := fmt.Sscan(text, &id, &at, &sid, &src, &arrival); err != nil {
				t.Fatal(err)
			}
			for _, c := range e.Step(arrival*1e9, eventAt(at, id, uint64(sid), "10.0.0."+src)) {
				if c.Kind == correlate.Accepted && c.EventID != "x" {
					got = append(got, fmt.Sprintf("%d[%s]", c.Stage, c.EventID))
				}
			}
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("got  %s\nwant %s", text, c.want)
		}
	}
}
