package server

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/test/testkit"
)

func TestRequestsHaveBoundedLabels(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := newRequests(reg, []string{"events", "config", "events"})
	events := m.route("events")
	for range 5 {
		events.count(http.StatusOK)
	}
	events.count(http.StatusTooManyRequests)
	for _, code := range []int{-1, 0, 99, 600, 999, 1 << 40} {
		events.count(code)
	}
	m.route("config").count(http.StatusContinue)
	m.route("config").count(599)
	m.route("made up").count(http.StatusNotFound)
	m.route("made up too").count(http.StatusNotFound)
	want := []string{
		`dsiem_http_requests_total{code="100",route="config"} 1`,
		`dsiem_http_requests_total{code="200",route="config"} 0`,
		`dsiem_http_requests_total{code="200",route="events"} 5`,
		`dsiem_http_requests_total{code="200",route="other"} 0`,
		`dsiem_http_requests_total{code="404",route="other"} 2`,
		`dsiem_http_requests_total{code="429",route="events"} 1`,
		`dsiem_http_requests_total{code="599",route="config"} 1`,
		`dsiem_http_requests_total{code="other",route="events"} 6`,
	}
	if diff := cmp.Diff(want, testkit.Samples(t, reg)); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestConnectionsAreReadWhenAsked(t *testing.T) {
	t.Parallel()
	in := testkit.NewPipes()
	l := LimitConnections(in, 0)
	defer l.Close()
	reg := prometheus.NewPedanticRegistry()
	l.Register(reg)
	for _, want := range []string{`dsiem_http_connections 1`, `dsiem_http_connections 2`} {
		in.Dial()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if diff := cmp.Diff([]string{want}, testkit.Samples(t, reg)); diff != "" {
			t.Errorf("samples (-want +got):\n%s", diff)
		}
	}
}

func TestCountingARequestCostsNoAllocation(t *testing.T) {
	m := newRequests(prometheus.NewRegistry(), []string{"events"})
	if n := testing.AllocsPerRun(100, func() { m.route("events").count(http.StatusOK) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRequests(b *testing.B) {
	m := newRequests(prometheus.NewRegistry(), []string{"events"})
	route := m.route("events")
	b.ReportAllocs()
	for b.Loop() {
		route.count(http.StatusOK)
	}
}
