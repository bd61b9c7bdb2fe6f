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

func TestSnapshotIsReadWhenAskedAndAllAtOneMoment(t *testing.T) {
	t.Parallel()
	type counts struct {
		a, b, all uint64
		broken    bool
	}
	reg := prometheus.NewPedanticRegistry()
	var now counts
	reads := 0
	s := metric.NewSnapshot(func() counts { reads++; return now })
	add := s.Counters("dsiem_x_total", "X.", "kind")
	add("a", func(c counts) uint64 { return c.a })
	add("b", func(c counts) uint64 { return c.b })
	s.Counter("dsiem_all_total", "All.", func(c counts) uint64 { return c.all })
	s.Gauge("dsiem_broken", "Broken.", func(c counts) float64 { return metric.Truth(c.broken) })
	reg.MustRegister(s)
	for _, step := range []struct {
		now  counts
		want []string
	}{
		{counts{}, []string{`dsiem_all_total 0`, `dsiem_broken 0`, `dsiem_x_total{kind="a"} 0`, `dsiem_x_total{kind="b"} 0`}},
		{
			counts{1, 2, 3, true},
			[]string{`dsiem_all_total 3`, `dsiem_broken 1`, `dsiem_x_total{kind="a"} 1`, `dsiem_x_total{kind="b"} 2`},
		},
	} {
		now, reads = step.now, 0
		if diff := cmp.Diff(step.want, testkit.Samples(t, reg)); diff != "" {
			t.Errorf("samples (-want +got):\n%s", diff)
		}
		if reads != 1 {
			t.Errorf("read %d times", reads)
		}
	}
}

func TestHistogramBuckets(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	h := metric.NewHistogram(reg, "dsiem_lookup_duration_seconds", "Time.")
	for _, d := range []time.Duration{-time.Second, time.Second, time.Second + 1, time.Hour} {
		h.Observe(d, 1)
	}
	got := testkit.Samples(t, reg)
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

func TestProcessMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	metric.RegisterProcess(reg, "1.2.3", "abc")
	text := strings.Join(testkit.Samples(t, reg), "\n")
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
