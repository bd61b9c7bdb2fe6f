package node

import (
	"net/http"

	"dsiem/internal/web/auth"
	"dsiem/internal/web/server"
	"dsiem/internal/web/status"
)

// route is one thing that a frontend answers.
type route = server.Route[auth.Right]

// routes is everything that a frontend answers (spec/interfaces.md §3.1). All
// else is 404, or 405 for another method.
func (f *frontend) routes() []route {
	o := f.options
	on := func(pattern, name string, right auth.Right, h http.Handler) route {
		return route{Pattern: pattern, Name: name, Right: right, Handler: h}
	}
	do := func(h http.HandlerFunc) http.Handler { return h }
	page := status.StatusPage(f.status)
	diagnostics := f.diagnose()
	routes := []route{
		on("POST /events", "events", auth.Intake, do(f.intake.Events)),
		on("POST /events/{$}", "events", auth.Intake, do(f.intake.Events)),
		on("POST /events/suricata-eve", "suricata", auth.Intake, do(f.intake.SuricataEVE)),

		on("GET /config", "config", auth.ConfigRead, do(f.configs.List)),
		on("GET /config/{$}", "config", auth.ConfigRead, do(f.configs.List)),
		on("GET /config/{name}", "config", auth.ConfigRead, do(f.configs.Download)),

		on("GET /healthz", "health", 0, do(diagnostics.Healthz)),
		on("GET /readyz", "health", 0, do(diagnostics.Readyz)),
		on("GET /metrics", "diagnostics", auth.Diagnostics, do(diagnostics.Metrics)),
		on("GET /debug/vars", "diagnostics", auth.Diagnostics, http.RedirectHandler("/debug/vars/", http.StatusMovedPermanently)),
		on("GET /debug/vars/{$}", "diagnostics", auth.Diagnostics, do(diagnostics.Vars)),

		on("GET /{$}", "pages", auth.Diagnostics, page),
		on("GET /status", "pages", auth.Diagnostics, page),
		on("GET /status/", "pages", auth.Diagnostics, page),
		on("GET /ui/", "ui", auth.ConfigRead, server.SecurityHeaders(server.UIPolicy, status.Static(o.HTTP.WebDir))),
		on("GET /ui", "ui", auth.ConfigRead, http.RedirectHandler("/ui/", http.StatusMovedPermanently)),
	}
	if o.HTTP.WritableConfig {
		routes = append(
			routes,
			on("POST /config/{name}", "config", auth.ConfigWrite, do(f.configs.Upload)),
			on("DELETE /config/{name}", "config", auth.ConfigWrite, do(f.configs.Delete)),
		)
	}
	if o.PProf {
		routes = append(
			routes,
			on("GET /debug/pprof/", "pprof", auth.Diagnostics, server.ReadWithin(profileTime, do(diagnostics.Pprof))),
			on("GET /debug/pprof", "pprof", auth.Diagnostics, http.RedirectHandler("/debug/pprof/", http.StatusMovedPermanently)),
		)
	}
	if o.HTTP.WebSocket {
		routes = append(
			routes,
			on("GET /eps/", "websocket", auth.Diagnostics, f.feed),
			on("GET /eps", "websocket", auth.Diagnostics, http.RedirectHandler("/eps/", http.StatusMovedPermanently)),
		)
	}
	return routes
}
