package backlogs_test

import (
	"fmt"
	"testing"

	"dsiem/internal/asset"
	"dsiem/internal/backlogs"
	"dsiem/internal/config"
	"dsiem/internal/correlate"
	"dsiem/internal/directive"
	"dsiem/internal/event"
	"net/netip"
)

func bigEngine(tb testing.TB, directives, each int) (*correlate.Engine, []correlate.Planned, *asset.Table) {
	var rep config.Report
	text := []byte(`{"assets":[{"name":"home","cidr":"10.0.0.0/8","value":3}]}`)
	assets := asset.Load([]*config.File{config.NewFile("a", text)}, &rep)
	if err := rep.Err(); err != nil { tb.Fatal(err) }
	var ds []*directive.Directive
	for i := range directives {
		ds = append(ds, &directive.Directive{ID: uint64(i+1), Name: fmt.Sprintf("Directive %d, SRC_IP to DST_IP", i+1), Kingdom: "K", Category: "C", Priority: 3,
			Rules: []directive.Rule{
				{Name: "first", Stage: 1, Occurrence: 1, From: "ANY", To: "HOME_NET", PortFrom: "ANY", PortTo: "ANY", Protocol: "ANY", Reliability: 5, PluginID: 1001, PluginSID: []uint64{uint64(i+1)}},
				{Name: "second", Stage: 2, Occurrence: 10, From: ":1", To: ":1", PortFrom: "ANY", PortTo: "ANY", Protocol: "ANY", Reliability: 6, Timeout: 3600, PluginID: 1001, PluginSID: []uint64{uint64(i+1)}, StickyDifferent: directive.StickyDstPort},
				{Name: "third", Stage: 3, Occurrence: 100, From: ":1", To: ":1", PortFrom: "ANY", PortTo: "ANY", Protocol: "ANY", Reliability: 8, Timeout: 86400, PluginID: 1001, PluginSID: []uint64{uint64(i+1)}},
			}})
	}
	plans := correlate.Plans(ds)
	e := correlate.New(plans, assets, correlate.Options{})
	n := 0
	for i := range directives {
		for j := range each {
			for k := range 4 {
				n++
				e.Step(1700000000, &event.Event{ID: fmt.Sprint("event-", n), Seconds: 1700000000, SrcIP: netip.AddrFrom4([4]byte{198, 51, byte(j >> 8), byte(j)}), DstIP: netip.AddrFrom4([4]byte{10, 0, byte(j >> 8), byte(j)}), DstPort: uint16(k + 1), SrcPort: 4000, PluginID: 1001, PluginSID: uint64(i + 1),
					CustomData: [3]string{"root"}, CustomLabel: [3]string{"user"}})
			}
		}
	}
	return e, plans, assets
}

func BenchmarkSave(b *testing.B) {
	e, _, _ := bigEngine(b, 1000, 100)
	if e.Stats().Live != 100000 { b.Fatal(e.Stats()) }
	dir := b.TempDir()
	b.ReportAllocs()
	for b.Loop() {
		w, err := backlogs.Save(dir, e.Save())
		if err != nil || w.Backlogs != 100000 { b.Fatal(w, err) }
	}
}
