package correlate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/correlate"
	"dsiem/internal/correlate/resume"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

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
		got := linesOf(e.Step(104e9, eventAt(99, "opener", 1, "10.0.0.1")))
		text := strings.Join(got, "")
		if strings.Count(text, `"stage":2`) < 2 || !strings.Contains(text, `"stage":3,"event_id":"1"`) {
			t.Errorf("got %s", text)
		}
		if s := e.Stats(); s.LookedBack != 2 {
			t.Errorf("%+v", s)
		}
	}
	if diff := cmp.Diff(savedOf(straight), savedOf(again)); diff != "" {
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
	again.RestoreRemembered(9000e9, resume.Collect(e.Remembered()))
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

// An engine may take steps while it says what it remembers: what it forgets meanwhile
// is left out, and so is what comes after.
func TestRememberedInPartsWhileStepsAreTaken(t *testing.T) {
	const events = 1000
	for _, forgets := range []bool{false, true} {
		e := engineFor(correlate.Options{LookBack: 10}, twoStages())
		for i := range int64(events) {
			e.Step(100e9+i, eventAt(100, fmt.Sprint(i), 2, "10.0.0.1"))
		}
		var got []string
		parts := 0
		for part := range e.Remembered() {
			if parts++; parts == 2 { // the first second's are forgotten in the second
				now := int64(101)
				if forgets {
					now = 111
				}
				e.Step(now*1e9, eventAt(now, "later", 2, "10.0.0.1"))
			}
			for _, one := range part.Events {
				got = append(got, one.Event.ID)
			}
		}
		var want []string
		for i := range events {
			want = append(want, fmt.Sprint(i))
		}
		if forgets {
			want = want[:len(got)]
		}
		if diff := cmp.Diff(want, got); diff != "" || forgets && (len(got) == 0 || len(got) == events) || parts < 2 {
			t.Errorf("forgets %v: %d parts of %d events, want - got +:\n%s", forgets, parts, len(got), diff)
		}
	}
}

// D43: an attack that was complete and made no alarm is counted by its reason.
func TestAttacksWithoutAnAlarmAreCounted(t *testing.T) {
	for _, c := range []struct {
		src         string
		reliability int
		want        [2]uint64
	}{{"192.0.2.1", 10, [2]uint64{1, 0}}, {"10.0.0.1", 0, [2]uint64{0, 1}}, {"10.0.0.1", 10, [2]uint64{0, 0}}} {
		d := twoStages()
		for i := range d.Rules {
			d.Rules[i].Reliability = c.reliability
		}
		e := engineFor(correlate.Options{}, d)
		for i := range int64(2) {
			ev := eventAt(100+i, fmt.Sprint(i), uint64(1+i), c.src)
			ev.DstIP = ev.SrcIP
			e.Step((100+i)*1e9, ev)
		}
		if s := e.Stats(); [2]uint64{s.WithoutAsset, s.WithoutRisk} != c.want || s.Live != 0 {
			t.Errorf("%s, reliability %d: %+v", c.src, c.reliability, s)
		}
	}
}

// D43: a warning about events that did not count can name a sensor of each kind.
func TestSensorsOfEventsThatDoNotCount(t *testing.T) {
	e := engineFor(correlate.Options{MaxAlarmValues: 1}, twoStages())
	from := func(sensor string, ev *event.Event) *event.Event {
		ev.Sensor = sensor
		return ev
	}
	e.Step(100e9, from("fine", eventAt(100, "opener", 1, "10.0.0.1")))
	e.Step(100e9, from("again", eventAt(100, "opener", 1, "10.0.0.1"))) // known
	e.Step(100e9, from("old", eventAt(50, "x", 2, "10.0.0.1")))         // before the attack
	e.Step(100e9, from("older", eventAt(40, "y", 2, "10.0.0.1")))
	e.Step(100e9, from("ahead", eventAt(200, "z", 9, "10.0.0.1")))
	want := correlate.Sensors{Known: "again", Outside: "old", Future: "ahead"}
	if diff := cmp.Diff(want, e.TakeSensors()); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
	if diff := cmp.Diff(correlate.Sensors{}, e.TakeSensors()); diff != "" {
		t.Errorf("taken again: want - got +:\n%s", diff)
	}
	if s := e.Stats(); s.Known != 1 || s.Outside != 2 || s.Future != 1 {
		t.Errorf("%+v", s)
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
