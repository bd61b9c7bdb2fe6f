package enrich

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/test/testkit"
)

func TestLookupsHaveBoundedLabels(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := NewMetrics(reg, []Service{{Name: "wise"}})
	for _, outcome := range []Outcome{Found, Nothing, Cached, Joined, Abandoned, Failed, Skipped, Dropped, OverLimit} {
		m.count(&Service{Name: "wise"}, outcome, 0)
	}
	m.count(&Service{Name: "made up"}, Failed, 0)
	m.count(&Service{Name: "made up too"}, Failed, 0)
	want := []string{
		`dsiem_lookups_total{outcome="cached",source="other"} 0`,
		`dsiem_lookups_total{outcome="cached",source="wise"} 2`,
		`dsiem_lookups_total{outcome="failed",source="other"} 2`,
		`dsiem_lookups_total{outcome="failed",source="wise"} 1`,
		`dsiem_lookups_total{outcome="hit",source="other"} 0`,
		`dsiem_lookups_total{outcome="hit",source="wise"} 1`,
		`dsiem_lookups_total{outcome="miss",source="other"} 0`,
		`dsiem_lookups_total{outcome="miss",source="wise"} 1`,
		`dsiem_lookups_total{outcome="skipped",source="other"} 0`,
		`dsiem_lookups_total{outcome="skipped",source="wise"} 3`,
		`dsiem_lookups_total{outcome="timed_out",source="other"} 0`,
		`dsiem_lookups_total{outcome="timed_out",source="wise"} 1`,
	}
	got := slices.DeleteFunc(testkit.Samples(t, reg), func(s string) bool { return strings.Contains(s, "duration") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestOnlyLookupsThatAskedASourceTookTime(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := NewMetrics(reg, nil)
	m.count(&Service{Name: "wise"}, Cached, 0)
	m.count(&Service{Name: "wise"}, Failed, 3*time.Second)
	got := testkit.Samples(t, reg)
	for _, want := range []string{
		`dsiem_lookup_duration_seconds_bucket{le="2"} 0`,
		`dsiem_lookup_duration_seconds_bucket{le="5"} 1`,
		`dsiem_lookup_duration_seconds_sum 3`,
		`dsiem_lookup_duration_seconds_count 1`,
	} {
		if !slices.Contains(got, want) {
			t.Errorf("missing %s in:\n%s", want, strings.Join(got, "\n"))
		}
	}
}
