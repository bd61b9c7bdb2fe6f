package metric_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/observe/metric"
	"dsiem/test/testkit"
)

// without leaves out the buckets of histograms that did not change.
func without(samples []string, part string) []string {
	return slices.DeleteFunc(samples, func(s string) bool { return strings.Contains(s, part) })
}

func TestEventMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := metric.NewEventMetrics(reg, []string{"accepted", "bad_json", "unknown"})
	m.Outcome(0, 500)
	m.Outcome(0, 12)
	m.Outcome(1, 3)
	m.Outcome(17, 1) // a number this build does not know
	m.Outcome(1, 0)
	m.Dropped(metric.DropQueueFull, 7)
	m.Dropped(metric.DropShutdown, 1)
	m.Matched(40)
	m.Latency(3*time.Millisecond, 40)
	want := []string{
		`dsiem_event_latency_seconds_sum 0.12`,
		`dsiem_event_latency_seconds_count 40`,
		`dsiem_events_dropped_total{reason="queue_full"} 7`,
		`dsiem_events_dropped_total{reason="shutdown"} 1`,
		`dsiem_events_dropped_total{reason="slow_consumer"} 0`,
		`dsiem_events_matched_total 40`,
		`dsiem_events_total{outcome="accepted"} 512`,
		`dsiem_events_total{outcome="bad_json"} 3`,
		`dsiem_events_total{outcome="unknown"} 1`,
	}
	if diff := cmp.Diff(want, without(testkit.Samples(t, reg), "_bucket")); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestEngineMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := metric.NewEngineMetrics(reg)
	m.Step(512*time.Microsecond, 512)
	m.Step(time.Second, 0)
	m.Loaded(20)
	m.Live(9, 4)
	m.Opened(11)
	m.Closed(metric.BacklogExpired, 2)
	m.Alarms(metric.AlarmHigh, 3)
	want := []string{
		`dsiem_alarms_written_total{class="high"} 3`,
		`dsiem_alarms_written_total{class="low"} 0`,
		`dsiem_alarms_written_total{class="medium"} 0`,
		`dsiem_backlogs 9`,
		`dsiem_backlogs_closed_total{outcome="completed"} 0`,
		`dsiem_backlogs_closed_total{outcome="discarded"} 0`,
		`dsiem_backlogs_closed_total{outcome="expired"} 2`,
		`dsiem_backlogs_opened_total 11`,
		`dsiem_directives_active 4`,
		`dsiem_directives_ttl 20`,
		`dsiem_step_duration_seconds_sum 0.000512`,
		`dsiem_step_duration_seconds_count 512`,
	}
	got := testkit.Samples(t, reg)
	if !slices.Contains(got, `dsiem_step_duration_seconds_bucket{le="1e-06"} 512`) {
		t.Errorf("a microsecond is not in the first bucket: %q", got)
	}
	if diff := cmp.Diff(want, without(got, "_bucket")); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestQueueIsReadWhenAsked(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	queue := make(chan int, 8)
	metric.RegisterQueue(reg, cap(queue), func() int { return len(queue) })
	queue <- 1
	want := []string{`dsiem_queue_capacity 8`, `dsiem_queue_length 1`}
	if diff := cmp.Diff(want, testkit.Samples(t, reg)); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func BenchmarkEventMetrics(b *testing.B) {
	m := metric.NewEventMetrics(prometheus.NewRegistry(), []string{"accepted"})
	b.ReportAllocs()
	for b.Loop() {
		m.Outcome(0, 512)
		m.Matched(3)
		m.Latency(time.Millisecond, 512)
	}
}
