package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// driver sends events to a server.
type driver interface {
	// send sends the events of a course for each stream and returns when the
	// server, or what is before it, has them.
	send(ctx context.Context, courses []*course) error
	// refused returns how many events were refused and sent again.
	refused() uint64
	close()
}

// serving is one repetition of a cell that has a server.
type serving struct {
	programs *programs
	cell     *Cell
	plan     *plan
	host     *host
	watcher  *watcher
	driver   driver
	run      *Repetition

	// sent is the number of events so far, by stream.
	sent []uint64
}

// serve runs a cell that has a server, in a directory.
func (ps *programs) serve(ctx context.Context, c *Cell, dir string) (run *Repetition, err error) {
	p, err := newPlan(c.Workload, c.streams())
	if err != nil {
		return nil, err
	}
	h, err := ps.start(ctx, c, p, dir)
	if err != nil {
		return nil, err
	}
	s := &serving{
		programs: ps, cell: c, plan: p, host: h, watcher: newWatcher(p), sent: make([]uint64, p.streams),
		run: &Repetition{Values: map[Measure]float64{}},
	}
	if h.ready > 0 {
		s.run.Values[ReadySeconds], s.run.Values[ReadyMemory] = h.ready.Seconds(), float64(h.resident)
	}
	if err := errors.Join(s.drive(ctx), h.stop()); err != nil {
		return nil, err
	}
	if c.Transport == Subscriber {
		return s.run, nil
	}
	findings, err := newChecker(p, s.sent).check(h.eventsFile(), h.alarmsFile())
	if err != nil {
		return nil, err
	}
	s.run.Findings = *findings
	return s.run, nil
}

// drive sends all events, while the lines of the server are watched.
func (s *serving) drive(outer context.Context) (err error) {
	ctx, release := s.host.server.bound(outer)
	defer release()
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	watched := make(chan error, 1)
	go func() { watched <- follow(watching, s.host.eventsFile(), s.watcher.line) }()
	defer func() {
		stopWatching()
		if err = errors.Join(err, <-watched); err == nil {
			s.delays()
		}
	}()
	if err := s.dial(ctx); err != nil {
		return err
	}
	defer s.driver.close()
	if err := s.prime(ctx); err != nil {
		return err
	}
	if err := s.measure(ctx); err != nil {
		return err
	}
	s.run.Values[PeakMemory] = float64(s.host.server.usage().peak)
	if !s.cell.Restart {
		return nil
	}
	release()
	return s.restart(outer)
}

func (s *serving) dial(ctx context.Context) (err error) {
	switch c := s.cell; c.Transport {
	case HTTP, HTTPArray:
		s.driver, err = dialHTTP(ctx, s.host.address, s.plan, c.Batch)
	default:
		s.driver, err = dialNATS(s.host.queueURL, s.plan, s.watcher, c.Flood)
	}
	return err
}

// prime opens the live backlogs, and weighs them if there are enough.
func (s *serving) prime(ctx context.Context) error {
	weigh := s.cell.Weigh
	var before, after uint64
	var err error
	rest := s.plan.live
	if weigh { // the first ones make the room that all share
		few := rest / 10
		if err := s.send(ctx, few, 0, 0); err != nil {
			return fmt.Errorf("opening backlogs: %w", err)
		}
		rest -= few
		if before, err = collected(ctx, s.host.diagnostics); err != nil {
			return err
		}
	}
	if err := s.send(ctx, rest, 0, 0); err != nil {
		return fmt.Errorf("opening backlogs: %w", err)
	}
	if !weigh {
		return nil
	}
	if after, err = collected(ctx, s.host.diagnostics); err != nil {
		return err
	}
	s.run.Values[BacklogBytes] = (float64(after) - float64(before)) / float64(rest*uint64(s.plan.streams)) //nolint:gosec // not negative
	return nil
}

// send sends events, of each stream so many or for so long, with a number of
// events a second of all streams, and waits for the line of the last one. Lines
// that never come are for the checker to find.
func (s *serving) send(ctx context.Context, events uint64, lasts time.Duration, rate float64) error {
	courses := make([]*course, s.plan.streams)
	start := time.Now()
	for i := range courses {
		courses[i] = newCourse(s.plan, s.sent[i], events, lasts, rate/float64(s.plan.streams), start)
	}
	if rate > 0 {
		due := func(stream int, n uint64) (time.Time, bool) {
			c := courses[stream]
			return c.due(n), n >= c.first
		}
		s.watcher.due.Store(&due)
	}
	if err := s.driver.send(ctx, courses); err != nil && !errors.Is(err, errStalled) {
		return err
	}
	for i, c := range courses {
		s.sent[i] = c.sent
	}
	return s.follow(ctx)
}

// follow waits for the lines of all events that were sent. It stops waiting
// when the server says that it has had them all, or when nothing more comes.
func (s *serving) follow(ctx context.Context) error {
	const patience = stallTime / 20
	complete := func() bool {
		for i := range s.sent {
			if s.watcher.seen[i].Load() < s.sent[i] {
				return false
			}
		}
		return true
	}
	for begun := time.Now(); ; {
		err := s.watcher.await(ctx, patience, complete)
		if !errors.Is(err, errStalled) {
			return err
		}
		if s.host.diagnostics != "" {
			m, err := scrape(ctx, s.host.diagnostics)
			if err != nil {
				return err
			}
			if m.accounted() >= s.total() {
				return nil
			}
		}
		if time.Since(begun) > stallTime && time.Since(s.watcher.last()) > stallTime {
			return nil
		}
	}
}

// measure sends the events that count, behind those that warm the server up.
func (s *serving) measure(ctx context.Context) error {
	c := s.cell
	if c.WarmUp > 0 {
		if err := s.send(ctx, 0, c.WarmUp, c.Rate); err != nil {
			return fmt.Errorf("sending events to warm the server up: %w", err)
		}
	}
	before, err := s.sample(ctx)
	if err != nil {
		return err
	}
	first := s.total()
	before.at = time.Now()
	send := func() error {
		return s.send(ctx, divideUp(c.Events, uint64(s.plan.streams)), c.Duration, c.Rate) //nolint:gosec // not negative
	}
	if c.Trend > 0 {
		err = s.observed(ctx, send)
	} else {
		err = send()
	}
	if err != nil {
		return fmt.Errorf("sending events: %w", err)
	}
	after, err := s.sample(ctx)
	if err != nil {
		return err
	}
	after.at = s.watcher.last()
	s.run.Sent = s.total()
	s.record(before, after, float64(s.run.Sent-first))
	if err := s.settle(ctx); err != nil {
		return err
	}
	return s.expire(ctx)
}

func (s *serving) total() uint64 {
	sum := uint64(0)
	for _, n := range s.sent {
		sum += n
	}
	return sum
}

// sample is what has been used up to a time.
type sample struct {
	at                    time.Time
	server, driver, queue usage
	metrics               metrics
}

func (s *serving) sample(ctx context.Context) (at sample, err error) {
	at = sample{server: s.host.server.usage(), driver: readUsage("self")}
	if s.host.queue != nil {
		at.queue = s.host.queue.usage()
	}
	if s.host.diagnostics != "" {
		at.metrics, err = scrape(ctx, s.host.diagnostics)
	}
	return at, err
}

// record works out the measures.
func (s *serving) record(before, after sample, events float64) {
	v := s.run.Values
	seconds := after.at.Sub(before.at).Seconds()
	v[EventsPerSecond] = events / seconds
	perMillion := func(m Measure, from, to usage) {
		if to.cpu > 0 {
			v[m] = (to.cpu - from.cpu).Seconds() / events * million
		}
	}
	perMillion(ServerCPU, before.server, after.server)
	perMillion(DriverCPU, before.driver, after.driver)
	perMillion(QueueCPU, before.queue, after.queue)
	if s.host.diagnostics != "" {
		perEvent := func(m Measure, name string) { v[m] = (after.metrics[name] - before.metrics[name]) / events }
		perEvent(Allocations, "go_memstats_mallocs_total")
		perEvent(AllocatedBytes, "go_memstats_alloc_bytes_total")
		after.metrics.since(before.metrics).collections(v)
	}
	if s.host.address != "" {
		v[Refused] = float64(s.driver.refused())
	}
}

// delays records the latencies, when no more lines come.
func (s *serving) delays() {
	if s.cell.Rate == 0 {
		return
	}
	latency := &s.watcher.latency
	for m, share := range map[Measure]float64{P50: 0.5, P99: 0.99, P999: 0.999} {
		s.run.Values[m] = milliseconds(latency.quantile(share))
	}
	s.run.Values[LongestDelay] = milliseconds(latency.most)
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// settleTime is how long the server's counters may stay as they are before they
// are taken for the last word; it brings them up to date four times a second.
const settleTime = 2 * time.Second

// settle waits until the server says that it has looked at all events, and
// counts those that it has not.
func (s *serving) settle(ctx context.Context) error {
	if s.host.diagnostics == "" {
		return nil
	}
	looked, err := s.counted(ctx, s.run.Sent, settleTime, metrics.looked)
	s.run.Unseen = s.run.Sent - min(looked, s.run.Sent)
	return err
}

// expire waits until all attacks that were abandoned have expired, and counts
// those that have not.
func (s *serving) expire(ctx context.Context) error {
	if s.host.diagnostics == "" || s.plan.abandoned == 0 {
		return nil
	}
	all := uint64(0)
	for _, n := range s.sent {
		all += s.plan.deserted(n)
	}
	expired, err := s.counted(ctx, all, s.plan.Timeout+settleTime, metrics.expired)
	s.run.Values[Expired] = float64(expired)
	s.run.Unexpired = max(all, expired) - min(all, expired)
	return err
}

// counted waits until the server has counted so many, or counts no more for some
// time, and returns how many it has.
func (s *serving) counted(ctx context.Context, enough uint64, patience time.Duration, read func(metrics) uint64) (uint64, error) {
	const every = 50 * time.Millisecond
	changed, before := time.Now(), uint64(0)
	for {
		m, err := scrape(ctx, s.host.diagnostics)
		if err != nil {
			return 0, err
		}
		now := read(m)
		if now != before {
			changed, before = time.Now(), now
		}
		if now >= enough || time.Since(changed) > patience {
			return now, nil
		}
		pause(ctx, every)
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
	}
}
