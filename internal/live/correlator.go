package live

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/config"
	"dsiem/internal/correlate"
	"dsiem/internal/correlate/resume"
	"dsiem/internal/correlate/shard"
	"dsiem/internal/event"
)

// Correlator takes events from a Source and plays them through the engines,
// which it owns. Everything else that concerns the engines reaches it as a
// function to run.
type Correlator struct {
	source   Source
	config   *config.Config
	engines  *shard.Set
	emitter  *emitter
	observer observers
	traced   bool
	clock    func() time.Time
	ids      *event.IDs
	decoders int
	counts   counts
	delays   delays

	// begun is closed when the start is complete. Until then time stands still:
	// nothing expires.
	begun   chan struct{}
	asks    chan func()
	stopped chan struct{}

	// arrival is the clock of correlation: the arrival of the last event that was
	// played, in UNIX nanoseconds, which never goes back. Only when nothing waits it
	// is that of the machine, so that a queue or a catch-up shortens no stage
	// (docs/spec/correlation.md D31).
	arrival int64

	batch *event.Batch // being played, nil if none is
	next  int          // its next event
	// played are the batches of the present portion that have been played whole.
	played   []*event.Batch
	events   []event.Event
	outcomes []event.Outcome
	screens  []event.Screen // one for each decoder
	portion  Played
}

// NewCorrelator returns a Correlator whose engines have no backlogs yet.
func NewCorrelator(o Options) *Correlator {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.IDs == nil {
		o.IDs = event.NewIDs(0)
	}
	o.Engine.Lookups = o.Lookups != nil
	c := &Correlator{
		source: o.Source, config: o.Config, observer: o.Observers, traced: o.Traced, clock: o.Clock, ids: o.IDs,
		engines: shard.New(o.Config.Plans, o.Config.Assets, o.Engine, shard.Count(o.Shards)), decoders: runtime.GOMAXPROCS(0),
		begun: make(chan struct{}), asks: make(chan func()), stopped: make(chan struct{}),
	}
	c.delays = delays{logger: o.Logger, counts: &c.counts, looked: o.Clock()}
	c.emitter = newEmitter(&o, c.engines, &c.counts)
	return c
}

// Shards returns the number of engines, Decoders that of goroutines that decode.
func (c *Correlator) Shards() int { return len(c.engines.Shards) }

// Decoders returns the number of goroutines that decode events.
func (c *Correlator) Decoders() int { return c.decoders }

// Restore gives a saved backlog to the engine of its directive, before Run.
func (c *Correlator) Restore(directive uint64, s *alarm.Saved) error {
	return c.engines.Restore(directive, s)
}

// Backlogs lists the live backlogs. It is called within Ask, and so is whatever
// asks for the next element of what it lists.
func (c *Correlator) Backlogs() shard.Snapshots { return c.engines.Snapshot() }

// Remembered returns what the engines remember beside backlogs, in parts of which each
// is asked for within Ask or after Run. RestoreRemembered gives it back, after the last
// Restore and before Run.
func (c *Correlator) Remembered() iter.Seq[*resume.Remembered] { return c.engines.Remembered() }

// RestoreRemembered lets the engines remember what those of the last run did, or a part
// of it, the parts in order.
func (c *Correlator) RestoreRemembered(r *resume.Remembered) {
	c.engines.RestoreRemembered(c.clock().UnixNano(), r)
}

// Saved returns the saved form of all live backlogs, after Run.
func (c *Correlator) Saved() iter.Seq2[uint64, alarm.Saved] { return c.engines.Saved() }

// Begin says that the start is complete: events come, and time passes.
func (c *Correlator) Begin() { close(c.begun) }

// Begun is closed when the start is complete.
func (c *Correlator) Begun() <-chan struct{} { return c.begun }

// errStopped is the error of Ask after the end.
var errStopped = errors.New("the correlation has stopped")

// Ask runs a function on the Correlator's goroutine, between events, and waits
// for its end. After an error the function has not run and will not.
func (c *Correlator) Ask(ctx context.Context, fn func()) error {
	done := make(chan struct{})
	wrapped := func() {
		defer close(done)
		fn()
	}
	select {
	case c.asks <- wrapped:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.stopped:
		return errStopped
	}
}

// tickEvery is the time between two looks at what is due. Stages expire by whole
// seconds, held alarm lines sooner.
const tickEvery = 250 * time.Millisecond

// LastEvents is the time for events that wait when a Correlator is to end.
const LastEvents = time.Second

// Run plays events until ctx ends, and then those that still wait, for a
// second. The rest goes to Source.Keep. It returns nil.
func (c *Correlator) Run(ctx context.Context) error {
	defer close(c.stopped)
	c.gauge()
	select {
	case <-c.begun:
	case <-ctx.Done():
		if !isClosed(c.begun) {
			return nil
		}
	}
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-c.source.Ready():
			// The first event wakes the Correlator. Requests that are ready to run come
			// first, so that their events share what a turn of it costs.
			runtime.Gosched()
			c.drain(ctx, ticker.C)
		case <-ticker.C:
			c.tick()
		case <-c.emitter.found():
			c.tick()
		case fn := <-c.asks:
			fn()
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), LastEvents)
			defer cancel()
			c.drain(last, ticker.C)
			if !c.keep() {
				c.tick() // nothing waits, so time passes
			}
			c.hand(c.clock(), c.engines.Flush()) // lines that waited for their second to end (D37)
			return nil
		}
	}
}

// Close writes the lines that still wait for look-ups, after Run and after the
// end of the look-ups.
func (c *Correlator) Close() { c.emitter.close(c.clock()) }

// Relieve takes back an overload that was signalled, after Run.
func (c *Correlator) Relieve() { c.emitter.relieve() }

// GiveUp lets lines go that find no room at the Output, so that a disk that takes
// none does not keep the program alive.
func (c *Correlator) GiveUp() { c.emitter.giveUp() }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// more reports whether there are events to play, and takes them if need be.
func (c *Correlator) more() bool {
	for c.batch == nil || c.next == c.batch.Len() {
		if c.batch != nil {
			c.played = append(c.played, c.batch)
		}
		c.next = 0
		if c.batch = c.source.Take(); c.batch == nil {
			return false
		}
	}
	return true
}

// done gives back the batches that have been played.
func (c *Correlator) done() {
	if c.batch != nil && c.next == c.batch.Len() {
		c.played = append(c.played, c.batch)
		c.batch, c.next = nil, 0
	}
	for _, b := range c.played {
		c.source.Done(b)
	}
	clear(c.played)
	c.played = c.played[:0]
}

// keep gives back the events that there was no time for, and reports whether there
// are any.
func (c *Correlator) keep() (some bool) {
	for c.more() {
		some = true
		c.batch.Skip(c.next)
		c.source.Keep(c.batch)
		c.batch, c.next = nil, 0
	}
	c.done()
	return some
}

// drain plays events until none waits, ctx ends, or their lines would be lost.
func (c *Correlator) drain(ctx context.Context, ticks <-chan time.Time) {
	for ctx.Err() == nil && !c.emitter.gaveUp() && c.more() {
		c.play()
		select {
		case <-ticks: // time passes with the events, but lines must not wait for them
			c.hand(c.clock(), nil)
			c.gauge()
		case fn := <-c.asks:
			fn()
		default:
		}
	}
	c.gauge()
}

// tick lets time pass while no event waits.
func (c *Correlator) tick() {
	now := c.clock()
	c.pass(now.UnixNano())
	c.expire(now, c.arrival)
	c.hand(now, nil)
	c.gauge()
}

// pass lets the clock of correlation pass a time.
func (c *Correlator) pass(arrival int64) { c.arrival = max(c.arrival, arrival) }

// expire ends the backlogs whose time is up at an arrival.
func (c *Correlator) expire(now time.Time, arrival int64) {
	for changes := range c.engines.Expire(arrival) {
		c.hand(now, changes)
	}
}

// hand hands on what changed, in order; it may wait, and events then wait in
// their Source.
func (c *Correlator) hand(now time.Time, changes []correlate.Change) {
	c.counts.changes(changes)
	c.emitter.publish(now, changes)
	if len(changes) > 0 {
		c.observer.changed(now, changes)
	}
}

// gauge brings up to date what is counted by looking.
func (c *Correlator) gauge() {
	stats := c.engines.Stats()
	c.counts.engine.Store(&stats)
	c.delays.look(c.clock(), stats, c.engines.TakeSensors)
}

// play plays the next events, at most shard.Portion of them.
func (c *Correlator) play() {
	p := &c.portion
	p.Received, p.Steps, p.Carriers, p.Changes = c.clock(), p.Steps[:0], p.Carriers[:0], nil
	c.counts.received.Add(uint64(c.offerNext(p.Received.UnixNano())))
	c.counts.offered.Add(uint64(len(p.Steps)))
	// What was due before is handed on second by second: after a pause it may be
	// much.
	if len(p.Steps) > 0 {
		c.expire(p.Received, p.Steps[0].Now)
	} else {
		c.expire(p.Received, c.arrival)
	}
	started := time.Now()
	p.Changes = c.engines.Step(p.Steps)
	c.counts.stepped(time.Since(started), len(p.Steps))
	c.delays.flush()
	p.Done = c.clock()
	if len(p.Changes) > 0 {
		c.hand(p.Done, p.Changes)
	}
	c.observer.played(p)
	c.done()
}

// offerNext offers the next events, at most shard.Portion of them, and returns how
// many it looked at.
func (c *Correlator) offerNext(now int64) int {
	n := 0
	for n < shard.Portion && c.more() {
		to := min(c.next+shard.Portion-n, c.batch.Len())
		if len(c.batch.Texts) > 0 {
			c.offerTexts(now, n, to)
		} else {
			c.offerEvents(now, to)
		}
		n += to - c.next
		c.next = to
	}
	return n
}

// offerTexts decodes the texts of the batch up to number to, and offers those that
// are events. n is the number of events before them in this portion.
func (c *Correlator) offerTexts(now int64, n, to int) {
	if len(c.events) == 0 {
		c.events, c.outcomes = make([]event.Event, shard.Portion), make([]event.Outcome, shard.Portion)
		c.screens = make([]event.Screen, c.decoders)
	}
	texts := c.batch.Texts[c.next:to]
	events, outcomes := c.events[n:n+len(texts)], c.outcomes[n:n+len(texts)]
	c.decode(texts, events, outcomes)
	unwanted := uint64(0)
	for i := range texts {
		switch rej := outcomes[i].Rejection; {
		case rej != nil:
			c.counts.rejected[rej.Reason].Add(1)
			c.observer.rejected(texts[i], rej)
		case outcomes[i].Skipped:
			unwanted++
		default:
			c.offer(now, &events[i], c.next+i)
		}
	}
	c.counts.unwanted.Add(unwanted)
	// Time passes with events that nobody wants, too: a flood of them must not
	// keep backlogs alive. Events that were offered have said when they came.
	if last := len(texts) - 1; outcomes[last].Skipped || outcomes[last].Rejection != nil {
		_, _, received, _ := event.ReadOrigin(texts[last])
		c.pass(c.arrivalOf(now, received))
	}
}

// offerEvents offers the events of the batch up to number to.
func (c *Correlator) offerEvents(now int64, to int) {
	for i := c.next; i < to; i++ {
		c.offer(now, &c.batch.Events[i], i)
	}
}

// arrivalOf returns when an event came, as far as that is credible: not after now,
// and not before those that were played before it (D28).
func (c *Correlator) arrivalOf(now, received int64) int64 {
	if received <= 0 || received > now {
		received = now
		if a := c.batch.Arrived; a > 0 && a < now {
			received = a
		}
	}
	return max(received, c.arrival)
}

// offer adds event i of the batch to the steps, unless its source is whitelisted.
func (c *Correlator) offer(now int64, ev *event.Event, i int) {
	if c.config.Assets.Whitelisted(ev.SrcIP) {
		c.counts.whitelisted.Add(1)
		return
	}
	if ev.ID == "" { // of a frontend that gives none (docs/spec/correlation.md D34)
		c.delays.withoutID(ev)
		var message []byte
		if i < len(c.batch.Texts) {
			message = c.batch.Texts[i]
		}
		ev.ID = c.ids.OfMessage(message, ev.ConnID)
	}
	c.arrival = c.arrivalOf(now, ev.ReceivedAt)
	c.delays.offered(c.portion.Received, ev, c.arrival)
	c.portion.Steps = append(c.portion.Steps, shard.Step{Now: c.arrival, Event: ev})
	if c.traced {
		c.portion.Carriers = append(c.portion.Carriers, c.batch.Carrier(i))
	}
}

// worthDecoding is the number of events from which another decoder helps.
const worthDecoding = 32

// decode decodes texts, split over the decoders.
func (c *Correlator) decode(texts [][]byte, events []event.Event, outcomes []event.Outcome) {
	part := max(worthDecoding, (len(texts)+c.decoders-1)/c.decoders)
	if len(texts) <= part {
		c.screens[0].Decode(texts, events, outcomes, c.engines.Wants)
		return
	}
	var done sync.WaitGroup
	for i, from := 0, 0; from < len(texts); i, from = i+1, from+part {
		to := min(from+part, len(texts))
		done.Go(func() { c.screens[i].Decode(texts[from:to], events[from:to], outcomes[from:to], c.engines.Wants) })
	}
	done.Wait()
}
