package node

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/bus"
	"dsiem/internal/event"
	"dsiem/internal/live"
	"dsiem/internal/observe/metric"
	"dsiem/internal/observe/watchdog"
	"dsiem/internal/web/diagnostics"
)

// connection is the connection to the message queue, once there is one.
type connection struct{ atomic.Pointer[bus.Conn] }

func (c *connection) get() *bus.Conn     { return c.Load() }
func (c *connection) set(conn *bus.Conn) { c.Store(conn) }

// takesEvents returns nil when the start is complete and the connection is up.
func (b *backend) takesEvents(context.Context) error {
	if !live.IsClosed(b.Begun) || !b.conn.get().Connected() {
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

// serveMetrics shows the counters to Prometheus. The pipeline counts in
// serveStats; update carries the differences over.
type serveMetrics struct {
	events  *metric.EventMetrics
	engine  *metric.EngineMetrics
	backend *backend
	shown   map[*atomic.Uint64]uint64
	dropped [2]uint64
}

func newServeMetrics(b *backend) *serveMetrics {
	registry := b.registry
	outcomes := make([]string, event.Reasons)
	for i := range outcomes {
		outcomes[i] = event.Reason(i).String()
	}
	metric.RegisterQueue(registry, b.queue.Limit, b.queue.Len)
	m := &serveMetrics{
		backend: b, shown: map[*atomic.Uint64]uint64{},
		events: metric.NewEventMetrics(registry, outcomes),
		engine: metric.NewEngineMetrics(registry),
	}
	m.engine.Loaded(len(b.configuration.Plans))
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
	s := m.backend.Stats
	m.events.Outcome(int(event.Accepted), m.since(&s.Offered))
	m.events.Outcome(int(event.Unwanted), m.since(&s.Unwanted))
	m.events.Outcome(int(event.Whitelisted), m.since(&s.Whitelisted))
	for reason := range s.Rejected {
		m.events.Outcome(reason, m.since(&s.Rejected[reason]))
	}
	m.events.Matched(m.since(&s.Matched))
	m.events.Dropped(metric.DropQueueFull, m.since(&m.backend.queue.Dropped))
	m.events.Dropped(metric.DropShutdown, m.since(&s.Abandoned))
	slow := m.backend.conn.dropped()
	m.events.Dropped(metric.DropSlowConsumer, int(slow-m.dropped[0]))
	m.dropped[0] = slow
	m.engine.Opened(m.since(&s.Opened))
	m.engine.Closed(metric.BacklogCompleted, m.since(&s.Finished))
	m.engine.Closed(metric.BacklogExpired, m.since(&s.Expired))
	m.engine.Live(int(s.Live.Load()), int(s.Active.Load()))
	m.engine.Alarms(metric.AlarmLow, m.since(&s.AlarmLines[alarm.Low]))
	m.engine.Alarms(metric.AlarmMedium, m.since(&s.AlarmLines[alarm.Medium]))
	m.engine.Alarms(metric.AlarmHigh, m.since(&s.AlarmLines[alarm.High]))
}

// listen opens the diagnostics server, if there is to be one.
func (n *Node) listen(ctx context.Context) (*diagnostics.Server, error) {
	o := n.options
	if o.MetricsAddress == "" {
		return nil, nil //nolint:nilnil // no server is no error
	}
	shows := n.diagnosticsOptions()
	server, err := diagnostics.Listen(ctx, diagnostics.ServerOptions{
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
func (n *Node) watch(ctx context.Context) error {
	logger := n.target("watchdog")
	reports := watchdog.New(time.Now())
	ticker := time.NewTicker(watchdog.WatchdogEvery)
	defer ticker.Stop()
	for {
		now := time.Now()
		if n.Backend != nil {
			reports.Report(now, n.Backend.totals()).Log(ctx, logger, n.options.MaxEPS)
		} else {
			n.frontend.report(ctx, logger, reports.Report(now, watchdog.Totals{Received: n.frontend.meter.Total()}))
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
func (f *frontend) report(ctx context.Context, logger *slog.Logger, r watchdog.Report) {
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

func (b *backend) totals() watchdog.Totals {
	s := b.Stats
	dropped := b.queue.Dropped.Load() + b.conn.dropped()
	return watchdog.Totals{
		Received: s.Received.Load() + dropped, Dropped: dropped,
		Matched: s.Matched.Load(), Processed: s.Offered.Load() + s.Unwanted.Load(), Busy: time.Duration(s.Busy.Load()),
		QueueLength: b.queue.Len(), Directives: len(b.configuration.Plans),
		ActiveDirectives: int(s.Active.Load()), Backlogs: int(s.Live.Load()),
	}
}
