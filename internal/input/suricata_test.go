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
	if skip, rej := input.DecodeSuricata([]byte(in), &ev); skip != 0 || rej != nil {
		t.Errorf("DecodeSuricata(%s) = %v, %v, want an alert", in, skip, rej)
	}
	return ev
}

func TestDecodeSuricataMapsAnAlert(t *testing.T) {
	want := event.Event{
		ID: "1959620435402694-2001219-1686926482.345678000-allowed", Seconds: 1686926482, Nanos: 345678000,
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
			func(e *event.Event) { e.ID = "192.0.2.7:4904-[2001:db8::22]:22-2001219-1686926482.345678000-allowed" },
		},
		{
			"null flow",
			m{"flow_id": "null"},
			func(e *event.Event) { e.ID = "192.0.2.7:4904-[2001:db8::22]:22-2001219-1686926482.345678000-allowed" },
		},
		{"no ports", m{"src_port": "", "dest_port": "null", "proto": `"ICMP"`}, func(e *event.Event) {
			e.SrcPort, e.DstPort, e.Protocol = 0, 0, "ICMP"
		}},
		{"no category", m{"alert": `{"signature_id":2001219,"signature":null,"action":"allowed"}`}, func(e *event.Event) { e.Title, e.Category = "", "" }},
		{"no signature id", m{"alert": `{"category":"c"}`}, func(e *event.Event) {
			e.Title, e.Category, e.PluginSID, e.ID = "", "c", 0, "1959620435402694-0-1686926482.345678000"
		}},
		{"mapped address", m{"dest_ip": `"::ffff:192.0.2.8"`}, func(e *event.Event) { e.DstIP = netip.MustParseAddr("192.0.2.8") }},
		{"keys with the names of normalized events", m{"plugin_id": "5", "plugin_sid": `"x"`, "title": "5", "dst_ip": "[]", "conn_id": "-1"}, func(*event.Event) {}},
		{"escapes", m{"event_type": `"\u0061lert"`, "proto": `"T\u0043P"`}, func(*event.Event) {}},
		{"unknown keys twice", m{"http": `{"a":1,"a":2}`}, func(*event.Event) {}},

		// Case 01: Filebeat and Logstash make host an object.
		{"host with a name", m{"host": `{"os":{"name":"x"},"name":"ids-1"}`, "in_iface": `"eth0"`}, func(e *event.Event) { e.Sensor = "ids-1" }},
		{"host with a name twice", m{"host": `{"name":"x","name":"ids\u002d1"}`}, func(e *event.Event) { e.Sensor = "ids-1" }},
		{"host with a number as name", m{"host": `{"name":7}`}, func(e *event.Event) { e.Sensor = "7" }},
		{"host without a name", m{"host": `{"hostname":"x"}`, "in_iface": `"eth0"`}, func(e *event.Event) { e.Sensor = "eth0" }},
		{"host with an object as name", m{"host": `{"name":{}}`, "in_iface": `"eth0"`}, func(e *event.Event) { e.Sensor = "eth0" }},
		{"host with an empty name", m{"host": `{"name":""}`}, func(*event.Event) {}},
		{"host as a list", m{"host": `["a"]`, "in_iface": `"eth0"`}, func(e *event.Event) { e.Sensor = "eth0" }},
		{"host as a number", m{"host": `5`, "in_iface": `"eth0"`}, func(e *event.Event) { e.Sensor = "5" }},
		{"host twice", m{"host": `"a","host":{"name":"ids-1"}`}, func(e *event.Event) { e.Sensor = "ids-1" }},
		{"interface as a number", m{"in_iface": `0`}, func(e *event.Event) { e.Sensor = "0" }},
		{"interface as an object", m{"in_iface": `{}`}, func(*event.Event) {}},

		// Case 02: pipelines make numbers texts, and the other way round.
		{"numbers as texts", m{
			"flow_id": `"1959620435402694"`, "src_port": `"4904"`, "dest_port": `"22"`,
			"alert": `{"action":"allowed","signature_id":"2001219","signature":"ET SCAN \"Potential\" SSH Scan","category":"Attempted Information Leak"}`,
		}, func(*event.Event) {}},
		{"numbers as floats", m{"src_port": `4904.0`, "dest_port": `2.2e1`}, func(*event.Event) {}},
		{"empty ports", m{"src_port": `""`, "dest_port": `""`}, func(e *event.Event) { e.SrcPort, e.DstPort = 0, 0 }},
		{"protocol as a number", m{"proto": `6`}, func(e *event.Event) { e.Protocol = "6" }},
		{"protocol as a list", m{"proto": `["TCP"]`}, func(e *event.Event) { e.Protocol = "" }},
		{"protocol twice", m{"proto": `"UDP","proto":"TCP"`}, func(*event.Event) {}},
		{"signature as an object", m{"alert": `{"action":"allowed","signature_id":2001219,"signature":{},"category":"c"}`}, func(e *event.Event) {
			e.Title, e.Category = "", "c"
		}},
		{"category as a number", m{"alert": `{"action":"allowed","signature_id":2001219,"signature":false,"category":5}`}, func(e *event.Event) {
			e.Title, e.Category = "false", "5"
		}},
		{"flow as a word", m{"flow_id": `"abc"`}, func(e *event.Event) { e.ID = "abc-2001219-1686926482.345678000-allowed" }},
		{"flow as a fraction", m{"flow_id": `-1.5`}, func(e *event.Event) { e.ID = "-1.5-2001219-1686926482.345678000-allowed" }},
		{
			"flow as an object",
			m{"flow_id": `{"a":1}`},
			func(e *event.Event) { e.ID = "192.0.2.7:4904-[2001:db8::22]:22-2001219-1686926482.345678000-allowed" },
		},
		{
			"empty flow",
			m{"flow_id": `""`},
			func(e *event.Event) { e.ID = "192.0.2.7:4904-[2001:db8::22]:22-2001219-1686926482.345678000-allowed" },
		},
		{"long flow", m{"flow_id": `"` + strings.Repeat("x", 65) + `"`}, func(e *event.Event) {
			e.ID = event.HashID(strings.Repeat("x", 65)).String() + "-2001219-1686926482.345678000-allowed"
		}},
		{"flow twice", m{"flow_id": `1,"flow_id":1959620435402694`}, func(*event.Event) {}},

		// Case 04, D41: what tells alerts in one packet from each other.
		{"transaction", m{"tx_id": `0`}, func(e *event.Event) { e.ID = "1959620435402694-2001219-1686926482.345678000-tx0-allowed" }},
		{"packet", m{"pcap_cnt": `"34"`}, func(e *event.Event) { e.ID = "1959620435402694-2001219-1686926482.345678000-pkt34-allowed" }},
		{"both", m{"tx_id": `"1"`, "pcap_cnt": `34`}, func(e *event.Event) {
			e.ID = "1959620435402694-2001219-1686926482.345678000-tx1-pkt34-allowed"
		}},
		{"odd ones", m{"tx_id": `{}`, "pcap_cnt": `[]`}, func(*event.Event) {}},
		{"twice", m{"tx_id": `1,"tx_id":2`}, func(e *event.Event) { e.ID = "1959620435402694-2001219-1686926482.345678000-tx2-allowed" }},
		{"another action", m{"alert": `{"action":"blocked","signature_id":2001219,"category":"c"}`}, func(e *event.Event) {
			e.Title, e.Category, e.ID = "", "c", "1959620435402694-2001219-1686926482.345678000-blocked"
		}},
		{"odd action", m{"alert": `{"action":["x"],"signature_id":2001219,"category":"c"}`}, func(e *event.Event) {
			e.Title, e.Category, e.ID = "", "c", "1959620435402694-2001219-1686926482.345678000"
		}},

		{"zone of an address", m{"dest_ip": `"2001:DB8::22%eth0"`}, func(*event.Event) {}},                      // case 19
		{"bad bytes", m{"host": "\"caf\xe9\""}, func(e *event.Event) { e.Sensor, e.Repaired = "caf\ufffd", 1 }}, // case 05
		{"bad bytes elsewhere", m{"http": "{\"url\":\"\xff\\ud800\"}"}, func(e *event.Event) { e.Repaired = 2 }},
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
		// D41: names of zones, as Suricata writes them on Windows.
		"2023-01-01T00:00:00.5W. Europe Standard Time":        1672531200 - 3600,
		"2023-01-01T00:00:00.5W. Europe Daylight Time":        1672531200 - 2*3600,
		"2023-01-01T00:00:00.5Eastern Daylight Time":          1672531200 + 4*3600,
		"2023-01-01T00:00:00.5Eastern Standard Time (Mexico)": 1672531200 + 5*3600,
		"2023-01-01T00:00:00.5 Newfoundland Standard Time ":   1672531200 + 3*3600 + 1800,
		"2023-01-01T00:00:00.5Nepal Standard Time":            1672531200 - 5*3600 - 45*60,
		"2023-01-01T00:00:00.5Lord Howe Standard Time":        1672531200 - 10*3600 - 1800,
		"2023-01-01T00:00:00.5Lord Howe Daylight Time":        1672531200 - 11*3600,
		"2023-01-01T00:00:00.5Coordinated Universal Time":     1672531200,
		"2023-01-01T00:00:00.5GMT Standard Time":              1672531200,
		"2023-01-01T00:00:00.5UTC-11":                         1672531200 + 11*3600,
		"2023-01-01T00:00:00.5UTC+13":                         1672531200 - 13*3600,
		`2023-01-01T00:00:00.5W. Europe Standard\u0020Time`:   1672531200 - 3600,
		"2023-01-01T00:00:00.5Russia TZ 2 Standard Time":      1672531200 - 3*3600,
	} {
		if ev := accept(t, alertWith("timestamp", `"`+in+`"`)); ev.Seconds != want || ev.Nanos != 500_000_000 {
			t.Errorf("%s: %d s %d ns, want %d s 500000000 ns", in, ev.Seconds, ev.Nanos, want)
		}
	}
	for _, in := range []string{
		`""`, `"2023-01-01"`, `"2023-01-01T00:00"`, `"2023-01-01T00:00:00.5-06"`, `"12:00:00"`, `"2023-01-01T24:00:00"`, ``,
		`"2023-01-01T00:00:00.5Atlantis Standard Time"`, `"2023-01-01T00:00:00.5Standard Time"`, `"2023-01-01T00:00:00.5W. Europe"`,
		`"2023-01-01T00:00:00.5UTC+99"`, `"W. Europe Standard Time"`, `"2023-01-01T00:00W. Europe Standard Time"`,
		`"1900-01-00T00:00:14.199185+0000"`,
	} {
		reject(t, alertWith("timestamp", in), event.BadTimestamp, "timestamp")
	}
}

// reject decodes in and wants a rejection that leaves no event.
func reject(t *testing.T, in string, want event.Reason, field string) {
	t.Helper()
	ev := event.Event{ID: "left over"}
	skip, rej := input.DecodeSuricata([]byte(in), &ev)
	if rej == nil || skip != 0 || rej.Reason != want || rej.Field != field || ev != (event.Event{}) {
		t.Errorf("DecodeSuricata(%.200s) = %v, %v, event %+v, want %v of field %q", in, skip, rej, ev, want, field)
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
		{"\xff\xfe{\x00}\x00", event.BadEncoding, ""},
		{valid + "x", event.BadJSON, ""},
		{"", event.BadJSON, ""},
		{"[" + valid + "]", event.BadJSON, ""},
		{`{"x":` + valid, event.BadJSON, ""},
		{valid[:len(valid)-1] + `,"src_ip":"192.0.2.1"}`, event.DuplicateKey, "src_ip"},
		{valid[:len(valid)-1] + `,"event_type":"flow"}`, event.DuplicateKey, "event_type"},
		{valid[:len(valid)-1] + `,"alert":{}}`, event.DuplicateKey, "alert"},
		{withAlert(`{"signature_id":1,"signature_id":1}`), event.DuplicateKey, "alert.signature_id"},
		{withAlert(`{"category":"a","category":"b"}`), event.DuplicateKey, "alert.category"},
		{alertWith("event_type", ""), event.BadType, "event_type"},
		{alertWith("event_type", "null"), event.BadType, "event_type"},
		{alertWith("event_type", "[]"), event.BadType, "event_type"},
		{withAlert(`"x"`), event.BadType, "alert"},
		{withAlert(`[]`), event.BadType, "alert"},
		{withAlert(`{"signature_id":true}`), event.BadType, "alert.signature_id"},
		{withAlert(`{"signature_id":" 1"}`), event.BadType, "alert.signature_id"},
		{withAlert(`{"signature_id":1,"category":{}}`), event.BadType, "alert.category"},
		{alertWith("dest_port", `[22]`), event.BadType, "dest_port"},
		{alertWith("src_port", `"x"`), event.BadType, "src_port"},
		{alertWith("timestamp", `null`), event.BadType, "timestamp"},
		{alertWith("src_ip", `null`), event.BadType, "src_ip"},
		{alertWith("dest_port", `65536`), event.OutOfRange, "dest_port"},
		{alertWith("src_port", `80.5`), event.OutOfRange, "src_port"},
		{withAlert(`{"signature_id":-1}`), event.OutOfRange, "alert.signature_id"},
		{alertWith("timestamp", `1672531200`), event.BadTimestamp, "timestamp"},
		{alertWith("dest_ip", ``), event.BadAddress, "dest_ip"},
		{alertWith("dest_ip", `""`), event.BadAddress, "dest_ip"},
		{alertWith("dest_ip", `"10.0.0.1%eth0"`), event.BadAddress, "dest_ip"},
		{withAlert(``), event.NoIdentity, "alert.signature_id"},
		{withAlert(`null`), event.NoIdentity, "alert.signature_id"},
		{withAlert(`{"signature_id":0,"category":""}`), event.NoIdentity, "alert.signature_id"},
		{withAlert(`{"signature_id":"","category":null}`), event.NoIdentity, "alert.signature_id"},
	} {
		reject(t, c.in, c.want, c.field)
	}
}

func TestDecodeSuricataSkips(t *testing.T) {
	drop := `"drop"`
	none := map[string]string{"src_ip": "", "dest_ip": ""}
	for in, want := range map[string]input.Skip{
		`{"event_type":"flow"}`: input.NoAlert, alertWith("event_type", `"dns"`): input.NoAlert, alertWith("event_type", `"Alert"`): input.NoAlert,
		alertWith("event_type", `""`): input.NoAlert, alertWith("event_type", `1`): input.NoAlert, alertWith("event_type", `true`): input.NoAlert,
		`{"timestamp":5,"event_type":"stats","alert":[],"flow_id":"x"}`: input.NoAlert, `{"event_type":"drop"}`: input.NoAlert,
		alert(map[string]string{"event_type": drop, "alert": ""}): input.NoAlert, alert(map[string]string{"event_type": drop, "alert": "null"}): input.NoAlert,
		alert(map[string]string{"event_type": drop, "alert": "true"}): input.NoAlert,
		// Case 20: alerts of decoder rules.
		alert(none): input.NoAddresses, alert(map[string]string{"src_ip": "null", "dest_ip": `""`, "timestamp": ""}): input.NoAddresses,
		alert(map[string]string{"event_type": drop, "src_ip": "", "dest_ip": ""}): input.NoAddresses,
	} {
		ev := event.Event{ID: "left over"}
		if skip, rej := input.DecodeSuricata([]byte(in), &ev); skip != want || rej != nil || ev != (event.Event{}) {
			t.Errorf("DecodeSuricata(%s) = %v, %v, event %+v, want %v and no event", in, skip, rej, ev, want)
		}
	}
}

// Case 21, D41: a blocked attack is one event, be it logged as alert, as drop or both.
func TestDecodeSuricataTakesDropsWithAnAlert(t *testing.T) {
	want := accept(t, alert(nil))
	if diff := cmp.Diff(want, accept(t, alertWith("event_type", `"drop"`)), compareEvents); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

// D41: records that went through syslog, and through Elasticsearch.
func TestDecodeSuricataUnwraps(t *testing.T) {
	want := accept(t, alert(nil))
	for _, header := range []string{
		"<134>", "Jan  1 09:00:00 ids-1 suricata[123]: ", "Jan  1 09:00:00 ids-1 suricata[123]: @cee: ", "<13>Jan  1 09:00:00 ids-1 suricata:",
		"2017-02-02T13:41:23.948224+00:00 ids-1 suricata[5123]: @cee: ", "<134>1 2026-01-01T09:00:00Z ids-1 suricata 123 - - ",
		`<134>1 2026-01-01T09:00:00Z ids-1 suricata 123 - [meta a="b"] `, "@cee: ", "@cee:", "suricata:\t",
	} {
		in, taken := header+alert(nil), header != "<134>" // which is not how syslog is written
		var ev event.Event
		skip, rej := input.DecodeSuricata([]byte(in), &ev)
		if (rej == nil && skip == 0) != taken || taken && ev != want {
			t.Errorf("%q: %v, %v, %+v", header, skip, rej, ev)
		}
	}
	for _, header := range []string{"x", "x ", ":", " : ", `"x": `, "[]", "{}: ", "x:\n", strings.Repeat("x", 1024) + ":", "\xff:"} {
		reject(t, header+alert(nil), event.BadJSON, "")
	}
	for _, in := range []string{`{"_index":"x","_source":` + alert(nil) + `,"sort":[1]}`, "\ufeff" + alert(nil), "\x00\x00" + alert(nil)} {
		if got := accept(t, in); got != want {
			t.Errorf("%s: %+v", in, got)
		}
	}
	reject(t, `{"flow_id":1,"_source":`+alert(nil)+`}`, event.BadType, "event_type")
}

func TestDecodeSuricataDoesNotKeepTheBuffer(t *testing.T) {
	in := []byte(alertWith("host", `"ids-1"`))
	var first, second event.Event
	if _, rej := input.DecodeSuricata(in, &first); rej != nil {
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
		skip   input.Skip
		want   event.Reason
	}{
		{"normalized", input.Record{Data: []byte(normalized)}, input.Normalized, 0, event.Accepted},
		{"alert", input.Record{Data: []byte(alert(nil))}, input.SuricataEVE, 0, event.Accepted},
		{"no alert", input.Record{Data: []byte(`{"event_type":"flow"}`)}, input.SuricataEVE, input.NoAlert, event.Accepted},
		{"normalized as alert", input.Record{Data: []byte(normalized)}, input.SuricataEVE, 0, event.BadType},
		{"alert as normalized", input.Record{Data: []byte(alert(nil))}, input.Normalized, 0, event.BadAddress},
		{"too large", tooLarge, input.Normalized, 0, event.TooLarge},
		{"too large alert", tooLarge, input.SuricataEVE, 0, event.TooLarge},
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
			if accepted := skip == 0 && rej.Reason == event.Accepted; accepted != (ev.PluginSID == 2001219) || !accepted && ev != (event.Event{}) {
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
			if skip, rej := input.Decode(b.Record(i), input.SuricataEVE, &ev); skip != 0 || rej != nil {
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
		"Jan  1 09:00:00 ids-1 suricata[123]: @cee: " + alert(nil), `{"_source":` + alert(nil) + `}`, alertWith("host", `{"name":"x"}`),
		alertWith("timestamp", `"2023-01-01T00:00:00.5W. Europe Standard Time"`), alertWith("event_type", `"drop"`), alertWith("tx_id", `"1"`),
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var ev, again event.Event
		skip, rej := input.DecodeSuricata(in, &ev)
		if skip != 0 || rej != nil {
			if ev != (event.Event{}) {
				t.Fatalf("%v leaves %+v", rej, ev)
			}
			return
		}
		if ev.PluginID != 1001 || ev.ID == "" || len(ev.ID) > 400 {
			t.Fatalf("event %+v", ev)
		}
		ev.Repaired = 0 // it is about the text
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
