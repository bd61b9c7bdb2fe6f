package live

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate"
	"dsiem/internal/event"
	"dsiem/test/testkit"
)

// samples returns the samples of a registry without buckets of histograms.
func samples(t *testing.T, reg *prometheus.Registry) []string {
	t.Helper()
	return slices.DeleteFunc(testkit.Samples(t, reg), func(s string) bool { return strings.Contains(s, "_bucket") })
}

func TestMetricsOfACorrelator(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	c := NewCorrelator(Options{Config: nobody(), Shards: 1})
	c.Register(reg, 6)
	n := &c.counts
	n.offered.Store(512)
	n.unwanted.Store(1000)
	n.whitelisted.Store(8)
	n.rejected[event.BadJSON].Store(3)
	n.changes([]correlate.Change{
		{Kind: correlate.Opened},
		{Kind: correlate.Accepted, Order: correlate.Order{Step: 1}},
		{Kind: correlate.Accepted, Order: correlate.Order{Step: 1}},
		{Kind: correlate.Advanced},
		{Kind: correlate.Updated},
		{Kind: correlate.Accepted, Order: correlate.Order{Step: 2}},
		{Kind: correlate.Expired},
		{Kind: correlate.Expired},
		{Kind: correlate.Finished},
	})
	n.alarmLines[alarm.High].Store(3)
	n.engine.Store(&correlate.Stats{Live: 9, Active: 4, Future: 2, OutOfOrder: 3, Evicted: 1})
	n.late.Store(5)
	n.stepped(512*time.Microsecond, 512)
	n.stepped(time.Second, 0)
	n.latency.Observe(3*time.Millisecond, 40)
	got := samples(t, reg)
	for _, want := range []string{
		`dsiem_alarms_written_total{class="high"} 3`,
		`dsiem_alarms_written_total{class="low"} 0`,
		`dsiem_alarms_written_total{class="medium"} 0`,
		`dsiem_backlogs 9`,
		`dsiem_backlogs_closed_total{outcome="completed"} 1`,
		`dsiem_backlogs_closed_total{outcome="discarded"} 6`,
		`dsiem_backlogs_closed_total{outcome="expired"} 1`,
		`dsiem_backlogs_closed_total{outcome="evicted"} 1`,
		`dsiem_events_adjusted_total{reason="future"} 2`,
		`dsiem_events_late_total 5`,
		`dsiem_events_swallowed_total{reason="out_of_order"} 3`,
		`dsiem_backlogs_opened_total 1`,
		`dsiem_directives_active 4`,
		`dsiem_directives_ttl 0`,
		`dsiem_event_latency_seconds_sum 0.12`,
		`dsiem_event_latency_seconds_count 40`,
		`dsiem_events_matched_total 2`,
		`dsiem_events_total{outcome="accepted"} 512`,
		`dsiem_events_total{outcome="bad_json"} 3`,
		`dsiem_events_total{outcome="unwanted"} 1000`,
		`dsiem_events_total{outcome="whitelisted"} 8`,
		`dsiem_step_duration_seconds_sum 0.000512`,
		`dsiem_step_duration_seconds_count 512`,
	} {
		if !slices.Contains(got, want) {
			t.Errorf("there is no sample %s", want)
		}
	}
	outcomes := 0
	for _, s := range got {
		if strings.HasPrefix(s, "dsiem_events_total{") {
			outcomes++
		}
	}
	if outcomes != int(event.Reasons) {
		t.Errorf("%d outcomes are shown, want %d:\n%s", outcomes, event.Reasons, strings.Join(got, "\n"))
	}
}

func TestMetricsOfAQueue(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	q := NewQueue(QueueOptions{Events: 2})
	q.Register(reg)
	q.Put([]byte("one"))
	if diff := cmp.Diff([]string{`dsiem_queue_capacity 48`, `dsiem_queue_length 1`}, samples(t, reg)); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}
