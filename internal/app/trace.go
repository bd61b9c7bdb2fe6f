package app

import (
	"time"

	"dsiem/internal/correlate"
	"dsiem/internal/event"
	"dsiem/internal/intake/httpintake"
	"dsiem/internal/telemetry"
	"dsiem/internal/tracing"
)

func (n *node) tracingOptions() tracing.Options {
	o := n.options
	watchdog := telemetry.NewWatchdog(n.started)
	return tracing.Options{
		Traces: o.Tracing.Traces, Metrics: o.Tracing.Metrics, Endpoint: o.Tracing.Endpoint,
		Node: o.Node, Version: o.Version, Role: o.Mode, Logger: n.target("telemetry"),
		Readings: func() tracing.Readings { return n.readings(watchdog) },
	}
}

// readings returns the values of metrics that are sent to a collector.
func (n *node) readings(watchdog *telemetry.Watchdog) tracing.Readings {
	if n.backend == nil {
		report := watchdog.Report(n.now(), telemetry.Totals{Received: n.frontend.meter.Total()})
		return tracing.Readings{EPS: report.EPS, EventsReceived: report.Received}
	}
	b := n.backend
	report := watchdog.Report(n.now(), b.totals())
	return tracing.Readings{
		EPS: report.EPS, AvgProcTimeMS: report.AvgProcTimeMS, QueueLength: report.QueueLength,
		Directives: report.Directives, ActiveDirectives: report.ActiveDirectives, Backlogs: report.Backlogs,
		EventsReceived: report.Received, EventsMatched: report.Matched, BacklogsTimedOut: report.TimedOut,
		EventsDropped: map[string]uint64{
			"queue_full": b.queue.dropped.Load(), "slow_consumer": b.conn.dropped(), "shutdown": b.stats.abandoned.Load(),
		},
		AlarmsWritten: b.stats.alarms(),
	}
}

// startSpans begins a span for each event of a request and returns them, nil if
// nothing is traced.
func (f *frontend) startSpans(b *httpintake.Batch) []tracing.Span {
	if !f.tracer.Tracing() {
		return nil
	}
	spans := make([]tracing.Span, len(b.Events))
	b.Carriers = make([]event.Carrier, len(b.Events))
	for i := range b.Events {
		ev := &b.Events[i]
		spans[i] = f.tracer.StartEvent(ev.ID, ev.ConnID, time.Unix(0, ev.ReceivedAt), event.Carrier{})
		b.Carriers[i] = spans[i].Carrier()
	}
	return spans
}

func endSpans(spans []tracing.Span, err error) {
	for _, s := range spans {
		s.End(err)
	}
}

// traceSteps records what became of events: those of steps, which came with
// carriers and were received at a time.
func (b *backend) traceSteps(received time.Time, steps []step, carriers []event.Carrier, changes []correlate.Change) {
	matched := map[string][]tracing.Match{}
	for i := range changes {
		if c := &changes[i]; c.Kind == correlate.Accepted {
			matched[c.EventID] = append(matched[c.EventID], tracing.Match{Directive: c.Directive, Backlog: c.AlarmID})
		}
	}
	done := b.now()
	for i := range steps {
		id := steps[i].event.ID
		b.tracer.Handle(carriers[i], id, received, done, matched[id])
	}
}
