package event_test

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/event"
)

// anEvent generates valid events, extreme values included.
func anEvent() *rapid.Generator[event.Event] {
	return rapid.Custom(func(t *rapid.T) event.Event {
		text := func(name string) string {
			return strings.ToValidUTF8(rapid.OneOf(rapid.Just(""), rapid.String()).Draw(t, name), "")
		}
		ev := event.Event{
			ID: text("id"), Sensor: text("sensor"), Title: text("title"), Protocol: text("protocol"),
			Product: text("product"), Category: text("category"), Subcategory: text("subcategory"),
			// The first and last second that a timestamp can name, the last one not to its end.
			Seconds: rapid.Int64Range(0, math.MaxInt64/1_000_000_000).Draw(t, "seconds"),
			Nanos:   rapid.Int32Range(0, 854_775_807).Draw(t, "nanos"),
			SrcIP:   anAddr().Draw(t, "src_ip"), DstIP: anAddr().Draw(t, "dst_ip"),
			SrcPort: rapid.Uint16().Draw(t, "src_port"), DstPort: rapid.Uint16().Draw(t, "dst_port"),
			PluginID: rapid.Uint64().Draw(t, "plugin_id"), PluginSID: rapid.Uint64().Draw(t, "plugin_sid"),
			ConnID: rapid.Uint64().Draw(t, "conn_id"), ReceivedAt: rapid.Int64().Draw(t, "rcvd_time"),
		}
		for i := range event.CustomFields {
			ev.CustomData[i], ev.CustomLabel[i] = text("data"), text("label")
		}
		if !ev.HasPlugin() && !ev.HasTaxonomy() {
			ev.PluginID, ev.PluginSID = 1, 1
		}
		return ev
	})
}

func anAddr() *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		if rapid.Bool().Draw(t, "v4") {
			return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "bytes")))
		}
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))).Unmap()
	})
}

func TestDecodeReadsWhatAppendJSONWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anEvent().Draw(t, "event")
		in := event.AppendJSON([]byte("{"), &want)[1:]
		var got event.Event
		if rej := event.Decode(in, &got); rej != nil {
			t.Fatalf("%s: %v", in, rej)
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", in, diff)
		}
	})
}

func TestAppendJSONLeavesOutEmptyFields(t *testing.T) {
	ev := event.Event{
		Seconds: 1, Nanos: 500_000_000, PluginID: 1, PluginSID: 2, Title: "a & <b>\n",
		SrcIP: netip.MustParseAddr("10.0.0.1"), DstIP: netip.MustParseAddr("2001:db8::1"),
	}
	const want = `x{"timestamp":"1970-01-01T00:00:01.5Z","src_ip":"10.0.0.1","dst_ip":"2001:db8::1",` +
		`"title":"a & <b>\n","plugin_id":1,"plugin_sid":2}`
	if got := string(event.AppendJSON([]byte("x"), &ev)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// FuzzDecode checks that no text makes the decoder panic, that what it accepts
// holds what the fields' comments promise, and that it survives a round trip.
func FuzzDecode(f *testing.F) {
	for _, in := range []string{
		text(nil), benchEvent(500), `{}`, `[]`, ``, "\xff", `{"timestamp":null}`,
		with("src_ip", `"::ffff:10.0.0.1"`), with("dst_ip", `"fe80::1%eth0"`), with("src_port", "65536"),
		with("timestamp", `" +2001 - 1 - 1 0 : 0 : 60.5 utc "`), with("timestamp", `"2262-04-12T23:46:16.8547758079-23:59"`),
		with("src_port", `"80"`), with("plugin_sid", `12e-1`), with("title", `[]`), with("title", `-1.5e3`), with("conn_id", `true`),
		`{"_source":` + text(nil) + `}`, "\ufeff\x00" + text(nil), `{"sensor":"a",` + with("sensor", `"b"`)[1:],
		with("rcvd_time", "-9223372036854775808"), with("title", `"\ud83d\ude00\u0000"`), with("title", `"\ud800"`),
		`{"src_\u0070ort":1,"src_port":1}`, with("x", `[[{"a":[]}]]`),
		text(map[string]string{"plugin_id": "", "product": `"p"`, "category": `"c"`}),
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var ev, again event.Event
		if rej := event.Decode(in, &ev); rej != nil {
			if rej.Reason == event.Accepted || rej.Reason >= event.Unwanted || rej.Detail == "" || ev != (event.Event{}) {
				t.Fatalf("rejection %+v leaves %+v", rej, ev)
			}
			return
		}
		checkInvariants(t, &ev)
		out := event.AppendJSON(nil, &ev)
		if rej := event.Decode(out, &again); rej != nil {
			// An escape that AppendJSON must use can be longer than the original's.
			if rej.Reason == event.TooLarge {
				return
			}
			t.Fatalf("re-encoded as %s: %v", out, rej)
		}
		ev.Repaired = 0 // it is about the text
		if ev != again {
			t.Fatalf("re-encoded as %s (-before +after):\n%s", out, cmp.Diff(ev, again, compare))
		}
	})
}

func checkInvariants(t *testing.T, ev *event.Event) {
	t.Helper()
	at := time.Unix(ev.Seconds, int64(ev.Nanos))
	if ev.Nanos < 0 || ev.Nanos > 999_999_999 || ev.Seconds < 0 || at.After(time.Unix(0, math.MaxInt64)) {
		t.Errorf("time %v, %d s and %d ns", at, ev.Seconds, ev.Nanos)
	}
	for _, addr := range []netip.Addr{ev.SrcIP, ev.DstIP} {
		if !addr.IsValid() || addr.Is4In6() || addr.Zone() != "" {
			t.Errorf("address %v", addr)
		}
	}
	if !ev.HasPlugin() && !ev.HasTaxonomy() {
		t.Error("no identity")
	}
	for _, text := range [][]string{
		{ev.ID, ev.Sensor, ev.Title, ev.Protocol, ev.Product, ev.Category, ev.Subcategory}, ev.CustomData[:], ev.CustomLabel[:],
	} {
		for _, s := range text {
			if !utf8.ValidString(s) {
				t.Errorf("%q is not UTF-8", s)
			}
		}
	}
}
