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

// P13 (spec/correlation.md §13.3): what there is no time for at the end is
// counted.
func TestDispatcherCountsWhatItLeavesAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const total = 10 * chunkSize
		d := newDispatcher()
		begun := make(chan struct{})
		close(begun)
		d.queue, d.assets, d.decoders, d.now = newEventQueue(total), &asset.Table{}, 2, time.Now
		d.engines = newEngines(nil, d.assets, EngineOptions{}, 2)
		d.stats, d.begun, d.ticked, d.stepped = &serveStats{}, begun, func() {}, func(time.Duration, int) {}
		d.publish = func(time.Time, []correlate.Change) {}
		d.rejected = func([]byte, *event.Rejection) { <-time.After(lastEvents / (3 * chunkSize)) }
		for range total {
			d.queue.put([]byte("garbage"))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.run(ctx); err != nil {
			t.Fatal(err)
		}
		seen, left := d.stats.received.Load(), d.stats.abandoned.Load()
		if seen+left != total || seen == 0 || left == 0 {
			t.Errorf("%d events were looked at and %d left, want both, and %d together", seen, left, total)
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
	if !q.putBatch(b(burst-1, 1)) || !q.putBatch(b(10, 1)) || q.putBatch(b(1, 1)) {
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
	if !big.putBatch(b(1, queueBytes)) || big.putBatch(b(1, 1)) {
		t.Error("the queue takes more text than it may")
	}
	if big.put([]byte("text")); big.dropped.Load() != 1 {
		t.Error("the queue takes more text than it may from the bus")
	}
}

func TestEventQueueLimits(t *testing.T) {
	t.Parallel()
	for maxQueue, want := range map[int]int{
		0: unboundedQueue, 1: burst, 25_000: 100_000, 500_000: unboundedQueue,
		unboundedQueue: unboundedQueue, 5_000_000: 5_000_000,
	} {
		if got := newEventQueue(maxQueue).limit; got != want {
			t.Errorf("max_queue %d: %d events may wait, want %d", maxQueue, got, want)
		}
	}
}
