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

	"dsiem/internal/web/diagnostics"
	"dsiem/test/testkit"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// serve runs a server on loopback until the end of the test.
func serve(t *testing.T, o diagnostics.Options) (url string, stop func() error) {
	t.Helper()
	s, err := diagnostics.Listen(t.Context(), "127.0.0.1:0", o)
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
	url, _ := serve(t, diagnostics.Options{
		CheckTime: 10 * time.Millisecond,
		Checks: []diagnostics.Check{
			{Name: "configs", Ready: func(context.Context) error { return nil }, Note: func() string { return "an old one" }},
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
	want := `{"status":"not ready","checks":[{"name":"configs","ready":true,"note":"an old one"},{"name":"nats","ready":false,"error":"not connected"}]}` + "\n"
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
	promauto.With(reg).NewCounter(prometheus.CounterOpts{Name: "dsiem_backlogs_opened_total", Help: "Opened."}).Add(3)
	url, _ := serve(t, diagnostics.Options{Gatherer: reg, Pprof: true, Logger: slog.New(slog.DiscardHandler)})
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
	url, _ := serve(t, diagnostics.Options{})
	_, err := diagnostics.Listen(t.Context(), strings.TrimPrefix(url, "http://"), diagnostics.Options{})
	if err == nil || !strings.Contains(err.Error(), "listening for metrics") {
		t.Errorf("error %v", err)
	}
}

func TestServerEndsWithItsContext(t *testing.T) {
	asked := make(chan struct{})
	url, stop := serve(t, diagnostics.Options{
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
