package correlate_test

import (
	"errors"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// twoStages is a directive whose second stage joins on the source.
func twoStages() *directive.Directive {
	rule := func(stage int, sid uint64, from string) directive.Rule {
		return directive.Rule{
			Name: "r", Stage: stage, Occurrence: 1, PluginID: 1001, PluginSID: []uint64{sid},
			From: from, To: "ANY", PortFrom: "ANY", PortTo: "ANY", Protocol: "ANY", Reliability: 10, Timeout: 100,
		}
	}
	return &directive.Directive{
		ID: 7, Name: "from SRC_IP", Kingdom: "K", Category: "C", Priority: 3,
		Rules: []directive.Rule{rule(1, 1, "ANY"), rule(2, 2, ":1")},
	}
}

func engineFor(opts correlate.Options, directives ...*directive.Directive) *correlate.Engine {
	table := asset.NewTable([]asset.Asset{{Name: "net", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Value: 4}})
	return correlate.New(correlate.Plans(directives), table, opts)
}

func eventAt(seconds int64, id string, sid uint64, src string) *event.Event {
	return &event.Event{
		ID: id, Seconds: seconds, PluginID: 1001, PluginSID: sid,
		SrcIP: netip.MustParseAddr(src), DstIP: netip.MustParseAddr("10.0.0.9"),
	}
}

func kinds(changes []correlate.Change) []correlate.Kind {
	var out []correlate.Kind
	for i := range changes {
		out = append(out, changes[i].Kind)
	}
	return out
}

func TestStepTellsWhatHappened(t *testing.T) {
	e := engineFor(correlate.Options{}, twoStages())
	opened := e.Step(100e9, eventAt(100, "e1", 1, "10.0.0.1"))
	want := []correlate.Kind{correlate.Opened, correlate.Accepted, correlate.Advanced, correlate.Updated}
	if got := kinds(opened); !slices.Equal(got, want) {
		t.Fatalf("opening: %v, want %v", got, want)
	}
	updated := opened[3]
	if updated.Before != alarm.Unclassified || updated.RiskBefore != 0 || !updated.Lookup || updated.Alarm.Risk != 4 {
		t.Errorf("first alarm: %+v", updated)
	}
	if s := e.Stats(); s.Live != 1 || s.Active != 1 || s.Steps != 1 {
		t.Errorf("stats with a live backlog: %+v", s)
	}
	finished := e.Step(101e9, eventAt(101, "e2", 2, "10.0.0.1"))
	want = []correlate.Kind{correlate.Accepted, correlate.Updated, correlate.Finished}
	if got := kinds(finished); !slices.Equal(got, want) {
		t.Fatalf("completion: %v, want %v", got, want)
	}
	if s := e.Stats(); s.Live != 0 || s.Active != 0 {
		t.Errorf("stats without a live backlog: %+v", s)
	}
}

// The deadline itself is still in time (§6.6: strictly below).
func TestExpiryIsExact(t *testing.T) {
	for _, grace := range []int64{0, 60} {
		e := engineFor(correlate.Options{MinAlarmLifetime: grace}, twoStages())
		if at, due := e.Due(); due {
			t.Errorf("grace %d: due at %d without a backlog", grace, at)
		}
		e.Step(1000e9, eventAt(1000, "e1", 1, "10.0.0.1"))
		if at, due := e.Due(); at != (1101+grace)*1e9 || !due {
			t.Errorf("grace %d: due at %d, %v", grace, at, due)
		}
		if got := e.Expire((1100 + grace) * 1e9); len(got) != 0 {
			t.Errorf("grace %d: expired at the deadline: %v", grace, kinds(got))
		}
		if got := kinds(e.Expire((1101 + grace) * 1e9)); !slices.Equal(got, []correlate.Kind{correlate.Updated, correlate.Expired}) {
			t.Errorf("grace %d: one second later: %v", grace, got)
		}
	}
}

// With a grace that no clock can reach, only the end of time ends a backlog.
func TestEndlessGrace(t *testing.T) {
	e := engineFor(correlate.Options{MinAlarmLifetime: math.MaxInt64}, twoStages())
	e.Step(1000e9, eventAt(1000, "e1", 1, "10.0.0.1"))
	if at, due := e.Due(); at != math.MaxInt64 || !due {
		t.Errorf("due at %d, %v", at, due)
	}
	if got := e.Expire(1 << 62); len(got) != 0 {
		t.Errorf("expired: %v", kinds(got))
	}
	if got := kinds(e.Expire(math.MaxInt64)); !slices.Contains(got, correlate.Expired) {
		t.Errorf("at the end: %v", got)
	}
}

func TestSaveWhileTheEngineGoesOn(t *testing.T) {
	e := engineFor(correlate.Options{}, twoStages())
	for _, src := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
		e.Step(100e9, eventAt(100, "e"+src, 1, src))
	}
	var seen []string
	for id, s := range e.Save() {
		seen = append(seen, s.SrcIPs[0].String())
		if len(seen) == 1 { // the second ends and a fourth begins meanwhile
			e.Step(101e9, eventAt(101, "x", 2, "10.0.0.2"))
			e.Step(101e9, eventAt(101, "y", 1, "10.0.0.4"))
		}
		if id != 7 {
			t.Errorf("directive %d", id)
		}
	}
	if want := []string{"10.0.0.1", "10.0.0.3"}; !slices.Equal(seen, want) {
		t.Errorf("saved %v, want %v", seen, want)
	}
}

func TestEnrichedAlarmKeepsItsFindings(t *testing.T) {
	e := engineFor(correlate.Options{Lookups: true}, twoStages())
	id := e.Step(100e9, eventAt(100, "e1", 1, "10.0.0.1"))[3].AlarmID
	hit := alarm.Hit{Provider: "Wise", Term: "10.0.0.1", Result: "bad"}
	for range 2 { // the same finding counts once
		if !e.Enrich(id, []alarm.Hit{hit}, []alarm.Hit{hit}) {
			t.Fatal("the alarm is live and was not found")
		}
	}
	last := e.Step(101e9, eventAt(101, "e2", 2, "10.0.0.1"))[1].Alarm
	if !slices.Equal(last.IntelHits, []alarm.Hit{hit}) || !slices.Equal(last.Vulnerabilities, []alarm.Hit{hit}) {
		t.Errorf("findings in the next line: %v, %v", last.IntelHits, last.Vulnerabilities)
	}
	if e.Enrich(id, []alarm.Hit{hit}, nil) {
		t.Error("a finished alarm was found")
	}
}

// Events without an id are never the same event (D34): not as openers, not in a
// stage. The first node gives ids, so that hardly any come to an engine.
func TestEventsWithoutIDAreDifferentEvents(t *testing.T) {
	d := twoStages()
	d.Rules[1].Occurrence = 3
	e := engineFor(correlate.Options{}, d)
	e.Step(100e9, eventAt(100, "", 1, "10.0.0.1"))
	if got := kinds(e.Step(101e9, eventAt(101, "", 1, "10.0.0.1"))); len(got) != 4 {
		t.Errorf("second opener without an id: %v", got)
	}
	e.Step(102e9, eventAt(102, "", 2, "10.0.0.1"))
	e.Step(102e9, eventAt(102, "", 2, "10.0.0.1"))
	got := kinds(e.Step(102e9, eventAt(102, "", 2, "10.0.0.1")))
	if !slices.Contains(got, correlate.Finished) {
		t.Errorf("third event without an id: %v", got)
	}
	if got := e.Stats(); got.Known != 0 || got.Repeated != 0 {
		t.Errorf("known or repeated events: %+v", got)
	}
}

func TestAlarmIDsAreTheSameOnEveryReplay(t *testing.T) {
	first := engineFor(correlate.Options{}, twoStages()).Step(100e9, eventAt(100, "e1", 1, "10.0.0.1"))[0].AlarmID
	again := engineFor(correlate.Options{}, twoStages()).Step(999e9, eventAt(100, "e1", 1, "10.0.0.1"))[0].AlarmID
	other := engineFor(correlate.Options{}, twoStages()).Step(100e9, eventAt(100, "e1", 1, "10.0.0.2"))[0].AlarmID
	if first != again || first == other {
		t.Errorf("ids %s, %s; of another source %s", first, again, other)
	}
	const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	if len(first) != 16 || strings.Trim(first, alphanumeric) != "" {
		t.Errorf("id %q is not 16 letters and digits (D13)", first)
	}
}

func TestRestoreRefusesWhatCannotLiveOn(t *testing.T) {
	source := engineFor(correlate.Options{}, twoStages())
	source.Step(100e9, eventAt(100, "e1", 1, "10.0.0.1"))
	var good alarm.Saved
	for _, s := range source.Save() {
		good = s
	}
	edit := func(fn func(*alarm.Saved)) *alarm.Saved {
		s := good
		s.Rules = slices.Clone(good.Rules)
		fn(&s)
		return &s
	}
	e := engineFor(correlate.Options{}, twoStages())
	for name, c := range map[string]struct {
		id    uint64
		saved *alarm.Saved
		want  error
	}{
		"directive gone":    {8, &good, correlate.ErrNoDirective},
		"directive renamed": {7, edit(func(s *alarm.Saved) { s.Title = "other" }), correlate.ErrOtherTitle},
		"all rules done":    {7, edit(func(s *alarm.Saved) { s.Rules[1].Status = alarm.Finished }), correlate.ErrNoActiveStage},
		"stage twice":       {7, edit(func(s *alarm.Saved) { s.Rules[1].Stage = 1 }), nil},
		"bad address":       {7, edit(func(s *alarm.Saved) { s.Rules[1].From = "nowhere" }), nil},
		"bad type":          {7, edit(func(s *alarm.Saved) { s.Rules[1].Type = "Rule" }), nil},
	} {
		err := e.Restore(c.id, c.saved)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if s := e.Stats(); s.Live != 0 {
		t.Errorf("refused backlogs live: %+v", s)
	}
	if err := e.Restore(7, &good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// Backlogs whose rules are not the directive's any more keep theirs, share a
// plan, and leave nothing behind in the index (B25).
func TestReloadedBacklogsKeepTheirRules(t *testing.T) {
	source := engineFor(correlate.Options{}, twoStages())
	for _, src := range []string{"10.0.0.1", "10.0.0.2"} {
		source.Step(100e9, eventAt(100, "e"+src, 1, src))
	}
	changed := twoStages()
	changed.Rules[1].PluginSID = []uint64{77}
	e := engineFor(correlate.Options{}, changed)
	for id, s := range source.Save() {
		if err := e.Restore(id, &s); err != nil {
			t.Fatal(err)
		}
	}
	for _, src := range []string{"10.0.0.2", "10.0.0.1"} {
		got := kinds(e.Step(101e9, eventAt(101, "f"+src, 2, src)))
		if want := []correlate.Kind{correlate.Accepted, correlate.Updated, correlate.Finished}; !slices.Equal(got, want) {
			t.Errorf("old SID, source %s: %v, want %v", src, got, want)
		}
	}
	if got := e.Step(102e9, eventAt(102, "g", 2, "10.0.0.1")); len(got) != 0 {
		t.Errorf("old SID after the last old backlog: %v", kinds(got))
	}
	e.Step(103e9, eventAt(103, "h", 1, "10.0.0.1"))
	if got := kinds(e.Step(104e9, eventAt(104, "i", 77, "10.0.0.1"))); len(got) == 0 {
		t.Error("a new backlog does not take the new SID")
	}
}

func TestOptionsCheck(t *testing.T) {
	for _, c := range []struct {
		min, max int
		ok       bool
	}{{0, 0, true}, {3, 6, true}, {2, 9, true}, {1, 6, false}, {3, 10, false}, {5, 5, false}, {8, 3, false}} {
		err := correlate.Options{MedRiskMin: c.min, MedRiskMax: c.max}.Check()
		if (err == nil) != c.ok {
			t.Errorf("medium risk %d to %d: %v", c.min, c.max, err)
		}
	}
	if err := (correlate.Options{MinAlarmLifetime: -1}).Check(); err == nil {
		t.Error("a negative lifetime is accepted")
	}
}

// The last backlog with old rules ends while the same event is still to be
// offered to another directive; taking the old rules out of the index must not
// disturb that.
func TestLastReloadedBacklogEndsAmongOtherDirectives(t *testing.T) {
	source := engineFor(correlate.Options{}, twoStages())
	source.Step(100e9, eventAt(100, "e1", 1, "10.0.0.1"))
	changed, other := twoStages(), twoStages()
	changed.Rules[1].Reliability = 5
	other.ID, other.Name = 8, "other"
	other.Rules[0].PluginSID, other.Rules[1].PluginSID = []uint64{2}, []uint64{3}
	e := engineFor(correlate.Options{}, changed, other)
	for id, s := range source.Save() {
		if err := e.Restore(id, &s); err != nil {
			t.Fatal(err)
		}
	}
	got := kinds(e.Step(101e9, eventAt(101, "e2", 2, "10.0.0.1")))
	want := []correlate.Kind{
		correlate.Accepted, correlate.Updated, correlate.Finished, // the old backlog
		correlate.Opened, correlate.Accepted, correlate.Advanced, correlate.Updated, // the other directive
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
