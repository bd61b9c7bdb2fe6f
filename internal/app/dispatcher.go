package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/event"
)

// chunkSize is the number of events that are decoded and played together:
// enough to keep all cores busy, few enough that time and requests pass in
// between.
const chunkSize = 1024

// dispatcher takes events from the queue, decodes them and plays them through
// the engines, which it owns. Everything else that concerns the engines reaches
// it as a function to run.
type dispatcher struct {
	queue    *eventQueue
	engines  engines
	assets   *asset.Table
	decoders int
	now      func() time.Time
	// begun is closed when the start is complete. Until then time stands still:
	// nothing expires.
	begun <-chan struct{}
	// publish hands on what changed, in order; it may wait, events then wait
	// in the queue.
	publish func(now time.Time, changes []correlate.Change)
	// rejected is told about events that are none.
	rejected func(data []byte, rej *event.Rejection)
	stats    *serveStats
	// found has an element when look-ups have results, which publish takes.
	found <-chan struct{}
	// ticked is called at the start and after every tick.
	ticked func()
	// stepped is told how long the engines took for how many events.
	stepped func(took time.Duration, events int)

	asks    chan func()
	stopped chan struct{}

	taken   payloads
	left    int // events of taken that were not played yet
	events  []event.Event
	verdict []*event.Rejection
	steps   []step
}

func newDispatcher() *dispatcher {
	return &dispatcher{asks: make(chan func()), stopped: make(chan struct{})}
}

var errStopped = errors.New("the correlation has stopped")

// ask runs a function on the dispatcher's goroutine, between events, and
// waits for its end. After an error the function has not run and will not.
func (d *dispatcher) ask(ctx context.Context, fn func()) error {
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

// lastEvents is the time for events that wait when the dispatcher is to end.
const lastEvents = time.Second

// run plays events until ctx ends, and then those that still wait.
func (d *dispatcher) run(ctx context.Context) error {
	defer close(d.stopped)
	d.count()
	select {
	case <-d.begun:
	case <-ctx.Done():
		if !isClosed(d.begun) {
			return nil
		}
	}
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-d.queue.filled:
			d.drain(ctx, ticker.C)
		case <-ticker.C:
			d.tick()
		case <-d.found:
			d.tick()
		case fn := <-d.asks:
			fn()
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastEvents)
			defer cancel()
			d.drain(last, ticker.C)
			d.abandon()
			d.tick()
			return nil
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// abandon counts events that there was no time for.
func (d *dispatcher) abandon() {
	d.stats.abandoned.Add(uint64(d.left))
	d.left = 0
	for d.queue.take(&d.taken) {
		d.stats.abandoned.Add(uint64(d.taken.len()))
	}
}

// drain plays events until none waits or ctx ends.
func (d *dispatcher) drain(ctx context.Context, ticks <-chan time.Time) {
	for d.left > 0 || d.queue.take(&d.taken) {
		if d.left == 0 {
			d.left = d.taken.len()
		}
		for d.left > 0 {
			if ctx.Err() != nil {
				return
			}
			from := d.taken.len() - d.left
			d.left -= min(chunkSize, d.left)
			d.play(from, d.taken.len()-d.left)
			select {
			case <-ticks:
				d.tick()
			case fn := <-d.asks:
				fn()
			default:
			}
		}
	}
}

// tick lets time pass.
func (d *dispatcher) tick() {
	now := d.now()
	d.publish(now, d.engines.expire(now.Unix()))
	d.count()
}

// count brings counters up to date.
func (d *dispatcher) count() {
	stats := d.engines.stats()
	d.stats.live.Store(int64(stats.Live))
	d.stats.active.Store(int64(stats.Active))
	d.ticked()
}

// play decodes and plays the events from, from+1 … to-1 of those taken.
func (d *dispatcher) play(from, to int) {
	n := to - from
	if len(d.events) < n {
		d.events, d.verdict = make([]event.Event, chunkSize), make([]*event.Rejection, chunkSize)
	}
	d.decode(from, to)
	now := d.now().Unix()
	d.steps = d.steps[:0]
	for i := range n {
		ev := &d.events[i]
		switch rej := d.verdict[i]; {
		case rej != nil:
			d.stats.rejected[rej.Reason].Add(1)
			d.rejected(d.taken.at(from+i), rej)
		case d.assets.Whitelisted(ev.SrcIP):
			d.stats.whitelisted.Add(1)
		default:
			if ev.ID == "" {
				d.stats.withoutID.Add(1)
			}
			d.steps = append(d.steps, step{now: now, event: ev})
		}
	}
	d.stats.received.Add(uint64(n))
	d.stats.offered.Add(uint64(len(d.steps)))
	started := time.Now()
	changes := d.engines.step(d.steps)
	took := time.Since(started)
	d.stats.busy.Add(int64(took))
	d.stepped(took, len(d.steps))
	if len(changes) > 0 {
		d.publish(d.now(), changes)
	}
}

// worthDecoding is the number of events from which another decoder helps.
const worthDecoding = 32

// decode decodes the events from … to-1, split over the decoders.
func (d *dispatcher) decode(from, to int) {
	part := max(worthDecoding, (to-from+d.decoders-1)/d.decoders)
	if to-from <= part {
		d.decodePart(from, from, to)
		return
	}
	var done sync.WaitGroup
	for start := from; start < to; start += part {
		done.Go(func() { d.decodePart(from, start, min(start+part, to)) })
	}
	done.Wait()
}

func (d *dispatcher) decodePart(base, from, to int) {
	for i := from; i < to; i++ {
		d.verdict[i-base] = event.Decode(d.taken.at(i), &d.events[i-base])
	}
}
