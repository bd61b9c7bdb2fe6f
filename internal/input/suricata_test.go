package input_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dsiem/internal/event"
	"dsiem/internal/input"
	"dsiem/internal/input/file"
)

// alert returns an EVE record of an alert in which the given members replace
// the ones of the same key; a value of "" leaves the key out.
func alert(members map[string]string) string {
	all := map[string]string{
		"timestamp": `"2023-06-16T08:41:22.345678-0600"`, "flow_id": `1959620435402694`, "event_type": `"alert"`,
		"src_ip": `"192.0.2.7"`, "src_port": `4904`, "dest_ip": `"2001:DB8::22"`, "dest_port": `22`, "proto": `"TCP"`,
		"alert": `{"action":"allowed","signature_id":2001219,"signature":"ET SCAN \"Potential\" SSH Scan","category":"Attempted Information Leak"}`,
	}
	order := []string{"timestamp", "flow_id", "event_type", "src_ip", "src_port", "dest_ip", "dest_port", "proto", "alert"}
	for key, value := range members {
		if _, ok := all[key]; !ok {
			order = append(order, key)
		}
		all[key] = value
	}
	var parts []string
	for _, key := range order {
		if all[key] != "" {
			parts = append(parts, fmt.Sprintf("%q:%s", key, all[key]))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func alertWith(key, value string) string { return alert(map[string]string{key: value}) }

var compareEvents = cmp.Options{cmpopts.EquateComparable(netip.Addr{})}

// accept decodes in and wants an alert.
func accept(t *testing.T, in string) event.Event {
	t.Helper()
	var ev event.Event
	if ok, rej := input.DecodeSuricata([]byte(in), &ev); !ok || rej != nil {
		t.Errorf("DecodeSuricata(%s) = %v, %v, want an alert", in, ok, rej)
	}
	return ev
}

func TestDecodeSuricataMapsAnAlert(t *testing.T) {
	want := event.Event{
		ID: "1959620435402694-2001219-1686926482.345678000", Seconds: 1686926482, Nanos: 345678000,
		Title: `ET SCAN "Potential" SSH Scan`, Protocol: "TCP",
		SrcIP: netip.MustParseAddr("192.0.2.7"), SrcPort: 4904, DstIP: netip.MustParseAddr("2001:db8::22"), DstPort: 22,
		PluginID: 1001, PluginSID: 2001219, Product: "Intrusion Detection System", Category: "Attempted Information Leak",
	}
	if diff := cmp.Diff(want, accept(t, alert(nil)), compareEvents); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestDecodeSuricataOptionalValues(t *testing.T) {
	type m = map[string]string
	for _, c := range []struct {
		name string
		in   m
		want func(*event.Event)
	}{
		{"host", m{"host": `"ids-1"`, "in_iface": `"eth0"`}, func(e *event.Event) { e.Sensor = "ids-1" }},
		{"interface", m{"in_iface": `"eth0"`}, func(e *event.Event) { e.Sensor = "eth0" }},
		{"empty host", m{"host": `""`, "in_iface": `"eth0"`}, func(e *event.Event) { e.Sensor = "eth0" }},
		{"null host", m{"host": `null`, "in_iface": `"eth0"`}, func(e *event.Event) { e.Sensor = "eth0" }},
		{"null interface", m{"in_iface": `null`}, func(*event.Event) {}},
		{
			"no flow",
			m{"flow_id": ""},
			func(e *event.Event) { e.ID = "192.0.2.7:4904-[2001:db8::22]:22-2001219-1686926482.345678000" },
		},
		{
			"null flow",
			m{"flow_id": "null"},
			func(e *event.Event) { e.ID = "192.0.2.7:4904-[2001:db8::22]:22-2001219-1686926482.345678000" },
		},
		{"no ports", m{"src_port": "", "dest_port": "null", "proto": `"ICMP"`}, func(e *event.Event) {
			e.SrcPort, e.DstPort, e.Protocol = 0, 0, "ICMP"
		}},
		{"no category", m{"alert": `{"signature_id":2001219,"signature":null}`}, func(e *event.Event) { e.Title, e.Category = "", "" }},
		{"no signature id", m{"alert": `{"category":"c"}`}, func(e *event.Event) {
			e.Title, e.Category, e.PluginSID, e.ID = "", "c", 0, "1959620435402694-0-1686926482.345678000"
		}},
		{"mapped address", m{"dest_ip": `"::ffff:192.0.2.8"`}, func(e *event.Event) { e.DstIP = netip.MustParseAddr("192.0.2.8") }},
		{"keys with the names of normalized events", m{"plugin_id": "5", "plugin_sid": `"x"`, "title": "5", "dst_ip": "[]", "conn_id": "-1"}, func(*event.Event) {}},
		{"escapes", m{"event_type": `"\u0061lert"`, "proto": `"T\u0043P"`}, func(*event.Event) {}},
		{"unknown keys twice", m{"http": `{"a":1,"a":2}`}, func(*event.Event) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := accept(t, alert(nil))
			c.want(&want)
			if diff := cmp.Diff(want, accept(t, alert(c.in)), compareEvents); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeSuricataTimestamp(t *testing.T) {
	for in, want := range map[string]int64{
		"2023-01-01T00:00:00.5-0600": 1672531200 + 6*3600, "2023-01-01T00:00:00.5Z": 1672531200,
		"2023-01-01T00:00:00.5+00:00": 1672531200, "2023-01-01T00:00:00.5+0000": 1672531200,
		"2023-01-01T00:00:00.5": 1672531200, "2023-01-01 00:00:00.5 ": 1672531200, "2023-01-01T00:00:00.5UTC": 1672531200,
		`2023-01-01T00\u003a00:00.5`: 1672531200,
	} {
		if ev := accept(t, alertWith("timestamp", `"`+in+`"`)); ev.Seconds != want || ev.Nanos != 500_000_000 {
			t.Errorf("%s: %d s %d ns, want %d s 500000000 ns", in, ev.Seconds, ev.Nanos, want)
		}
	}
	for _, in := range []string{`""`, `"2023-01-01"`, `"2023-01-01T00:00"`, `"2023-01-01T00:00:00.5-06"`, `"12:00:00"`, `"2023-01-01T24:00:00"`, ``} {
		reject(t, alertWith("timestamp", in), event.BadTimestamp, "timestamp")
	}
}

// reject decodes in and wants a rejection that leaves no event.
func reject(t *testing.T, in string, want event.Reason, field string) {
	t.Helper()
	ev := event.Event{ID: "left over"}
	ok, rej := input.DecodeSuricata([]byte(in), &ev)
	if rej == nil || ok || rej.Reason != want || rej.Field != field || ev != (event.Event{}) {
		t.Errorf("DecodeSuricata(%.200s) = %v, %v, event %+v, want %v of field %q", in, ok, rej, ev, want, field)
	}
}

func TestDecodeSuricataRejects(t *testing.T) {
	valid := alert(nil)
	withAlert := func(text string) string { return alertWith("alert", text) }
	for _, c := range []struct {
		in    string
		want  event.Reason
		field string
	}{
		{strings.Repeat(" ", event.MaxSize+1), event.TooLarge, ""},
		{alertWith("x", "\"\xff\""), event.BadEncoding, ""},
		{valid + "x", event.BadJSON, ""},
		{"", event.BadJSON, ""},
		{"[" + valid + "]", event.BadJSON, ""},
		{withAlert(`{"signature":"\ud800"}`), event.BadJSON, ""},
		{valid[:len(valid)-1] + `,"src_ip":"192.0.2.1"}`, event.DuplicateKey, "src_ip"},
		{valid[:len(valid)-1] + `,"event_type":"flow"}`, event.DuplicateKey, "event_type"},
		{withAlert(`{"signature_id":1,"signature_id":1}`), event.DuplicateKey, "alert.signature_id"},
		{alertWith("event_type", ""), event.BadType, "event_type"},
		{alertWith("event_type", "null"), event.BadType, "event_type"},
		{alertWith("event_type", "1"), event.BadType, "event_type"},
		{withAlert(`"x"`), event.BadType, "alert"},
		{withAlert(`[]`), event.BadType, "alert"},
		{withAlert(`{"signature_id":"1"}`), event.BadType, "alert.signature_id"},
		{withAlert(`{"signature":1}`), event.BadType, "alert.signature"},
		{withAlert(`{"category":1}`), event.BadType, "alert.category"},
		{alertWith("flow_id", `"1"`), event.BadType, "flow_id"},
		{alertWith("dest_port", `"22"`), event.BadType, "dest_port"},
		{alertWith("proto", `6`), event.BadType, "proto"},
		{alertWith("host", `{"name":"x"}`), event.BadType, "host"},
		{alertWith("in_iface", `1`), event.BadType, "in_iface"},
		{alertWith("timestamp", `1672531200`), event.BadType, "timestamp"},
		{alertWith("src_ip", `null`), event.BadType, "src_ip"},
		{alertWith("flow_id", `1.5`), event.OutOfRange, "flow_id"},
		{alertWith("flow_id", `-1`), event.OutOfRange, "flow_id"},
		{alertWith("dest_port", `65536`), event.OutOfRange, "dest_port"},
		{withAlert(`{"signature_id":-1}`), event.OutOfRange, "alert.signature_id"},
		{alertWith("dest_ip", ``), event.BadAddress, "dest_ip"},
		{alertWith("dest_ip", `"fe80::1%eth0"`), event.BadAddress, "dest_ip"},
		{withAlert(``), event.NoIdentity, "alert.signature_id"},
		{withAlert(`null`), event.NoIdentity, "alert.signature_id"},
		{withAlert(`{"signature_id":0,"category":""}`), event.NoIdentity, "alert.signature_id"},
	} {
		reject(t, c.in, c.want, c.field)
	}
}

func TestDecodeSuricataSkipsOtherRecords(t *testing.T) {
	for _, in := range []string{
		`{"event_type":"flow"}`, alertWith("event_type", `"dns"`), alertWith("event_type", `"Alert"`), alertWith("event_type", `""`),
		`{"timestamp":5,"event_type":"stats","alert":[],"flow_id":"x"}`,
	} {
		ev := event.Event{ID: "left over"}
		if ok, rej := input.DecodeSuricata([]byte(in), &ev); ok || rej != nil || ev != (event.Event{}) {
			t.Errorf("DecodeSuricata(%s) = %v, %v, event %+v, want false, nil and no event", in, ok, rej, ev)
		}
	}
}

func TestDecodeSuricataDoesNotKeepTheBuffer(t *testing.T) {
	in := []byte(alertWith("host", `"ids-1"`))
	var first, second event.Event
	if ok, rej := input.DecodeSuricata(in, &first); !ok {
		t.Fatal(rej)
	}
	before := string(event.AppendJSON(nil, &first))
	for i := range in {
		in[i] = 'X'
	}
	second = accept(t, alertWith("proto", `"UDP, and much else to overwrite the scratch memory"`))
	if after := string(event.AppendJSON(nil, &first)); after != before || second.Protocol == first.Protocol {
		t.Errorf("the event changed with the memory it was read from:\nbefore %s\nafter  %s", before, after)
	}
}

func TestDecode(t *testing.T) {
	normalized := string(event.AppendJSON(nil, new(accept(t, alert(nil)))))
	tooLarge := input.Record{Rejection: &event.Rejection{Reason: event.TooLarge}}
	for _, c := range []struct {
		name   string
		rec    input.Record
		format input.Format
		skip   bool
		want   event.Reason
	}{
		{"normalized", input.Record{Data: []byte(normalized)}, input.Normalized, false, event.Accepted},
		{"alert", input.Record{Data: []byte(alert(nil))}, input.SuricataEVE, false, event.Accepted},
		{"no alert", input.Record{Data: []byte(`{"event_type":"flow"}`)}, input.SuricataEVE, true, event.Accepted},
		{"normalized as alert", input.Record{Data: []byte(normalized)}, input.SuricataEVE, false, event.BadType},
		{"alert as normalized", input.Record{Data: []byte(alert(nil))}, input.Normalized, false, event.BadAddress},
		{"too large", tooLarge, input.Normalized, false, event.TooLarge},
		{"too large alert", tooLarge, input.SuricataEVE, false, event.TooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev := event.Event{ID: "left over"}
			skip, rej := input.Decode(c.rec, c.format, &ev)
			if rej == nil {
				rej = &event.Rejection{}
			}
			if skip != c.skip || rej.Reason != c.want {
				t.Errorf("skip %v, %v, want %v, %v", skip, rej, c.skip, c.want)
			}
			if accepted := !skip && rej.Reason == event.Accepted; accepted != (ev.PluginSID == 2001219) || !accepted && ev != (event.Event{}) {
				t.Errorf("event %+v", ev)
			}
		})
	}
}

func TestFormatNames(t *testing.T) {
	for _, f := range []input.Format{input.Normalized, input.SuricataEVE} {
		if got, err := input.ParseFormat(f.String()); got != f || err != nil {
			t.Errorf("ParseFormat(%q) = %v, %v", f.String(), got, err)
		}
	}
	_, err := input.ParseFormat("csv")
	if err == nil || err.Error() != `unknown event format "csv", want normalized or suricata-eve` {
		t.Errorf("the error is %v", err)
	}
}

// TestRealSuricataData reads the alerts of two real captures and compares them
// with what encoding/json makes of the same files.
func TestRealSuricataData(t *testing.T) {
	const dir = "../../../shared/data/suricata" // ../shared/data from the module's root
	files, err := filepath.Glob(dir + "/*.json")
	if err != nil || len(files) == 0 {
		t.Skip("no Suricata data in ../shared/data/suricata")
	}
	var want []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var records []struct {
			Alert struct {
				SID       int `json:"signature_id"`
				Signature string
			}
			Source string `json:"src_ip"`
			Port   int    `json:"dest_port"`
		}
		if err := json.Unmarshal(text, &records); err != nil {
			t.Fatal(err)
		}
		for _, rec := range records {
			want = append(want, fmt.Sprintln(rec.Alert.SID, rec.Alert.Signature, rec.Source, rec.Port))
		}
	}

	r := file.NewReader(file.Options{Paths: files})
	var got []string
	var b file.Batch
	for r.Read(t.Context(), &b, 50) == nil {
		for i := range b.Len() {
			var ev event.Event
			if skip, rej := input.Decode(b.Record(i), input.SuricataEVE, &ev); skip || rej != nil {
				t.Errorf("%s:%d: skip %v, %v", b.Record(i).File, b.Record(i).Line, skip, rej)
			}
			got = append(got, fmt.Sprintln(ev.PluginSID, ev.Title, ev.SrcIP, ev.DstPort))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 343 {
		t.Errorf("%d alerts (-want +got):\n%s", len(got), diff)
	}
	if read, total := r.Progress(); read != total {
		t.Errorf("read %d of %d bytes", read, total)
	}
}

// FuzzDecodeSuricata checks that no text makes the decoder panic, and that an
// alert becomes an event that event.Decode would accept.
func FuzzDecodeSuricata(f *testing.F) {
	for _, in := range []string{
		alert(nil), alertWith("flow_id", ""), alertWith("host", `"h"`), alertWith("timestamp", `"2023-01-01T00:00:00"`),
		alertWith("alert", `{"signature":"\ud83d\ude00"}`), alertWith("event_type", `"\u0061lert"`), `{"event_type":"flow"}`, `{}`, `[`, "\xff",
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var ev, again event.Event
		ok, rej := input.DecodeSuricata(in, &ev)
		if !ok {
			if ev != (event.Event{}) {
				t.Fatalf("%v leaves %+v", rej, ev)
			}
			return
		}
		if rej != nil || ev.PluginID != 1001 || ev.ID == "" {
			t.Fatalf("alert with %v, event %+v", rej, ev)
		}
		text := event.AppendJSON(nil, &ev)
		if rej := event.Decode(text, &again); (rej != nil && rej.Reason != event.TooLarge) || (rej == nil && again != ev) {
			t.Fatalf("%s: %v, event %+v, want %+v", text, rej, again, ev)
		}
	})
}

func BenchmarkDecodeSuricata(b *testing.B) {
	for _, c := range []struct{ name, in string }{
		{"alert", alertWith("flow", `{"pkts_toserver":4,"pkts_toclient":4,"bytes_toserver":416,"bytes_toclient":524,"start":"2023-06-16T08:41:22.345678-0600"}`)},
		{"skipped", alertWith("event_type", `"flow"`)},
	} {
		b.Run(c.name, func(b *testing.B) {
			in := []byte(c.in)
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			var ev event.Event
			for b.Loop() {
				if _, rej := input.DecodeSuricata(in, &ev); rej != nil {
					b.Fatal(rej)
				}
			}
		})
	}
}
