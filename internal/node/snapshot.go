package node

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/live"
	"dsiem/internal/observe/metric"
	"dsiem/internal/observe/otel"
	"dsiem/internal/observe/watchdog"
	"dsiem/internal/web/status"
)

// Snapshot is what a node has counted by a moment, and its state then. The
// watchdog, OpenTelemetry, the variables and the status page show it. Connected is
// of all nodes; each of the rest belongs to frontends, backends or both, and is 0
// elsewhere.
type Snapshot struct {
	At time.Time
	// Connected says whether the connection to NATS is up.
	Connected bool

	// EPS are the events of the last second, Limit those that are taken per second,
	// 0 for all, and Overloaded says whether a backend is overloaded.
	EPS        int64
	Limit      int
	Overloaded bool
	// HandedOn, Rejected, Limited and Unavailable are events that came over HTTP.
	HandedOn, Rejected, Limited, Unavailable uint64
	// Connections are the clients that are connected.
	Connections int

	// Correlation is what the engines have done.
	Correlation live.Counts
	// QueueFull, SlowConsumer and Shutdown are events that were lost, because the
	// queue was full, because the NATS client could not keep up, or because they
	// were still waiting at the end.
	QueueFull, SlowConsumer, Shutdown uint64
	// QueueLength are the events that wait, QueueLimit those that can.
	QueueLength, QueueLimit int
	// Alarms are the last alarms, the newest first.
	Alarms []status.Alarm
}

// snapshot adds what a frontend knows.
func (f *frontend) snapshot(s *Snapshot) {
	counts := f.intake.Stats()
	for _, n := range counts.Rejected {
		s.Rejected += n
	}
	s.EPS, s.Limit, s.Overloaded = f.meter.EPS(), f.limiter.Limit(), f.limiter.Overloaded()
	s.HandedOn, s.Limited, s.Unavailable = f.meter.Total(), counts.Limited, counts.Unavailable
	s.Connections = f.listener.Open()
}

// snapshot adds what a backend knows.
func (b *backend) snapshot(s *Snapshot) {
	s.Correlation = b.correlator.Counts()
	s.QueueFull, s.SlowConsumer, s.Shutdown = b.queue.Dropped(), b.conn.dropped(), b.abandoned.Load()
	s.QueueLength, s.QueueLimit = b.queue.Len(), b.queue.Limit()
	s.Alarms = b.recent.List()
}

// dropped are the events that were lost while the node ran.
func (s Snapshot) dropped() uint64 { return s.QueueFull + s.SlowConsumer }

// totals returns what the watchdog reports of a node in a mode.
func (s Snapshot) totals(mode string) watchdog.Totals {
	if mode == ModeFrontend {
		return watchdog.Totals{Received: s.HandedOn}
	}
	c := &s.Correlation
	return watchdog.Totals{
		Received: c.Received + s.dropped(), Dropped: s.dropped(), Matched: c.Matched,
		Processed: c.Offered + c.Unwanted, Busy: c.Busy, QueueLength: s.QueueLength,
		Directives: c.Directives, ActiveDirectives: c.Engine.Active, Backlogs: c.Engine.Live,
	}
}

// readings returns what goes to a collector of OpenTelemetry.
func (s Snapshot) readings(mode string, report watchdog.Report) otel.Readings {
	readings := otel.Readings{EPS: report.EPS, EventsReceived: report.Received}
	if mode == ModeFrontend {
		return readings
	}
	readings.AvgProcTimeMS, readings.QueueLength = report.AvgProcTimeMS, report.QueueLength
	readings.Directives, readings.ActiveDirectives, readings.Backlogs = report.Directives, report.ActiveDirectives, report.Backlogs
	readings.EventsMatched, readings.BacklogsTimedOut = report.Matched, report.TimedOut
	readings.EventsDropped = map[string]uint64{"queue_full": s.QueueFull, "slow_consumer": s.SlowConsumer, "shutdown": s.Shutdown}
	readings.AlarmsWritten = s.Correlation.AlarmLines()
	return readings
}

// page returns what the status page shows of a node that started at a time.
func (s Snapshot) page(o *Options, started time.Time) status.Status {
	p := status.Status{
		Mode: o.Mode, Node: o.Node, Version: o.Version, Started: started, UptimeSeconds: int64(s.At.Sub(started).Seconds()),
		EPS:    &status.EPS{Now: s.EPS, Limit: s.Limit, Overloaded: s.Overloaded},
		NATS:   &status.NATS{Connected: s.Connected},
		Events: &status.Events{Received: s.HandedOn},
		Links:  status.Links{Ready: true, Metrics: true, Config: true, UI: isDirectory(o.HTTP.WebDir)},
	}
	if o.Mode == ModeFrontend {
		return p
	}
	c := &s.Correlation
	p.Events = &status.Events{Received: c.Received + s.dropped(), Dropped: s.dropped()}
	p.Queue = &status.Queue{Length: s.QueueLength, Limit: s.QueueLimit}
	p.Backlogs = &status.Backlogs{Live: c.Engine.Live, Active: c.Engine.Active, Directives: c.Directives}
	p.Alarms = s.Alarms
	return p
}

func isDirectory(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// logFrontend writes a frontend's watchdog report.
func (s Snapshot) logFrontend(ctx context.Context, logger *slog.Logger, r watchdog.Report) {
	logger.LogAttrs(ctx, slog.LevelInfo, "watchdog report",
		slog.Float64("eps", r.EPS), slog.Uint64("events_rcvd", r.Received), slog.Int("eps_limit", s.Limit),
		slog.Bool("overloaded", s.Overloaded), slog.Uint64("rejected", s.Rejected), slog.Uint64("limited", s.Limited),
		slog.Uint64("unavailable", s.Unavailable), slog.Int("connections", s.Connections))
}

// registerOutdated shows to Prometheus whether a backend runs with an outdated
// configuration.
func registerOutdated(reg prometheus.Registerer, outdated func() bool) {
	m := metric.NewSnapshot(outdated)
	m.Gauge("dsiem_config_outdated", "1 while the configuration is that of an earlier download, because this start got no good one.", metric.Truth)
	reg.MustRegister(m)
}

// registerDrops shows to Prometheus what several packages count.
func registerDrops(reg prometheus.Registerer, read func() Snapshot) {
	m := metric.NewSnapshot(read)
	drops := m.Counters("dsiem_events_dropped_total", "Events that were lost before they were looked at, by reason.", "reason")
	drops("queue_full", func(s Snapshot) uint64 { return s.QueueFull })
	drops("slow_consumer", func(s Snapshot) uint64 { return s.SlowConsumer })
	drops("shutdown", func(s Snapshot) uint64 { return s.Shutdown })
	reg.MustRegister(m)
}
