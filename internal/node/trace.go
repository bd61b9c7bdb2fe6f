package node

import (
	"time"

	"dsiem/internal/correlate"
	"dsiem/internal/correlate/shard"
	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
	"dsiem/internal/observe/otel"
	"dsiem/internal/observe/watchdog"
)

func (n *Node) tracingOptions() otel.Options {
	o := n.options
	reports := watchdog.New(n.Started)
	return otel.Options{
		Traces: o.Tracing.Traces, Metrics: o.Tracing.Metrics, Endpoint: o.Tracing.Endpoint,
		Node: o.Node, Version: o.Version, Role: o.Mode, Logger: n.target("telemetry"),
		Readings: func() otel.Readings { return n.readings(reports) },
	}
}

// readings returns the values of metrics that are sent to a collector.
func (n *Node) readings(reports *watchdog.Watchdog) otel.Readings {
	if n.Backend == nil {
		report := reports.Report(n.Now(), watchdog.Totals{Received: n.frontend.meter.Total()})
		return otel.Readings{EPS: report.EPS, EventsReceived: report.Received}
	}
	b := n.Backend
	report := reports.Report(n.Now(), b.totals())
	return otel.Readings{
		EPS: report.EPS, AvgProcTimeMS: report.AvgProcTimeMS, QueueLength: report.QueueLength,
		Directives: report.Directives, ActiveDirectives: report.ActiveDirectives, Backlogs: report.Backlogs,
		EventsReceived: report.Received, EventsMatched: report.Matched, BacklogsTimedOut: report.TimedOut,
		EventsDropped: map[string]uint64{
			"queue_full": b.queue.Dropped.Load(), "slow_consumer": b.conn.dropped(), "shutdown": b.Stats.Abandoned.Load(),
		},
		AlarmsWritten: b.Stats.Alarms(),
	}
}

// startSpans begins a span for each event of a request and returns them, nil if
// nothing is traced.
func (f *frontend) startSpans(b *httpin.Batch) []otel.Span {
	if !f.tracer.Tracing() {
		return nil
	}
	spans := make([]otel.Span, len(b.Events))
	b.Carriers = make([]event.Carrier, len(b.Events))
	for i := range b.Events {
		ev := &b.Events[i]
		spans[i] = f.tracer.StartEvent(ev.ID, ev.ConnID, time.Unix(0, ev.ReceivedAt), event.Carrier{})
		b.Carriers[i] = spans[i].Carrier()
	}
	return spans
}

func endSpans(spans []otel.Span, err error) {
	for _, s := range spans {
		s.End(err)
	}
}

// traceSteps records what became of events: those of steps, which came with
// carriers and were received at a time.
func (b *backend) traceSteps(received time.Time, steps []shard.Step, carriers []event.Carrier, changes []correlate.Change) {
	matched := map[string][]otel.Match{}
	for i := range changes {
		if c := &changes[i]; c.Kind == correlate.Accepted {
			matched[c.EventID] = append(matched[c.EventID], otel.Match{Directive: c.Directive, Backlog: c.AlarmID})
		}
	}
	done := b.Now()
	for i := range steps {
		id := steps[i].Event.ID
		b.tracer.Handle(carriers[i], id, received, done, matched[id])
	}
}
