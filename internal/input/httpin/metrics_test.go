package httpin

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/event"
	"dsiem/test/testkit"
)

func TestEventsAreCountedByOutcome(t *testing.T) {
	t.Parallel()
	h := New(Options{})
	reg := prometheus.NewPedanticRegistry()
	h.Register(reg)
	want := []string{
		`dsiem_events_repaired_total 0`,
		`dsiem_http_events_total{outcome="accepted"} 0`,
		`dsiem_http_events_total{outcome="bad_address"} 0`,
		`dsiem_http_events_total{outcome="bad_encoding"} 0`,
		`dsiem_http_events_total{outcome="bad_json"} 0`,
		`dsiem_http_events_total{outcome="bad_timestamp"} 0`,
		`dsiem_http_events_total{outcome="bad_type"} 0`,
		`dsiem_http_events_total{outcome="duplicate_key"} 0`,
		`dsiem_http_events_total{outcome="limited"} 0`,
		`dsiem_http_events_total{outcome="no_identity"} 0`,
		`dsiem_http_events_total{outcome="out_of_range"} 0`,
		`dsiem_http_events_total{outcome="skipped"} 0`,
		`dsiem_http_events_total{outcome="too_large"} 0`,
		`dsiem_http_events_total{outcome="unavailable"} 0`,
		`dsiem_http_events_total{outcome="withheld"} 0`,
		`dsiem_http_events_without_id_total 0`,
	}
	if diff := cmp.Diff(want, testkit.Samples(t, reg)); diff != "" {
		t.Errorf("before the first event (-want +got):\n%s", diff)
	}
	c := &h.counters
	c.accepted.Store(512)
	c.limited.Store(40)
	c.unavailable.Store(3)
	c.withoutID.Store(6)
	c.repaired.Store(9)
	c.withheld.Store(7)
	c.skipped.Store(8)
	for reason := range c.rejected {
		c.rejected[reason].Store(99) // of reasons that reject no request, nothing is shown
	}
	c.rejected[event.BadJSON].Store(5)
	c.rejected[event.NoIdentity].Store(2)
	want = []string{
		`dsiem_events_repaired_total 9`,
		`dsiem_http_events_total{outcome="accepted"} 512`,
		`dsiem_http_events_total{outcome="bad_address"} 99`,
		`dsiem_http_events_total{outcome="bad_encoding"} 99`,
		`dsiem_http_events_total{outcome="bad_json"} 5`,
		`dsiem_http_events_total{outcome="bad_timestamp"} 99`,
		`dsiem_http_events_total{outcome="bad_type"} 99`,
		`dsiem_http_events_total{outcome="duplicate_key"} 99`,
		`dsiem_http_events_total{outcome="limited"} 40`,
		`dsiem_http_events_total{outcome="no_identity"} 2`,
		`dsiem_http_events_total{outcome="out_of_range"} 99`,
		`dsiem_http_events_total{outcome="skipped"} 8`,
		`dsiem_http_events_total{outcome="too_large"} 99`,
		`dsiem_http_events_total{outcome="unavailable"} 3`,
		`dsiem_http_events_total{outcome="withheld"} 7`,
		`dsiem_http_events_without_id_total 6`,
	}
	if diff := cmp.Diff(want, testkit.Samples(t, reg)); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}
