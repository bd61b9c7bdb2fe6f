package event_test

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dsiem/internal/event"
)

// text returns the JSON text of a valid event in which the given members
// replace the ones of the same key; a value of "" leaves the key out.
func text(members map[string]string) string {
	all := map[string]string{
		"event_id": `"e1"`, "timestamp": `"2023-01-01T00:00:00Z"`,
		"src_ip": `"10.0.0.1"`, "dst_ip": `"10.0.0.2"`, "plugin_id": `1001`, "plugin_sid": `50001`,
	}
	order := []string{"event_id", "timestamp", "src_ip", "dst_ip", "plugin_id", "plugin_sid"}
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

func with(key, value string) string { return text(map[string]string{key: value}) }

// check decodes in and wants the reason and, for a rejection, the field.
func check(t *testing.T, in string, want event.Reason, field string) event.Event {
	t.Helper()
	ev := event.Event{ID: "left over", SrcPort: 1}
	rej := event.Decode([]byte(in), &ev)
	if rej == nil {
		rej = &event.Rejection{}
	} else if diff := cmp.Diff(event.Event{}, ev, compare); diff != "" {
		t.Errorf("Decode(%.200s): a rejected event leaves (-want +got):\n%s", in, diff)
	}
	if rej.Reason != want || rej.Field != field {
		t.Errorf("Decode(%.200s) = %v, want %v of field %q", in, rej, want, field)
	}
	return ev
}

var compare = cmp.Options{cmpopts.EquateComparable(netip.Addr{})}

func TestDecodeReadsEveryField(t *testing.T) {
	in := `{"event_id":"e1","timestamp":"2023-01-01T07:00:00.25+07:00","src_ip":"10.0.0.1","dst_ip":"2001:DB8::1",
		"src_port":1,"dst_port":65535,"sensor":"s","protocol":"TCP","title":"t","conn_id":18446744073709551615,
		"plugin_id":1001,"plugin_sid":50001,"product":"p","category":"c","subcategory":"sc",
		"custom_data1":"d1","custom_data2":"d2","custom_data3":"d3",
		"custom_label1":"l1","custom_label2":"l2","custom_label3":"l3","rcvd_time":1672531200000000001}`
	want := event.Event{
		ID: "e1", Seconds: 1672531200, Nanos: 250_000_000, Sensor: "s", Title: "t", Protocol: "TCP",
		SrcIP: netip.MustParseAddr("10.0.0.1"), DstIP: netip.MustParseAddr("2001:db8::1"),
		SrcPort: 1, DstPort: 65535, PluginID: 1001, PluginSID: 50001,
		Product: "p", Category: "c", Subcategory: "sc",
		CustomData:  [event.CustomFields]string{"d1", "d2", "d3"},
		CustomLabel: [event.CustomFields]string{"l1", "l2", "l3"},
		ConnID:      math.MaxUint64, ReceivedAt: 1672531200000000001,
	}
	got := check(t, in, event.Accepted, "")
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

// Scenario C1: every row of spec/correlation.md §1.3.
func TestDecodeTimestamp(t *testing.T) {
	const newYear = 1672531200 // 2023-01-01T00:00:00Z
	rejected := func(rows ...string) map[string]int64 {
		m := map[string]int64{}
		for _, r := range rows {
			m[r] = 0
		}
		return m
	}
	for _, group := range []struct {
		name   string
		rows   map[string]int64 // seconds
		reason event.Reason
	}{
		{"offsets", map[string]int64{
			"2023-01-01T00:00:00Z": newYear, "2023-01-01T00:00:00z": newYear,
			"2023-01-01T00:00:00UTC": newYear, "2023-01-01T00:00:00 utc": newYear,
			"2023-01-01T00:00:00+07:00": newYear - 7*3600, "2023-01-01T00:00:00-07:00": newYear + 7*3600,
			"2023-01-01T00:00:00+0700": newYear - 7*3600, "2023-01-01T00:00:00 +07:00": newYear - 7*3600,
			"2023-01-01T00:00:00+07 : 30": newYear - 7*3600 - 1800, "2023-01-01T00:00:00-00:00": newYear,
			"2023-01-01T00:00:00+23:59": newYear - 23*3600 - 59*60,
		}, event.Accepted},
		{"separators", map[string]int64{
			"2023-01-01 00:00:00Z": newYear, "2023-01-01 00:00:00 Z": newYear,
			"2023-01-01t00:00:00Z": newYear, // the seed rejects t, T takes it
		}, event.Accepted},
		{"fractions", map[string]int64{
			"2023-01-01T00:00:00.1Z": newYear, "2023-01-01T00:00:00.123456789Z": newYear,
			"2023-01-01T00:00:00.999999999999999999999999Z": newYear,
			"1970-01-01T00:00:00.5Z":                        0, "1969-12-31T23:59:59.000000001-00:01": 59,
		}, event.Accepted},
		{"short fields and blanks", map[string]int64{
			"2023-1-1T0:0:0Z": newYear, " 2023-01-01T00:00:00Z": newYear, `2023-01-01T00:00:00Z \t\n`: newYear,
			"2023 - 01 - 01T 00 : 00 : 00 Z": newYear, "2023-01-01  00:00:00Z": newYear,
		}, event.Accepted},
		{"second 60", map[string]int64{
			"2016-12-31T23:59:60Z": 1483228799, "2023-01-01T00:00:60Z": newYear + 59, "2023-01-01T00:00:60.5Z": newYear + 59,
		}, event.Accepted},
		{"years", map[string]int64{
			"1970-01-01T00:00:00Z": 0, "2262-04-11T23:47:16.854775807Z": 9223372036, "2262-04-11T23:47:16.8547758079Z": 9223372036,
			"+2023-01-01T00:00:00Z": newYear, "+002023-01-01T00:00:00Z": newYear,
			"1969-12-31T23:59:59-00:01": 59, "2262-04-12T00:47:16+01:00": 9223372036,
			"2000-02-29T00:00:00Z": 951782400, "2024-02-29T00:00:00Z": 1709164800,
		}, event.Accepted},
		{
			"rejected offsets", rejected("2023-01-01T00:00:00", "2023-01-01T00:00:00+07", "2023-01-01T00:00:00+07 ",
				"2023-01-01T00:00:00+7:00", "2023-01-01T00:00:00+ 07:00", "2023-01-01T00:00:00+07:60", "2023-01-01T00:00:00+24:00",
				"2023-01-01T00:00:00+", "2023-01-01T00:00:00+07:", "2023-01-01T00:00:00+07:0", "2023-01-01T00:00:00UT",
				"2023-01-01T00:00:00GMT", "2023-01-01T00:00:00+07::00", "2023-01-01T00:00:00ZZ", "2023-01-01T00:00:00Z x"),
			event.BadTimestamp,
		},
		{"rejected shapes", rejected("", " ", "2023-01-01", "2023-01-01T00:00Z", "2023-01-01T00Z", "20230101T000000Z",
			"2023-01-01_00:00:00Z", "2023-01-01  T00:00:00Z", "2023-01-01T00:00:00,5Z", "2023-01-01T00:00:00.Z",
			"2023-01-01T00:00:00 .5Z", "2023/01/01T00:00:00Z", "1672531200", "1672531200000", "2023-001-01T00:00:00Z",
			"2023-01-001T00:00:00Z", "2023-01-01T000:00:00Z", "2023-01-01T00:00:000Z", "12023-01-01T00:00:00Z",
			"+-2023-01-01T00:00:00Z", "+ 2023-01-01T00:00:00Z", "+-01-01T00:00:00Z", "Jan 1 2023 00:00:00Z",
			"２023-01-01T00:00:00Z"), event.BadTimestamp},
		{"impossible", rejected("2023-01-01T24:00:00Z", "2023-01-01T00:60:00Z", "2023-01-01T00:00:61Z", "2023-02-29T00:00:00Z",
			"1900-02-29T00:00:00Z", "2023-04-31T00:00:00Z", "2023-13-01T00:00:00Z", "2023-00-01T00:00:00Z", "2023-01-00T00:00:00Z",
			"2023-01-32T00:00:00Z", "+99999999999999999999999999-01-01T00:00:00Z"), event.BadTimestamp},
		{"out of range", rejected("1969-12-31T23:59:59Z", "1969-12-31T23:59:59.999999999Z", "1970-01-01T00:00:59+00:01",
			"2262-04-11T23:47:16.854775808Z", "2262-04-11T23:47:17Z", "2262-04-11T23:46:17-00:01", "9999-12-31T23:59:59Z",
			"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "-0001-01-01T00:00:00Z", "+10000-01-01T00:00:00Z",
			"+262142-12-31T23:59:59Z", "-262143-01-01T00:00:00Z"), event.BadTimestamp},
	} {
		t.Run(group.name, func(t *testing.T) {
			for in, seconds := range group.rows {
				field := "timestamp"
				if group.reason == event.Accepted {
					field = ""
				}
				if ev := check(t, with("timestamp", `"`+in+`"`), group.reason, field); ev.Seconds != seconds {
					t.Errorf("%q: %d seconds, want %d", in, ev.Seconds, seconds)
				}
			}
		})
	}
	for _, in := range []string{"1672531200", "1672531200000", "null", "true", "{}", "[]"} {
		check(t, with("timestamp", in), event.BadType, "timestamp")
	}
	check(t, with("timestamp", ""), event.BadTimestamp, "timestamp")
}

func TestDecodeKeepsNanoseconds(t *testing.T) {
	for in, want := range map[string]int32{
		"": 0, ".1": 100_000_000, ".123456789": 123456789, ".1234567899": 123456789, ".000000001": 1, ".0000000009": 0,
	} {
		if ev := check(t, with("timestamp", `"1970-01-01T00:00:59`+in+`Z"`), event.Accepted, ""); ev.Nanos != want || ev.Seconds != 59 {
			t.Errorf("%q: %d s %d ns, want 59 s %d ns", in, ev.Seconds, ev.Nanos, want)
		}
	}
	if ev := check(t, with("timestamp", `"2023-01-01T00:00:60.75Z"`), event.Accepted, ""); ev.Nanos != 750_000_000 {
		t.Errorf("second 60.75: %d ns", ev.Nanos)
	}
}

// Scenario C1: every row of spec/correlation.md §1.4, for both addresses.
func TestDecodeAddress(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "0.0.0.0": "0.0.0.0", "255.255.255.255": "255.255.255.255",
		"2001:DB8::1": "2001:db8::1", "::": "::", "2002:c0a8:0001:0:0:0:0:1": "2002:c0a8:1::1", "::1.2.3.4": "::102:304",
		"::ffff:10.0.0.1": "10.0.0.1", "::FFFF:0a00:0001": "10.0.0.1", // B42
	} {
		for _, key := range []string{"src_ip", "dst_ip"} {
			ev := check(t, with(key, `"`+in+`"`), event.Accepted, "")
			got := ev.SrcIP
			if key == "dst_ip" {
				got = ev.DstIP
			}
			if got.String() != want || got.Is4In6() {
				t.Errorf("%s %q: %v, want %s", key, in, got, want)
			}
		}
	}
	for _, in := range []string{
		"010.0.0.1", "10.0.0.01", "::ffff:10.0.0.01", "10.0.0", "1", "10.0.0.256", "10.0.0.1.2", " 10.0.0.1", "10.0.0.1 ",
		"[::1]", "fe80::1%eth0", "::ffff:10.0.0.1%eth0", "fe80::1%", "localhost", "", "10.0.0.0/8", "10.0.0.1:80", "0x0a.0.0.1",
	} {
		check(t, with("src_ip", `"`+in+`"`), event.BadAddress, "src_ip")
		check(t, with("dst_ip", `"`+in+`"`), event.BadAddress, "dst_ip")
	}
	for _, key := range []string{"src_ip", "dst_ip"} {
		check(t, with(key, ""), event.BadAddress, key)
		check(t, with(key, "null"), event.BadType, key)
		check(t, with(key, "167772161"), event.BadType, key)
	}
}

// Scenarios C2 and §1.5, the target's column.
func TestDecodeNumbers(t *testing.T) {
	for _, c := range []struct {
		key, in string
		want    event.Reason
	}{
		{"src_port", "", event.Accepted},
		{"src_port", "null", event.Accepted},
		{"src_port", "65535", event.Accepted},
		{"src_port", "0", event.Accepted},
		{"src_port", `"80"`, event.BadType},
		{"src_port", "true", event.BadType},
		{"src_port", "[80]", event.BadType},
		{"src_port", "65536", event.OutOfRange},
		{"src_port", "80.0", event.OutOfRange},
		{"src_port", "1e3", event.OutOfRange},
		{"src_port", "-1", event.OutOfRange},
		{"src_port", "-0", event.OutOfRange},
		{"src_port", "080", event.BadJSON},
		{"src_port", "+80", event.BadJSON},
		{"src_port", "0x50", event.BadJSON},
		{"src_port", "NaN", event.BadJSON},
		{"dst_port", "65536", event.OutOfRange},
		{"dst_port", "99999999999999999999999999999999999999", event.OutOfRange},
		{"conn_id", "18446744073709551615", event.Accepted},
		{"conn_id", "18446744073709551616", event.OutOfRange},
		{"plugin_id", "18446744073709551615", event.Accepted},
		{"plugin_id", "18446744073709551616", event.OutOfRange},
		{"plugin_id", "1.0", event.OutOfRange},
		{"plugin_sid", "-5", event.OutOfRange},
		{"plugin_sid", `"5"`, event.BadType},
		{"rcvd_time", "null", event.Accepted},
		{"rcvd_time", "-9223372036854775808", event.Accepted},
		{"rcvd_time", "9223372036854775807", event.Accepted},
		{"rcvd_time", "9223372036854775808", event.OutOfRange},
		{"rcvd_time", "-0", event.OutOfRange},
		{"rcvd_time", "1e3", event.OutOfRange},
		{"rcvd_time", `"1"`, event.BadType},
	} {
		field := c.key
		if c.want == event.Accepted || c.want == event.BadJSON {
			field = ""
		}
		check(t, with(c.key, c.in), c.want, field)
	}
	if ev := check(t, with("rcvd_time", "-5"), event.Accepted, ""); ev.ReceivedAt != -5 {
		t.Errorf("rcvd_time -5 read as %d", ev.ReceivedAt)
	}
}

// §1.5: nulls, unknown keys, duplicates, case, and what is no JSON object.
func TestDecodeJSON(t *testing.T) {
	valid := text(nil)
	nested := func(depth int) string {
		return with("junk", strings.Repeat("[", depth)+strings.Repeat("]", depth))
	}
	for _, c := range []struct {
		name, in string
		want     event.Reason
		field    string
	}{
		{"blanks around", " \t\r\n" + valid + "\n ", event.Accepted, ""},
		{"unknown key", with("carrier", `{"a":[1,{"src_ip":5}],"src_ip":null}`), event.Accepted, ""},
		{"unknown key twice", valid[:len(valid)-1] + `,"x":1,"x":2}`, event.Accepted, ""},
		{"duplicate key inside an unknown one", with("x", `{"a":1,"a":2}`), event.Accepted, ""},
		{"keys are case-sensitive", with("SRC_IP", `5`), event.Accepted, ""},
		{"upper case does not stand in", `{"timestamp":"2023-01-01T00:00:00Z","SRC_IP":"10.0.0.1","dst_ip":"10.0.0.1","plugin_id":1,"plugin_sid":1}`, event.BadAddress, "src_ip"},
		{"duplicate key", valid[:len(valid)-1] + `,"src_ip":"10.0.0.1"}`, event.DuplicateKey, "src_ip"},
		{"malformed unknown value", with("x", `{"a":}`), event.BadJSON, ""},
		{"malformed name inside", with("x", `{a:1}`), event.BadJSON, ""},
		{"trailing comma", valid[:len(valid)-1] + `,}`, event.BadJSON, ""},
		{"missing comma", valid[:len(valid)-1] + ` "x":1}`, event.BadJSON, ""},
		{"name is no string", `{1:2}`, event.BadJSON, ""},
		{"name is null", `{null:2}`, event.BadJSON, ""},
		{"name is an object", `{{}:2}`, event.BadJSON, ""},
		{"text after the object", valid + "x", event.BadJSON, ""},
		{"second object", valid + valid, event.BadJSON, ""},
		{"comma after the object", valid + ",", event.BadJSON, ""},
		{"cut off", valid[:len(valid)-1], event.BadJSON, ""},
		{"empty", "", event.BadJSON, ""},
		{"blank", "  ", event.BadJSON, ""},
		{"array", "[" + valid + "]", event.BadJSON, ""},
		{"null", "null", event.BadJSON, ""},
		{"string", `"x"`, event.BadJSON, ""},
		{"garbage", "hello", event.BadJSON, ""},
		{"BOM", "\ufeff" + valid, event.BadJSON, ""},
		{"comment", "/**/" + valid, event.BadJSON, ""},
		{"raw newline in a string", with("title", "\"a\nb\""), event.BadJSON, ""},
		{"bad escape", with("title", `"\x"`), event.BadJSON, ""},
		{"lone high surrogate", with("title", `"\ud800"`), event.BadJSON, ""},
		{"lone low surrogate", with("title", `"\udc00x"`), event.BadJSON, ""},
		{"lone surrogate in an unknown key", with("x", `"\ud800"`), event.BadJSON, ""},
		{"not UTF-8", with("title", "\"\xff\""), event.BadEncoding, ""},
		{"not UTF-8 in an unknown key", with("x", "\"\xc3\x28\""), event.BadEncoding, ""},
		{"surrogate in UTF-8", with("title", "\"\xed\xa0\x80\""), event.BadEncoding, ""},
		{"deep, within the limit", nested(9_000), event.Accepted, ""},
		{"too deep", nested(10_001), event.BadJSON, ""},
		{"number for a string", with("title", "5"), event.BadType, "title"},
		{"object for a string", with("custom_data2", "{}"), event.BadType, "custom_data2"},
		{"bool for a string", with("event_id", "false"), event.BadType, "event_id"},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, c.in, c.want, c.field) })
	}
	check(t, `{"src_port":null,`+text(map[string]string{"src_port": "80"})[1:], event.DuplicateKey, "src_port")
	check(t, `{"src_\u0070ort":1,`+text(map[string]string{"src_port": "80"})[1:], event.DuplicateKey, "src_port")
}

func TestDecodeTakesNullAsAbsent(t *testing.T) { // B43, D17
	want := check(t, `{"timestamp":"2023-01-01T00:00:00Z","src_ip":"::1","dst_ip":"::2","plugin_id":1,"plugin_sid":2}`, event.Accepted, "")
	null := `{"timestamp":"2023-01-01T00:00:00Z","src_ip":"::1","dst_ip":"::2","plugin_id":1,"plugin_sid":2`
	for _, key := range []string{
		"event_id", "sensor", "protocol", "title", "product", "category", "subcategory",
		"custom_data1", "custom_data2", "custom_data3", "custom_label1", "custom_label2", "custom_label3",
		"src_port", "dst_port", "conn_id", "rcvd_time",
	} {
		null += `,"` + key + `":null`
	}
	if diff := cmp.Diff(want, check(t, null+"}", event.Accepted, ""), compare); diff != "" {
		t.Errorf("null and absent differ (-absent +null):\n%s", diff)
	}
}

func TestDecodeUnescapes(t *testing.T) {
	ev := check(t, text(map[string]string{
		"title": `"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀"`, "event_id": `"\u0000"`, "src_ip": `"10\u002e0.0.9"`, "x": `"\""`,
	}), event.Accepted, "")
	if want := "a\"\\/\b\f\n\r\té😀é😀"; ev.Title != want || ev.ID != "\x00" || ev.SrcIP.String() != "10.0.0.9" {
		t.Errorf("title %q, id %q, source %v", ev.Title, ev.ID, ev.SrcIP)
	}
}

// Scenario C3.
func TestDecodeIdentity(t *testing.T) {
	type m = map[string]string
	for _, c := range []struct {
		name            string
		in              m
		want            event.Reason
		plugin, product bool
	}{
		{"plugin_id 0", m{"plugin_id": "0", "plugin_sid": "5"}, event.NoIdentity, false, false},
		{"plugin_sid 0", m{"plugin_sid": "0"}, event.NoIdentity, false, false},
		{"plugin null", m{"plugin_id": "null"}, event.NoIdentity, false, false},
		{"product without category", m{"plugin_id": "", "product": `"p"`}, event.NoIdentity, false, false},
		{"category without product", m{"plugin_id": "", "category": `"c"`, "product": `""`}, event.NoIdentity, false, false},
		{"taxonomy", m{"plugin_id": "", "product": `"p"`, "category": `"c"`}, event.Accepted, false, true},
		{"taxonomy and half a plugin", m{"plugin_id": "0", "product": `"p"`, "category": `"c"`}, event.Accepted, false, true},
		{"plugin", nil, event.Accepted, true, false},
		{"both", m{"product": `"p"`, "category": `"c"`}, event.Accepted, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev := check(t, text(c.in), c.want, "")
			if ev.HasPlugin() != c.plugin || ev.HasTaxonomy() != c.product {
				t.Errorf("plugin %v, taxonomy %v", ev.HasPlugin(), ev.HasTaxonomy())
			}
		})
	}
}

func TestDecodeGivesTheFirstReason(t *testing.T) {
	for _, c := range []struct {
		in    string
		want  event.Reason
		field string
	}{
		{`{"title":"` + strings.Repeat("\xff", event.MaxSize) + `"`, event.TooLarge, ""},
		{`{"title":"` + "\xff", event.BadEncoding, ""},
		{`{"title":5,"title":"x","src_port":-1`, event.BadJSON, ""},
		{`{"src_port":-1,"title":5,"title":"x"}`, event.DuplicateKey, "title"},
		{`{"timestamp":"","src_port":-1,"title":5}`, event.BadType, "title"},
		{`{"timestamp":"","src_port":-1}`, event.OutOfRange, "src_port"},
		{`{"timestamp":"","src_ip":""}`, event.BadTimestamp, "timestamp"},
		{`{"timestamp":"2023-01-01T00:00:00Z","src_ip":""}`, event.BadAddress, "src_ip"},
		{`{"timestamp":"2023-01-01T00:00:00Z","src_ip":"::1","dst_ip":"::1"}`, event.NoIdentity, ""},
	} {
		check(t, c.in, c.want, c.field)
	}
}

func TestDecodeSizeLimit(t *testing.T) {
	base := with("title", `""`)
	fill := strings.Repeat("x", event.MaxSize-len(base))
	if ev := check(t, with("title", `"`+fill+`"`), event.Accepted, ""); len(ev.Title) != len(fill) {
		t.Errorf("title of %d bytes, want %d", len(ev.Title), len(fill))
	}
	check(t, with("title", `"x`+fill+`"`), event.TooLarge, "")
	check(t, strings.Repeat(" ", event.MaxSize+1), event.TooLarge, "")
}

func TestRejectionTextIsBounded(t *testing.T) {
	long := strings.Repeat("é", 100_000)
	for _, in := range []string{
		with("timestamp", `"`+long+`"`), with("src_ip", `"`+long+`"`), with("src_port", strings.Repeat("9", 100_000)),
		with(long, "}"), `{"` + long, with("title", `"`+long+`\x"`),
	} {
		var ev event.Event
		rej := event.Decode([]byte(in), &ev)
		if rej == nil || len(rej.Error()) > 400 || rej.Detail == "" {
			t.Errorf("Decode(%.40s...) = %.500v", in, rej)
		}
	}
}

func TestRejectionNamesReasonFieldAndDetail(t *testing.T) {
	var ev event.Event
	for in, want := range map[string]string{
		with("src_port", "65536"):                        "out_of_range: src_port: want a non-negative integer of 16 bits",
		with("src_ip", `"x`+strings.Repeat("é", 40)+`"`): `bad_address: src_ip: "x` + strings.Repeat("é", 31) + `…": want an IPv4 or IPv6 address`,
		with("src_ip", `"fe80::1%eth0"`):                 `bad_address: src_ip: "fe80::1%eth0": zones are not accepted`,
		with("timestamp", `"2023-01-01"`):                `bad_timestamp: timestamp: "2023-01-01": want T or a blank after the date`,
		`{"a" 1}`:                                        "bad_json: at byte 5: invalid character '1' after object name (expecting ':')",
		`{"a":`:                                          "bad_json: unexpected end of text",
		`{"title":"a","title":"b"}`:                      "duplicate_key: title: given twice",
		strings.Repeat("x", event.MaxSize+1):             "too_large: 1048577 bytes, the limit is 1048576",
		with("plugin_id", "0"):                           "no_identity: want plugin_id and plugin_sid, or product and category",
		"\xff":                                           "bad_encoding: not valid UTF-8",
		"[]":                                             "bad_json: not an object",
		text(nil) + "{}":                                 "bad_json: text after the object",
		with("dst_ip", ""):                               "bad_address: dst_ip: missing",
		with("dst_ip", "null"):                           "bad_type: dst_ip: null, want a string",
		with("timestamp", `"2023-02-30T0:0:0Z"`):         `bad_timestamp: timestamp: "2023-02-30T0:0:0Z": impossible date`,
		with("timestamp", `"2023-02-03T00:00:0"`):        `bad_timestamp: timestamp: "2023-02-03T00:00:0": want an offset: Z, UTC or as in +07:00`,
	} {
		rej := event.Decode([]byte(in), &ev)
		if rej == nil || rej.Error() != want {
			t.Errorf("Decode(%.80s):\ngot  %v\nwant %s", in, rej, want)
		}
	}
}

func TestDecodeDoesNotKeepTheBuffer(t *testing.T) {
	in := []byte(benchEvent(500))
	var ev event.Event
	if rej := event.Decode(in, &ev); rej != nil {
		t.Fatal(rej)
	}
	want := string(event.AppendJSON(nil, &ev))
	for i := range in {
		in[i] = 'X'
	}
	if got := string(event.AppendJSON(nil, &ev)); got != want {
		t.Errorf("the event changed with its buffer:\ngot  %s\nwant %s", got, want)
	}
}

func TestDecodeInParallel(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			in := fmt.Appendf(nil, `{"event_id":"\u0065%d","title":%d,%s`, i, i, text(map[string]string{"event_id": ""})[1:])
			good := bytes.Replace(in, fmt.Appendf(nil, `"title":%d`, i), fmt.Appendf(nil, `"title":"t%d"`, i), 1)
			for range 500 {
				var ev event.Event
				if rej := event.Decode(in, &ev); rej == nil || rej.Reason != event.BadType {
					t.Errorf("worker %d: %v", i, rej)
				}
				if rej := event.Decode(good, &ev); rej != nil || ev.ID != fmt.Sprint("e", i) || ev.Title != fmt.Sprint("t", i) {
					t.Errorf("worker %d: %v, id %q, title %q", i, rej, ev.ID, ev.Title)
				}
			}
		})
	}
	wg.Wait()
}

// benchEvent returns a normalized event as Logstash writes it, of about size
// bytes.
func benchEvent(size int) string {
	in := `{"event_id":"GLyAxYgBmcVVYPhDHXjs","timestamp":"2023-06-16T08:41:22.345678Z","sensor":"suricata-sensor-01",` +
		`"title":"ET EXPLOIT Possible CVE-2014-6271 Attempt in Headers","product":"Intrusion Detection System",` +
		`"category":"Attempted Administrator Privilege Gain","plugin_id":1001,"plugin_sid":2019232,"protocol":"TCP",` +
		`"src_ip":"192.168.84.17","src_port":51532,"dst_ip":"10.73.255.10","dst_port":80,` +
		`"custom_label1":"http_uri","custom_data1":"/cgi-bin/vulnerable?id=1","rcvd_time":1686904882987654321}`
	if pad := size - len(in) - len(`,"custom_label2":"payload","custom_data2":""`); pad > 0 {
		in = in[:len(in)-1] + `,"custom_label2":"payload","custom_data2":"` + strings.Repeat("payload ", pad/8) + `"}`
	}
	return in
}

// escapedEvent is benchEvent with escapes and letters outside ASCII in its
// longest strings, a mix of what different senders write.
func escapedEvent(size int) string {
	return strings.NewReplacer(
		"Possible CVE", `\"Possible\" CVE`, "/cgi-bin/", `\/cgi-bin\/`, "Administrator", "Administrateur délégué",
		"payload payload payload payload", `p\u00e4yload\r\n <påylöad> \"pay\"`,
	).Replace(benchEvent(size))
}

func TestDecodeAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop objects")
	}
	for _, size := range []int{500, 1000} {
		for _, in := range []string{benchEvent(size), escapedEvent(size)} {
			in := []byte(in)
			var ev event.Event
			got := testing.AllocsPerRun(200, func() {
				if rej := event.Decode(in, &ev); rej != nil {
					t.Fatal(rej)
				}
			})
			if got > 1 { // the text of the strings
				t.Errorf("%d bytes: %v allocations, want at most 1", len(in), got)
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, text := range map[string]string{
		"500": benchEvent(500), "1024": benchEvent(1024), "1024-escaped": escapedEvent(1024),
	} {
		in := []byte(text)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			var ev event.Event
			for b.Loop() {
				if rej := event.Decode(in, &ev); rej != nil {
					b.Fatal(rej)
				}
			}
		})
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	var ev event.Event
	if rej := event.Decode([]byte(benchEvent(500)), &ev); rej != nil {
		b.Fatal(rej)
	}
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = event.AppendJSON(buf[:0], &ev)
	}
}

func TestTimestampAgreesWithTimePackage(t *testing.T) {
	for _, in := range []string{
		"2023-03-26T01:59:59+01:00", "1970-01-01T00:00:00Z", "1971-07-20T20:17:40.123-05:00", "1969-12-31T23:59:59-23:59",
		"2260-02-29T23:59:59-23:59", "2100-03-01T00:00:00Z",
	} {
		want, err := time.Parse(time.RFC3339, in)
		if err != nil {
			t.Fatal(err)
		}
		if ev := check(t, with("timestamp", `"`+in+`"`), event.Accepted, ""); ev.Seconds != want.Unix() || int(ev.Nanos) != want.Nanosecond() {
			t.Errorf("%s: %d s %d ns, want %d s %d ns", in, ev.Seconds, ev.Nanos, want.Unix(), want.Nanosecond())
		}
	}
}
