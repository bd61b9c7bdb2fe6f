package live

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/correlate/shard"
	"dsiem/internal/event"
)

// Correlator takes events from the queue, decodes them and plays them through
// the engines, which it owns. Everything else that concerns the engines reaches
// it as a function to run.
type Correlator struct {
	Queue    *Queue
	Engines  *shard.Set
	Assets   *asset.Table
	Decoders int
	Now      func() time.Time
	// Begun is closed when the start is complete. Until then time stands still:
	// nothing expires.
	Begun <-chan struct{}
	// Publish hands on what changed, in order; it may wait, events then wait
	// in the queue.
	Publish func(now time.Time, changes []correlate.Change)
	// Rejected is told about events that are none.
	Rejected func(data []byte, rej *event.Rejection)
	Stats    *Stats
	// Found has an element when look-ups have results, which publish takes.
	Found <-chan struct{}
	// Ticked is called at the start and after every tick.
	Ticked func()
	// Traced, if not nil, is told about events that were played, with the traces
	// they belong to, and what changed.
	Traced func(received time.Time, steps []shard.Step, carriers []event.Carrier, changes []correlate.Change)
	// Leftover gets the events that there was no time for at the end.
	Leftover leftover
	// Played is called when events have been played.
	Played func()
	// Stepped is told how long the engines took for how many events.
	Stepped func(took time.Duration, events int)

	asks    chan func()
	stopped chan struct{}

	taken delivery
	next  place // what was not played yet of it
	// released is the number of batches whose memory was given back.
	released int
	events   []event.Event
	outcomes []event.Outcome
	screens  []event.Screen // one for each decoder
	steps    []shard.Step
	// carriers has an element for each of steps, if events are traced.
	carriers []event.Carrier
}

// leftover takes events that are not played.
type leftover interface {
	Text(data []byte)
	Event(ev *event.Event, c event.Carrier)
}

// place is a place in a delivery: the texts come first, then the batches.
type place struct{ text, batch, event int }

func NewCorrelator() *Correlator {
	return &Correlator{asks: make(chan func()), stopped: make(chan struct{}), Played: func() {}}
}

var errStopped = errors.New("the correlation has stopped")

// Ask runs a function on the dispatcher's goroutine, between events, and
// waits for its end. After an error the function has not run and will not.
func (d *Correlator) Ask(ctx context.Context, fn func()) error {
	done := make(chan struct{})
	wrapped := func() {
		defer close(done)
		fn()
	}
	select {
	case d.asks <- wrapped:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-d.stopped:
		return errStopped
	}
}

// tickEvery is the time between two looks at what is due. Stages expire by whole
// seconds, held alarm lines sooner.
const tickEvery = 250 * time.Millisecond

// LastEvents is the time for events that wait when the dispatcher is to end.
const LastEvents = time.Second

// Run plays events until ctx ends, and then those that still wait.
func (d *Correlator) Run(ctx context.Context) error {
	defer close(d.stopped)
	d.count()
	select {
	case <-d.Begun:
	case <-ctx.Done():
		if !IsClosed(d.Begun) {
			return nil
		}
	}
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-d.Queue.filled:
			// The first event wakes the dispatcher. Requests that are ready to run
			// come first, so that their events share what a turn of it costs.
			runtime.Gosched()
			d.drain(ctx, ticker.C)
		case <-ticker.C:
			d.tick()
		case <-d.Found:
			d.tick()
		case fn := <-d.asks:
			fn()
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), LastEvents)
			defer cancel()
			d.drain(last, ticker.C)
			d.abandon()
			d.tick()
			return nil
		}
	}
}

func IsClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// abandon hands the events that there was no time for to leftover.
func (d *Correlator) abandon() {
	for d.more() {
		for ; d.next.text < d.taken.texts.len(); d.next.text++ {
			d.Leftover.Text(d.taken.texts.at(d.next.text))
		}
		for ; d.next.batch < len(d.taken.batches); d.next.batch, d.next.event = d.next.batch+1, 0 {
			b := d.taken.batches[d.next.batch]
			for i := d.next.event; i < len(b.Events); i++ {
				d.Leftover.Event(&b.Events[i], b.Carrier(i))
			}
		}
	}
	d.taken.reset()
	d.next, d.released = place{}, 0
}

// more reports whether there are events to play, and takes them if need be.
func (d *Correlator) more() bool {
	if d.next.text < d.taken.texts.len() || d.next.batch < len(d.taken.batches) {
		return true
	}
	d.next, d.released = place{}, 0
	return d.Queue.take(&d.taken)
}

// drain plays events until none waits or ctx ends.
func (d *Correlator) drain(ctx context.Context, ticks <-chan time.Time) {
	for ctx.Err() == nil && d.more() {
		d.play()
		select {
		case <-ticks:
			d.tick()
		case fn := <-d.asks:
			fn()
		default:
		}
	}
}

// tick lets time pass.
func (d *Correlator) tick() {
	now := d.Now()
	d.expire(now)
	d.Publish(now, nil)
	d.count()
}

// expire ends the backlogs whose time is up.
func (d *Correlator) expire(now time.Time) {
	for changes := range d.Engines.Expire(now.Unix()) {
		d.Publish(now, changes)
	}
}

// count brings counters up to date.
func (d *Correlator) count() {
	stats := d.Engines.Stats()
	d.Stats.Live.Store(int64(stats.Live))
	d.Stats.Active.Store(int64(stats.Active))
	d.Ticked()
}

// play plays the next events of those taken, at most chunkSize of them.
func (d *Correlator) play() {
	received := d.Now()
	now := received.Unix()
	d.steps, d.carriers = d.steps[:0], d.carriers[:0]
	n := d.offerTexts(now)
	n += d.offerBatches(now, shard.Portion-n)
	d.Stats.Received.Add(uint64(n))
	d.Stats.Offered.Add(uint64(len(d.steps)))
	d.expire(received)
	started := time.Now()
	changes := d.Engines.Step(d.steps)
	took := time.Since(started)
	d.Stats.Busy.Add(int64(took))
	d.Stepped(took, len(d.steps))
	if d.Traced != nil {
		d.Traced(received, d.steps, d.carriers, changes)
	}
	if len(changes) > 0 {
		d.Publish(d.Now(), changes)
	}
	d.Played()
	for _, b := range d.taken.batches[d.released:d.next.batch] {
		b.Release()
	}
	d.released = d.next.batch
}

// offerTexts decodes the next texts, offers those that are events, and returns
// how many texts that were.
func (d *Correlator) offerTexts(now int64) int {
	from := d.next.text
	to := min(from+shard.Portion, d.taken.texts.len())
	if from == to {
		return 0
	}
	if len(d.events) == 0 {
		d.events, d.outcomes = make([]event.Event, shard.Portion), make([]event.Outcome, shard.Portion)
		d.screens = make([]event.Screen, d.Decoders)
	}
	d.decode(from, to)
	unwanted := uint64(0)
	for i := range to - from {
		switch rej := d.outcomes[i].Rejection; {
		case rej != nil:
			d.Stats.Rejected[rej.Reason].Add(1)
			d.Rejected(d.taken.texts.at(from+i), rej)
		case d.outcomes[i].Skipped:
			unwanted++
		case d.Traced != nil:
			d.offer(now, &d.events[i], event.ReadCarrier(d.taken.texts.at(from+i)))
		default:
			d.offer(now, &d.events[i], event.Carrier{})
		}
	}
	d.Stats.Unwanted.Add(unwanted)
	d.next.text = to
	return to - from
}

// offerBatches offers up to most events of the next batches and returns how
// many that were.
func (d *Correlator) offerBatches(now int64, most int) int {
	n := 0
	for d.next.batch < len(d.taken.batches) && n < most {
		b := d.taken.batches[d.next.batch]
		events := b.Events
		to := min(d.next.event+most-n, len(events))
		for i := d.next.event; i < to; i++ {
			d.offer(now, &events[i], b.Carrier(i))
		}
		n += to - d.next.event
		d.next.event = to
		if to == len(events) {
			d.next.batch, d.next.event = d.next.batch+1, 0
		}
	}
	return n
}

// offer adds an event to the steps, unless its source is whitelisted.
func (d *Correlator) offer(now int64, ev *event.Event, carrier event.Carrier) {
	if d.Assets.Whitelisted(ev.SrcIP) {
		d.Stats.Whitelisted.Add(1)
		return
	}
	if ev.ID == "" {
		d.Stats.withoutID.Add(1)
	}
	d.steps = append(d.steps, shard.Step{Now: now, Event: ev})
	if d.Traced != nil {
		d.carriers = append(d.carriers, carrier)
	}
}

// worthDecoding is the number of events from which another decoder helps.
const worthDecoding = 32

// decode decodes the events from … to-1, split over the decoders.
func (d *Correlator) decode(from, to int) {
	part := max(worthDecoding, (to-from+d.Decoders-1)/d.Decoders)
	if to-from <= part {
		d.decodePart(&d.screens[0], from, from, to)
		return
	}
	var done sync.WaitGroup
	for i, start := 0, from; start < to; i, start = i+1, start+part {
		done.Go(func() { d.decodePart(&d.screens[i], from, start, min(start+part, to)) })
	}
	done.Wait()
}

func (d *Correlator) decodePart(screen *event.Screen, base, from, to int) {
	screen.Decode(d.taken.texts.slice(from, to), d.events[from-base:to-base], d.outcomes[from-base:to-base], d.Engines.Wants)
}
