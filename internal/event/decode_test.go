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

// Scenario C1: every row of docs/spec/correlation.md §1.3.
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
			"1970-01-01T00:00:00.000000001Z":                0,
		}, event.Accepted},
		{"short fields and blanks", map[string]int64{
			"2023-1-1T0:0:0Z": newYear, " 2023-01-01T00:00:00Z": newYear, `2023-01-01T00:00:00Z \t\n`: newYear,
			"2023 - 01 - 01T 00 : 00 : 00 Z": newYear, "2023-01-01  00:00:00Z": newYear,
		}, event.Accepted},
		{"second 60", map[string]int64{
			"2016-12-31T23:59:60Z": 1483228799, "2023-01-01T00:00:60Z": newYear + 59, "2023-01-01T00:00:60.5Z": newYear + 59,
		}, event.Accepted},
		{"years", map[string]int64{
			"+2023-01-01T00:00:00Z": newYear, "+002023-01-01T00:00:00Z": newYear,
			"2000-02-29T00:00:00Z": 951782400, "2024-02-29T00:00:00Z": 1709164800,
		}, event.Accepted},
		// §1.3.7: what 64 bits of nanoseconds since 1970 hold.
		{"first and last", map[string]int64{
			"1970-01-01T00:00:00Z": 0, "1969-12-31T17:00:00-07:00": 0, "1970-1-1 0:0:0 utc": 0,
			"2262-04-11T23:47:16Z": 9223372036, "2262-04-11T23:47:16.854775807Z": 9223372036,
			"2262-04-11T23:47:16.8547758079999Z": 9223372036, "2262-04-12T06:47:16.854775807+07:00": 9223372036,
			"2262-4-11T23:47:16.854775807z": 9223372036, "2262-04-11T23:46:60.9Z": 9223372019,
		}, event.Accepted},
		{"before and after", rejected("1969-12-31T23:59:59.999999999Z", "1970-01-01T00:00:00+00:01", "1969-12-31T23:59:60Z",
			"1969-7-20T20:17:40z", "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "0-1-1T0:0:0Z", "-0001-01-01T00:00:00Z",
			"2262-04-11T23:47:16.854775808Z", "2262-04-11T23:47:17Z", "2262-4-11T23:47:17z", "2262-04-11T23:47:16.854775807-00:01",
			"2263-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "+10000-01-01T00:00:00Z", "+262142-12-31T23:59:59Z",
			"-262143-01-01T00:00:00Z", "+99999999999999999999999999-01-01T00:00:00Z"), event.BadTimestamp},
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
			"2023-01-32T00:00:00Z", "9999-02-30T00:00:00Z", "0000-01-01T24:00:00Z"), event.BadTimestamp},
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
	for _, in := range []string{"1672531200", "1672531200000", "1.5", "true"} { // D39: their text is no timestamp
		check(t, with("timestamp", in), event.BadTimestamp, "timestamp")
	}
	for _, in := range []string{"null", "{}", "[]", `["2023-01-01T00:00:00Z"]`} {
		check(t, with("timestamp", in), event.BadType, "timestamp")
	}
	check(t, with("timestamp", ""), event.BadTimestamp, "timestamp")
}

func TestDecodeKeepsNanoseconds(t *testing.T) {
	for in, want := range map[string]int32{
		"": 0, ".1": 100_000_000, ".123456789": 123456789, ".1234567899": 123456789, ".000000001": 1, ".0000000009": 0,
	} {
		if ev := check(t, with("timestamp", `"1970-01-01T00:00:01`+in+`Z"`), event.Accepted, ""); ev.Nanos != want || ev.Seconds != 1 {
			t.Errorf("%q: %d s %d ns, want 1 s %d ns", in, ev.Seconds, ev.Nanos, want)
		}
	}
	if ev := check(t, with("timestamp", `"2023-01-01T00:00:60.75Z"`), event.Accepted, ""); ev.Nanos != 750_000_000 {
		t.Errorf("second 60.75: %d ns", ev.Nanos)
	}
}

// Scenario C1: every row of docs/spec/correlation.md §1.4, for both addresses.
func TestDecodeAddress(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "0.0.0.0": "0.0.0.0", "255.255.255.255": "255.255.255.255",
		"2001:DB8::1": "2001:db8::1", "::": "::", "2002:c0a8:0001:0:0:0:0:1": "2002:c0a8:1::1", "::1.2.3.4": "::102:304",
		"::ffff:10.0.0.1": "10.0.0.1", "::FFFF:0a00:0001": "10.0.0.1", // B42
		// D39, case 19: Windows and daemons of Linux log the zone of a link-local peer.
		"fe80::1%eth0": "fe80::1", "FE80::1%12": "fe80::1", "fe80::1%": "fe80::1", "2001:db8::1%a b%c": "2001:db8::1",
		"::ffff:10.0.0.1%eth0": "10.0.0.1", `fe80::1\u0025eth0`: "fe80::1",
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
		"[::1]", "[fe80::1%eth0]", "10.0.0.1%eth0", "%", "%eth0", "%{[src:ip]}", "fe80:%eth0", "fe80::1 %eth0", "localhost", "", "10.0.0.0/8", "10.0.0.1:80", "0x0a.0.0.1",
	} {
		check(t, with("src_ip", `"`+in+`"`), event.BadAddress, "src_ip")
		check(t, with("dst_ip", `"`+in+`"`), event.BadAddress, "dst_ip")
	}
	for _, key := range []string{"src_ip", "dst_ip"} {
		check(t, with(key, ""), event.BadAddress, key)
		check(t, with(key, "null"), event.BadType, key)
		check(t, with(key, "167772161"), event.BadAddress, key) // D39: its text is no address
		check(t, with(key, "true"), event.BadAddress, key)
		check(t, with(key, "10.5"), event.BadAddress, key)
		check(t, with(key, `{"ip":"10.0.0.1"}`), event.BadType, key)
		check(t, with(key, `["10.0.0.1"]`), event.BadType, key)
	}
}

// Scenario C2, D39: a number that rules compare is a JSON number of whole value in
// any notation, digits in quotes, or "" for 0.
func TestDecodeNumbers(t *testing.T) {
	t.Parallel()
	const none = 0
	for _, key := range []string{"src_port", "dst_port", "plugin_id", "plugin_sid"} {
		for _, c := range []struct {
			in   string
			want event.Reason
			n    uint64
		}{
			{"", event.Accepted, none},
			{"null", event.Accepted, none},
			{"0", event.Accepted, none},
			{"65535", event.Accepted, 65535},
			{"-0", event.Accepted, none},
			{"-0.0e5", event.Accepted, none},
			{"0e99999999999999999999", event.Accepted, none},
			{"80.0", event.Accepted, 80},
			{"1e3", event.Accepted, 1000},
			{"1E+3", event.Accepted, 1000},
			{"0.8e2", event.Accepted, 80},
			{"8000e-2", event.Accepted, 80},
			{"80." + strings.Repeat("0", 1000), event.Accepted, 80},
			{"80" + strings.Repeat("0", 1000) + "e-1000", event.Accepted, 80},
			{`""`, event.Accepted, none},
			{`"80"`, event.Accepted, 80},
			{`"0080"`, event.Accepted, 80},
			{`"` + strings.Repeat("0", 100) + `80"`, event.Accepted, 80},
			{`"\u00380"`, event.Accepted, 80},
			{`" 80"`, event.BadType, none},
			{`"80 "`, event.BadType, none},
			{`"+80"`, event.BadType, none},
			{`"-80"`, event.BadType, none},
			{`"80.0"`, event.BadType, none},
			{`"8e1"`, event.BadType, none},
			{`"0x50"`, event.BadType, none},
			{`"８０"`, event.BadType, none},
			{`"http"`, event.BadType, none},
			{"true", event.BadType, none},
			{"false", event.BadType, none},
			{"[80]", event.BadType, none},
			{`{"port":80}`, event.BadType, none},
			{"80.5", event.OutOfRange, none},
			{"8e-1", event.OutOfRange, none},
			{"1e-99999999999999999999", event.OutOfRange, none},
			{"-1", event.OutOfRange, none},
			{"-80.0", event.OutOfRange, none},
			{"18446744073709551616", event.OutOfRange, none},
			{"1e20", event.OutOfRange, none},
			{"1e400", event.OutOfRange, none},
			{"1e99999999999999999999", event.OutOfRange, none},
			{`"18446744073709551616"`, event.OutOfRange, none},
			{`"99999999999999999999999999999999999999"`, event.OutOfRange, none},
			{"080", event.BadJSON, none},
			{"+80", event.BadJSON, none},
			{"0x50", event.BadJSON, none},
			{"NaN", event.BadJSON, none},
		} {
			field := key
			if c.want == event.Accepted || c.want == event.BadJSON {
				field = ""
			}
			members := map[string]string{key: c.in, "product": `"p"`, "category": `"c"`} // so that 0 is good everywhere
			ev := check(t, text(members), c.want, field)
			got := map[string]uint64{
				"src_port": uint64(ev.SrcPort), "dst_port": uint64(ev.DstPort), "plugin_id": ev.PluginID, "plugin_sid": ev.PluginSID,
			}[key]
			if c.want == event.Accepted && got != c.n {
				t.Errorf("%s of %.50s is %d, want %d", key, c.in, got, c.n)
			}
		}
	}
	check(t, with("src_port", "65536"), event.OutOfRange, "src_port")
	check(t, with("dst_port", `"65536"`), event.OutOfRange, "dst_port")
	for _, in := range []string{"18446744073709551615", `"18446744073709551615"`, "18446744073709551615.0", "1844674407370955161500e-2"} {
		if ev := check(t, with("plugin_id", in), event.Accepted, ""); ev.PluginID != math.MaxUint64 {
			t.Errorf("plugin_id of %s is %d", in, ev.PluginID)
		}
	}
}

// D39: numbers that only inform are 0 where they are none, and reject nothing.
func TestDecodeNumbersThatOnlyInform(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		conn uint64
		rcvd int64
	}{
		"null": {}, `""`: {}, "5": {5, 5}, `"5"`: {5, 5}, "5.0": {5, 5}, "5e0": {5, 5},
		"-5": {0, -5}, `"-5"`: {}, "-5.0": {0, -5}, "-0": {}, "5.5": {}, "true": {}, "[5]": {}, `{"a":5}`: {}, `"x"`: {}, `" 5"`: {},
		"18446744073709551615": {math.MaxUint64, 0}, "18446744073709551616": {},
		"9223372036854775807": {math.MaxInt64, math.MaxInt64}, "9223372036854775808": {1 << 63, 0},
		"-9223372036854775808": {0, math.MinInt64}, "-9223372036854775809": {}, "1e400": {}, "-1e400": {},
	} {
		ev := check(t, text(map[string]string{"conn_id": in, "rcvd_time": in}), event.Accepted, "")
		if ev.ConnID != want.conn || ev.ReceivedAt != want.rcvd {
			t.Errorf("%s: conn_id %d, rcvd_time %d, want %+v", in, ev.ConnID, ev.ReceivedAt, want)
		}
	}
	check(t, with("conn_id", "05"), event.BadJSON, "")
}

// D39: a text is a string, or a number or a boolean as it is written. What has no
// text is left out where it only informs, and rejects the event where rules compare.
func TestDecodeTexts(t *testing.T) {
	t.Parallel()
	fields := map[string]func(*event.Event) string{
		"event_id": func(e *event.Event) string { return e.ID },
		"sensor":   func(e *event.Event) string { return e.Sensor }, "protocol": func(e *event.Event) string { return e.Protocol },
		"title": func(e *event.Event) string { return e.Title }, "product": func(e *event.Event) string { return e.Product },
		"category": func(e *event.Event) string { return e.Category }, "subcategory": func(e *event.Event) string { return e.Subcategory },
		"custom_data1": func(e *event.Event) string { return e.CustomData[0] }, "custom_label1": func(e *event.Event) string { return e.CustomLabel[0] },
		"custom_data2": func(e *event.Event) string { return e.CustomData[1] }, "custom_label2": func(e *event.Event) string { return e.CustomLabel[1] },
		"custom_data3": func(e *event.Event) string { return e.CustomData[2] }, "custom_label3": func(e *event.Event) string { return e.CustomLabel[2] },
	}
	compared := map[string]bool{
		"product": true, "category": true, "subcategory": true, "custom_data1": true, "custom_data2": true, "custom_data3": true,
	}
	for key, of := range fields {
		for in, want := range map[string]string{
			`"x"`: "x", `""`: "", "null": "", "": "", "5": "5", "-0.50e+1": "-0.50e+1", "true": "true", "false": "false",
			"12345678901234567890123": "12345678901234567890123", "0": "0",
		} {
			for _, around := range []string{"", " ", "\n\t"} {
				if in == "" && around != "" {
					continue
				}
				ev := check(t, text(map[string]string{key: around + in + around}), event.Accepted, "")
				if got := of(&ev); got != want {
					t.Errorf("%s of %q is %q, want %q", key, around+in, got, want)
				}
			}
		}
		for _, in := range []string{"{}", `{"name":"x"}`, "[]", `["a\u0062"]`, `[[{}]]`} {
			if compared[key] {
				check(t, with(key, in), event.BadType, key)
				continue
			}
			if ev := check(t, with(key, in), event.Accepted, ""); of(&ev) != "" {
				t.Errorf("%s of %s is %q", key, in, of(&ev))
			}
		}
	}
}

// §1.5.3, D39: a key given twice is refused, unless it only informs. The last one
// counts then, be it none.
func TestDecodeKeysGivenTwice(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		"event_id", "timestamp", "src_ip", "dst_ip", "product", "category", "subcategory", "custom_data1", "custom_data2", "custom_data3",
		"src_port", "dst_port", "plugin_id", "plugin_sid",
	} {
		check(t, `{"`+key+`":null,`+with(key, "null")[1:], event.DuplicateKey, key)
	}
	for _, c := range []struct {
		in   string
		want event.Event
	}{
		{`"sensor":"a","sensor":"b"`, event.Event{Sensor: "b"}},
		{`"sensor":"a","sensor":null`, event.Event{}},
		{`"sensor":"a","sensor":{}`, event.Event{}},
		{`"s\u0065nsor":"a","sensor":"b"`, event.Event{Sensor: "b"}},
		{`"sensor":"a","s\u0065nsor":"b"`, event.Event{Sensor: "b"}},
		{`"title":[],"title":1`, event.Event{Title: "1"}},
		{`"protocol":"a","protocol":"b","protocol":"\u0063"`, event.Event{Protocol: "c"}},
		{`"custom_label1":"a","custom_label1":"b"`, event.Event{CustomLabel: [event.CustomFields]string{"b"}}},
		{`"custom_label2":"a","custom_label2":"b"`, event.Event{CustomLabel: [event.CustomFields]string{"", "b"}}},
		{`"custom_label3":"a","custom_label3":"b"`, event.Event{CustomLabel: [event.CustomFields]string{"", "", "b"}}},
		{`"conn_id":1,"conn_id":2`, event.Event{ConnID: 2}},
		{`"conn_id":1,"conn_id":"x"`, event.Event{}},
		{`"rcvd_time":1,"rcvd_time":-2`, event.Event{ReceivedAt: -2}},
	} {
		got, plain := check(t, text(nil)[:len(text(nil))-1]+","+c.in+"}", event.Accepted, ""), check(t, text(nil), event.Accepted, "")
		want := plain
		want.Sensor, want.Title, want.Protocol, want.CustomLabel = c.want.Sensor, c.want.Title, c.want.Protocol, c.want.CustomLabel
		want.ConnID, want.ReceivedAt = c.want.ConnID, c.want.ReceivedAt
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.in, diff)
		}
	}
}

// D39, case 05: each byte that is not UTF-8 and each half surrogate becomes one
// U+FFFD, as encoding/json has it in the original.
func TestDecodeRepairsEncoding(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"\xff": "\ufffd", "caf\xe9": "caf\ufffd", "\xc0\xaf": "\ufffd\ufffd", "\xed\xa0\x80": "\ufffd\ufffd\ufffd", "\x80x": "\ufffdx",
		"\xe4\xb8": "\ufffd\ufffd", "\xc3(": "\ufffd(", "é\xffé": "é\ufffdé", strings.Repeat("\xff", 100): strings.Repeat("\ufffd", 100),
		`\ud83d`: "\ufffd", `\udce9`: "\ufffd", `\ud800\ud800`: "\ufffd\ufffd", `\udc00\ud800`: "\ufffd\ufffd", `\uD83d\ude00\ude00`: "😀\ufffd",
		`\ud800\u0041`: "\ufffdA", `\ud800\n`: "\ufffd\n", `\ud800x`: "\ufffdx", "\\ud800\xff": "\ufffd\ufffd", `\\ud800`: `\ud800`, `\\\ud800`: "\\\ufffd",
	} {
		repaired := uint32(strings.Count(want, "\ufffd"))
		for _, key := range []string{"event_id", "sensor", "title", "product", "custom_data1", "custom_label3"} {
			ev := check(t, with(key, `"`+in+`"`), event.Accepted, "")
			got := map[string]string{
				"event_id": ev.ID, "sensor": ev.Sensor, "title": ev.Title, "product": ev.Product,
				"custom_data1": ev.CustomData[0], "custom_label3": ev.CustomLabel[2],
			}[key]
			if got != want || ev.Repaired != repaired {
				t.Errorf("%s of %q is %q, repaired %d times, want %q", key, in, got, ev.Repaired, want)
			}
		}
		if ev := check(t, with("x", `{"`+in+`":["`+in+`"]}`), event.Accepted, ""); ev.Repaired != 2*repaired {
			t.Errorf("unknown key %q: repaired %d times", in, ev.Repaired)
		}
		check(t, with("timestamp", `"`+in+`"`), event.BadTimestamp, "timestamp")
		check(t, with("src_ip", `"`+in+`"`), event.BadAddress, "src_ip")
	}
	for in, want := range map[string]event.Reason{
		text(nil) + "\xff": event.BadJSON, "\xff" + text(nil): event.BadJSON, with("x", "\xff"): event.BadJSON, with("x", `"\ud8"`): event.BadJSON,
		"\xff\xfe{\x00}\x00": event.BadEncoding, "\xfe\xff\x00{\x00}": event.BadEncoding, "\xff\xfe": event.BadEncoding,
	} {
		check(t, in, want, "")
	}
	if ev := check(t, text(nil), event.Accepted, ""); ev.Repaired != 0 {
		t.Errorf("repaired %d times", ev.Repaired)
	}
	// The limit is that of what was sent.
	fill := strings.Repeat("\xff", event.MaxSize-len(with("title", `""`)))
	if ev := check(t, with("title", `"`+fill+`"`), event.Accepted, ""); len(ev.Title) != 3*len(fill) {
		t.Errorf("title of %d bytes, want %d", len(ev.Title), 3*len(fill))
	}
	check(t, with("title", `"x`+fill+`"`), event.TooLarge, "")
}

// D42: bytes that other tools leave in a text.
func TestDecodeLeavesOutNULAndMark(t *testing.T) {
	t.Parallel()
	want := check(t, text(nil), event.Accepted, "")
	for _, in := range []string{
		"\ufeff" + text(nil), strings.Repeat("\x00", 4096) + text(nil), text(nil) + "\x00", strings.Join(strings.Split(text(nil), ""), "\x00"),
		"\ufeff\x00 " + text(nil),
	} {
		if diff := cmp.Diff(want, check(t, in, event.Accepted, ""), compare); diff != "" {
			t.Errorf("%.20q... (-want +got):\n%s", in, diff)
		}
	}
	check(t, "\ufeff", event.BadJSON, "")
	check(t, "\x00", event.BadJSON, "")
	check(t, text(nil)+"\ufeff", event.BadJSON, "")
}

// D41: documents as Elasticsearch exports them.
func TestDecodeReadsExportsOfElasticsearch(t *testing.T) {
	t.Parallel()
	want := check(t, text(nil), event.Accepted, "")
	for _, in := range []string{
		`{"_index":"siem","_id":"1","_score":1,"_source":` + text(nil) + `}`, `{"_source":` + text(nil) + `}`, "\ufeff{\n \"_source\" : " + text(nil) + "\n}",
		`{"_source":null,"_source":` + text(nil) + `}`, `{"_sourc\u0065":` + text(nil) + `,"sort":[1]}`,
	} {
		if diff := cmp.Diff(want, check(t, in, event.Accepted, ""), compare); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
	check(t, with("_source", `{"src_ip":"x"}`), event.Accepted, "") // an event that has such a key, too
	check(t, `{"title":"t","_source":`+text(nil)+`}`, event.BadTimestamp, "timestamp")
	check(t, `{"_source":{"_source":`+text(nil)+`}}`, event.BadTimestamp, "timestamp")
	check(t, `{"_source":[`+text(nil)+`]}`, event.BadTimestamp, "timestamp")
	check(t, `{"_source":`+text(nil)+`}}`, event.BadJSON, "")
	check(t, `{"_source":{"src_ip":"::1","src_ip":"::1"}}`, event.DuplicateKey, "src_ip")
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
		{"BOM, D42", "\ufeff" + valid, event.Accepted, ""},
		{"comment", "/**/" + valid, event.BadJSON, ""},
		{"raw newline in a string", with("title", "\"a\nb\""), event.BadJSON, ""},
		{"bad escape", with("title", `"\x"`), event.BadJSON, ""},
		{"lone high surrogate, D39", with("title", `"\ud800"`), event.Accepted, ""},
		{"lone low surrogate, D39", with("title", `"\udc00x"`), event.Accepted, ""},
		{"lone surrogate in an unknown key, D39", with("x", `"\ud800"`), event.Accepted, ""},
		{"not UTF-8, D39", with("title", "\"\xff\""), event.Accepted, ""},
		{"not UTF-8 in an unknown key, D39", with("x", "\"\xc3\x28\""), event.Accepted, ""},
		{"surrogate in UTF-8, D39", with("title", "\"\xed\xa0\x80\""), event.Accepted, ""},
		{"deep, within the limit", nested(9_000), event.Accepted, ""},
		{"too deep", nested(10_001), event.BadJSON, ""},
		{"number for a string, D39", with("title", "5"), event.Accepted, ""},
		{"object for a string that rules compare, D39", with("custom_data2", "{}"), event.BadType, "custom_data2"},
		{"object for a string that informs, D39", with("custom_label2", "{}"), event.Accepted, ""},
		{"bool for a string, D39", with("event_id", "false"), event.Accepted, ""},
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
		{"\xff\xfe" + `{"title":"`, event.BadEncoding, ""},
		{`{"product":[],"product":"x","src_port":-1`, event.BadJSON, ""},
		{`{"src_port":-1,"product":[],"product":"x"}`, event.DuplicateKey, "product"},
		{`{"timestamp":"","src_port":-1,"product":[]}`, event.BadType, "product"},
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
		with("src_ip", `"10.0.0.1%eth0"`):                `bad_address: src_ip: "10.0.0.1%eth0": want an IPv4 or IPv6 address`,
		with("timestamp", `"2023-01-01"`):                `bad_timestamp: timestamp: "2023-01-01": want T or a blank after the date`,
		`{"a" 1}`:                                        "bad_json: at byte 5: invalid character '1' after object name (expecting ':')",
		`{"a":`:                                          "bad_json: unexpected end of text",
		`{"product":"a","product":"b"}`:                  "duplicate_key: product: given twice",
		strings.Repeat("x", event.MaxSize+1):             "too_large: 1048577 bytes, the limit is 1048576",
		with("plugin_id", "0"):                           "no_identity: want plugin_id and plugin_sid, or product and category",
		"\xff\xfe":                                       "bad_encoding: UTF-16, want UTF-8",
		with("src_port", `"x"`):                          "bad_type: src_port: want a number",
		with("timestamp", "1672531200"):                  `bad_timestamp: timestamp: "1672531200": want a date as in 2006-01-02`,
		with("timestamp", `"9999-01-01T00:00:00Z"`): `bad_timestamp: timestamp: "9999-01-01T00:00:00Z": ` +
			"want a time from 1970-01-01T00:00:00Z to 2262-04-11T23:47:16.854775807Z",
		"[]":                                     "bad_json: not an object",
		text(nil) + "{}":                         "bad_json: text after the object",
		with("dst_ip", ""):                       "bad_address: dst_ip: missing",
		with("dst_ip", "null"):                   "bad_type: dst_ip: null, want a string",
		with("timestamp", `"2023-02-30T0:0:0Z"`): `bad_timestamp: timestamp: "2023-02-30T0:0:0Z": impossible date`,
		with("timestamp", `"2023-02-03T00:00:0"`): `bad_timestamp: timestamp: "2023-02-03T00:00:0": want an offset: Z, UTC or as in +07:00`,
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
			in := fmt.Appendf(nil, `{"event_id":"\u0065%d","title":"t%d","product":[%d],%s`, i, i, i, text(map[string]string{"event_id": ""})[1:])
			good := bytes.Replace(in, fmt.Appendf(nil, `"product":[%d]`, i), fmt.Appendf(nil, `"product":%d`, i), 1)
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
		"2023-03-26T01:59:59+01:00", "1970-01-01T00:00:00Z", "1972-02-29T20:17:40.123-05:00",
		"2204-02-29T23:59:59-23:59", "2100-03-01T00:00:00Z",
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
