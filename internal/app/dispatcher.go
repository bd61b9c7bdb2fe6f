package app

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"dsiem/internal/alarm"
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
	// publish hands on what changed, in order; it may wait, events then wait
	// in the queue.
	publish func(now time.Time, changes []correlate.Change)
	// rejected is told about events that are none.
	rejected func(data []byte, rej *event.Rejection)
	stats    *serveStats

	asks    chan func()
	stopped chan struct{}

	taken   payloads
	events  []event.Event
	verdict []*event.Rejection
	steps   []step
}

// serveStats are the counters of a running backend; any goroutine may read
// them.
type serveStats struct {
	received, offered, whitelisted, withoutID atomic.Uint64
	rejected                                  [event.Reasons]atomic.Uint64
	matched                                   atomic.Uint64
	opened, finished, expired                 atomic.Uint64
	stepTime                                  atomic.Int64 // nanoseconds in the engines
	live, active                              atomic.Int64
	repeated, outOfOrder, known               atomic.Uint64
	alarms                                    [alarm.High + 1]atomic.Int64 // by class now
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

// run plays events until ctx ends, and then those that still wait.
func (d *dispatcher) run(ctx context.Context) error {
	defer close(d.stopped)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-d.queue.filled:
			d.drain(ticker.C)
		case <-ticker.C:
			d.tick()
		case fn := <-d.asks:
			fn()
		case <-ctx.Done():
			d.drain(ticker.C)
			d.tick()
			return nil
		}
	}
}

// drain plays events until none waits.
func (d *dispatcher) drain(ticks <-chan time.Time) {
	for d.queue.take(&d.taken) {
		for from := 0; from < d.taken.len(); from += chunkSize {
			d.play(from, min(from+chunkSize, d.taken.len()))
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
	stats := d.engines.stats()
	d.stats.live.Store(int64(stats.Live))
	d.stats.active.Store(int64(stats.Active))
	d.stats.repeated.Store(stats.Repeated)
	d.stats.outOfOrder.Store(stats.OutOfOrder)
	d.stats.known.Store(stats.Known)
}

// play decodes and plays the events from, from+1 … to-1 of those taken.
func (d *dispatcher) play(from, to int) {
	n := to - from
	if len(d.events) < n {
		d.events, d.verdict = make([]event.Event, chunkSize), make([]*event.Rejection, chunkSize)
	}
	d.decode(from, to)
	now := d.now()
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
			d.steps = append(d.steps, step{now: now.Unix(), event: ev})
		}
	}
	d.stats.received.Add(uint64(n))
	d.stats.offered.Add(uint64(len(d.steps)))
	started := time.Now()
	changes := d.engines.step(d.steps)
	if len(changes) > 0 {
		d.stats.stepTime.Add(int64(time.Since(started)))
		d.publish(now, changes)
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
