package app

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/event"
	"dsiem/internal/intake/httpintake"
)

// leftovers counts events that are not played, by their form.
type leftovers struct{ texts, events int }

func (l *leftovers) text([]byte)                       { l.texts++ }
func (l *leftovers) event(*event.Event, event.Carrier) { l.events++ }

// P13 (spec/correlation.md §13.3): what there is no time for at the end is not
// lost.
func TestDispatcherHandsOnWhatItLeavesAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const total = 10 * chunkSize
		d := newDispatcher()
		begun := make(chan struct{})
		close(begun)
		d.queue, d.assets, d.decoders, d.now = newEventQueue(total+7), &asset.Table{}, 2, time.Now
		d.engines = newEngines(nil, d.assets, EngineOptions{}, 2)
		d.stats, d.begun, d.ticked, d.stepped = &serveStats{}, begun, func() {}, func(time.Duration, int) {}
		d.publish = func(time.Time, []correlate.Change) {}
		d.rejected = func([]byte, *event.Rejection) { <-time.After(lastEvents / (3 * chunkSize)) }
		left := &leftovers{}
		d.leftover = left
		for range total {
			d.queue.put([]byte("garbage"))
		}
		late := &httpintake.Batch{Events: make([]event.Event, 7)}
		d.queue.reserve(late)
		d.queue.putBatch(late)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.run(ctx); err != nil {
			t.Fatal(err)
		}
		seen := int(d.stats.received.Load())
		if seen+left.texts != total || seen == 0 || left.texts == 0 || left.events != 7 {
			t.Errorf("%d events were looked at, %d texts and %d others left, want both, and %d texts together", seen, left.texts, left.events, total)
		}
		if err := d.ask(t.Context(), func() {}); err == nil {
			t.Error("it answers after its end")
		}
	})
}

// A dispatcher that ends before the start is complete leaves everything as it
// is.
func TestDispatcherWaitsForTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher()
		d.queue, d.stats, d.begun = newEventQueue(1), &serveStats{}, make(chan struct{})
		d.engines = newEngines(nil, &asset.Table{}, EngineOptions{}, 1)
		counted := 0
		d.ticked = func() { counted++ }
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := d.run(ctx); err != nil || counted != 1 {
			t.Errorf("%v, %d ticks", err, counted)
		}
	})
}

func TestEventQueueKeepsOrderAndCountsWhatItDrops(t *testing.T) {
	t.Parallel()
	q := newEventQueue(2)
	for i := range burst*2 + 3 {
		q.put(fmt.Append(nil, i))
	}
	if q.len() != burst*2 || q.dropped.Load() != 3 {
		t.Errorf("%d events wait and %d were dropped, want %d and 3", q.len(), q.dropped.Load(), burst*2)
	}
	<-q.filled
	var taken delivery
	if !q.take(&taken) || taken.len() != burst*2 {
		t.Fatalf("took %d events", taken.len())
	}
	for i := range taken.len() {
		if got := string(taken.texts.at(i)); got != fmt.Sprint(i) {
			t.Errorf("event %d is %s", i, got)
		}
	}
	q.put([]byte("next"))
	<-q.filled
	if !q.take(&taken) || string(taken.texts.at(0)) != "next" || q.take(&taken) {
		t.Error("the queue does not go on")
	}
}

func TestEventQueueRefusesBatchesAsAWhole(t *testing.T) {
	t.Parallel()
	q := newEventQueue(1)
	b := func(events, size int) *httpintake.Batch {
		return &httpintake.Batch{Events: make([]event.Event, events), Size: size}
	}
	put := func(q *eventQueue, b *httpintake.Batch) bool {
		ok := q.reserve(b)
		if ok {
			q.putBatch(b)
		}
		return ok
	}
	if !put(q, b(burst-1, 1)) || !put(q, b(10, 1)) || put(q, b(1, 1)) {
		t.Error("a batch that finds room is not taken as a whole, or one is that does not")
	}
	if q.put([]byte("text")); q.len() != burst+9 || q.dropped.Load() != 1 {
		t.Errorf("%d events wait, %d were dropped", q.len(), q.dropped.Load())
	}
	<-q.filled
	var taken delivery
	if !q.take(&taken) || taken.len() != burst+9 || len(taken.batches) != 2 || q.len() != 0 {
		t.Errorf("took %d events in %d batches", taken.len(), len(taken.batches))
	}
	big := newEventQueue(10)
	if !put(big, b(1, queueBytes)) || put(big, b(1, 1)) {
		t.Error("the queue takes more text than it may")
	}
	if big.put([]byte("text")); big.dropped.Load() != 1 {
		t.Error("the queue takes more text than it may from the bus")
	}
	reserved := newEventQueue(1)
	first := b(burst, 1)
	if !reserved.reserve(first) || reserved.hasRoom() || reserved.reserve(b(1, 1)) {
		t.Error("a place is given twice")
	}
	if reserved.cancel(first); !reserved.hasRoom() || reserved.len() != 0 {
		t.Error("a place that was given back is lost")
	}
}

func TestEventQueueLimits(t *testing.T) {
	t.Parallel()
	for maxQueue, want := range map[int]int{
		0: unboundedQueue, 1: burst, 25_000: 600_000, 500_000: unboundedQueue,
		unboundedQueue: unboundedQueue, 5_000_000: 5_000_000,
	} {
		if got := newEventQueue(maxQueue).limit; got != want {
			t.Errorf("max_queue %d: %d events may wait, want %d", maxQueue, got, want)
		}
	}
}
