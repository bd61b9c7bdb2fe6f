package enrich

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jellydator/ttlcache/v3"
	"github.com/sony/gobreaker/v2"

	"dsiem/internal/alarm"
	"dsiem/internal/observe/log"
)

// service is a configured service at work.
type service struct {
	Service
	index   int
	log     *slog.Logger
	queue   chan *flight
	breaker *gobreaker.CircuitBreaker[[]alarm.Hit]

	failures, dropped, over tally
}

func newService(o *Options, index int) *service {
	configured := o.Services[index]
	s := &service{
		Service: configured,
		index:   index,
		log:     o.Logger.With("source", configured.Name, "kind", configured.Kind.String()),
		queue:   make(chan *flight, o.Queue),
	}
	for _, t := range []*tally{&s.failures, &s.dropped, &s.over} {
		t.lines.Per = reportInterval
	}
	s.breaker = gobreaker.NewCircuitBreaker[[]alarm.Hit](gobreaker.Settings{
		Name:         s.Name,
		Timeout:      o.BreakerPause,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return int64(c.ConsecutiveFailures) >= int64(o.BreakerFailures) },
		IsSuccessful: func(err error) bool { return err == nil || errors.Is(err, ErrAnswer) },
		// The end of the program is no failure of the service.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			s.logState(from, to, o.BreakerPause)
		},
	})
	return s
}

// logState tells that a service is left alone, and that it is back. While it is
// down it is tried again and again, which is not logged.
func (s *service) logState(from, to gobreaker.State, pause time.Duration) {
	switch {
	case from == gobreaker.StateClosed && to == gobreaker.StateOpen:
		s.log.Warn("look-ups fail, leaving the source alone for a while", "pause", pause)
	case to == gobreaker.StateClosed:
		s.log.Info("look-ups work again")
	}
}

// work answers the look-ups of a service until ctx is done.
func (e *Enricher) work(ctx context.Context, s *service) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-s.queue:
			e.fly(ctx, s, f)
		}
	}
}

// fly answers one look-up.
func (e *Enricher) fly(ctx context.Context, s *service, f *flight) {
	if e.abandon(f) {
		e.observe(&s.Service, Abandoned, 0)
		return
	}
	start := time.Now()
	hits, err := s.breaker.Execute(func() ([]alarm.Hit, error) {
		timed, cancel := context.WithTimeout(ctx, e.opts.Timeout)
		defer cancel()
		return s.Lookup(timed, f.key.term)
	})
	took := time.Since(start)
	switch {
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		e.observe(&s.Service, Skipped, 0)
	case err != nil && ctx.Err() != nil:
		e.observe(&s.Service, Abandoned, took)
	case err != nil:
		outcome := Failed
		if errors.Is(err, context.DeadlineExceeded) {
			outcome = Abandoned
		}
		e.observe(&s.Service, outcome, took)
		s.failures.add(1, err)
		e.report(time.Now())
	case len(hits) > 0:
		e.observe(&s.Service, Found, took)
	default:
		e.observe(&s.Service, Nothing, took)
	}
	for _, p := range e.land(f, hits, err) {
		p.deliver()
	}
}

// abandon gives a look-up up if nobody waits for it any more.
func (e *Enricher) abandon(f *flight) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range f.waiting {
		if !w.request.ended {
			return false
		}
	}
	delete(e.flights, f.key)
	return true
}

// land remembers the answer of a look-up, unless it failed, hands it to the
// requests that wait for it, and returns those for which it was the last one.
func (e *Enricher) land(f *flight, hits []alarm.Hit, err error) []*pending {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.flights, f.key)
	if err == nil {
		e.cache.Set(f.key, hits, ttlcache.DefaultTTL)
	} else {
		hits = nil
	}
	var ended []*pending
	for _, w := range f.waiting {
		p := w.request
		if p.ended {
			continue
		}
		p.answers[w.answer].hits = hits
		if p.missing--; p.missing == 0 {
			ended = append(ended, e.end(p))
		}
	}
	return ended
}

// reportInterval is the time between two reports of the same trouble.
const reportInterval = time.Minute

// report logs the troubles of services that are due.
func (e *Enricher) report(now time.Time) {
	for _, s := range e.services {
		if n, err := s.failures.take(now); n > 0 {
			s.log.Warn("look-ups failed", "count", n, "last_error", err)
		}
		if n, _ := s.dropped.take(now); n > 0 {
			s.log.Warn("look-ups dropped, too many are waiting", "count", n, "queue", e.opts.Queue)
		}
		if n, _ := s.over.take(now); n > 0 {
			s.log.Warn("look-ups left out, alarms have too many addresses or ports", "count", n, "limit_per_alarm", e.opts.MaxTerms)
		}
	}
}

// tally counts troubles between two reports.
type tally struct {
	mu    sync.Mutex
	count int
	err   error // the last
	lines log.Limit
}

func (t *tally) add(n int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count += n
	t.err = err
}

// take returns what is to be reported, 0 if nothing is or the last report was
// not long ago.
func (t *tally) take(now time.Time) (count int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count == 0 || !t.lines.Allow(now) {
		return 0, nil
	}
	count, err = t.count, t.err
	t.count, t.err = 0, nil
	return count, err
}
