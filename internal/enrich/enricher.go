package enrich

import (
	"cmp"
	"container/list"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jellydator/ttlcache/v3"

	"dsiem/internal/alarm"
)

// Options configure an Enricher. The zero value of each field means its default.
type Options struct {
	// Services are asked.
	Services []Service
	// IntelPrivateIP asks threat-intel services about all addresses, not only
	// global ones.
	IntelPrivateIP bool
	// CacheTTL is how long answers are remembered, "nothing known" included, 10
	// minutes by default; CacheSize is how many, 100,000 by default.
	CacheTTL  time.Duration
	CacheSize uint64
	// Timeout is the longest time for one look-up, 10 seconds by default.
	Timeout time.Duration
	// Budget is the longest time from Submit to the result, 10 seconds by
	// default (§9.4).
	Budget time.Duration
	// Concurrency is the number of look-ups under way per service, 8 by default.
	Concurrency int
	// Queue is the number of look-ups that may wait per service, and the number
	// of requests that may be open, 1,000 by default.
	Queue int
	// MaxTerms is the number of terms for which one request waits per service,
	// so not counting what is in the cache, 128 by default.
	MaxTerms int
	// BreakerFailures is the number of failures in a row after which a service
	// is left alone for BreakerPause, 5 and 30 seconds by default.
	BreakerFailures int
	BreakerPause    time.Duration
	// Logger takes warnings about services, none by default.
	Logger *slog.Logger
	// Metrics, if not nil, counts the look-ups.
	Metrics *Metrics

	// observe, if not nil, is told the outcome of every look-up, by any goroutine.
	// It is for tests: metrics tell fewer outcomes apart.
	observe func(service *Service, outcome Outcome, took time.Duration)
}

// defaultConcurrency is the number of look-ups under way per service.
const defaultConcurrency = 8

func (o *Options) setDefaults() {
	positive := func(v *int, fallback int) { *v = cmp.Or(max(*v, 0), fallback) }
	duration := func(v *time.Duration, fallback time.Duration) { *v = cmp.Or(max(*v, 0), fallback) }
	duration(&o.CacheTTL, 10*time.Minute)
	o.CacheSize = cmp.Or(o.CacheSize, 100_000)
	duration(&o.Timeout, 10*time.Second)
	duration(&o.Budget, 10*time.Second)
	positive(&o.Concurrency, defaultConcurrency)
	positive(&o.Queue, 1000)
	positive(&o.MaxTerms, 128)
	positive(&o.BreakerFailures, 5)
	duration(&o.BreakerPause, 30*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Outcome is what became of one look-up.
type Outcome string

// The outcomes.
const (
	Found     Outcome = "found"      // the service knows something
	Nothing   Outcome = "nothing"    // the service knows nothing
	Failed    Outcome = "failed"     // an error; not remembered
	Cached    Outcome = "cached"     // answered from the cache
	Joined    Outcome = "joined"     // waits for the same look-up of another request
	Skipped   Outcome = "skipped"    // the service is left alone after failures
	Dropped   Outcome = "dropped"    // too many look-ups or requests wait
	OverLimit Outcome = "over_limit" // the alarm has too many terms
	Abandoned Outcome = "abandoned"  // no answer in time, or nobody waits for it any more
)

// Enricher looks up what services know of alarms. Its methods may be called by
// any goroutine; Run must be called for anything to be asked.
//
//	Submit ─> cache ─┬─> queue of service A ─> workers ─┬─> cache ─> done
//	                 └─> queue of service B ─> workers ─┘
//
// Every service has its own queue and workers, so that one that is slow or
// broken delays no other.
type Enricher struct {
	opts     Options
	services []*service
	public   *publicTable

	mu sync.Mutex // guards the rest
	// cache holds the findings by service and term; none means nothing known.
	cache *ttlcache.Cache[key, []alarm.Hit]
	// flights are the look-ups that wait or are under way: what is asked for
	// again meanwhile joins them.
	flights map[key]*flight
	// open holds the *pending requests without a result, oldest first.
	open    *list.List
	stopped bool
}

// key is a question to a service.
type key struct {
	service int // index
	term    Term
}

// flight is a question on its way to an answer.
type flight struct {
	key     key
	waiting []waiter
}

// waiter is a request that waits for a flight.
type waiter struct {
	request *pending
	answer  int // index
}

// pending is a request without a result. All but its first two fields are
// guarded by Enricher.mu until it is ended.
type pending struct {
	alarm    *alarm.Alarm
	done     func(Result)
	deadline time.Time
	place    *list.Element // in Enricher.open
	ended    bool
	missing  int // answers
	// answers are in order of services, then of terms.
	answers []answer
}

type answer struct {
	kind Kind
	hits []alarm.Hit
}

// New returns an Enricher.
func New(o Options) *Enricher {
	o.setDefaults()
	e := &Enricher{
		opts:    o,
		public:  newPublicTable(),
		flights: map[key]*flight{},
		open:    list.New(),
		cache: ttlcache.New(
			ttlcache.WithTTL[key, []alarm.Hit](o.CacheTTL),
			ttlcache.WithCapacity[key, []alarm.Hit](o.CacheSize),
			ttlcache.WithDisableTouchOnHit[key, []alarm.Hit](),
		),
	}
	for i := range o.Services {
		e.services = append(e.services, newService(&o, i))
	}
	return e
}

// Submit starts the look-ups of a request. It never waits. Done is called
// exactly once: when all look-ups have ended, when the budget is over, or when
// Run ends, with what was found until then. That may be before Submit returns,
// if there is nothing to ask, or on another goroutine; done must not block.
//
// The returned function tells at any time what was found so far, so that one
// source that hangs does not hide what the others have answered.
//
// Look-ups for which there is no room are dropped, counted and logged.
func (e *Enricher) Submit(req Request, done func(Result)) (soFar func() Result) {
	p := &pending{alarm: req.Alarm, done: done, deadline: time.Now().Add(e.opts.Budget)}
	var wanted [2]*targets // by Kind
	for _, s := range e.services {
		switch {
		case wanted[s.Kind] != nil:
		case s.Kind == Intel:
			wanted[Intel] = intelTargets(req.Alarm, e.public, e.opts.IntelPrivateIP)
		default:
			wanted[Vuln] = vulnTargets(&req)
		}
	}
	e.mu.Lock()
	full := e.open.Len() >= e.opts.Queue
	for _, s := range e.services {
		e.ask(p, s, wanted[s.Kind], full)
	}
	complete := p.missing == 0
	if complete {
		p.ended = true
	} else {
		p.place = e.open.PushBack(p)
	}
	e.mu.Unlock()
	if complete {
		p.deliver()
	}
	e.report(time.Now())
	return func() Result {
		e.mu.Lock()
		defer e.mu.Unlock()
		return p.result()
	}
}

// ask takes the answers of a service from the cache and starts or joins
// look-ups for the others, unless full is true. The caller holds the lock.
func (e *Enricher) ask(p *pending, s *service, wanted *targets, full bool) {
	asked, dropped, over := 0, 0, wanted.over
	for _, term := range wanted.terms {
		k := key{s.index, term}
		flight := e.flights[k]
		outcome := Joined
		switch item := e.cache.Get(k); {
		case item != nil:
			outcome = Cached
			if hits := item.Value(); len(hits) > 0 {
				p.answers = append(p.answers, answer{s.Kind, hits})
			}
		case e.stopped:
			outcome = Abandoned
		case full:
			outcome = Dropped
			dropped++
		case asked == e.opts.MaxTerms:
			outcome = OverLimit
			over++
		case flight != nil:
			asked++
			flight.join(p, s.Kind)
		case !e.launch(p, s, k):
			outcome = Dropped
			dropped++
		default: // observed when it ends
			asked++
			continue
		}
		e.observe(&s.Service, outcome, 0)
	}
	for range wanted.over {
		e.observe(&s.Service, OverLimit, 0)
	}
	s.dropped.add(dropped, nil)
	s.over.add(over, nil)
}

// observe counts the outcome of a look-up; took is 0 if the service was not asked.
func (e *Enricher) observe(service *Service, outcome Outcome, took time.Duration) {
	e.opts.Metrics.count(service, outcome, took)
	if e.opts.observe != nil {
		e.opts.observe(service, outcome, took)
	}
}

// launch starts a look-up for a request, if there is room for it.
func (e *Enricher) launch(p *pending, s *service, k key) bool {
	f := &flight{key: k}
	select {
	case s.queue <- f:
		f.join(p, s.Kind)
		e.flights[k] = f
		return true
	default:
		return false
	}
}

// join lets a request wait for the flight.
func (f *flight) join(p *pending, kind Kind) {
	f.waiting = append(f.waiting, waiter{p, len(p.answers)})
	p.answers = append(p.answers, answer{kind: kind})
	p.missing++
}

// deliver hands out the result of a request that has ended.
func (p *pending) deliver() { p.done(p.result()) }

// result is what was found so far. The caller holds Enricher.mu, unless the
// request has ended.
func (p *pending) result() Result {
	var found [2][]alarm.Hit
	for _, a := range p.answers {
		found[a.kind] = append(found[a.kind], a.hits...)
	}
	return Result{
		Intel: added(p.alarm.IntelHits, found[Intel]),
		Vulns: added(p.alarm.Vulnerabilities, found[Vuln]),
	}
}

// end takes a request off the list of open ones. The caller holds the lock,
// and calls deliver without it.
func (e *Enricher) end(p *pending) *pending {
	e.open.Remove(p.place)
	p.ended = true
	return p
}

// Run asks the services until ctx is done, then delivers what is known to the
// requests that are still open, and returns nil. It is called once. Afterwards
// requests are answered from the cache only.
func (e *Enricher) Run(ctx context.Context) error {
	var group sync.WaitGroup
	for _, s := range e.services {
		for range e.opts.Concurrency {
			group.Go(func() { e.work(ctx, s) })
		}
	}
	group.Go(func() { e.watch(ctx) })
	group.Wait()

	e.mu.Lock()
	e.stopped = true
	var ended []*pending
	for e.open.Len() > 0 {
		ended = append(ended, e.end(e.oldest()))
	}
	left := e.flights
	e.flights = map[key]*flight{}
	e.mu.Unlock()
	for k := range left {
		e.observe(&e.services[k.service].Service, Abandoned, 0)
	}
	for _, p := range ended {
		p.deliver()
	}
	e.report(time.Now().Add(reportInterval))
	return nil
}

// oldest returns the oldest open request, or nil. The caller holds the lock.
func (e *Enricher) oldest() *pending {
	if front := e.open.Front(); front != nil {
		return front.Value.(*pending)
	}
	return nil
}

// watch ends requests whose budget is over. A request submitted while it sleeps
// is not due before it wakes.
func (e *Enricher) watch(ctx context.Context) {
	timer := time.NewTimer(e.endOverdue(time.Now()))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(e.endOverdue(time.Now()))
		e.cache.DeleteExpired()
		e.report(time.Now())
	}
}

// endOverdue ends the requests whose budget is over and returns the time until
// the next one's is.
func (e *Enricher) endOverdue(now time.Time) time.Duration {
	var overdue []*pending
	next := e.opts.Budget
	e.mu.Lock()
	for p := e.oldest(); p != nil; p = e.oldest() {
		if wait := p.deadline.Sub(now); wait > 0 {
			next = wait
			break
		}
		overdue = append(overdue, e.end(p))
	}
	e.mu.Unlock()
	for _, p := range overdue {
		p.deliver()
	}
	return next
}
