package metric_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"dsiem/internal/observe/metric"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scraped returns the samples of a registry, without comments.
func scraped(t *testing.T, reg *prometheus.Registry) []string {
	t.Helper()
	rec := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(rec, req)
	var samples []string
	for line := range strings.Lines(rec.Body.String()) {
		if !strings.HasPrefix(line, "#") {
			samples = append(samples, strings.TrimSuffix(line, "\n"))
		}
	}
	return samples
}

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
	if diff := cmp.Diff(want, without(scraped(t, reg), "_bucket")); diff != "" {
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
	m.Checkpoint(time.UnixMilli(1700000000500), 9)
	want := []string{
		`dsiem_alarms_written_total{class="high"} 3`,
		`dsiem_alarms_written_total{class="low"} 0`,
		`dsiem_alarms_written_total{class="medium"} 0`,
		`dsiem_backlogs 9`,
		`dsiem_backlogs_closed_total{outcome="completed"} 0`,
		`dsiem_backlogs_closed_total{outcome="discarded"} 0`,
		`dsiem_backlogs_closed_total{outcome="expired"} 2`,
		`dsiem_backlogs_opened_total 11`,
		`dsiem_checkpoint_backlogs 9`,
		`dsiem_checkpoint_timestamp_seconds 1.7000000005e+09`,
		`dsiem_directives_active 4`,
		`dsiem_directives_ttl 20`,
		`dsiem_step_duration_seconds_sum 0.000512`,
		`dsiem_step_duration_seconds_count 512`,
	}
	got := scraped(t, reg)
	if !slices.Contains(got, `dsiem_step_duration_seconds_bucket{le="1e-06"} 512`) {
		t.Errorf("a microsecond is not in the first bucket: %q", got)
	}
	if diff := cmp.Diff(want, without(got, "_bucket")); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestHistogramBuckets(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := metric.NewLookupMetrics(reg, nil)
	for _, d := range []time.Duration{-time.Second, time.Second, time.Second + 1, time.Hour} {
		m.Took(d)
	}
	got := scraped(t, reg)
	for _, want := range []string{
		`dsiem_lookup_duration_seconds_bucket{le="1e-06"} 1`,
		`dsiem_lookup_duration_seconds_bucket{le="0.5"} 1`,
		`dsiem_lookup_duration_seconds_bucket{le="1"} 2`,
		`dsiem_lookup_duration_seconds_bucket{le="2"} 3`,
		`dsiem_lookup_duration_seconds_bucket{le="600"} 3`,
		`dsiem_lookup_duration_seconds_bucket{le="+Inf"} 4`,
		`dsiem_lookup_duration_seconds_count 4`,
	} {
		if !slices.Contains(got, want) {
			t.Errorf("missing %s in:\n%s", want, strings.Join(got, "\n"))
		}
	}
}

func TestLookupsHaveBoundedLabels(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := metric.NewLookupMetrics(reg, []string{"wise"})
	m.Count("wise", metric.LookupHit)
	m.Count("wise", metric.LookupSkipped)
	m.Count("made up", metric.LookupFailed)
	m.Count("made up too", metric.LookupFailed)
	want := []string{
		`dsiem_lookups_total{outcome="cached",source="other"} 0`,
		`dsiem_lookups_total{outcome="cached",source="wise"} 0`,
		`dsiem_lookups_total{outcome="failed",source="other"} 2`,
		`dsiem_lookups_total{outcome="failed",source="wise"} 0`,
		`dsiem_lookups_total{outcome="hit",source="other"} 0`,
		`dsiem_lookups_total{outcome="hit",source="wise"} 1`,
		`dsiem_lookups_total{outcome="miss",source="other"} 0`,
		`dsiem_lookups_total{outcome="miss",source="wise"} 0`,
		`dsiem_lookups_total{outcome="skipped",source="other"} 0`,
		`dsiem_lookups_total{outcome="skipped",source="wise"} 1`,
		`dsiem_lookups_total{outcome="timed_out",source="other"} 0`,
		`dsiem_lookups_total{outcome="timed_out",source="wise"} 0`,
	}
	if diff := cmp.Diff(want, without(scraped(t, reg), "duration")); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestQueueAndAlarmFilesAreReadWhenAsked(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	queue := make(chan int, 8)
	metric.RegisterQueue(reg, cap(queue), func() int { return len(queue) })
	files := metric.AlarmFiles{}
	metric.RegisterAlarmFiles(reg, func() metric.AlarmFiles { return files })
	queue <- 1
	files = metric.AlarmFiles{
		AlarmLines: 1, AlarmBytes: 900, EventLines: 3, EventBytes: 240,
		Flushes: 2, Retries: 4, Reopened: 1, SyncErrors: 5, Waits: 6, Pending: 77, Failing: true,
	}
	want := []string{
		`dsiem_alarm_file_bytes_total{file="alarm_events"} 240`,
		`dsiem_alarm_file_bytes_total{file="alarms"} 900`,
		`dsiem_alarm_file_failing 1`,
		`dsiem_alarm_file_flushes_total 2`,
		`dsiem_alarm_file_lines_total{file="alarm_events"} 3`,
		`dsiem_alarm_file_lines_total{file="alarms"} 1`,
		`dsiem_alarm_file_pending_bytes 77`,
		`dsiem_alarm_file_reopened_total 1`,
		`dsiem_alarm_file_retries_total 4`,
		`dsiem_alarm_file_sync_errors_total 5`,
		`dsiem_alarm_file_waits_total 6`,
		`dsiem_queue_capacity 8`,
		`dsiem_queue_length 1`,
	}
	if diff := cmp.Diff(want, scraped(t, reg)); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestProcessMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	metric.RegisterProcess(reg, "1.2.3", "abc")
	text := strings.Join(scraped(t, reg), "\n")
	for _, want := range []string{
		`dsiem_build_info{go_version="go`, `revision="abc",version="1.2.3"} 1`, "go_goroutines ", "process_open_fds ",
		"go_cpu_classes_gc_total_cpu_seconds_total ", "go_cpu_classes_gc_mark_idle_cpu_seconds_total ",
		"go_cpu_classes_idle_cpu_seconds_total ", "go_cpu_classes_total_cpu_seconds_total ", "go_gc_heap_live_bytes ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %s", want)
		}
	}
	if strings.Contains(text, "go_cpu_classes_user") {
		t.Error("there are classes of CPU time that nobody asked for")
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
