package httpin_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
	"dsiem/test/testkit"
)

const (
	alert = `{"timestamp":"2023-06-16T08:41:22.345678-0600","flow_id":77,"in_iface":"eth0","event_type":"alert","src_ip":"192.0.2.7",` +
		`"src_port":4904,"dest_ip":"2001:db8::22","dest_port":22,"proto":"TCP","alert":{"signature_id":2001219,"signature":"ET SCAN","category":"c"}}`
	flow = `{"timestamp":"2023-06-16T08:41:22.345678-0600","flow_id":77,"event_type":"flow","src_ip":"192.0.2.7"}`
)

func TestSuricataEVE(t *testing.T) {
	t.Parallel()
	const bare = `{"timestamp":"2023-06-16T08:41:22Z","event_type":"alert","src_ip":"192.0.2.7","dest_ip":"192.0.2.8","alert":{"signature_id":1}}`
	for _, c := range []struct {
		name, in string
		status   int
		text     string
		events   []string
		skipped  uint64
	}{
		{"one", alert, 200, "", []string{"77-2001219-1686926482.345678000"}, 0},
		{"array", `[` + flow + `,` + alert + `,` + flow + `]`, 200, "", []string{"77-2001219-1686926482.345678000"}, 2},
		{"lines", alert + "\n" + bare + "\n", 200, "", []string{"77-2001219-1686926482.345678000 192.0.2.7:0-192.0.2.8:0-1-1686904882.000000000"}, 0},
		{"nothing but other records", flow + "\n" + flow, 200, "", nil, 2},
		{"a sensor is not needed", bare, 200, "", []string{"192.0.2.7:0-192.0.2.8:0-1-1686904882.000000000"}, 0},
		{"with a bad one, D40", flow + "\n" + alert + "\n{}", 200, `{"accepted":1,"rejected":[{"index":2,"reason":"bad_type","detail":"event_type: want a string, as Suricata writes"}]}`, []string{"77-2001219-1686926482.345678000"}, 1},
		{"others and a bad one", flow + "\n{}", 400, "Cannot parse the submitted event: event 2 of the body, counted from 1: bad_type: event_type: want a string, as Suricata writes", nil, 1},
		{"case 20, an alert without addresses", alert + `{"event_type":"alert","timestamp":"2023-06-16T08:41:22Z","alert":{"signature_id":1}}` + alert, 200, "", []string{"77-2001219-1686926482.345678000 77-2001219-1686926482.345678000"}, 1},
		{"D41 syslog", "Jan  1 09:00:00 ids suricata[1]: @cee: " + alert + "\n<13>h suricata: " + flow + "\n", 200, "", []string{"77-2001219-1686926482.345678000"}, 1},
		{"D41 Elasticsearch", `{"_source":` + alert + `}`, 200, "", []string{"77-2001219-1686926482.345678000"}, 0},
		{"no syslog in an array", "[h s: " + alert + "]", 400, "Cannot parse the submitted event: event 1 of the body, counted from 1: bad_json: at byte 1 of the body: want an object, or an array of objects", nil, 0},
		{"invalid", `{"event_type":"alert","timestamp":"2023-06-16T08:41:22Z","src_ip":"192.0.2.7"}`, 418, "Not a valid event: bad_address: dest_ip: missing", nil, 0},
		{"normalized event", ev("e1"), 400, "Cannot parse the submitted event: bad_type: event_type: want a string, as Suricata writes", nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, in := newHandler(httpin.Options{})
			if status, text := answer(t, post(t, h.SuricataEVE, c.in)); status != c.status || text != c.text {
				t.Errorf("got  %d %s\nwant %d %s", status, text, c.status, c.text)
			}
			testkit.Equal(t, in.take(), c.events)
			if got := h.Stats(); got.Skipped != c.skipped || got.Requests[c.status] != 1 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A header of syslog may begin as some kind of file does.
func TestSuricataEVEBehindAHeaderLikeAKindOfFile(t *testing.T) {
	t.Parallel()
	h, in := newHandler(httpin.Options{})
	if status, text := answer(t, post(t, h.SuricataEVE, "LZIP suricata[1]: "+alert)); status != http.StatusOK || len(in.take()) != 1 {
		t.Errorf("%d %s", status, text)
	}
}

func TestSuricataEVEIsMappedAndStamped(t *testing.T) {
	t.Parallel()
	h, in := newHandler(httpin.Options{})
	post(t, h.SuricataEVE, zst(alert), "Content-Encoding: zstd")
	want := event.Event{
		ID: "77-2001219-1686926482.345678000", Seconds: 1686926482, Nanos: 345_678_000, Sensor: "eth0", Title: "ET SCAN", Protocol: "TCP",
		SrcIP: netip.MustParseAddr("192.0.2.7"), DstIP: netip.MustParseAddr("2001:db8::22"), SrcPort: 4904, DstPort: 22,
		PluginID: 1001, PluginSID: 2001219, Product: "Intrusion Detection System", Category: "c",
		ConnID: 1, ReceivedAt: now.UnixNano(),
	}
	if diff := cmp.Diff(want, in.one(t), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	in.take()
	// Both kinds share the numbers.
	post(t, h.Events, ev("e1"))
	if got := in.one(t).ConnID; got != 2 {
		t.Errorf("number %d, want 2", got)
	}
	if r := post(t, h.Events, alert); r.Code != http.StatusTeapot {
		t.Errorf("%d for an alert as a normalized event", r.Code)
	}
}
