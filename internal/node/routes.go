package node

import (
	"net/http"
	"sync"

	"dsiem/internal/observe/metric"
	"dsiem/internal/web/auth"
	"dsiem/internal/web/server"
	"dsiem/internal/web/status"
)

// route is one thing that a frontend answers.
type route struct {
	// pattern is a method and a path, as http.ServeMux has them.
	pattern string
	// name is the route's name in metrics.
	name string
	// right is what a caller needs; 0 is nothing.
	right  auth.Right
	handle http.Handler
}

// routes is everything that a frontend answers (spec/interfaces.md §3.1). All
// else is 404, or 405 for another method.
func (f *frontend) routes() []route {
	o := f.options
	do := func(h http.HandlerFunc) http.Handler { return h }
	page := status.StatusPage(f.status)
	diagnostics := f.diagnose()
	routes := []route{
		{"POST /events", "events", auth.Intake, do(f.intake.Events)},
		{"POST /events/{$}", "events", auth.Intake, do(f.intake.Events)},
		{"POST /events/suricata-eve", "suricata", auth.Intake, do(f.intake.SuricataEVE)},

		{"GET /config", "config", auth.ConfigRead, do(f.configs.List)},
		{"GET /config/{$}", "config", auth.ConfigRead, do(f.configs.List)},
		{"GET /config/{name}", "config", auth.ConfigRead, do(f.configs.Download)},

		{"GET /healthz", "health", 0, do(diagnostics.Healthz)},
		{"GET /readyz", "health", 0, do(diagnostics.Readyz)},
		{"GET /metrics", "diagnostics", auth.Diagnostics, do(diagnostics.Metrics)},
		{"GET /debug/vars", "diagnostics", auth.Diagnostics, http.RedirectHandler("/debug/vars/", http.StatusMovedPermanently)},
		{"GET /debug/vars/{$}", "diagnostics", auth.Diagnostics, do(diagnostics.Vars)},

		{"GET /{$}", "pages", auth.Diagnostics, page},
		{"GET /status", "pages", auth.Diagnostics, page},
		{"GET /status/", "pages", auth.Diagnostics, page},
		{"GET /ui/", "ui", auth.ConfigRead, server.SecurityHeaders(server.UIPolicy, status.Static(o.HTTP.WebDir))},
		{"GET /ui", "ui", auth.ConfigRead, http.RedirectHandler("/ui/", http.StatusMovedPermanently)},
	}
	if o.HTTP.WritableConfig {
		routes = append(
			routes,
			route{"POST /config/{name}", "config", auth.ConfigWrite, do(f.configs.Upload)},
			route{"DELETE /config/{name}", "config", auth.ConfigWrite, do(f.configs.Delete)},
		)
	}
	if o.PProf {
		routes = append(
			routes,
			route{"GET /debug/pprof/", "pprof", auth.Diagnostics, server.ReadWithin(profileTime, do(diagnostics.Pprof))},
			route{"GET /debug/pprof", "pprof", auth.Diagnostics, http.RedirectHandler("/debug/pprof/", http.StatusMovedPermanently)},
		)
	}
	if o.HTTP.WebSocket {
		routes = append(
			routes,
			route{"GET /eps/", "websocket", auth.Diagnostics, f.feed},
			route{"GET /eps", "websocket", auth.Diagnostics, http.RedirectHandler("/eps/", http.StatusMovedPermanently)},
		)
	}
	return routes
}

// handler serves routes, each to whoever may use it, and counts the answers.
func (f *frontend) handler(routes []route) http.Handler {
	mux := http.NewServeMux()
	for i := range routes {
		r := &routes[i]
		h := r.handle
		if r.right != 0 {
			h = f.guard.Require(r.right, h)
		}
		mux.Handle(r.pattern, counted(f.metrics.Route(r.name), f.configMetrics, h))
	}
	return server.CrossOrigin(mux)
}

// counted counts the answers of a handler, which must not use its writer when it
// has returned.
func counted(metrics *metric.RouteMetrics, changes *metric.ConfigMetrics, next http.Handler) http.Handler {
	answers := sync.Pool{New: func() any { return new(answerWriter) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := answers.Get().(*answerWriter) // the pool holds nothing else
		*answer = answerWriter{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(answer, r)
		code := answer.code
		*answer = answerWriter{}
		answers.Put(answer)
		metrics.Count(code)
		switch {
		case r.Method == http.MethodPost && code == http.StatusCreated:
			changes.Changed(metric.ConfigUploaded)
		case r.Method == http.MethodDelete && code == http.StatusOK:
			changes.Changed(metric.ConfigDeleted)
		}
	})
}

// answerWriter remembers the status of an answer.
type answerWriter struct {
	http.ResponseWriter

	code    int
	written bool
}

// WriteHeader writes and remembers the final status.
func (w *answerWriter) WriteHeader(code int) {
	if !w.written && (code >= http.StatusOK || code == http.StatusSwitchingProtocols) {
		w.code, w.written = code, true
	}
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController find the connection.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
