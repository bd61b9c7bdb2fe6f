// Package limit limits the rate at which a frontend takes events, shares it among
// the clients that send them, and lowers it while backends are overloaded.
//
// A Limiter owns the accounts of clients and what it knows about the overload. It
// counts events, not requests (D70), never drops one by itself and never looks
// at one: it says yes at once, yes after a wait of at most three seconds, or
// no, and its caller answers the sender.
//
// Source of the behaviour: docs/spec/interfaces.md §3.5 and §4.6.
package limit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxWait is the longest that events wait for their tokens.
	maxWait = 3 * time.Second
	// leastRetry and mostRetry bound when a client is told to try again: a debt may
	// be paid sooner than it looks, as other clients may leave their share to it.
	leastRetry, mostRetry = time.Second, 5 * time.Minute
	// period is the time between two adjustments of the limit (D09).
	period = 5 * time.Second
	// The limit rises by the span between its bounds divided by rise, and falls
	// by the span divided by fall.
	rise, fall = 100, 10
)

// ErrLimited is what each RefusalError is: events came faster than the limit allows. They
// have taken no tokens.
var ErrLimited = errors.New("rate limit of events reached")

// RefusalError is why events of a client are refused.
type RefusalError struct {
	// Client is whose events they are.
	Client string
	// Ahead is the number of events by which the client is ahead of its share of
	// Limit events per second: those that were taken, and those that wait.
	Ahead, Limit int

	after time.Duration
}

// Error says how far the client is ahead.
func (r *RefusalError) Error() string {
	return fmt.Sprintf("%s is %d events ahead of its share of the limit of %d per second", r.Client, r.Ahead, r.Limit)
}

// Unwrap returns ErrLimited.
func (r *RefusalError) Unwrap() error { return ErrLimited }

// RetryAfter returns when the client should try again: when its debt is paid as far
// as is known now, in one second at least and five minutes at most.
func (r *RefusalError) RetryAfter() time.Duration { return min(max(r.after, leastRetry), mostRetry) }

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
	limited  bool // whether there is a limit
	current  atomic.Int64
	min, max int
	hold     time.Duration
	log      *slog.Logger
	wake     chan struct{} // tells Run that relief is set

	refusedRequests, refusedEvents, waited atomic.Uint64

	sharing sync.Mutex // guards shares
	shares  *shares

	moves int // the direction of the last step, -1, 0 or 1; Run's

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
		l.limited = true
		l.shares = newShares()
		l.setLimit(l.max - (l.max-l.min)/2)
	}
	return l
}

// Admit returns nil if a request of a client need not be refused whatever is in it,
// and otherwise a *RefusalError. It takes no tokens: it saves the work on a request that
// Take would refuse.
func (l *Limiter) Admit(client string) error {
	if l == nil || !l.limited {
		return nil
	}
	l.sharing.Lock()
	defer l.sharing.Unlock()
	l.shares.advance(time.Now())
	a := l.shares.find(client)
	if l.shares.until(l.shares.due(a)) <= maxWait {
		return nil
	}
	l.refusedRequests.Add(1)
	return l.refusal(client, a)
}

// refusal returns why a client is refused. Callers hold sharing.
func (l *Limiter) refusal(client string, a *account) *RefusalError {
	r := &RefusalError{Client: client, Ahead: l.shares.debt(a), Limit: l.shares.limit, after: l.shares.likely(l.shares.due(a))}
	if a != nil && a.waiting > 0 {
		r.after -= maxWait // when there is room among those that wait
	}
	return r
}

// Take takes the tokens of n events of a client that arrive together, and returns nil
// when they may pass. They may as soon as there is a token for the first of them: what
// the client has not got yet is its debt, and until that is paid nothing else of this
// client passes. So a large array is never refused for ever, the average rate is the
// limit nevertheless, and no other client waits for it.
//
// Without a token Take waits for up to three seconds; if that would not do it returns
// a *RefusalError at once, or when other clients come in between. When ctx ends first, the
// error is that of ctx. In both cases the tokens are given back.
func (l *Limiter) Take(ctx context.Context, client string, n int) error {
	if l == nil || !l.limited || n <= 0 {
		return nil
	}
	now := time.Now()
	end := now.Add(maxWait)
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(end) {
		end = earlier
	}
	l.sharing.Lock()
	defer l.sharing.Unlock()
	l.shares.advance(now)
	a := l.shares.open(client)
	due := l.shares.due(a)
	wait := l.shares.until(due)
	if now.Add(wait).After(end) {
		return l.refuse(client, a, n)
	}
	l.shares.take(a, n)
	if wait == 0 {
		return nil
	}
	a.waiting++
	err := l.wait(ctx, a, due, end)
	a.waiting--
	if err != nil {
		l.shares.giveBack(a, n)
	}
	if errors.Is(err, ErrLimited) {
		return l.refuse(client, a, n)
	}
	return err
}

// refuse counts n events that are refused, and returns why. Callers hold sharing.
func (l *Limiter) refuse(client string, a *account, n int) *RefusalError {
	l.refusedRequests.Add(1)
	l.refusedEvents.Add(uint64(n)) //nolint:gosec // n is positive
	return l.refusal(client, a)
}

// wait waits for the level at which an account has a token, until a time. If the account
// is forgotten meanwhile its client is not in debt any more. Callers hold sharing, which
// others may have in the meantime.
func (l *Limiter) wait(ctx context.Context, a *account, due float64, end time.Time) error {
	timer := time.NewTimer(l.shares.until(due))
	defer timer.Stop()
	for {
		l.sharing.Unlock()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		l.sharing.Lock()
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for the rate limit: %w", context.Cause(ctx))
		}
		now := time.Now()
		l.shares.advance(now)
		left := l.shares.until(due)
		switch {
		case left == 0 || a.isForgotten():
			l.waited.Add(1)
			return nil
		case now.Add(left).After(end):
			return ErrLimited // the share has become smaller
		}
		timer.Reset(left)
	}
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

// adjust moves the limit by one step. The first of many that lead to a bound is for
// everybody's log.
func (l *Limiter) adjust() {
	if !l.limited {
		return
	}
	overloaded, before := l.Overloaded(), l.Limit()
	after := l.next(before, overloaded)
	say, moves, towards := l.log.Debug, cmp.Compare(after, before), l.max
	if moves != l.moves {
		say, l.moves = l.log.Info, moves
	}
	if moves == 0 {
		return
	}
	if overloaded {
		towards = l.min
	}
	l.setLimit(after)
	say(fmt.Sprintf("Overload status is %t, EPS limit changed from %d to %d", overloaded, before, after), "towards", towards) // the original's text
}

// setLimit sets the tokens per second, and how many an account holds (D10).
func (l *Limiter) setLimit(limit int) {
	l.sharing.Lock()
	defer l.sharing.Unlock()
	l.shares.advance(time.Now())
	l.shares.limit = limit
	l.current.Store(int64(limit))
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
	if l == nil {
		return 0
	}
	return int(l.current.Load())
}

// Overloaded reports whether backends are overloaded, as far as is known.
func (l *Limiter) Overloaded() bool { return l != nil && l.overloaded.Load() }

// Stats are counts since New.
type Stats struct {
	// RefusedRequests is the number of calls of Admit and Take that returned
	// ErrLimited, RefusedEvents that of the events that Take knew of.
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

// Clients says how many clients there are.
type Clients struct {
	// Sharing is the number of clients that share the limit now, since they have
	// sent lately or are in debt. InDebt is that of the latter.
	Sharing, InDebt int
	// Forgotten is the number of clients, since New, that were forgotten while they
	// were among those that share the limit, as there were too many clients.
	Forgotten uint64
}

// Clients returns the numbers of now.
func (l *Limiter) Clients() Clients {
	if l == nil || !l.limited {
		return Clients{}
	}
	l.sharing.Lock()
	defer l.sharing.Unlock()
	l.shares.advance(time.Now())
	return Clients{Sharing: len(l.shares.filling), InDebt: l.shares.inDebt(), Forgotten: l.shares.forgotten}
}
