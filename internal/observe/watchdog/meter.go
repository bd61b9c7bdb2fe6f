package watchdog

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// meterEvery is the time between two refreshes of a rate (docs/spec/interfaces.md
// §3.6).
const meterEvery = time.Second

// Meter measures a rate of events: it counts them, one atomic addition per
// batch, and knows how many there were in the last full second. The zero value
// is ready. Add, Total and EPS may be called from any goroutine; Run, or Tick in
// its place, belongs to one.
type Meter struct {
	total, eps atomic.Uint64

	// Owned by whoever ticks.
	at   time.Time // of the last tick
	seen uint64    // the total then
}

// Add counts n events; less than one is none.
func (m *Meter) Add(n int) {
	if n > 0 {
		m.total.Add(uint64(n))
	}
}

// Total returns the number of events since the start.
func (m *Meter) Total() uint64 { return m.total.Load() }

// EPS returns the events of the last full second, 0 before there was one.
func (m *Meter) EPS() int64 { return int64(m.eps.Load()) } //nolint:gosec // a rate does not reach 2^63

// Tick ends the second that began with the Tick before. One that comes late,
// because the program was busy, is made good for: the rate is the mean per
// second. A time that is not after that of the Tick before starts anew.
func (m *Meter) Tick(now time.Time) {
	total := m.total.Load()
	elapsed := now.Sub(m.at)
	if !m.at.IsZero() && elapsed > 0 {
		m.eps.Store(uint64(math.Round(float64(total-m.seen) / elapsed.Seconds())))
	}
	m.at, m.seen = now, total
}

// Run ticks once a second until the end of ctx, after which the rate is 0. It
// returns nil.
func (m *Meter) Run(ctx context.Context) error {
	ticker := time.NewTicker(meterEvery)
	defer ticker.Stop()
	m.Tick(time.Now())
	for {
		select {
		case <-ctx.Done():
			m.eps.Store(0)
			return nil
		case now := <-ticker.C:
			m.Tick(now)
		}
	}
}
