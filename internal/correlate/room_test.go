package correlate

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"dsiem/internal/asset"
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// heap returns how many bytes of the heap are in use.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// counting is a directive whose second stage counts to a number that is never reached.
func counting(edit func(*directive.Directive)) *directive.Directive {
	d := &directive.Directive{ID: 1, Name: "d", Kingdom: "K", Category: "C", Priority: 1}
	for stage := 1; stage <= 2; stage++ {
		d.Rules = append(d.Rules, directive.Rule{
			Name: "r", Stage: stage, Occurrence: 1, PluginID: 1001, PluginSID: []uint64{uint64(stage)},
			From: "ANY", To: "ANY", PortFrom: "ANY", PortTo: "ANY", Protocol: "ANY", Reliability: 1, Timeout: 3600,
		})
	}
	d.Rules[1].From, d.Rules[1].Occurrence = ":1", 1_000_000
	edit(d)
	return d
}

func address(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// from is an event of a source.
func from(i int, sid uint64, id string) *event.Event {
	return &event.Event{
		ID: id, Seconds: 1_700_000_000, PluginID: 1001, PluginSID: sid, SrcIP: address(i), DstIP: netip.MustParseAddr("192.168.0.1"),
	}
}

// home has all addresses of the tests, so that a complete stage has a risk.
func home() *asset.Table {
	return asset.NewTable([]asset.Asset{{Name: "home", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Value: 5}})
}

// The memory of an engine bounds its live backlogs, whatever comes, and an attack that
// has an alarm line is not among those that give way (D32.4).
func TestMemoryBoundsLiveBacklogs(t *testing.T) {
	t.Parallel()
	d := counting(func(d *directive.Directive) {
		d.Priority, d.Rules[0].Reliability, d.Rules[0].PluginSID = 5, 10, []uint64{1}
		third := d.Rules[1]
		third.Stage, third.PluginSID, third.Occurrence = 3, []uint64{3}, 1
		d.Rules[1].Occurrence = 1
		d.Rules = append(d.Rules, third)
	})
	silent := counting(func(d *directive.Directive) { d.ID = 2; d.Rules[0].PluginSID = []uint64{9} })
	const memoryBytes = 4 << 20
	e := New(Plans([]*directive.Directive{d, silent}), home(), Options{Memory: memoryBytes})
	e.Step(memory.NanosOf(1_700_000_000), from(1, 1, "attack"))
	for i := range 50_000 {
		ev := from(1000+i, 9, fmt.Sprint("flood", i))
		ev.CustomData[0], ev.CustomLabel[0] = strings.Repeat("x", 100*(i%20)), "x"
		e.Step(memory.NanosOf(ev.Seconds), ev)
		if e.store.Bytes() > e.bounds.bytes+10<<10 || e.timers.Len() > e.bounds.live {
			t.Fatalf("after %d events %d backlogs live and take %d bytes, want at most %d and %d",
				i+1, e.timers.Len(), e.store.Bytes(), e.bounds.live, e.bounds.bytes)
		}
	}
	s := e.Stats()
	if s.Evicted == 0 || s.Refused != 0 || int(s.Evicted)+s.Live != 50_001 {
		t.Errorf("%d live, %d evicted and %d refused of 50,001", s.Live, s.Evicted, s.Refused)
	}
	e.Step(memory.NanosOf(1_700_000_000), from(1, 2, "goes on"))
	changes := e.Step(memory.NanosOf(1_700_000_000), from(1, 3, "is complete"))
	if last := changes[len(changes)-1]; last.Kind != Finished || last.Directive != 1 {
		t.Errorf("the attack ended with %+v", last)
	}
}

// Backlogs that grow give way as those do that are opened.
func TestMemoryBoundsGrowth(t *testing.T) {
	t.Parallel()
	d := counting(func(*directive.Directive) {})
	e := New(Plans([]*directive.Directive{d}), home(), Options{Memory: 4 << 20})
	const sources = 100
	for i := range sources * 2000 {
		ev := from(i%sources, uint64(1+min(i/sources, 1)), fmt.Sprint(i))
		e.Step(memory.NanosOf(ev.Seconds), ev)
		if e.store.Bytes() > e.bounds.bytes+10<<10 {
			t.Fatalf("after %d events %d backlogs take %d bytes, want at most %d", i+1, e.timers.Len(), e.store.Bytes(), e.bounds.bytes)
		}
	}
	if s := e.Stats(); s.Evicted == 0 || s.Live == 0 || int(s.Evicted)+s.Live != sources {
		t.Errorf("%d live and %d evicted of %d", s.Live, s.Evicted, sources)
	}
}

// Alarms that grow for ever take no more than the share of their directive and a quarter
// of it: a small one of the same directive goes on, and so does everybody else.
func TestAlarmsThatGrowForEver(t *testing.T) {
	t.Parallel()
	d := counting(func(d *directive.Directive) {
		d.Priority, d.Rules[0].Reliability, d.Rules[1].StickyDifferent = 5, 10, directive.StickyCustomData1
	})
	other := counting(func(d *directive.Directive) {
		d.ID, d.Priority, d.Rules[0].Reliability = 2, 5, 10
		d.Rules[0].PluginSID, d.Rules[1].PluginSID, d.Rules[1].Occurrence = []uint64{3}, []uint64{4}, 1
	})
	e := New(Plans([]*directive.Directive{d, other}), home(), Options{Memory: 8 << 20})
	step := func(source int, sid uint64, id string) []Change {
		ev := from(source, sid, id)
		ev.CustomData[0], ev.CustomLabel[0] = fmt.Sprint(id, strings.Repeat("v", 3000)), "l"
		return e.Step(memory.NanosOf(ev.Seconds), ev)
	}
	const large, small = 5, 99
	step(small, 1, "small")
	for i := range large * 2000 {
		step(i%large, uint64(1+min(i/large, 1)), fmt.Sprint(i))
		if got, most := e.store.Bytes(), e.bounds.directiveBytes*5/4+10<<10; got > most {
			t.Fatalf("after %d events the backlogs take %d bytes, want at most %d", i+1, got, most)
		}
	}
	if s := e.Stats(); s.Live != large+1 || s.Evicted != 0 || s.Refused == 0 {
		t.Errorf("%d live, %d evicted and %d refused", s.Live, s.Evicted, s.Refused)
	}
	refused := e.Stats().Refused
	if got := step(small, 2, "goes on"); len(got) == 0 || got[0].Kind != Accepted {
		t.Errorf("the small alarm of the directive got %+v", got)
	}
	step(50, 3, "another directive's")
	if got := step(50, 4, "is complete"); len(got) == 0 || got[len(got)-1].Kind != Finished {
		t.Errorf("another directive's attack ended with %+v", got)
	}
	if got := e.Stats().Refused; got != refused {
		t.Errorf("%d events of others were refused", got-refused)
	}
	e.Expire(never)
	if got := e.bytesOf(&e.tracked[0]); got != 0 {
		t.Errorf("none is live, and the estimate of the directive is %d bytes", got)
	}
}

// When all backlogs have an alarm line, an opening is refused and counted.
func TestNoRoomBesideAlarms(t *testing.T) {
	t.Parallel()
	d := counting(func(d *directive.Directive) { d.Priority, d.Rules[0].Reliability = 5, 10 })
	e := New(Plans([]*directive.Directive{d}), home(), Options{Memory: 100 << 10})
	for i := range 1000 {
		e.Step(memory.NanosOf(1_700_000_000), from(i, 1, fmt.Sprint(i)))
	}
	s := e.Stats()
	if s.Live == 0 || s.Live > e.bounds.directive || s.Evicted != 0 || int(s.Refused)+s.Live != 1000 {
		t.Errorf("%d live, %d evicted and %d refused", s.Live, s.Evicted, s.Refused)
	}
	if s := e.TakeSensors(); s.Refused != "" {
		t.Errorf("the events have no sensor, and %q is named", s.Refused)
	}
	if e.Expire(never); e.crowd != nil || e.tracked[0].crowd != nil {
		t.Error("the crowds are kept when there is room again")
	}
}

// The estimate of what live backlogs take is not below what the runtime measures, and
// not more than three times that (docs/spec/interfaces.md §5.8).
func TestEstimateOfBacklogs(t *testing.T) { //nolint:paralleltest // it measures the heap
	for name, c := range map[string]struct {
		backlogs, events int
		directive        func(*directive.Directive)
		edit             func(i, n int, ev *event.Event)
	}{
		"opened": {50_000, 0, func(*directive.Directive) {}, func(int, int, *event.Event) {}},
		"events": {200, 300, func(*directive.Directive) {}, func(int, int, *event.Event) {}},
		"addresses": {200, 300, func(*directive.Directive) {}, func(_, n int, ev *event.Event) {
			ev.DstIP = address(n)
		}},
		"sticky values": {200, 300, func(d *directive.Directive) { d.Rules[1].StickyDifferent = directive.StickyCustomData1 }, func(_, n int, ev *event.Event) {
			ev.CustomData[0] = fmt.Sprint(strings.Repeat("v", 50), n)
		}},
		"custom data": {200, 300, func(*directive.Directive) {}, func(_, n int, ev *event.Event) {
			ev.CustomData[0], ev.CustomLabel[0] = fmt.Sprint(strings.Repeat("c", 50), n), "user"
		}},
		"data of the opener": {20_000, 0, func(d *directive.Directive) {
			d.Rules[0].CustomData[0], d.Rules[1].CustomData[0] = "ANY", ":1"
		}, func(i, _ int, ev *event.Event) { ev.CustomData[0] = fmt.Sprint(strings.Repeat("o", 300), i) }},
	} {
		e := New(Plans([]*directive.Directive{counting(c.directive)}), asset.NewTable(nil), Options{LookBack: Off, Remember: Off})
		before := heap()
		for i := range c.backlogs {
			for n := range c.events + 1 {
				ev := from(i, uint64(1+min(n, 1)), fmt.Sprint(i, ".", n))
				c.edit(i, n, ev)
				e.Step(memory.NanosOf(ev.Seconds), ev)
			}
		}
		measured := heap() - before
		if got := e.Stats().Live; got != c.backlogs {
			t.Fatalf("%s: %d backlogs are live, want %d", name, got, c.backlogs)
		}
		estimate := e.store.Bytes()
		t.Logf("%s: estimate %d, measured %d bytes (%.2f)", name, estimate, measured, float64(estimate)/float64(measured))
		if estimate < measured || estimate > 3*measured {
			t.Errorf("%s: the estimate is %d bytes, and they take %d", name, estimate, measured)
		}
		e.Expire(never)
		if got := e.store.Bytes(); got != 0 {
			t.Errorf("%s: none is live, and the estimate is %d bytes", name, got)
		}
	}
}
