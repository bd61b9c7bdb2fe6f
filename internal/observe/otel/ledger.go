package otel

import (
	"cmp"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"dsiem/internal/observe/log"
)

// ledger counts what became of the items of one kind, spans or data points, and
// tells the log about those that got lost: at most once per linesEvery, and once
// when it is over. It is safe for concurrent use.
type ledger struct {
	log *slog.Logger

	sent, full, failed, refused atomic.Uint64

	mu      sync.Mutex
	told    uint64    // lost items that the log knows of
	lines   log.Limit // of warnings
	reason  string    // for the last loss that the log does not know of
	failing bool      // the last warning was about an export that failed
}

func newLedger(logger *slog.Logger) *ledger {
	return &ledger{log: logger, lines: log.Limit{Per: linesEvery}}
}

func (l *ledger) delivery() Delivery {
	return Delivery{
		Sent: l.sent.Load(), QueueFull: l.full.Load(), Failed: l.failed.Load(), Refused: l.refused.Load(),
	}
}

// settle takes down the export of some items.
func (l *ledger) settle(now time.Time, items int, refused *refusal, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed.Add(uint64(items)) //nolint:gosec // a count
		l.reason = reason(err.Error())
	} else {
		not := min(max(refused.items, 0), int64(items))
		l.refused.Add(uint64(not))             //nolint:gosec // see above
		l.sent.Add(uint64(int64(items) - not)) //nolint:gosec // see above
		if not > 0 {
			l.reason = cmp.Or(reason(refused.reason), "the collector refuses them")
		}
	}
	switch {
	case l.fresh() > 0 && l.lines.Allow(now):
		l.warn()
		l.failing = err != nil
	case err == nil && l.failing:
		l.failing = false
		fresh := l.fresh()
		l.log.Info("telemetry is exported again", "lost_meanwhile", fresh)
		l.told += fresh
		l.reason = ""
	}
}

// close tells what was not told yet.
func (l *ledger) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fresh() > 0 {
		l.warn()
	}
}

// fresh is the number of lost items that the log does not know of.
func (l *ledger) fresh() uint64 { return l.delivery().Lost() - l.told }

func (l *ledger) warn() {
	d := l.delivery()
	l.log.Warn("telemetry lost", "lost", d.Lost()-l.told, "reason", cmp.Or(l.reason, "too much waits"),
		"queue_full_total", d.QueueFull, "failed_total", d.Failed, "refused_total", d.Refused)
	l.told, l.reason = d.Lost(), ""
}
