package node

import (
	"net/http"
	"time"

	"dsiem/internal/web/auth"
	"dsiem/internal/web/diagnostics"
	"dsiem/internal/web/server"
	"dsiem/internal/web/status"
)

// route is one thing that a frontend answers.
type route = server.Route[auth.Right]

// profileTime is the longest that a profile may take.
const profileTime = 2 * time.Minute

// routes is everything that a frontend answers (docs/spec/interfaces.md §3.1), with the
// status page and what operators see.
func routes(f *frontend, page http.Handler, d *diagnostics.Diagnostics) []route {
	o := f.options
	on := func(pattern, name string, right auth.Right, h http.Handler) route {
		return route{Pattern: pattern, Name: name, Right: right, Handler: h}
	}
	do := func(h http.HandlerFunc) http.Handler { return h }
	moved := func(to string) http.Handler { return http.RedirectHandler(to, http.StatusMovedPermanently) }
	all := []route{
		on("POST /events", "events", auth.Intake, do(f.intake.Events)),
		on("POST /events/{$}", "events", auth.Intake, do(f.intake.Events)),
		on("POST /events/suricata-eve", "suricata", auth.Intake, do(f.intake.SuricataEVE)),

		on("GET /config", "config", auth.ConfigRead, do(f.configs.List)),
		on("GET /config/{$}", "config", auth.ConfigRead, do(f.configs.List)),
		on("GET /config/{name}", "config", auth.ConfigRead, do(f.configs.Download)),

		on("GET /healthz", "health", 0, do(d.Healthz)),
		on("GET /readyz", "health", 0, do(d.Readyz)),
		on("GET /metrics", "diagnostics", auth.Diagnostics, do(d.Metrics)),
		on("GET /debug/vars", "diagnostics", auth.Diagnostics, moved("/debug/vars/")),
		on("GET /debug/vars/{$}", "diagnostics", auth.Diagnostics, do(d.Vars)),

		on("GET /{$}", "pages", auth.Diagnostics, page),
		on("GET /status", "pages", auth.Diagnostics, page),
		on("GET /status/", "pages", auth.Diagnostics, page),
		on("GET /ui/", "ui", auth.ConfigRead, server.SecurityHeaders(server.UIPolicy, status.Static(o.HTTP.WebDir))),
		on("GET /ui", "ui", auth.ConfigRead, moved("/ui/")),
	}
	if o.HTTP.WritableConfig {
		all = append(
			all,
			on("POST /config/{name}", "config", auth.ConfigWrite, do(f.configs.Upload)),
			on("DELETE /config/{name}", "config", auth.ConfigWrite, do(f.configs.Delete)),
		)
	}
	if o.PProf {
		all = append(
			all,
			on("GET /debug/pprof/", "pprof", auth.Diagnostics, server.ReadWithin(profileTime, do(d.Pprof))),
			on("GET /debug/pprof", "pprof", auth.Diagnostics, moved("/debug/pprof/")),
		)
	}
	if o.HTTP.WebSocket {
		all = append(
			all,
			on("GET /eps/", "websocket", auth.Diagnostics, f.feed),
			on("GET /eps", "websocket", auth.Diagnostics, moved("/eps/")),
		)
	}
	return all
}
