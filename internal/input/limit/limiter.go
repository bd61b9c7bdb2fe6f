// Package limit limits the rate at which a frontend takes events, and lowers
// the limit while backends are overloaded.
//
// A Limiter owns its bucket of tokens and what it knows about the overload. It
// counts events, not requests (D70), never drops one by itself and never looks
// at one: it says yes at once, yes after a wait of at most three seconds, or
// no, and its caller answers the sender.
//
// Source of the behaviour: docs/spec/interfaces.md §3.5 and §4.6.
package limit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxWait is the longest that events wait for their tokens.
	maxWait = 3 * time.Second
	// period is the time between two adjustments of the limit (D09).
	period = 5 * time.Second
	// The limit rises by the span between its bounds divided by rise, and falls
	// by the span divided by fall.
	rise, fall = 100, 10
)

// ErrLimited says that events came faster than the limit allows. They have
// taken no tokens, and a second later there may be some.
var ErrLimited = errors.New("rate limit of events reached")

// Options are the settings of a Limiter. The zero value limits nothing.
type Options struct {
	// Max and Min are the bounds of the limit, in events per second. If either
	// is 0 or less there is no limit (D06). A Min above Max counts as Max.
	Max, Min int
	// Hold is how long an overload lasts at least after the last sign of it; 0
	// ends it with the first sign of relief.
	Hold time.Duration
	// Logger gets changes of the limit and of the overload; nil is silence.
	Logger *slog.Logger
}

// Limiter limits the rate of events. All methods may be called from any
// goroutine, and on a nil Limiter, which limits nothing and knows of no
// overload.
type Limiter struct {
	bucket   *rate.Limiter // nil if there is no limit
	min, max int
	hold     time.Duration
	log      *slog.Logger
	wake     chan struct{} // tells Run that relief is set

	refusedRequests, refusedEvents, waited atomic.Uint64

	overloaded atomic.Bool // written under mu
	mu         sync.Mutex  // guards what follows
	lastSign   time.Time   // of overload
	relief     bool        // a sign of relief waits for the end of the hold time
}

// New returns a Limiter that begins half-way between the bounds. It is useful
// without Run, but the limit stays as it is then, and a relief that has to wait
// never comes.
func New(o Options) *Limiter {
	l := &Limiter{
		max: o.Max, min: min(o.Min, o.Max), hold: o.Hold, log: o.Logger,
		wake: make(chan struct{}, 1),
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if o.Max > 0 && o.Min > 0 {
		start := l.max - (l.max-l.min)/2
		l.bucket = rate.NewLimiter(rate.Limit(start), start)
	}
	return l
}

// Take takes the tokens of n events that arrive together, and returns nil when
// they may pass. If there are too few tokens it waits for them for up to three
// seconds; if that would not do it returns ErrLimited at once. When ctx ends
// first, the error is that of ctx and the tokens are given back, except for
// those that others already wait behind.
//
// More events than the bucket holds, which is one second's worth, wait until it
// is full. The rest of their tokens is a debt: nothing else passes until it is
// paid off at the rate of the limit. So a large array is never refused for
// ever, and the average rate is the limit nevertheless.
func (l *Limiter) Take(ctx context.Context, n int) error {
	if l == nil || l.bucket == nil || n <= 0 {
		return nil
	}
	first := min(n, l.bucket.Burst())
	if !l.bucket.AllowN(time.Now(), first) {
		var err error
		if first, err = l.wait(ctx, n); err != nil {
			return err
		}
	}
	l.owe(n - first)
	return nil
}

// wait waits for the tokens of the first of n events, as many as the bucket
// holds, and returns their number.
func (l *Limiter) wait(ctx context.Context, n int) (first int, err error) {
	bounded := patience{ctx, time.Now().Add(maxWait)}
	for {
		first = min(n, l.bucket.Burst())
		err = l.bucket.WaitN(bounded, first) //nolint:contextcheck // it is ctx with one more limit
		switch {
		case err == nil:
			l.waited.Add(1)
			return first, nil
		case ctx.Err() != nil:
			return 0, fmt.Errorf("waiting for the rate limit: %w", context.Cause(ctx))
		case first > l.bucket.Burst():
			// The limit fell in between: as the bucket is now, it was too much.
		default:
			l.refusedRequests.Add(1)
			l.refusedEvents.Add(uint64(n)) //nolint:gosec // n is positive
			return 0, ErrLimited
		}
	}
}

// owe takes n tokens that need not be there yet.
func (l *Limiter) owe(n int) {
	for n > 0 {
		part := min(n, l.bucket.Burst())
		if l.bucket.ReserveN(time.Now(), part).OK() { // else the limit fell in between
			n -= part
		}
	}
}

// RetryAfter returns when somebody who was refused should try again, at the
// earliest: at least a second, and longer while a debt is being paid off.
func (l *Limiter) RetryAfter() time.Duration {
	if l == nil || l.bucket == nil {
		return leastRetry
	}
	missing := 1 - l.bucket.Tokens()
	wait := time.Duration(missing/float64(l.bucket.Limit())*float64(time.Second)) - maxWait
	return max(leastRetry, wait)
}

// leastRetry is what docs/spec/interfaces.md §3.3 wants senders to be told.
const leastRetry = time.Second

// patience is a context with a deadline that a rate.Limiter looks at before it
// waits, so that there is no timer to make for it.
type patience struct {
	context.Context
	end time.Time
}

// Deadline returns the end of patience, or that of the context if it is earlier.
func (p patience) Deadline() (time.Time, bool) {
	if end, ok := p.Context.Deadline(); ok && end.Before(p.end) {
		return end, true
	}
	return p.end, true
}

// Run adjusts the limit every five seconds and ends overloads, until ctx is
// done, and returns nil. It is called once.
func (l *Limiter) Run(ctx context.Context) error {
	if l == nil {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	relief := time.NewTimer(0)
	defer relief.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			l.adjust()
		case <-l.wake:
			l.relieve(relief)
		case <-relief.C:
			l.relieve(relief)
		}
	}
}

// adjust moves the limit by one step.
func (l *Limiter) adjust() {
	if l.bucket == nil {
		return
	}
	overloaded, before := l.Overloaded(), l.Limit()
	after := l.next(before, overloaded)
	if after == before {
		return
	}
	l.bucket.SetLimit(rate.Limit(after))
	l.bucket.SetBurst(after)                                                                                     // D10
	l.log.Info(fmt.Sprintf("Overload status is %t, EPS limit changed from %d to %d", overloaded, before, after)) //nolint:sloglint // the original's text
}

// next returns the limit after the given one. Its steps are never 0 (D08), and
// never lead out of the bounds (D07).
func (l *Limiter) next(limit int, overloaded bool) int {
	span := l.max - l.min
	if overloaded {
		return limit - min(limit-l.min, max(1, span/fall))
	}
	return limit + min(l.max-limit, max(1, span/rise))
}

// Overload takes a signal of some backend: that it is overloaded, or that it no
// longer is. It never waits.
//
// Nobody can tell which backend a signal comes from, so a relief counts only
// when there was no sign of overload for the hold time; until then it waits,
// and another sign of overload cancels it (D29). Backends of this generation
// repeat their sign every half hold time, those of others give it once. Hence
// silence is no relief: without any, the overload lasts.
func (l *Limiter) Overload(overloaded bool) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if overloaded {
		l.lastSign = time.Now()
		l.relief = false
		l.become(true)
		return
	}
	if !l.overloaded.Load() {
		return
	}
	if time.Since(l.lastSign) >= l.hold {
		l.relief = false
		l.become(false)
		return
	}
	l.relief = true
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// relieve ends the overload if a relief has waited long enough, and otherwise
// sets the timer for when it has.
func (l *Limiter) relieve(timer *time.Timer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.relief {
		return
	}
	if left := l.hold - time.Since(l.lastSign); left > 0 {
		timer.Reset(left)
		return
	}
	l.relief = false
	l.become(false)
}

// become sets the state. Callers hold mu, so that log lines are in order.
func (l *Limiter) become(overloaded bool) {
	if before := l.overloaded.Swap(overloaded); before != overloaded {
		l.log.Info(fmt.Sprintf("Received overload status change from %t to %t from backend", before, overloaded)) //nolint:sloglint // the original's text
	}
}

// Limit returns the number of events per second that may pass, 0 for no limit.
func (l *Limiter) Limit() int {
	if l == nil || l.bucket == nil {
		return 0
	}
	return l.bucket.Burst()
}

// Overloaded reports whether backends are overloaded, as far as is known.
func (l *Limiter) Overloaded() bool { return l != nil && l.overloaded.Load() }

// Stats are counts since New.
type Stats struct {
	// RefusedRequests is the number of calls of Take that returned ErrLimited,
	// RefusedEvents that of the events in them.
	RefusedRequests, RefusedEvents uint64
	// WaitedRequests is the number of calls of Take that got their tokens after
	// a wait.
	WaitedRequests uint64
}

// Stats returns the counts of now.
func (l *Limiter) Stats() Stats {
	if l == nil {
		return Stats{}
	}
	return Stats{
		RefusedRequests: l.refusedRequests.Load(),
		RefusedEvents:   l.refusedEvents.Load(),
		WaitedRequests:  l.waited.Load(),
	}
}
