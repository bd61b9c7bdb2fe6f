package metric_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"dsiem/internal/observe/metric"
	"dsiem/test/testkit"
)

func TestHTTPEventsAreReadWhenAsked(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	var counts metric.HTTPEvents
	metric.RegisterHTTPEvents(reg, []string{"", "bad_json", "no_identity"}, func() metric.HTTPEvents { return counts })
	want := []string{
		`dsiem_http_events_total{outcome="accepted"} 0`,
		`dsiem_http_events_total{outcome="bad_json"} 0`,
		`dsiem_http_events_total{outcome="limited"} 0`,
		`dsiem_http_events_total{outcome="no_identity"} 0`,
		`dsiem_http_events_total{outcome="unavailable"} 0`,
	}
	if diff := cmp.Diff(want, testkit.Samples(t, reg)); diff != "" {
		t.Errorf("before the first event (-want +got):\n%s", diff)
	}
	// More reasons than names, as after a change of the set.
	counts = metric.HTTPEvents{Accepted: 512, Limited: 40, Unavailable: 3, Rejected: []uint64{9, 5, 2, 99}}
	want = []string{
		`dsiem_http_events_total{outcome="accepted"} 512`,
		`dsiem_http_events_total{outcome="bad_json"} 5`,
		`dsiem_http_events_total{outcome="limited"} 40`,
		`dsiem_http_events_total{outcome="no_identity"} 2`,
		`dsiem_http_events_total{outcome="unavailable"} 3`,
	}
	if diff := cmp.Diff(want, testkit.Samples(t, reg)); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestLimiterAndNATSAreReadWhenAsked(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	limiter, nats := metric.Limiter{EPS: 550}, metric.NATS{Connected: true, Published: 7}
	metric.RegisterLimiter(reg, func() metric.Limiter { return limiter })
	metric.RegisterNATS(reg, func() metric.NATS { return nats })
	want := []string{`dsiem_eps_limit 550`, `dsiem_nats_connected 1`, `dsiem_nats_published_total 7`, `dsiem_overloaded 0`}
	if diff := cmp.Diff(want, testkit.Samples(t, reg)); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
	limiter, nats = metric.Limiter{EPS: 460, Overloaded: true}, metric.NATS{Published: 8}
	want = []string{`dsiem_eps_limit 460`, `dsiem_nats_connected 0`, `dsiem_nats_published_total 8`, `dsiem_overloaded 1`}
	if diff := cmp.Diff(want, testkit.Samples(t, reg)); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestRefusalsAreCountedByReason(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	metric.RegisterRefusals(reg, func() metric.Refusals {
		return metric.Refusals{NoCredentials: 1, WrongCredentials: 2, MissingRight: 3, Busy: 4}
	})
	want := []string{
		`dsiem_http_refused_total{reason="busy"} 4`, `dsiem_http_refused_total{reason="missing_right"} 3`,
		`dsiem_http_refused_total{reason="no_credentials"} 1`, `dsiem_http_refused_total{reason="wrong_credentials"} 2`,
	}
	if diff := cmp.Diff(want, testkit.Samples(t, reg)); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestMetricsFollowTheConventionsOfPrometheus(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	metric.RegisterHTTPEvents(reg, []string{"bad_json"}, func() metric.HTTPEvents { return metric.HTTPEvents{} })
	metric.RegisterLimiter(reg, func() metric.Limiter { return metric.Limiter{} })
	metric.RegisterNATS(reg, func() metric.NATS { return metric.NATS{} })
	metric.RegisterRefusals(reg, func() metric.Refusals { return metric.Refusals{} })
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	const want = 6
	if len(families) != want {
		t.Errorf("%d metrics, want %d", len(families), want)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
