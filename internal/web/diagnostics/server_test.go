package diagnostics_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dsiem/internal/observe/metric"
	"dsiem/internal/web/diagnostics"
	"dsiem/test/testkit"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// serve runs a server on loopback until the end of the test.
func serve(t *testing.T, o diagnostics.ServerOptions) (url string, stop func() error) {
	t.Helper()
	o.Address = "127.0.0.1:0"
	s, err := diagnostics.Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var stopped bool
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + s.Addr().String(), stop
}

func TestServerTellsWhatIsReady(t *testing.T) {
	var connected atomic.Bool
	url, _ := serve(t, diagnostics.ServerOptions{
		CheckTime: 10 * time.Millisecond,
		Checks: []diagnostics.Check{
			{Name: "configs", Ready: func(context.Context) error { return nil }},
			{Name: "nats", Ready: func(ctx context.Context) error {
				if connected.Load() {
					return nil
				}
				<-ctx.Done() // a check that asks somebody who does not answer
				return errors.New("not connected")
			}},
		},
	})
	code, body := testkit.Ask(t, http.MethodGet, url+"/healthz")
	if code != http.StatusOK || body != "{\"status\":\"ok\"}\n" {
		t.Errorf("/healthz: %d %s", code, body)
	}
	code, body = testkit.Ask(t, http.MethodGet, url+"/readyz")
	want := `{"status":"not ready","checks":[{"name":"configs","ready":true},{"name":"nats","ready":false,"error":"not connected"}]}` + "\n"
	if diff := cmp.Diff(want, body); code != http.StatusServiceUnavailable || diff != "" {
		t.Errorf("/readyz: %d (-want +got):\n%s", code, diff)
	}
	connected.Store(true)
	code, body = testkit.Ask(t, http.MethodGet, url+"/readyz")
	if code != http.StatusOK || !strings.HasPrefix(body, `{"status":"ok"`) || !json.Valid([]byte(body)) {
		t.Errorf("/readyz: %d %s", code, body)
	}
	if code, _ := testkit.Ask(t, http.MethodPost, url+"/readyz"); code != http.StatusMethodNotAllowed {
		t.Errorf("POST /readyz: %d", code)
	}
	for _, path := range []string{"/", "/metrics", "/debug/pprof/", "/debug/pprof/cmdline"} {
		if code, _ := testkit.Ask(t, http.MethodGet, url+path); code != http.StatusNotFound {
			t.Errorf("%s: %d although it is not enabled", path, code)
		}
	}
}

func TestServerShowsMetricsAndProfiles(t *testing.T) {
	reg := prometheus.NewRegistry()
	metric.NewEngineMetrics(reg).Opened(3)
	url, _ := serve(t, diagnostics.ServerOptions{Gatherer: reg, Pprof: true, Logger: slog.New(slog.DiscardHandler)})
	if code, body := testkit.Ask(t, http.MethodGet, url+"/metrics"); code != http.StatusOK || !strings.Contains(body, "\ndsiem_backlogs_opened_total 3\n") {
		t.Errorf("/metrics: %d %s", code, body)
	}
	for _, path := range []string{"", "cmdline", "goroutine", "heap", "symbol", "trace?seconds=0.01"} {
		if code, _ := testkit.Ask(t, http.MethodGet, url+"/debug/pprof/"+path); code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
	}
}

func TestServerRefusesAPortInUse(t *testing.T) {
	url, _ := serve(t, diagnostics.ServerOptions{})
	_, err := diagnostics.Listen(t.Context(), diagnostics.ServerOptions{Address: strings.TrimPrefix(url, "http://")})
	if err == nil || !strings.Contains(err.Error(), "listening for metrics") {
		t.Errorf("error %v", err)
	}
}

func TestServerEndsWithItsContext(t *testing.T) {
	asked := make(chan struct{})
	url, stop := serve(t, diagnostics.ServerOptions{
		CheckTime: time.Hour,
		Checks: []diagnostics.Check{{Name: "slow", Ready: func(ctx context.Context) error {
			close(asked)
			<-ctx.Done()
			return ctx.Err()
		}}},
	})
	answered := make(chan int, 1)
	go func() {
		code, _ := testkit.Ask(t, http.MethodGet, url+"/readyz")
		answered <- code
	}()
	<-asked
	if err := stop(); err != nil {
		t.Error(err)
	}
	if code := <-answered; code != http.StatusServiceUnavailable {
		t.Errorf("the request that was open got %d", code)
	}
}

func TestServerThatNeverRan(t *testing.T) {
	s, err := diagnostics.Listen(t.Context(), diagnostics.ServerOptions{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Run(t.Context()); err == nil {
		t.Error("a server without a port runs")
	}
}
