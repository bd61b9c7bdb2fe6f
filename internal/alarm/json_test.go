package alarm_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"dsiem/internal/alarm"
	"dsiem/internal/event"
)

func full() *alarm.Alarm {
	return &alarm.Alarm{
		ID: "0123456789abcdef", Title: "Guessing on <web> & \"mail\"", Status: "Open", Tag: "Identified Threat",
		Kingdom: "Delivery & Attack", Category: "Brute Force", Created: 1700000001, Updated: 1700000002,
		Risk: 4, Class: alarm.Medium,
		Rules: []alarm.Rule{
			{
				Name: "first", Stage: 1, Occurrence: 1, From: "ANY", To: "HOME_NET", PluginID: 1001, PluginSID: []uint64{7, 8},
				Type: "PluginRule", PortFrom: "ANY", PortTo: "22,2222", Protocol: "TCP", Reliability: 5, Timeout: 0,
				Start: 1700000000, End: 1700000001, Status: alarm.Finished,
				CustomData: [3]string{"ANY", "", "!root"}, CustomLabel: [3]string{"user", "", ""},
			},
			{
				Name: "second", Stage: 3, Occurrence: 10000, From: "203.0.113.5", To: "2001:db8::1",
				Product: []string{"IDS", "IPS"}, Category: "Exploit", Subcategory: []string{"ANY"},
				Type: "TaxonomyRule", PortFrom: "ANY", PortTo: "0", Protocol: "ANY", Reliability: 10, Timeout: 3600,
				Start: 1700000001, StickyDifferent: "SRC_PORT",
			},
		},
		SrcIPs:          []netip.Addr{netip.MustParseAddr("203.0.113.5")},
		DstIPs:          []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("10.0.0.2")},
		Networks:        []string{"10.0.0.0/8"},
		IntelHits:       []alarm.Hit{{Provider: "Wise", Term: "203.0.113.5", Result: "list: bad"}},
		Vulnerabilities: []alarm.Hit{{Provider: "Nesd", Term: "10.0.0.2:22", Result: "High - old"}},
		CustomData:      []alarm.CustomData{{Label: "user", Content: "joe"}},
	}
}

func TestAlarmLine(t *testing.T) {
	const want = `{"alarm_id":"0123456789abcdef","title":"Guessing on <web> & \"mail\"","status":"Open","tag":"Identified Threat",` +
		`"kingdom":"Delivery & Attack","category":"Brute Force","created_time":1700000001,"update_time":1700000002,"risk":4,"risk_class":"Medium","rules":[` +
		`{"name":"first","stage":1,"occurrence":1,"from":"ANY","to":"HOME_NET","plugin_id":1001,"plugin_sid":[7,8],"type":"PluginRule",` +
		`"port_from":"ANY","port_to":"22,2222","protocol":"TCP","reliability":5,"timeout":0,"start_time":1700000000,"end_time":1700000001,"status":"finished",` +
		`"custom_data1":"ANY","custom_label1":"user","custom_data3":"!root"},` +
		`{"name":"second","stage":3,"occurrence":10000,"from":"203.0.113.5","to":"2001:db8::1","plugin_id":0,"plugin_sid":[],"product":["IDS","IPS"],` +
		`"category":"Exploit","subcategory":["ANY"],"type":"TaxonomyRule","port_from":"ANY","port_to":"0","protocol":"ANY","reliability":10,"timeout":3600,` +
		`"start_time":1700000001,"sticky_different":"SRC_PORT"}],"src_ips":["203.0.113.5"],"dst_ips":["2001:db8::1","10.0.0.2"],"networks":["10.0.0.0/8"],` +
		`"intel_hits":[{"provider":"Wise","term":"203.0.113.5","result":"list: bad"}],"vulnerabilities":[{"provider":"Nesd","term":"10.0.0.2:22","result":"High - old"}],` +
		`"custom_data":[{"label":"user","content":"joe"}]}` + "\n"
	if diff := cmp.Diff(want, string(full().AppendJSON(nil))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAlarmLineLeavesOutWhatIsEmpty(t *testing.T) {
	a := &alarm.Alarm{Rules: []alarm.Rule{{}}}
	const want = `{"alarm_id":"","title":"","status":"","tag":"","kingdom":"","category":"","created_time":0,"update_time":0,"risk":0,"risk_class":"",` +
		`"rules":[{"name":"","stage":0,"occurrence":0,"from":"","to":"","plugin_id":0,"plugin_sid":[],"type":"","port_from":"","port_to":"","protocol":"",` +
		`"reliability":0,"timeout":0}],"src_ips":[],"dst_ips":[],"networks":[]}` + "\n"
	if diff := cmp.Diff(want, string(a.AppendJSON(nil))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAlarmEventLine(t *testing.T) {
	e := &alarm.Event{AlarmID: "a1", Stage: 2, EventID: "id \"<&>\"\u2028"}
	got := string(e.AppendJSON([]byte("before\n")))
	if want := "before\n" + `{"alarm_id":"a1","stage":2,"event_id":"id \"<&>\"` + "\u2028" + `"}` + "\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestSavedFile compares the indented form with what the JSON library makes of
// the compact one.
func TestSavedFile(t *testing.T) {
	saved := alarm.Saved{Alarm: *full(), LastSrcPort: 5, LastDstPort: 22, ExpandedTitle: "expanded"}
	saved.Extras = []alarm.Extra{
		{EventIDs: []event.IDHash{0xabc}},
		{EventIDs: []event.IDHash{1, 2}, StickyNumbers: []uint64{1, 65535}, StickyTexts: []string{"x"}},
	}
	got := alarm.AppendSaved(nil, []alarm.Saved{saved, {}})
	indented := jsontext.Value(got)
	if err := indented.Indent(jsontext.WithIndent("  ")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(indented)+"\n", string(got)); diff != "" {
		t.Errorf("indentation, -library +ours:\n%s", diff)
	}
	compact := jsontext.Value(got)
	if err := compact.Compact(); err != nil {
		t.Fatal(err)
	}
	const tail = `"saved_last_srcport":5,"saved_last_dstport":22,"saved_expanded_title":"expanded"}`
	for _, want := range []string{
		`"custom_label1":"user","custom_data3":"!root","saved_event_ids":["h:0000000000000abc"]}`,
		`"sticky_different":"SRC_PORT","saved_sticky_diffdata":{"sdiff_string":["x"],"sdiff_int":[1,65535]},"saved_event_ids":["h:0000000000000001","h:0000000000000002"]}`,
		tail,
	} {
		if !strings.Contains(string(compact), want) {
			t.Errorf("%s\nlacks %s", compact, want)
		}
	}
	if got := string(alarm.AppendSaved(nil, nil)); got != "[]\n" {
		t.Errorf("no backlogs: %q", got)
	}
}

func TestNamesOfClassesAndStates(t *testing.T) {
	for c := alarm.Unclassified; c <= alarm.High; c++ {
		if got, ok := alarm.ParseClass(c.String()); !ok || got != c {
			t.Errorf("ParseClass(%q) = %v, %v", c, got, ok)
		}
	}
	if _, ok := alarm.ParseClass("medium"); ok {
		t.Error(`ParseClass("medium") is a class`)
	}
	for s, want := range map[alarm.Status]string{alarm.Pending: "", alarm.Finished: "finished", alarm.Timeout: "timeout"} {
		if got := s.String(); got != want {
			t.Errorf("state %d is %q, want %q", s, got, want)
		}
	}
}

func BenchmarkAlarmLine(b *testing.B) {
	a := full()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = a.AppendJSON(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}
