package correlate_test

import (
	"fmt"
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

// alwaysActive is twoStages, always active: stage 1 takes all of one source and
// destination, stage 2 the other events of the source.
func alwaysActive() *directive.Directive {
	d := twoStages()
	d.AllRulesAlwaysActive = true
	third := d.Rules[1]
	third.Stage, third.PluginSID = 3, []uint64{3}
	d.Rules = append(d.Rules, third)
	return d
}

func alarms(changes []correlate.Change) []*alarm.Alarm {
	var out []*alarm.Alarm
	for i := range changes {
		if changes[i].Kind == correlate.Updated {
			out = append(out, changes[i].Alarm)
		}
	}
	return out
}

// An alarm has one line a second for what earlier stages take; the last state of a
// second is written when the next one begins, before anything else (D37).
func TestEarlierStagesWriteOneLineASecond(t *testing.T) {
	e := engineFor(correlate.Options{}, alwaysActive())
	at := int64(100e9)
	step := func(after float64, sid uint64, id string) []*alarm.Alarm {
		at += int64(after * 1e9)
		return alarms(e.Step(at, &event.Event{
			ID: id, Seconds: at / 1e9, Nanos: int32(at % 1e9), PluginID: 1001, PluginSID: sid,
			SrcIP: netip.MustParseAddr("10.0.0.1"), DstIP: netip.MustParseAddr("10.0.0.9"), SrcPort: uint16(len(id)),
			CustomData: [3]string{id}, CustomLabel: [3]string{"id"},
		}))
	}
	for i, c := range []struct {
		after float64
		sid   uint64
		id    string
		lines []int // custom data of each line
	}{
		{0, 1, "a", []int{1}},       // opened
		{0.2, 1, "b", nil},          // due
		{0.2, 1, "c", nil},          // with it
		{0.6, 9, "d", []int{3}},     // the second is over
		{0.1, 1, "e", nil},          // that was a line of this second
		{1.0, 1, "f", []int{4}},     // and again: it is due itself
		{0.1, 2, "g", []int{6}},     // a stage is complete
		{0.1, 2, "h", nil},          // due
		{0.1, 3, "i", []int{8}},     // another line comes first: the end
		{5.0, 9, "j", nil},          // nothing is due any more
		{0.0, 1, "k", []int{1}},     // another backlog
		{0.5, 1, "l", nil},          // due
		{4000, 9, "m", []int{2, 2}}, // before it expires
	} {
		var got []int
		for _, a := range step(c.after, c.sid, c.id) {
			got = append(got, len(a.CustomData))
		}
		if !slices.Equal(got, c.lines) {
			t.Errorf("event %d: lines with %v values of custom data, want %v", i, got, c.lines)
		}
	}
	step(0, 1, "n")
	updated := e.Step(at+5e7, eventAt(at/1e9, "o", 1, "10.0.0.1"))[0]
	if due, ok := e.Due(); due != (at/1e9+1)*1e9 || !ok {
		t.Errorf("due at %d, %v", due, ok)
	}
	if updated.Kind != correlate.Accepted {
		t.Errorf("got %v", updated.Kind)
	}
	if got := alarms(e.Flush()); len(got) != 1 || got[0].Updated != at/1e9 {
		t.Errorf("flushed %+v", got)
	}
	if got := e.Flush(); len(got) != 0 {
		t.Errorf("flushed again: %v", kinds(got))
	}
}

// flood gives an engine an always-active alarm with so many more sources and values
// of custom data, and returns its last line.
func flood(t *testing.T, opts correlate.Options, n int, edit func(i int, ev *event.Event)) (*correlate.Engine, *alarm.Alarm) {
	t.Helper()
	d := alwaysActive()
	d.Rules[0].From, d.Rules[0].To = "0.0.0.0/0", "0.0.0.0/0"
	e := correlate.New(correlate.Plans([]*directive.Directive{d}), asset.NewTable([]asset.Asset{
		{Name: "net", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Value: 4},
		{Name: "far", Prefix: netip.MustParsePrefix("10.200.0.0/16"), Value: 5},
	}), opts)
	for i := range n {
		ev := eventAt(100, fmt.Sprint(i), 1, "10.0.0.1")
		edit(i, ev)
		e.Step(100e9, ev)
	}
	last := alarms(e.Flush())
	if len(last) != 1 {
		t.Fatalf("%d lines are due", len(last))
	}
	return e, last[0]
}

// What finds no room is counted; risk and networks count it (D37).
func TestAlarmsListSoManyAddresses(t *testing.T) {
	e, a := flood(t, correlate.Options{MaxAlarmValues: 3}, 6, func(i int, ev *event.Event) {
		ev.SrcIP = netip.MustParseAddr([]string{"0.0.0.0", "1.1.1.1", "1.1.1.2", "10.200.0.1", "10.0.0.4", "1.1.1.1"}[i])
	})
	if want := "[1.1.1.1 1.1.1.2 10.200.0.1]"; fmt.Sprint(a.SrcIPs) != want {
		t.Errorf("sources %v, want %v", a.SrcIPs, want)
	}
	if a.Truncated != (alarm.Truncated{SrcIPs: 1}) || e.Stats().Truncated != 1 {
		t.Errorf("truncated %+v, counted %d", a.Truncated, e.Stats().Truncated)
	}
	line := string(a.AppendJSON(nil))
	if !strings.HasSuffix(line, `,"truncated":{"src_ips":1,"dst_ips":0,"custom_data":0}}`+"\n") {
		t.Errorf("line %s", line)
	}
	_, a = flood(t, correlate.Options{MaxAlarmValues: 1}, 3, func(i int, ev *event.Event) {
		ev.SrcIP = netip.MustParseAddr([]string{"8.8.8.8", "10.200.0.1", "10.200.0.1"}[i])
		ev.DstIP = netip.MustParseAddr("10.0.0.1")
	})
	if want := "[10.200.0.0/16 10.0.0.0/8]"; fmt.Sprint(a.Networks) != want && fmt.Sprint(a.Networks) != "[10.0.0.0/8 10.200.0.0/16]" {
		t.Errorf("networks %v", a.Networks)
	}
	if len(a.SrcIPs) != 1 || a.Truncated.SrcIPs != 2 {
		t.Errorf("sources %v, truncated %+v", a.SrcIPs, a.Truncated)
	}
}

// A saved backlog goes on counting, and keeps the value of what it does not list.
func TestTruncatedAlarmsAreSaved(t *testing.T) {
	e, a := flood(t, correlate.Options{MaxAlarmValues: 1}, 2, func(i int, ev *event.Event) {
		ev.SrcIP = netip.MustParseAddr([]string{"8.8.8.8", "10.200.0.1"}[i])
	})
	if a.Risk != 4 {
		t.Errorf("risk %d", a.Risk)
	}
	d := alwaysActive()
	d.Rules[0].From, d.Rules[0].To = "0.0.0.0/0", "0.0.0.0/0"
	again := correlate.New(correlate.Plans([]*directive.Directive{d}), asset.NewTable([]asset.Asset{
		{Name: "net", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Value: 4},
	}), correlate.Options{MaxAlarmValues: 1})
	for id, s := range e.Save() {
		if err := again.Restore(id, &s); err != nil {
			t.Fatal(err)
		}
	}
	last := alarms(again.Step(101e9, eventAt(101, "x", 2, "10.0.0.3")))
	if len(last) != 1 || last[0].Risk != 6 || last[0].Truncated.SrcIPs != 2 {
		t.Errorf("%+v", last)
	}
}

func TestAlarmsListSoMuchCustomData(t *testing.T) {
	_, a := flood(t, correlate.Options{MaxAlarmValues: 20}, 100, func(i int, ev *event.Event) {
		ev.CustomLabel = [3]string{"few", "some", "many"}
		ev.CustomData = [3]string{fmt.Sprint(i % 3), fmt.Sprint(i % 25), fmt.Sprint(i)}
	})
	counts := map[string]int{}
	for _, c := range a.CustomData {
		counts[c.Label]++
	}
	if counts["few"] != 3 || counts["some"] != 20 || counts["many"] != 20 || a.Truncated != (alarm.Truncated{CustomData: 80}) {
		t.Errorf("%v, truncated %+v", counts, a.Truncated)
	}
	_, a = flood(t, correlate.Options{MaxAlarmValues: 100_000}, 10_100, func(i int, ev *event.Event) {
		ev.CustomData[0] = fmt.Sprint(i)
		ev.CustomLabel[0] = "n"
	})
	size := 0
	for i := range a.CustomData {
		size += len(a.CustomData[i].AppendJSON(nil))
	}
	for _, addr := range append(slices.Clone(a.SrcIPs), a.DstIPs...) {
		size += len(addr.String()) + 2
	}
	if size > 192<<10 || size < 192<<10-40 || int(a.Truncated.CustomData) != 10_100-len(a.CustomData) {
		t.Errorf("%d values of %d bytes, truncated %+v", len(a.CustomData), size, a.Truncated)
	}
}

// Long texts are shown cut and compared as a whole (D38).
func TestLongTexts(t *testing.T) {
	long := func(tail string) string { return strings.Repeat("é", 2500) + tail }
	d := twoStages()
	d.Rules[0].CustomData[0], d.Rules[1].CustomData[0] = "ANY", ":1"
	d.Rules[1].Occurrence, d.Rules[1].StickyDifferent = 3, directive.StickyCustomData2
	e := engineFor(correlate.Options{}, d)
	ev := func(id string, sid uint64, one, two string) *event.Event {
		ev := eventAt(100, id, sid, "10.0.0.1")
		ev.CustomData, ev.CustomLabel = [3]string{one, two}, [3]string{"one", "two"}
		return ev
	}
	e.Step(100e9, ev("a", 1, long("A"), ""))
	play := func(e *correlate.Engine) string {
		var got []string
		for i, c := range [][2]string{
			{long("B"), "x"}, {long(""), "x"}, // other texts
			{long("a"), long("x")}, {long("a"), long("x")}, {long("a"), long("y")}, {long("A"), "z"},
		} {
			changes := e.Step(100e9, ev(fmt.Sprint("f", i), 2, c[0], c[1]))
			got = append(got, fmt.Sprint(len(changes)))
			if i == 5 {
				for _, c := range alarms(changes)[0].CustomData {
					got = append(got, fmt.Sprint(c.Label, len(c.Content)))
				}
				if shown := alarms(changes)[0].Rules[1].CustomData[0]; len(shown) != 4096 {
					t.Errorf("rule shows %d bytes", len(shown))
				}
			}
		}
		return strings.Join(got, " ")
	}
	restored := engineFor(correlate.Options{}, d)
	for id, s := range e.Save() {
		if err := restored.Restore(id, &s); err != nil {
			t.Fatal(err)
		}
	}
	const want = "0 0 1 0 1 3 one4096 two4096 two1"
	if got := play(e); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := play(restored); got != want {
		t.Errorf("restored: got %s\nwant %s", got, want)
	}
}

// A completed stage keeps 10,000 ids, a stage that is to take more keeps them all.
func TestCompletedStagesForgetIDs(t *testing.T) {
	d := alwaysActive()
	d.Rules[1].Occurrence, d.Rules[1].Timeout, d.Rules[2].Timeout = 12_000, 1000, 1000
	d.Rules[2].PluginSID = []uint64{2, 3}
	d.Rules[2].Occurrence = 50_000
	e := engineFor(correlate.Options{}, d)
	e.Step(100e9, eventAt(100, "opener", 1, "10.0.0.1"))
	step := func(i int) []correlate.Change { return e.Step(100e9, eventAt(100, fmt.Sprint(i), 2, "10.0.0.1")) }
	for i := range 12_000 {
		step(i)
		step(i) // again: it does not count
	}
	if s := e.Stats(); s.ForgottenIDs != 2000 || s.Repeated != 1 { // the last one, in stage 3
		t.Errorf("forgotten %d, repeated %d", s.ForgottenIDs, s.Repeated)
	}
	if got := step(2000); len(got) != 0 {
		t.Errorf("an id that stage 2 has: %v", kinds(got))
	}
	if got := step(1999); len(got) != 1 {
		t.Errorf("an id that stage 2 has forgotten: %v", kinds(got))
	}
}

// An opener whose id stage 1 has forgotten opens nothing as long as its backlog lives: its
// alarm's id is not given again (D35, D37).
func TestForgottenOpenerOfALiveBacklogIsKnown(t *testing.T) {
	d := stages(1, 1, 1)
	d.AllRulesAlwaysActive = true
	d.Rules[2].Timeout = 5
	w := &world{directives: []*directive.Directive{d}, opts: defaults(), bounds: specified()}
	w.bounds.ids = 1
	opener := sends(30, "opener", 1) // ahead of each of its arrivals, so of another time each (D28)
	before := []op{
		{clock: moment(0), event: opener},
		{clock: moment(10), event: sends(0, "late", 2)}, // stage 3 waits until 15 s, for events until 5 s
		{clock: moment(10), event: sends(0, "other", 1)},
	}
	again := opener
	again.SrcPort = 7 // no part of the alarm's id (D13)
	ref, engine := newReference(w), newEngines(w, 1)
	play(ref, before)
	play(engine, before)
	restarted, err := engine.restarted(w, moment(12))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]subject{"reference": ref, "engine": engine, "restarted engine": restarted} {
		lines, known := len(s.Lines()), s.Counters()["known"]
		s.Step(moment(12), &opener)
		s.Step(moment(12), &again)
		if got := s.Counters()["known"] - known; got != 2 || len(s.Lines()) > lines {
			t.Errorf("%s: %d known, lines %q", name, got, story(s.Lines()))
		}
	}
}

// One source and key has at most 1,000 live backlogs of a directive; the oldest
// without an alarm line goes first, else the oldest (D32).
func TestOneSourceHasSoManyBacklogs(t *testing.T) {
	d := twoStages()
	table := asset.NewTable([]asset.Asset{{Name: "net", Prefix: netip.MustParsePrefix("10.0.0.7/32"), Value: 4}})
	e := correlate.New(correlate.Plans([]*directive.Directive{d}), table, correlate.Options{})
	open := func(id, dst string) []correlate.Change {
		ev := eventAt(100, id, 1, "10.0.0.1")
		ev.DstIP = netip.MustParseAddr(dst)
		return e.Step(100e9, ev)
	}
	ended := func(changes []correlate.Change) string {
		if len(changes) > 0 && changes[0].Kind == correlate.Updated {
			changes = changes[1:]
		}
		if c := changes[0]; c.Kind == correlate.Expired && c.Evicted {
			return c.AlarmID
		}
		return ""
	}
	ids := make([]string, 1000)
	for i := range ids {
		dst := "10.0.0.7" // published
		if i == 10 || i == 20 {
			dst = "10.0.0.8"
		}
		changes := open(fmt.Sprint(i), dst)
		ids[i] = changes[0].AlarmID
		if changes[0].Kind != correlate.Opened {
			t.Fatalf("backlog %d: %v", i, kinds(changes))
		}
	}
	e.Step(100e9, eventAt(100, "other", 1, "10.0.0.2")) // another source
	for _, want := range []int{10, 20, 0, 1} {
		if got := ended(open(fmt.Sprint("more", want), "10.0.0.7")); got != ids[want] {
			t.Errorf("ended %s, want %d", got, want)
		}
	}
	if s := e.Stats(); s.Live != 1001 || s.Evicted != 4 {
		t.Errorf("%+v", s)
	}
}

// Scenario 12 of docs/spec/correlation.md §15: a flood on an always-active directive writes at most
// one alarm line a second, and what it writes grows with the number of its events.
func TestFloodWritesLinesBySeconds(t *testing.T) {
	e := engineFor(correlate.Options{}, alwaysActive())
	size := map[int]int{}
	written, lines := 0, map[int64]int{}
	const events, perSecond = 6000, 300
	for i := range events {
		at := int64(100e9) + int64(i)*1e9/perSecond
		ev := eventAt(at/1e9, fmt.Sprint(i), 1, "10.0.0.1")
		ev.Nanos = int32(at % 1e9)
		ev.CustomData[0], ev.CustomLabel[0] = fmt.Sprintf("user%05d", i), "user"
		for _, c := range e.Step(at, ev) {
			switch c.Kind {
			case correlate.Accepted:
				written += len((&alarm.Event{AlarmID: c.AlarmID, Stage: c.Stage, EventID: c.EventID}).AppendJSON(nil))
			case correlate.Updated:
				lines[at/1e9]++
				written += len(c.Alarm.AppendJSON(nil))
			default:
			}
		}
		size[i+1] = written
	}
	if len(lines) != events/perSecond {
		t.Errorf("lines in %d seconds", len(lines))
	}
	for second, n := range lines {
		if n > 1 {
			t.Errorf("%d lines in second %d", n, second)
		}
	}
	if first, second := size[events/2]-size[events/4], size[events]-size[3*events/4]; second > 2*first {
		t.Errorf("events %d to %d take %d bytes, the last %d take %d", events/4, events/2, first, events/4, second)
	}
}

// What a step costs in memory does not depend on what it remembers.
func TestStepsAllocateNothingOnceMemoryIsFull(t *testing.T) {
	w := newBench(100, 1_000)
	for i := range 260_000 { // more than is remembered
		w.untaken(i)
	}
	if s := w.engine.Stats(); s.ForgottenEarly == 0 || s.Remembered != 250_000 || s.RememberedBytes > 64<<20 {
		t.Fatalf("%+v", s)
	}
	i := 0
	if n := testing.AllocsPerRun(5000, func() { w.untaken(i); i++ }); n != 0 {
		t.Errorf("an event that a rule names and no backlog takes allocates %v times, want 0", n)
	}
}
