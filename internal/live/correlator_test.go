package live

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/asset"
	"dsiem/internal/config"
	"dsiem/internal/correlate"
	"dsiem/internal/correlate/shard"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// leftovers counts events that are not played, by their form.
type leftovers struct{ texts, events int }

func (l *leftovers) Add(b *event.Batch) {
	l.texts, l.events = l.texts+len(b.Texts), l.events+len(b.Events)
}

// slow takes its time for each text that is no event.
type slow struct {
	Silent

	took time.Duration
}

func (s slow) Rejected([]byte, *event.Rejection) { <-time.After(s.took) }

// nobody has no assets and no directives.
func nobody() *config.Config { return &config.Config{Assets: &asset.Table{}} }

// P13 (docs/spec/correlation.md §13.3): what there is no time for at the end is not
// lost.
func TestCorrelatorHandsOnWhatItLeavesAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const total = 10 * shard.Portion
		left := &leftovers{}
		q := NewQueue(QueueOptions{Events: total + 7, Keeper: left})
		c := NewCorrelator(Options{
			Config: nobody(), Shards: 2, Source: q, Observers: []Observer{slow{took: LastEvents / (3 * shard.Portion)}},
		})
		c.Begin()
		for range total {
			q.Put([]byte("garbage"))
		}
		late := event.NewBatch(nil)
		late.Events = make([]event.Event, 7)
		q.Reserve(late)
		q.PutBatch(late)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Run(ctx); err != nil {
			t.Fatal(err)
		}
		seen := int(c.Received())
		if seen+left.texts != total || seen == 0 || left.texts == 0 || left.events != 7 {
			t.Errorf("%d events were looked at, %d texts and %d others left, want both, and %d texts together", seen, left.texts, left.events, total)
		}
		if err := c.Ask(t.Context(), func() {}); err == nil {
			t.Error("it answers after its end")
		}
	})
}

// An event says when a frontend has taken it wherever it says so in its text, and time
// does not pass beyond that when its portion ends: another one may come in the same
// moment, taken later.
func TestTimePassesAsFrontendsHaveTakenEvents(t *testing.T) {
	t.Parallel()
	rule := directive.Rule{
		Name: "r", Stage: 1, Occurrence: 1, PluginID: 1001, PluginSID: []uint64{1},
		From: "10.9.9.9", To: "ANY", PortFrom: "ANY", PortTo: "ANY", Protocol: "ANY", Reliability: 1, // takes none of them
	}
	d := &directive.Directive{ID: 1, Name: "d", Kingdom: "K", Category: "C", Priority: 1, Rules: []directive.Rule{rule}}
	q := NewQueue(QueueOptions{Events: 1, Keeper: &leftovers{}})
	c := NewCorrelator(Options{
		Config: &config.Config{Assets: &asset.Table{}, Plans: correlate.Plans([]*directive.Directive{d})}, Shards: 1, Source: q,
	})
	for _, taken := range []int64{1_700_000_000e9, 1_700_000_001e9} {
		for _, text := range []string{
			`{"rcvd_time":%d,"timestamp":"2023-11-14T22:13:20Z","plugin_id":1001,"plugin_sid":1,"src_ip":"10.0.0.1","dst_ip":"10.0.0.2","event_id":"e","sensor":"s"}`,
			`{"timestamp":"2023-11-14T22:13:20Z","plugin_id":1,"plugin_sid":1,"src_ip":"10.0.0.1","dst_ip":"10.0.0.2","event_id":"e","sensor":"s","rcvd_time":%d,"conn_id":1,"frontend_id":"f/1"}`,
		} {
			if q.Put(fmt.Appendf(nil, text, taken)); !c.more() {
				t.Fatal("nothing to play")
			}
			if c.play(); c.arrival != taken {
				t.Errorf("after %s, taken at %d, it is %d", text, taken, c.arrival)
			}
		}
	}
	if seen := c.counts.offered.Load(); seen != 2 {
		t.Errorf("%d events were offered, want 2", seen)
	}
}

// A Correlator that ends before the start is complete leaves everything as it
// is: it takes nothing from its source.
func TestCorrelatorWaitsForTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		left := &leftovers{}
		q := NewQueue(QueueOptions{Events: 1, Keeper: left})
		q.Put([]byte("garbage"))
		c := NewCorrelator(Options{Config: nobody(), Shards: 1, Source: q})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := c.Run(ctx); err != nil || c.Received() != 0 || q.Len() != 1 || left.texts != 0 {
			t.Errorf("%v, %d events were taken and %d wait", err, c.Received(), q.Len())
		}
	})
}

// takeAll returns what waits, as texts and decoded events.
func takeAll(q *Queue) (texts []string, events, batches int) {
	for b := q.Take(); b != nil; b = q.Take() {
		for _, text := range b.Texts {
			texts = append(texts, string(text))
		}
		events += len(b.Events)
		batches++
		q.Done(b)
	}
	return texts, events, batches
}

func TestQueueKeepsOrderAndCountsWhatItDrops(t *testing.T) {
	t.Parallel()
	q := NewQueue(QueueOptions{Events: 2})
	for i := range burst*2 + 3 {
		q.Put(fmt.Append(nil, i))
	}
	if q.Len() != burst*2 || q.Dropped() != 3 {
		t.Errorf("%d events wait and %d were dropped, want %d and 3", q.Len(), q.Dropped(), burst*2)
	}
	<-q.Ready()
	texts, _, _ := takeAll(q)
	if len(texts) != burst*2 {
		t.Fatalf("took %d events", len(texts))
	}
	for i, text := range texts {
		if text != fmt.Sprint(i) {
			t.Errorf("event %d is %s", i, text)
		}
	}
	q.Put([]byte("next"))
	<-q.Ready()
	if texts, _, _ := takeAll(q); !slices.Equal(texts, []string{"next"}) {
		t.Errorf("the queue does not go on: %q", texts)
	}
}

// Texts stay in order, and so do batches. A queue in which they alternate takes no
// block of memory for each text.
func TestQueueKeepsOrderOfEachForm(t *testing.T) {
	t.Parallel()
	const pairs = 1000
	q := NewQueue(QueueOptions{Events: 10 * pairs})
	for i := range pairs {
		q.Put(fmt.Append(nil, i))
		decoded := event.NewBatch(nil)
		decoded.Events = append(decoded.Events, event.Event{ID: fmt.Sprint(i)})
		q.Reserve(decoded)
		q.PutBatch(decoded)
	}
	if len(q.waiting) != pairs+1 {
		t.Errorf("%d texts and %d batches wait as %d", pairs, pairs, len(q.waiting))
	}
	texts, events := 0, 0
	for b := q.Take(); b != nil; b = q.Take() {
		for _, text := range b.Texts {
			if string(text) != fmt.Sprint(texts) {
				t.Fatalf("text %d is %s", texts, text)
			}
			texts++
		}
		for i := range b.Events {
			if b.Events[i].ID != fmt.Sprint(events) {
				t.Fatalf("event %d is %s", events, b.Events[i].ID)
			}
			events++
		}
	}
	if texts != pairs || events != pairs {
		t.Errorf("%d texts and %d events", texts, events)
	}
}

// A queue that is used again and again needs no new memory.
func TestQueueUsesItsMemoryAgain(t *testing.T) { //nolint:paralleltest // it counts allocations
	q := NewQueue(QueueOptions{Events: 100})
	text := bytes.Repeat([]byte("x"), 500)
	if allocs := testing.AllocsPerRun(100, func() {
		for range 100 {
			q.Put(text)
		}
		for b := q.Take(); b != nil; b = q.Take() {
			q.Done(b)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestQueueRefusesBatchesAsAWhole(t *testing.T) {
	t.Parallel()
	q := NewQueue(QueueOptions{Events: 1})
	b := func(events, size int) *event.Batch {
		batch := event.NewBatch(nil)
		batch.Events, batch.Size = make([]event.Event, events), size
		return batch
	}
	put := func(q *Queue, b *event.Batch) bool {
		ok := q.Reserve(b)
		if ok {
			q.PutBatch(b)
		}
		return ok
	}
	if !put(q, b(burst-1, 1)) || !put(q, b(10, 1)) || put(q, b(1, 1)) {
		t.Error("a batch that finds room is not taken as a whole, or one is that does not")
	}
	if q.Put([]byte("text")); q.Len() != burst+9 || q.Dropped() != 1 {
		t.Errorf("%d events wait, %d were dropped", q.Len(), q.Dropped())
	}
	<-q.Ready()
	if _, events, batches := takeAll(q); events != burst+9 || batches != 2 || q.Len() != 0 {
		t.Errorf("took %d events in %d batches", events, batches)
	}
	big := NewQueue(QueueOptions{Events: 10, Bytes: 5000})
	if !put(big, b(1, 5000)) || put(big, b(1, 1)) {
		t.Error("the queue takes more text than it may")
	}
	if big.Put([]byte("text")); big.Dropped() != 1 {
		t.Error("the queue takes more text than it may from the bus")
	}
	reserved := NewQueue(QueueOptions{Events: 1})
	first := b(burst, 1)
	if !reserved.Reserve(first) || reserved.HasRoom() || reserved.Reserve(b(1, 1)) {
		t.Error("a place is given twice")
	}
	if reserved.Cancel(first); !reserved.HasRoom() || reserved.Len() != 0 {
		t.Error("a place that was given back is lost")
	}
}

// What the Correlator has taken and not done with counts, and so does more than the text
// of events; nothing is taken from NATS while memory is short.
func TestQueueCountsWhatEventsTake(t *testing.T) {
	t.Parallel()
	short := false
	q := NewQueue(QueueOptions{Bytes: 10_000, Short: func() bool { return short }})
	text := bytes.Repeat([]byte("x"), 1000)
	put := func() (taken int) {
		before := q.Dropped()
		for range 20 {
			q.Put(text)
		}
		return 20 - int(q.Dropped()-before)
	}
	const fit = 9 // of a thousand bytes and a little
	if got := put(); got != fit {
		t.Errorf("%d texts find room, want %d", got, fit)
	}
	b := q.Take()
	if got := put(); got != 0 {
		t.Errorf("%d texts find room beside those that are in use", got)
	}
	q.Done(b)
	if b = q.Take(); b != nil {
		t.Errorf("%d events are left", b.Len())
	}
	short = true
	if got := put(); got != 0 {
		t.Errorf("%d texts find room when memory is short", got)
	}
	short = false
	if got := put(); got != fit {
		t.Errorf("%d texts find room at the end, want %d", got, fit)
	}
	decoded := event.NewBatch(nil)
	decoded.Events = make([]event.Event, 100)
	if size := decoded.Bytes(); size < 100*200 {
		t.Errorf("a hundred events take %d bytes", size)
	}
}

func TestQueueLimits(t *testing.T) {
	t.Parallel()
	for maxQueue, want := range map[int]int{
		0: unboundedQueue, 1: burst, 25_000: 600_000, 500_000: unboundedQueue,
		unboundedQueue: unboundedQueue, 5_000_000: 5_000_000,
	} {
		if got := NewQueue(QueueOptions{Events: maxQueue}).Limit(); got != want {
			t.Errorf("max_queue %d: %d events may wait, want %d", maxQueue, got, want)
		}
	}
}
