package live

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/correlate/shard"
	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
)

// leftovers counts events that are not played, by their form.
type leftovers struct{ texts, events int }

func (l *leftovers) Text([]byte)                       { l.texts++ }
func (l *leftovers) Event(*event.Event, event.Carrier) { l.events++ }

// P13 (spec/correlation.md §13.3): what there is no time for at the end is not
// lost.
func TestDispatcherHandsOnWhatItLeavesAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const total = 10 * shard.Portion
		d := NewCorrelator()
		begun := make(chan struct{})
		close(begun)
		d.Queue, d.Assets, d.Decoders, d.Now = NewQueue(total+7), &asset.Table{}, 2, time.Now
		d.Engines = shard.New(nil, d.Assets, shard.EngineOptions{}, 2)
		d.Stats, d.Begun, d.Ticked, d.Stepped = &Stats{}, begun, func() {}, func(time.Duration, int) {}
		d.Publish = func(time.Time, []correlate.Change) {}
		d.Rejected = func([]byte, *event.Rejection) { <-time.After(LastEvents / (3 * shard.Portion)) }
		left := &leftovers{}
		d.Leftover = left
		for range total {
			d.Queue.Put([]byte("garbage"))
		}
		late := &httpin.Batch{Events: make([]event.Event, 7)}
		d.Queue.Reserve(late)
		d.Queue.PutBatch(late)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Run(ctx); err != nil {
			t.Fatal(err)
		}
		seen := int(d.Stats.Received.Load())
		if seen+left.texts != total || seen == 0 || left.texts == 0 || left.events != 7 {
			t.Errorf("%d events were looked at, %d texts and %d others left, want both, and %d texts together", seen, left.texts, left.events, total)
		}
		if err := d.Ask(t.Context(), func() {}); err == nil {
			t.Error("it answers after its end")
		}
	})
}

// A dispatcher that ends before the start is complete leaves everything as it
// is.
func TestDispatcherWaitsForTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := NewCorrelator()
		d.Queue, d.Stats, d.Begun = NewQueue(1), &Stats{}, make(chan struct{})
		d.Engines = shard.New(nil, &asset.Table{}, shard.EngineOptions{}, 1)
		counted := 0
		d.Ticked = func() { counted++ }
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := d.Run(ctx); err != nil || counted != 1 {
			t.Errorf("%v, %d ticks", err, counted)
		}
	})
}

func TestEventQueueKeepsOrderAndCountsWhatItDrops(t *testing.T) {
	t.Parallel()
	q := NewQueue(2)
	for i := range burst*2 + 3 {
		q.Put(fmt.Append(nil, i))
	}
	if q.Len() != burst*2 || q.Dropped.Load() != 3 {
		t.Errorf("%d events wait and %d were dropped, want %d and 3", q.Len(), q.Dropped.Load(), burst*2)
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
	q.Put([]byte("next"))
	<-q.filled
	if !q.take(&taken) || string(taken.texts.at(0)) != "next" || q.take(&taken) {
		t.Error("the queue does not go on")
	}
}

func TestEventQueueRefusesBatchesAsAWhole(t *testing.T) {
	t.Parallel()
	q := NewQueue(1)
	b := func(events, size int) *httpin.Batch {
		return &httpin.Batch{Events: make([]event.Event, events), Size: size}
	}
	put := func(q *Queue, b *httpin.Batch) bool {
		ok := q.Reserve(b)
		if ok {
			q.PutBatch(b)
		}
		return ok
	}
	if !put(q, b(burst-1, 1)) || !put(q, b(10, 1)) || put(q, b(1, 1)) {
		t.Error("a batch that finds room is not taken as a whole, or one is that does not")
	}
	if q.Put([]byte("text")); q.Len() != burst+9 || q.Dropped.Load() != 1 {
		t.Errorf("%d events wait, %d were dropped", q.Len(), q.Dropped.Load())
	}
	<-q.filled
	var taken delivery
	if !q.take(&taken) || taken.len() != burst+9 || len(taken.batches) != 2 || q.Len() != 0 {
		t.Errorf("took %d events in %d batches", taken.len(), len(taken.batches))
	}
	big := NewQueue(10)
	if !put(big, b(1, queueBytes)) || put(big, b(1, 1)) {
		t.Error("the queue takes more text than it may")
	}
	if big.Put([]byte("text")); big.Dropped.Load() != 1 {
		t.Error("the queue takes more text than it may from the bus")
	}
	reserved := NewQueue(1)
	first := b(burst, 1)
	if !reserved.Reserve(first) || reserved.HasRoom() || reserved.Reserve(b(1, 1)) {
		t.Error("a place is given twice")
	}
	if reserved.Cancel(first); !reserved.HasRoom() || reserved.Len() != 0 {
		t.Error("a place that was given back is lost")
	}
}

func TestEventQueueLimits(t *testing.T) {
	t.Parallel()
	for maxQueue, want := range map[int]int{
		0: unboundedQueue, 1: burst, 25_000: 600_000, 500_000: unboundedQueue,
		unboundedQueue: unboundedQueue, 5_000_000: 5_000_000,
	} {
		if got := NewQueue(maxQueue).Limit; got != want {
			t.Errorf("max_queue %d: %d events may wait, want %d", maxQueue, got, want)
		}
	}
}
