package app

import (
	"context"
	"os"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/event"
	"dsiem/internal/telemetry"
	"dsiem/internal/webui"
)

// profileTime is the longest that a profile may take.
const profileTime = 2 * time.Minute

// diagnose returns what operators see of the node.
func (n *node) diagnose() *telemetry.Diagnostics {
	return telemetry.NewDiagnostics(n.diagnosticsOptions())
}

func (n *node) diagnosticsOptions() telemetry.DiagnosticsOptions {
	o := n.options
	variables := &telemetry.Variables{}
	checks := []telemetry.Check{{Name: "nats", Ready: n.takesEvents}}
	if n.frontend != nil {
		variables.EPS = n.frontend.meter.EPS
	}
	if n.backend != nil {
		b := n.backend
		variables.Alarms = func() int64 { return int64(b.stats.alarms()) }
		variables.Backlogs = b.stats.live.Load
		checks = append(
			checks,
			telemetry.Check{Name: "configuration", Ready: func(context.Context) error { return nil }},
			telemetry.Check{Name: "alarm_files", Ready: func(context.Context) error { return b.writer.Err() }},
		)
	}
	return telemetry.DiagnosticsOptions{
		Checks: checks, Gatherer: n.registry, Variables: variables, Pprof: o.PProf, Logger: n.target("diagnostics"),
	}
}

// takesEvents returns nil when events are taken and can be handed on.
func (n *node) takesEvents(ctx context.Context) error {
	if n.frontend != nil {
		return n.frontend.takesRequests(ctx)
	}
	return n.backend.takesEvents(ctx)
}

// registerMetrics shows to Prometheus what a frontend counts.
func (f *frontend) registerMetrics() {
	outcomes := make([]string, event.Reasons, event.Reasons+3)
	for i := range outcomes {
		if r := event.Reason(i); r != event.Accepted && r != event.Unwanted && r != event.Whitelisted {
			outcomes[i] = r.String()
		}
	}
	outcomes = append(outcomes, "incomplete", "withheld", "skipped")
	telemetry.RegisterHTTPEvents(f.registry, outcomes, func() telemetry.HTTPEvents {
		s := f.intake.Stats()
		return telemetry.HTTPEvents{
			Accepted: s.Accepted, Limited: s.Limited, Unavailable: s.Unavailable,
			Rejected: append(s.Rejected[:], s.Incomplete, s.Withheld, s.Skipped),
		}
	})
	telemetry.RegisterRefusals(f.registry, func() telemetry.Refusals { return telemetry.Refusals(f.guard.Stats()) })
	telemetry.RegisterLimiter(f.registry, func() telemetry.Limiter {
		return telemetry.Limiter{EPS: f.limiter.Limit(), Overloaded: f.limiter.Overloaded()}
	})
	telemetry.RegisterNATS(f.registry, func() telemetry.NATS {
		conn := f.conn.get()
		if conn == nil {
			return telemetry.NATS{}
		}
		s := conn.Stats()
		return telemetry.NATS{Connected: s.Connected, Published: s.Published}
	})
	f.configMetrics = telemetry.NewConfigMetrics(f.registry)
}

// status is what the status page shows.
func (f *frontend) status() webui.Status {
	o := f.options
	now := f.now()
	s := webui.Status{
		Role: o.Mode, Node: o.Node, Version: o.Version, Started: f.started, UptimeSeconds: int64(now.Sub(f.started).Seconds()),
		EPS:   &webui.EPS{Now: f.meter.EPS(), Limit: f.limiter.Limit(), Overloaded: f.limiter.Overloaded()},
		NATS:  &webui.NATS{},
		Links: webui.Links{Ready: true, Metrics: true, Config: true, UI: isDirectory(o.HTTP.WebDir)},
	}
	if conn := f.conn.get(); conn != nil {
		s.NATS.Connected = conn.Connected()
	}
	b := f.backend
	if b == nil {
		counts := f.intake.Stats()
		s.Events = &webui.Events{Received: counts.Accepted}
		return s
	}
	totals := b.totals()
	s.Events = &webui.Events{Received: totals.Received, Dropped: totals.Dropped}
	s.Queue = &webui.Queue{Length: totals.QueueLength, Limit: b.queue.limit}
	s.Backlogs = &webui.Backlogs{Live: totals.Backlogs, Active: totals.ActiveDirectives, Directives: totals.Directives}
	s.Alarms = b.recent.List()
	return s
}

// shown returns an alarm as the status page shows it.
func shown(now time.Time, a *alarm.Alarm) webui.Alarm {
	return webui.Alarm{Time: now, ID: a.ID, Title: a.Title, Risk: a.Risk, Class: a.Class.String()}
}

func isDirectory(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
