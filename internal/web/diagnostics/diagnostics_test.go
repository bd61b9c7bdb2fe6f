package diagnostics_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"dsiem/internal/web/diagnostics"
	"dsiem/test/testkit"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// asked returns what a handler answers to GET of a path.
func asked(t *testing.T, handler http.HandlerFunc, path string) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	handler(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return rec
}

func TestDiagnosticsWithoutOptionsShowOnlyThatTheyAreAlive(t *testing.T) {
	t.Parallel()
	d := diagnostics.New(diagnostics.Options{})
	for path, test := range map[string]struct {
		handler http.HandlerFunc
		want    int
	}{
		"/healthz":                 {d.Healthz, http.StatusOK},
		"/readyz":                  {d.Readyz, http.StatusOK},
		"/metrics":                 {d.Metrics, http.StatusNotFound},
		"/debug/vars/":             {d.Vars, http.StatusNotFound},
		"/debug/pprof/":            {d.Pprof, http.StatusNotFound},
		"/debug/pprof/goroutine":   {d.Pprof, http.StatusNotFound},
		"/debug/pprof/cmdline":     {d.Pprof, http.StatusNotFound},
		"/debug/pprof/profile?s=1": {d.Pprof, http.StatusNotFound},
	} {
		if got := asked(t, test.handler, path).Code; got != test.want {
			t.Errorf("%s: %d, want %d", path, got, test.want)
		}
	}
}

// A program registers the handlers itself, with rights of its own.
func TestDiagnosticsBehindOthersRoutes(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	promauto.With(reg).NewCounterVec(prometheus.CounterOpts{Name: "dsiem_config_changes_total", Help: "Changes."}, []string{"action"}).
		WithLabelValues("delete")
	d := diagnostics.New(diagnostics.Options{
		Gatherer: reg, Configuration: func() any { return map[string]bool{"pending": true} },
		Checks: []diagnostics.Check{{Name: "nats", Ready: func(ctx context.Context) error {
			if _, ok := ctx.Deadline(); !ok {
				return errors.New("nobody bounds the check")
			}
			return nil
		}}},
	})
	guarded := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			next(w, r)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", d.Readyz)
	mux.HandleFunc("GET /metrics", guarded(d.Metrics))
	server := httptest.NewServer(mux)
	defer server.Close()
	if code, body := testkit.Ask(t, http.MethodGet, server.URL+"/readyz"); code != http.StatusOK || !strings.Contains(body, `"nats","ready":true}],"configuration":{"pending":true}}`) {
		t.Errorf("/readyz: %d %s", code, body)
	}
	if code, _ := testkit.Ask(t, http.MethodGet, server.URL+"/metrics"); code != http.StatusUnauthorized {
		t.Errorf("/metrics: %d", code)
	}
	if body := asked(t, d.Metrics, "/metrics").Body.String(); !strings.Contains(body, `dsiem_config_changes_total{action="delete"} 0`) {
		t.Errorf("/metrics: %s", body)
	}
}

func TestVarsHaveTheMembersOfTheMode(t *testing.T) {
	t.Parallel()
	number := func(n int64) func() int64 { return func() int64 { return n } }
	for _, test := range []struct {
		mode string
		in   diagnostics.Variables
		want map[string]any
	}{
		{"standalone", diagnostics.Variables{EPS: number(123), Alarms: number(7), Backlogs: number(42)}, map[string]any{
			"eps_counter": 123.0, "alarm_counter": 7.0, "backlog_counter": 42.0, "cmdline": []any{"dsiem"},
		}},
		{"frontend", diagnostics.Variables{EPS: number(0), Program: "dsiem-frontend"}, map[string]any{
			"eps_counter": 0.0, "cmdline": []any{"dsiem-frontend"},
		}},
		{"backend", diagnostics.Variables{Alarms: number(1 << 40), Backlogs: number(0)}, map[string]any{
			"alarm_counter": float64(1 << 40), "backlog_counter": 0.0, "cmdline": []any{"dsiem"},
		}},
	} {
		t.Run(test.mode, func(t *testing.T) {
			t.Parallel()
			d := diagnostics.New(diagnostics.Options{Variables: &test.in})
			rec := asked(t, d.Vars, "/debug/vars/")
			if got := rec.Header().Get("Content-Type"); rec.Code != http.StatusOK || got != "application/json; charset=utf-8" {
				t.Errorf("%d %s", rec.Code, got)
			}
			var got map[string]any
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if n, _ := got["goroutine_counter"].(float64); n < 1 {
				t.Errorf("goroutine_counter %v", got["goroutine_counter"])
			}
			memory, _ := got["memstats"].(map[string]any)
			if n, _ := memory["HeapAlloc"].(float64); n < 1 || memory["BySize"] == nil {
				t.Errorf("memstats has the members %v", slices.Collect(maps.Keys(memory)))
			}
			delete(got, "goroutine_counter")
			delete(got, "memstats")
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
		})
	}
}

func TestServerShowsVars(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, diagnostics.Options{Pprof: true, Variables: &diagnostics.Variables{
		Alarms: func() int64 { return 5 },
	}})
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, want := range map[string]string{"/debug/vars": "/debug/vars/", "/debug/pprof": "/debug/pprof/"} {
		resp, err := client.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusMovedPermanently || got != want {
			t.Errorf("%s: %d to %q", path, resp.StatusCode, got)
		}
	}
	if code, body := testkit.Ask(t, http.MethodGet, url+"/debug/vars/"); code != http.StatusOK || !strings.Contains(body, `"alarm_counter":5,`) {
		t.Errorf("/debug/vars/: %d %s", code, body)
	}
	if code, _ := testkit.Ask(t, http.MethodGet, url+"/debug/vars/x"); code != http.StatusNotFound {
		t.Errorf("/debug/vars/x: %d", code)
	}
}

// Flags can hold passwords: neither page shows more than the program's name.
func TestCommandLineStaysHidden(t *testing.T) {
	t.Parallel()
	d := diagnostics.New(diagnostics.Options{Pprof: true, Variables: &diagnostics.Variables{Program: "dsiem"}})
	if got := asked(t, d.Pprof, "/debug/pprof/cmdline").Body.String(); got != "dsiem" {
		t.Errorf("/debug/pprof/cmdline: %q", got)
	}
	for path, handler := range map[string]http.HandlerFunc{"/debug/vars/": d.Vars, "/debug/pprof/cmdline": d.Pprof} {
		body := asked(t, handler, path).Body.String()
		for _, arg := range os.Args {
			if strings.Contains(body, arg) {
				t.Errorf("%s shows %q", path, arg)
			}
		}
	}
}

func TestProfilesAreWhatTheyAreCalled(t *testing.T) { // D56
	t.Parallel()
	d := diagnostics.New(diagnostics.Options{Pprof: true})
	for name, want := range map[string]string{
		"block": "--- contention:", "mutex": "--- mutex:", "heap": "heap profile:", "goroutine": "goroutine profile:", "": "<title>/debug/pprof/</title>",
	} {
		if body := asked(t, d.Pprof, "/debug/pprof/"+name+"?debug=1").Body.String(); !strings.Contains(body, want) {
			t.Errorf("%q: no %q in %.200q", name, want, body)
		}
	}
	if rec := asked(t, d.Pprof, "/debug/pprof/made-up"); rec.Code != http.StatusNotFound {
		t.Errorf("made-up: %d", rec.Code)
	}
}
