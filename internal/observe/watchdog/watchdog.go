// Package watchdog measures the rate of events and makes the report about what
// a node did since the last one.
//
// A Watchdog belongs to the goroutine that reports, the rate of a Meter to the
// one that ticks. The package counts nothing by itself: it is handed totals. It
// reads no clock, except in Meter.Run.
//
// Source of the formats: docs/spec/interfaces.md §5.3.
package watchdog

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"
)

// Every is the time between two watchdog reports; the first one is made at the
// start (docs/spec/interfaces.md §5.3).
const Every = 10 * time.Second

// Totals is what the pipeline has counted by a moment. The first group only
// grows; the second is the state of the moment.
type Totals struct {
	// Received are the events that arrived, dropped ones included.
	Received uint64
	// Matched are the events that a backlog took.
	Matched uint64
	// Dropped are the events that a full queue or a slow consumer cost.
	Dropped uint64
	// Processed are the events that the engine stepped through, and Busy the
	// time it spent on them.
	Processed uint64
	Busy      time.Duration
	// TimedOut are the backlogs that did not answer in time. This program
	// never waits for a backlog; the field exists for readers of the report.
	TimedOut uint64

	// QueueLength is the number of events that wait.
	QueueLength int
	// Directives are the loaded directives, ActiveDirectives those of them
	// that have backlogs, Backlogs the live backlogs.
	Directives, ActiveDirectives, Backlogs int
}

// Report is what one watchdog report says (docs/spec/interfaces.md §5.3).
type Report struct {
	// EPS is the mean of events received per second since the start, with two
	// decimals.
	EPS float64
	// AvgProcTimeMS is the mean time for one event since the previous report,
	// in milliseconds with three decimals; 0 if there was none.
	AvgProcTimeMS float64
	// Received, Matched, Dropped and TimedOut count since the previous report.
	Received, Matched, Dropped, TimedOut uint64

	QueueLength                            int
	Directives, ActiveDirectives, Backlogs int
}

// Watchdog makes reports out of totals. It reads no clock and belongs to one
// goroutine; make it with New at the start.
type Watchdog struct {
	start    time.Time
	previous Totals
}

// New returns a Watchdog for a program that started at a time.
func New(start time.Time) *Watchdog { return &Watchdog{start: start} }

// Report returns the report at a time, and remembers the totals for the next.
func (w *Watchdog) Report(now time.Time, t Totals) Report {
	r := Report{
		Received:         t.Received - w.previous.Received,
		Matched:          t.Matched - w.previous.Matched,
		Dropped:          t.Dropped - w.previous.Dropped,
		TimedOut:         t.TimedOut - w.previous.TimedOut,
		QueueLength:      t.QueueLength,
		Directives:       t.Directives,
		ActiveDirectives: t.ActiveDirectives,
		Backlogs:         t.Backlogs,
	}
	if elapsed := now.Sub(w.start).Seconds(); elapsed > 0 {
		r.EPS = round(float64(t.Received)/elapsed, 2)
	}
	if n := t.Processed - w.previous.Processed; n > 0 {
		busy := t.Busy - w.previous.Busy
		r.AvgProcTimeMS = round(float64(busy)/float64(n)/float64(time.Millisecond), 3)
	}
	w.previous = t
	return r
}

func round(x float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(x*scale) / scale
}

// Attrs returns the fields of the report line: those of both generations of
// Rust backends, and dropped if it is not 0.
func (r Report) Attrs() []slog.Attr {
	attrs := []slog.Attr{
		slog.Float64("eps", r.EPS),
		slog.Int("queue_length", r.QueueLength),
		slog.Float64("avg_proc_time_ms", r.AvgProcTimeMS),
		slog.Int("ttl_directives", r.Directives),
		slog.Int("active_directives", r.ActiveDirectives),
		slog.Int("directives_ttl", r.Directives),
		slog.Int("directives_active", r.ActiveDirectives),
		slog.Uint64("events_rcvd", r.Received),
		slog.Uint64("events_matched", r.Matched),
		slog.Int("backlogs", r.Backlogs),
		slog.Uint64("backlogs_timedout", r.TimedOut),
	}
	if r.Dropped > 0 {
		attrs = append(attrs, slog.Uint64("dropped", r.Dropped))
	}
	return attrs
}

// TooSlow returns the warning of a report whose events took longer than the
// target rate allows while others waited, or "". maxEPS is the target in
// events per second; there is no warning without one.
func (r Report) TooSlow(maxEPS int) string {
	if maxEPS <= 0 || r.QueueLength == 0 {
		return ""
	}
	budget := 1000 / float64(maxEPS)
	if r.AvgProcTimeMS <= budget {
		return ""
	}
	return fmt.Sprintf("avg. processing time maybe too long to sustain the target %d event/sec (or %.3f ms/event)",
		maxEPS, budget)
}

// Log writes the report line, the warning of TooSlow if there is one, and a
// warning if events were dropped.
func (r Report) Log(ctx context.Context, logger *slog.Logger, maxEPS int) {
	logger.LogAttrs(ctx, slog.LevelInfo, "watchdog report", r.Attrs()...)
	if warning := r.TooSlow(maxEPS); warning != "" {
		//nolint:sloglint // operators key on this text with its numbers (docs/spec/interfaces.md §5.3)
		logger.LogAttrs(ctx, slog.LevelWarn, warning, slog.Float64("avg_proc_time_ms", r.AvgProcTimeMS))
	}
	if r.Dropped > 0 {
		logger.LogAttrs(ctx, slog.LevelWarn, "events dropped",
			slog.Uint64("dropped", r.Dropped), slog.Int("queue_length", r.QueueLength))
	}
}
