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

// The estimate of what live backlogs take is not below what the runtime measures, and
// not more than three times that (docs/spec/interfaces.md §5.8).
func TestEstimateOfBacklogs(t *testing.T) { //nolint:paralleltest // it measures the heap
	address := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	opened := func(i int, sid uint64, id string) *event.Event {
		return &event.Event{
			ID: id, Seconds: 1_700_000_000, PluginID: 1001, PluginSID: sid, SrcIP: address(i), DstIP: netip.MustParseAddr("192.168.0.1"),
		}
	}
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
				ev := opened(i, uint64(1+min(n, 1)), fmt.Sprint(i, ".", n))
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
