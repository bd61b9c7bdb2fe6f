package node

import (
	"context"
	"os"
	"time"

	"dsiem/internal/bus"
	"dsiem/internal/web/diagnostics"
	"dsiem/internal/web/status"
)

// profileTime is the longest that a profile may take.
const profileTime = 2 * time.Minute

// diagnose returns what operators see of the node.
func (n *Node) diagnose() *diagnostics.Diagnostics {
	return diagnostics.New(n.diagnosticsOptions())
}

func (n *Node) diagnosticsOptions() diagnostics.Options {
	o := n.options
	variables := &diagnostics.Variables{}
	checks := []diagnostics.Check{{Name: "nats", Ready: n.takesEvents}}
	if n.frontend != nil {
		variables.EPS = n.frontend.meter.EPS
	}
	if n.Backend != nil {
		b := n.Backend
		variables.Alarms = func() int64 { return int64(b.Stats.Alarms()) }
		variables.Backlogs = b.Stats.Live.Load
		checks = append(
			checks,
			diagnostics.Check{Name: "configuration", Ready: func(context.Context) error { return nil }},
			diagnostics.Check{Name: "alarm_files", Ready: func(context.Context) error { return b.writer.Err() }},
		)
	}
	return diagnostics.Options{
		Checks: checks, Gatherer: n.registry, Variables: variables, Pprof: o.PProf, Logger: n.target("diagnostics"),
	}
}

// takesEvents returns nil when events are taken and can be handed on.
func (n *Node) takesEvents(ctx context.Context) error {
	if n.frontend != nil {
		return n.frontend.takesRequests(ctx)
	}
	return n.Backend.takesEvents(ctx)
}

// registerMetrics shows to Prometheus what the parts of a frontend count.
func (f *frontend) registerMetrics() {
	f.intake.Register(f.registry)
	f.guard.Register(f.registry)
	f.limiter.Register(f.registry)
	f.configs.Register(f.registry)
	f.listener.Register(f.registry)
	bus.Register(f.registry, f.conn.get)
}

// status is what the status page shows.
func (f *frontend) status() status.Status {
	o := f.options
	now := f.Now()
	s := status.Status{
		Role: o.Mode, Node: o.Node, Version: o.Version, Started: f.Started, UptimeSeconds: int64(now.Sub(f.Started).Seconds()),
		EPS:   &status.EPS{Now: f.meter.EPS(), Limit: f.limiter.Limit(), Overloaded: f.limiter.Overloaded()},
		NATS:  &status.NATS{},
		Links: status.Links{Ready: true, Metrics: true, Config: true, UI: isDirectory(o.HTTP.WebDir)},
	}
	if conn := f.conn.get(); conn != nil {
		s.NATS.Connected = conn.Connected()
	}
	b := f.Backend
	if b == nil {
		counts := f.intake.Stats()
		s.Events = &status.Events{Received: counts.Accepted}
		return s
	}
	totals := b.totals()
	s.Events = &status.Events{Received: totals.Received, Dropped: totals.Dropped}
	s.Queue = &status.Queue{Length: totals.QueueLength, Limit: b.queue.Limit}
	s.Backlogs = &status.Backlogs{Live: totals.Backlogs, Active: totals.ActiveDirectives, Directives: totals.Directives}
	s.Alarms = b.recent.List()
	return s
}

func isDirectory(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
