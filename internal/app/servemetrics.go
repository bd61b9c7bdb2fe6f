package app

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/alarm"
	"dsiem/internal/bus"
	"dsiem/internal/enrich"
	"dsiem/internal/event"
	"dsiem/internal/sink"
	"dsiem/internal/telemetry"
)

// connection is the connection to the message queue, once there is one.
type connection struct{ atomic.Pointer[bus.Conn] }

func (c *connection) get() *bus.Conn     { return c.Load() }
func (c *connection) set(conn *bus.Conn) { c.Store(conn) }

// takesEvents returns nil when the start is complete and the connection is up.
func (b *backend) takesEvents(context.Context) error {
	if !isClosed(b.begun) || !b.conn.get().Connected() {
		return errors.New("not connected")
	}
	return nil
}

// dropped returns the number of events that the client threw away.
func (c *connection) dropped() uint64 {
	if conn := c.get(); conn != nil {
		return conn.Stats().Dropped
	}
	return 0
}

// serveStats are the counters of a running backend; any goroutine may read
// them.
type serveStats struct {
	received, offered, whitelisted, withoutID atomic.Uint64
	unwanted                                  atomic.Uint64
	rejected                                  [event.Reasons]atomic.Uint64
	matched                                   atomic.Uint64
	opened, finished, expired                 atomic.Uint64
	alarmLines                                [alarm.High + 1]atomic.Uint64
	busy                                      atomic.Int64 // nanoseconds in the engines, for all offered events
	live, active                              atomic.Int64
	// abandoned are events that were still waiting when the backend had to end.
	abandoned atomic.Uint64
}

// alarms returns the number of alarm lines.
func (s *serveStats) alarms() uint64 {
	n := uint64(0)
	for i := range s.alarmLines {
		n += s.alarmLines[i].Load()
	}
	return n
}

// serveMetrics shows the counters to Prometheus. The pipeline counts in
// serveStats; update carries the differences over.
type serveMetrics struct {
	registry *prometheus.Registry
	events   *telemetry.EventMetrics
	engine   *telemetry.EngineMetrics
	lookups  *telemetry.LookupMetrics
	backend  *backend
	shown    map[*atomic.Uint64]uint64
	dropped  [2]uint64
}

func newServeMetrics(b *backend) *serveMetrics {
	registry := b.registry
	outcomes := make([]string, event.Reasons)
	for i := range outcomes {
		outcomes[i] = event.Reason(i).String()
	}
	names := make([]string, len(b.services))
	for i := range b.services {
		names[i] = b.services[i].Name
	}
	telemetry.RegisterQueue(registry, b.queue.limit, b.queue.len)
	m := &serveMetrics{
		registry: registry, backend: b, shown: map[*atomic.Uint64]uint64{},
		events:  telemetry.NewEventMetrics(registry, outcomes),
		engine:  telemetry.NewEngineMetrics(registry),
		lookups: telemetry.NewLookupMetrics(registry, names),
	}
	m.engine.Loaded(len(b.configuration.plans))
	return m
}

// since returns by how much a counter has grown since it was shown last.
func (m *serveMetrics) since(c *atomic.Uint64) int {
	now := c.Load()
	grown := now - m.shown[c]
	m.shown[c] = now
	return int(grown)
}

// update shows the counters as they are now. It belongs to the dispatcher's
// goroutine.
func (m *serveMetrics) update() {
	s := m.backend.stats
	m.events.Outcome(int(event.Accepted), m.since(&s.offered))
	m.events.Outcome(int(event.Unwanted), m.since(&s.unwanted))
	m.events.Outcome(int(event.Whitelisted), m.since(&s.whitelisted))
	for reason := range s.rejected {
		m.events.Outcome(reason, m.since(&s.rejected[reason]))
	}
	m.events.Matched(m.since(&s.matched))
	m.events.Dropped(telemetry.DropQueueFull, m.since(&m.backend.queue.dropped))
	m.events.Dropped(telemetry.DropShutdown, m.since(&s.abandoned))
	slow := m.backend.conn.dropped()
	m.events.Dropped(telemetry.DropSlowConsumer, int(slow-m.dropped[0]))
	m.dropped[0] = slow
	m.engine.Opened(m.since(&s.opened))
	m.engine.Closed(telemetry.BacklogCompleted, m.since(&s.finished))
	m.engine.Closed(telemetry.BacklogExpired, m.since(&s.expired))
	m.engine.Live(int(s.live.Load()), int(s.active.Load()))
	m.engine.Alarms(telemetry.AlarmLow, m.since(&s.alarmLines[alarm.Low]))
	m.engine.Alarms(telemetry.AlarmMedium, m.since(&s.alarmLines[alarm.Medium]))
	m.engine.Alarms(telemetry.AlarmHigh, m.since(&s.alarmLines[alarm.High]))
}

// lookup counts the outcome of a look-up.
func (m *serveMetrics) lookup(service *enrich.Service, outcome enrich.Outcome, took time.Duration) {
	counted := telemetry.LookupSkipped
	switch outcome {
	case enrich.Found:
		counted = telemetry.LookupHit
	case enrich.Nothing:
		counted = telemetry.LookupMiss
	case enrich.Cached, enrich.Joined:
		counted = telemetry.LookupCached
	case enrich.Failed:
		counted = telemetry.LookupFailed
	case enrich.Abandoned:
		counted = telemetry.LookupTimedOut
	case enrich.Skipped, enrich.Dropped, enrich.OverLimit:
	}
	m.lookups.Count(service.Name, counted)
	if took > 0 {
		m.lookups.Took(took)
	}
}

// files shows what the writer of the alarm files has counted.
func (m *serveMetrics) files(w *sink.Writer) {
	telemetry.RegisterAlarmFiles(m.registry, func() telemetry.AlarmFiles { return telemetry.AlarmFiles(w.Stats()) })
}

// listen opens the diagnostics server, if there is to be one.
func (n *node) listen(ctx context.Context) (*telemetry.Server, error) {
	o := n.options
	if o.MetricsAddress == "" {
		return nil, nil //nolint:nilnil // no server is no error
	}
	shows := n.diagnosticsOptions()
	server, err := telemetry.Listen(ctx, telemetry.ServerOptions{
		Address: o.MetricsAddress, Gatherer: shows.Gatherer, Checks: shows.Checks, Variables: shows.Variables,
		Pprof: shows.Pprof, Logger: shows.Logger,
	})
	if err != nil {
		return nil, err
	}
	n.target("diagnostics").Info("diagnostics server listening", "address", server.Addr().String())
	return server, nil
}

// watch writes the watchdog report until ctx ends.
func (n *node) watch(ctx context.Context) error {
	logger := n.target("watchdog")
	watchdog := telemetry.NewWatchdog(time.Now())
	ticker := time.NewTicker(telemetry.WatchdogEvery)
	defer ticker.Stop()
	for {
		now := time.Now()
		if n.backend != nil {
			watchdog.Report(now, n.backend.totals()).Log(ctx, logger, n.options.MaxEPS)
		} else {
			n.frontend.report(ctx, logger, watchdog.Report(now, telemetry.Totals{Received: n.frontend.meter.Total()}))
		}
		_ = n.limited.Sweep(ctx, now)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// report writes a frontend's watchdog report.
func (f *frontend) report(ctx context.Context, logger *slog.Logger, r telemetry.Report) {
	s := f.intake.Stats()
	rejected := uint64(0)
	for _, n := range s.Rejected {
		rejected += n
	}
	logger.LogAttrs(ctx, slog.LevelInfo, "watchdog report",
		slog.Float64("eps", r.EPS), slog.Uint64("events_rcvd", r.Received), slog.Int("eps_limit", f.limiter.Limit()),
		slog.Bool("overloaded", f.limiter.Overloaded()), slog.Uint64("rejected", rejected), slog.Uint64("limited", s.Limited),
		slog.Uint64("unavailable", s.Unavailable), slog.Int("connections", f.listener.Open()))
}

func (b *backend) totals() telemetry.Totals {
	s := b.stats
	dropped := b.queue.dropped.Load() + b.conn.dropped()
	return telemetry.Totals{
		Received: s.received.Load() + dropped, Dropped: dropped,
		Matched: s.matched.Load(), Processed: s.offered.Load() + s.unwanted.Load(), Busy: time.Duration(s.busy.Load()),
		QueueLength: b.queue.len(), Directives: len(b.configuration.plans),
		ActiveDirectives: int(s.active.Load()), Backlogs: int(s.live.Load()),
	}
}
