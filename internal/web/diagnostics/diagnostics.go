// Package diagnostics has the handlers by which operators and other programs see
// how a node is: health, readiness, metrics, the original's variables and
// profiles, with or without a server of their own.
//
// Diagnostics own nothing but a copy of the memory statistics that may be a
// second old, a Server its listener. They ask per request what they show, change
// nothing, show no secrets, and ask nobody who they are: whoever registers the
// handlers decides who may call them.
//
// Source of the formats: docs/spec/interfaces.md §3.6, §8.2.
package diagnostics

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Limits of answers. A scrape ends before the connection's time is up.
const (
	checkTime  = 2 * time.Second
	scrapeTime = 5 * time.Second
	maxScrapes = 4
)

// pprofPath is where profiles are.
const pprofPath = "/debug/pprof/"

// Check is one thing that must hold before the program can do its work, as
// "nats". Ready returns nil or why it does not hold, without secrets: it is
// shown to whoever asks. It answers from memory, or gives up when its context
// ends. Note, if not nil, returns what else is to be said of it, "" for nothing.
type Check struct {
	Name  string
	Ready func(context.Context) error
	Note  func() string
}

// Options says what Diagnostics shows. The zero value shows that the
// program is alive, and nothing else.
type Options struct {
	// Checks are what Readyz asks, in this order.
	Checks []Check
	// CheckTime bounds all checks together; 0 is 2 s.
	CheckTime time.Duration
	// Configuration returns what Readyz shows of the configuration beside the checks,
	// which does not decide whether the program is ready; nil is nothing.
	Configuration func() any
	// Gatherer is what Metrics shows; without it the answer is 404.
	Gatherer prometheus.Gatherer
	// Variables are what Vars shows; without them the answer is 404.
	Variables *Variables
	// Pprof lets Pprof show profiles; without it the answer is 404.
	Pprof bool
	// Protect stands before the handlers of a Server, nil for nothing. Those of
	// Diagnostics are left to whoever registers them.
	Protect func(http.Handler) http.Handler
	// Logger gets what goes wrong while answering; nil is none.
	Logger *slog.Logger
}

// Diagnostics are the handlers by which operators see how the program is
// (docs/spec/interfaces.md §3.6, §8.2). They ask nobody who they are: whoever
// registers them decides who may call them. Meant for these routes:
//
//	GET /healthz       Healthz
//	GET /readyz        Readyz
//	GET /metrics       Metrics
//	GET /debug/vars/   Vars
//	GET /debug/pprof/  Pprof, everything below included
//
// A ServeMux answers /debug/vars with 307; the contract's 301 needs a
// http.RedirectHandler of its own. It is safe for concurrent use.
type Diagnostics struct {
	o       Options
	metrics http.Handler
	memory  memory
}

// New returns handlers that show what o says.
func New(o Options) *Diagnostics {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.CheckTime <= 0 {
		o.CheckTime = checkTime
	}
	d := &Diagnostics{o: o, metrics: http.NotFoundHandler()}
	if o.Gatherer != nil {
		d.metrics = promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
			ErrorLog:            slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
			ErrorHandling:       promhttp.ContinueOnError,
			MaxRequestsInFlight: maxScrapes,
			Timeout:             scrapeTime,
		})
	}
	return d
}

// health is the body of Healthz and Readyz.
type health struct {
	Status string        `json:"status"` // "ok" or "not ready"
	Checks []checkResult `json:"checks,omitempty"`
	// Configuration is that of Options.
	Configuration any `json:"configuration,omitempty"`
}

type checkResult struct {
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
	Error string `json:"error,omitempty"`
	Note  string `json:"note,omitempty"`
}

// Healthz answers 200 while the program is alive.
func (d *Diagnostics) Healthz(w http.ResponseWriter, _ *http.Request) {
	d.answer(w, http.StatusOK, health{Status: "ok"})
}

// Readyz answers 200 if all checks hold, 503 otherwise, with the state of every
// check.
func (d *Diagnostics) Readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), d.o.CheckTime)
	defer cancel()
	body, code := health{Status: "ok"}, http.StatusOK
	for _, check := range d.o.Checks {
		result := checkResult{Name: check.Name, Ready: true}
		if check.Note != nil {
			result.Note = check.Note()
		}
		if err := check.Ready(ctx); err != nil {
			result.Ready, result.Error = false, err.Error()
			body.Status, code = "not ready", http.StatusServiceUnavailable
		}
		body.Checks = append(body.Checks, result)
	}
	if d.o.Configuration != nil {
		body.Configuration = d.o.Configuration()
	}
	d.answer(w, code, body)
}

// Metrics shows the metrics in the formats of Prometheus.
func (d *Diagnostics) Metrics(w http.ResponseWriter, r *http.Request) { d.metrics.ServeHTTP(w, r) }

// Pprof shows the profile that the path names below /debug/pprof/, or the list
// of them. Block and mutex profiles are empty unless the program was told to
// sample, which costs time. In place of the command line is the program's name
// alone, because flags can hold passwords.
func (d *Diagnostics) Pprof(w http.ResponseWriter, r *http.Request) {
	if !d.o.Pprof {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	switch strings.TrimPrefix(r.URL.Path, pprofPath) {
	case "cmdline":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write([]byte(d.o.Variables.program()))
	case "profile":
		pprof.Profile(w, r)
	case "symbol":
		pprof.Symbol(w, r)
	case "trace":
		pprof.Trace(w, r)
	default: // "block" and "mutex" are two profiles (D56)
		pprof.Index(w, r)
	}
}

// answer sends a value as JSON.
func (d *Diagnostics) answer(w http.ResponseWriter, code int, body any) {
	header := w.Header()
	header.Set("Content-Type", cmp.Or(header.Get("Content-Type"), "application/json"))
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		d.o.Logger.Debug("diagnostics not delivered", slog.Any("error", err))
	}
}
