package event_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/event"
)

const (
	aParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	aState  = "vendor=a,other=b"
)

func aCarrier() *rapid.Generator[event.Carrier] {
	return rapid.Custom(func(t *rapid.T) event.Carrier {
		c := event.Carrier{TraceParent: rapid.SampledFrom([]string{"", aParent, "\"\\\n"}).Draw(t, "parent")}
		if c.TraceParent != "" {
			c.TraceState = rapid.SampledFrom([]string{"", aState, "\"é"}).Draw(t, "state")
		}
		return c
	})
}

func TestDecodeReadsWhatAppendMessageWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want, carrier := anEvent().Draw(t, "event"), aCarrier().Draw(t, "carrier")
		in := event.AppendMessage([]byte("{"), &want, carrier)[1:]
		var got event.Event
		if rej := event.Decode(in, &got); rej != nil {
			t.Fatalf("%s: %v", in, rej)
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", in, diff)
		}
		if got := event.ReadCarrier(in); got != carrier {
			t.Fatalf("%s: carrier %+v, want %+v", in, got, carrier)
		}
	})
}

func TestAppendMessage(t *testing.T) {
	t.Parallel()
	least := event.Event{
		Seconds: 1704067200, SrcIP: netip.MustParseAddr("192.0.2.1"), DstIP: netip.MustParseAddr("2001:db8::1"),
	}
	full := event.Event{
		ID: "e1", Seconds: 1704067200, Nanos: 250_000_000, Sensor: "s", Title: "a \"b\"", Protocol: "ICMP",
		SrcIP: least.SrcIP, DstIP: least.DstIP, SrcPort: 1, DstPort: 2, PluginID: 1001, PluginSID: 2100384,
		Product: "p", Category: "c", Subcategory: "sc",
		CustomData: [event.CustomFields]string{"d1", "", "d3"}, CustomLabel: [event.CustomFields]string{"l1", "l2", ""},
		ConnID: 7, ReceivedAt: 1711428290978559000,
	}
	const start = `{"event_id":"","timestamp":"2024-01-01T00:00:00Z","sensor":"","title":"","src_ip":"192.0.2.1","dst_ip":"2001:db8::1",` +
		`"plugin_id":0,"plugin_sid":0,"product":"","category":"","src_port":0,"dst_port":0,"protocol":""`
	// Decision D44 of docs/spec/correlation.md: what a frontend says comes last.
	const end = `,"rcvd_time":0,"conn_id":0}`
	for _, c := range []struct {
		name    string
		in      event.Event
		carrier event.Carrier
		want    string
	}{
		{"D43 empty members are there", least, event.Carrier{}, start + end},
		{
			"trace", least,
			event.Carrier{TraceParent: aParent},
			start + `,"carrier":{"traceparent":"` + aParent + `"},"trace_parent":"` + aParent + `"` + end,
		},
		{
			"trace with state", least,
			event.Carrier{TraceParent: aParent, TraceState: aState},
			start + `,"carrier":{"traceparent":"` + aParent + `","tracestate":"` + aState + `"},"trace_parent":"` + aParent +
				`","trace_state":"` + aState + `"` + end,
		},
		{"state without trace", least, event.Carrier{TraceState: aState}, start + end},
		{
			"full", full,
			event.Carrier{},
			`{"event_id":"e1","timestamp":"2024-01-01T00:00:00.25Z","sensor":"s","title":"a \"b\"","src_ip":"192.0.2.1","dst_ip":"2001:db8::1",` +
				`"plugin_id":1001,"plugin_sid":2100384,"product":"p","category":"c","subcategory":"sc","src_port":1,"dst_port":2,` +
				`"protocol":"ICMP","custom_data1":"d1","custom_label1":"l1","custom_label2":"l2","custom_data3":"d3",` +
				`"rcvd_time":1711428290978559000,"conn_id":7}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := string(event.AppendMessage([]byte("x"), &c.in, c.carrier)); got != "x"+c.want {
				t.Errorf("got  %s\nwant x%s", got, c.want)
			}
		})
	}
}

// A backend of the seed or its successor reads a message into a structure of
// these types and drops it if one is missing (docs/spec/interfaces.md §4.4).
func TestAppendMessageSuitsStrictReaders(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ev, carrier := anEvent().Draw(t, "event"), aCarrier().Draw(t, "carrier")
		in := event.AppendMessage(nil, &ev, carrier)
		var members map[string]json.RawMessage
		if err := json.Unmarshal(in, &members); err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		for _, key := range []string{"event_id", "timestamp", "sensor", "title", "src_ip", "dst_ip", "product", "category", "protocol"} {
			if raw := members[key]; len(raw) < 2 || raw[0] != '"' {
				t.Fatalf("%s: %s is %s, want a string", in, key, raw)
			}
		}
		for _, key := range []string{"plugin_id", "plugin_sid", "src_port", "dst_port", "conn_id", "rcvd_time"} {
			var n json.Number
			if err := json.Unmarshal(members[key], &n); err != nil || n == "" {
				t.Fatalf("%s: %s is %s, want a number", in, key, members[key])
			}
		}
		for _, key := range []string{"carrier", "trace_parent"} {
			if _, ok := members[key]; ok != (carrier.TraceParent != "") {
				t.Fatalf("%s: has %s: %v", in, key, ok)
			}
		}
	})
}

func TestReadCarrier(t *testing.T) {
	t.Parallel()
	both := event.Carrier{TraceParent: aParent, TraceState: aState}
	for _, c := range []struct {
		name, in string
		want     event.Carrier
	}{
		{"original", fmt.Sprintf(`{"event_id":"e1","trace_parent":%q,"trace_state":%q}`, aParent, aState), both},
		{"successor", fmt.Sprintf(`{"event_id":"e1","carrier":{"traceparent":%q,"tracestate":""}}`, aParent), event.Carrier{TraceParent: aParent}},
		{"successor with state", fmt.Sprintf(`{"carrier":{"other":"x","tracestate":%q,"traceparent":%q}}`, aState, aParent), both},
		{"successor without tracing", `{"carrier":{}}`, event.Carrier{}},
		{"both, the successor's counts", fmt.Sprintf(`{"trace_parent":"x","trace_state":"y","carrier":{"traceparent":%q}}`, aParent), event.Carrier{TraceParent: aParent}},
		{"both, the successor's empty", fmt.Sprintf(`{"trace_parent":%q,"trace_state":%q,"carrier":{"tracestate":"x"}}`, aParent, aState), both},
		{"escapes", `{"trace_parent":"\u0061\"b"}`, event.Carrier{TraceParent: `a"b`}},
		{"state alone", fmt.Sprintf(`{"trace_state":%q}`, aState), event.Carrier{}},
		{"wrong types", `{"trace_parent":1,"trace_state":[],"carrier":"x"}`, event.Carrier{}},
		{"null", `{"trace_parent":null,"carrier":null}`, event.Carrier{}},
		{"wrong types inside", `{"carrier":{"traceparent":{}}}`, event.Carrier{}},
		{"twice", `{"trace_parent":"a","trace_parent":"b"}`, event.Carrier{}},
		{"no object", `[]`, event.Carrier{}},
		{"broken", `{"trace_parent":"a"`, event.Carrier{}},
		{"nothing", ``, event.Carrier{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := []byte(c.in)
			got := event.ReadCarrier(in)
			clear(in)
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestAppendMessageDoesNotAllocate(t *testing.T) {
	var ev event.Event
	if rej := event.Decode([]byte(benchEvent(500)), &ev); rej != nil {
		t.Fatal(rej)
	}
	carrier := event.Carrier{TraceParent: aParent, TraceState: aState}
	buf := make([]byte, 0, 4096)
	if got := testing.AllocsPerRun(100, func() { buf = event.AppendMessage(buf[:0], &ev, carrier) }); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

func BenchmarkAppendMessage(b *testing.B) {
	var ev event.Event
	if rej := event.Decode([]byte(benchEvent(500)), &ev); rej != nil {
		b.Fatal(rej)
	}
	for name, carrier := range map[string]event.Carrier{"plain": {}, "trace": {TraceParent: aParent, TraceState: aState}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf = event.AppendMessage(buf[:0], &ev, carrier)
			}
		})
	}
}

func BenchmarkReadCarrier(b *testing.B) {
	var ev event.Event
	if rej := event.Decode([]byte(benchEvent(500)), &ev); rej != nil {
		b.Fatal(rej)
	}
	in := event.AppendMessage(nil, &ev, event.Carrier{TraceParent: aParent})
	b.ReportAllocs()
	for b.Loop() {
		if event.ReadCarrier(in).TraceParent == "" {
			b.Fatal("no carrier")
		}
	}
}

// TestPublishedSize: a message is never larger than said, whatever the frontend adds.
func TestPublishedSize(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "e1"} {
		ev := event.Event{
			ID: id, Seconds: 1704067200, SrcIP: netip.MustParseAddr("192.0.2.1"), DstIP: netip.MustParseAddr("2001:db8::1"), Title: "t",
		}
		size := event.PublishedSize(&ev)
		if ev.ID == "" {
			ev.ID = event.NewIDs(1).Next()
		}
		ev.ConnID, ev.ReceivedAt = math.MaxInt64, math.MaxInt64
		message := event.AppendMessage(nil, &ev, event.Carrier{})
		published := event.AppendOrigin(nil, message, event.FrontendID(strings.Repeat("n", 100), strings.Repeat("s", 100)), math.MaxInt64)
		if len(published) > size || len(message)+event.OriginSize > size {
			t.Errorf("%d bytes, and %d before the frontend is named, said were %d", len(published), len(message), size)
		}
		if size > len(published)+20 {
			t.Errorf("%d bytes, said were %d", len(published), size)
		}
	}
}
