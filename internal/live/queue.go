package live

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"dsiem/internal/event"
)

// The bounds of a Queue.
const (
	// unboundedQueue is the capacity that stands for "no limit" (docs/spec/interfaces.md
	// §5.2), and the most that burst gives.
	unboundedQueue = 1_000_000
	// burst is the number of times that max_queue is there: frontends send for a
	// moment faster than any core takes, and a flood of 600,000 events must not
	// cost one of them on default settings, however many are matched. The original's
	// queue has twice the length it is asked for (docs/spec/interfaces.md §1.3, 9).
	burst = 24
	// defaultBytes bounds the memory of waiting events, whatever their number, where
	// nobody knows how much there is.
	defaultBytes = 1 << 30
	// spareBatches is the number of batches whose memory is kept for the next
	// texts, 512 kB each.
	spareBatches = 32
)

// Keeper takes events that a stop has no time for. Whoever has it knows whether
// they could be kept.
type Keeper interface {
	Add(b *event.Batch)
}

// Queue holds events in memory between those who receive them and the
// Correlator. Texts stay in order, and so do batches.
//
// When it is full the newest text is dropped and counted, because the NATS
// client's goroutine must never wait: the oldest ones may be the beginning of an
// attack. A batch is refused instead, and its sender told to try again.
type Queue struct {
	limit   int
	bytes   int
	short   func() bool
	keeper  Keeper
	clock   func() time.Time
	ready   chan struct{}
	dropped atomic.Uint64

	mu      sync.Mutex
	waiting []*event.Batch
	// open is the batch of waiting that takes texts, nil if there is none: also when
	// decoded ones stand behind it, because a batch of texts has half a megabyte.
	open   *event.Batch
	events int // in waiting
	size   int // bytes that they take
	// reserved are the events that have a place, and reservedSize their bytes.
	reserved, reservedSize int
	spare                  []*event.Batch

	// taken are the batches that the Correlator has taken all at once, and next is
	// the one that it gets next; inHand are the bytes of the one that it has. They belong
	// to its goroutine.
	taken  []*event.Batch
	next   int
	inHand int
	// handed are the bytes of taken that are still in use.
	handed atomic.Int64
}

// QueueOptions are the settings of a Queue. The zero value holds a large number of
// events that nobody keeps.
type QueueOptions struct {
	// Events is max_queue, 0 for a large number of them. Bytes is how much memory they
	// may take, 1 GiB if 0.
	Events int
	Bytes  int64
	// Short, if not nil, reports whether memory is short: no text is taken then.
	Short func() bool
	// Keeper gets what a stop has no time for.
	Keeper Keeper
	// Clock, time.Now if nil, says when texts arrive.
	Clock func() time.Time
}

var _ Source = (*Queue)(nil)

// NewQueue returns an empty Queue.
func NewQueue(o QueueOptions) *Queue {
	q := &Queue{
		limit: o.Events, bytes: int(cmp.Or(o.Bytes, defaultBytes)), short: o.Short,
		keeper: o.Keeper, clock: o.Clock, ready: make(chan struct{}, 1),
	}
	if q.clock == nil {
		q.clock = time.Now
	}
	if q.short == nil {
		q.short = func() bool { return false }
	}
	switch {
	case o.Events <= 0:
		q.limit = unboundedQueue
	case o.Events < unboundedQueue:
		q.limit = min(burst*o.Events, unboundedQueue)
	}
	return q
}

// Limit returns the number of events that can wait.
func (q *Queue) Limit() int { return q.limit }

// Len returns the number of events that wait.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.events
}

// Dropped returns the number of texts that found no room.
func (q *Queue) Dropped() uint64 { return q.dropped.Load() }

// HasRoom reports whether there is room for one event.
func (q *Queue) HasRoom() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.full(1)
}

// full reports whether there is no room for an event of a size. Callers hold mu.
func (q *Queue) full(size int) bool {
	return q.events+q.reserved >= q.limit || q.size+q.reservedSize+int(q.handed.Load())+size > q.bytes
}

// Put adds the text of an event, which it copies, or drops and counts it.
func (q *Queue) Put(text []byte) {
	q.mu.Lock()
	first := q.events == 0
	full := q.full(len(text)) || q.short()
	if !full {
		q.add(text)
	}
	q.mu.Unlock()
	switch {
	case full:
		q.dropped.Add(1)
	case first:
		q.signal()
	}
}

// Restore adds the text of an event of an earlier run, whatever waits already.
func (q *Queue) Restore(text []byte) {
	q.mu.Lock()
	q.add(text)
	q.mu.Unlock()
	q.signal()
}

// add copies a text behind those that wait. Callers hold mu.
func (q *Queue) add(text []byte) {
	if q.open == nil || !q.open.AddText(text) {
		q.open = q.empty()
		q.open.Arrived = q.clock().UnixNano()
		q.open.AddText(text) // an empty batch has room for any
		q.waiting = append(q.waiting, q.open)
	}
	q.events++
	q.size += len(text) + event.TextBytes
}

// empty returns an empty batch. Callers hold mu.
func (q *Queue) empty() *event.Batch {
	last := len(q.spare) - 1
	if last < 0 {
		return event.NewBatch(q.recycle)
	}
	b := q.spare[last]
	q.spare = q.spare[:last]
	return b
}

// recycle keeps a batch for the next texts, unless a flood has made many.
func (q *Queue) recycle(b *event.Batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.spare) < spareBatches {
		q.spare = append(q.spare, b)
	}
}

// Reserve keeps a place for all events of a batch, and reports whether there is
// one. There is while there is room for one event, so that no batch is too large
// for ever. Who has a place calls PutBatch or Cancel.
func (q *Queue) Reserve(b *event.Batch) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.full(1) {
		return false
	}
	q.reserved += b.Len()
	q.reservedSize += b.Bytes()
	return true
}

// Cancel gives a place back.
func (q *Queue) Cancel(b *event.Batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.leave(b)
}

// leave gives a place back. Callers hold mu.
func (q *Queue) leave(b *event.Batch) {
	q.reserved -= b.Len()
	q.reservedSize -= b.Bytes()
}

// PutBatch puts a batch of decoded events, which it keeps, into the place that it
// has.
func (q *Queue) PutBatch(b *event.Batch) {
	q.mu.Lock()
	first := q.events == 0
	q.waiting = append(q.waiting, b)
	q.events += b.Len()
	q.size += b.Bytes()
	q.leave(b)
	q.mu.Unlock()
	if first {
		q.signal()
	}
}

func (q *Queue) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// Ready implements Source.
func (q *Queue) Ready() <-chan struct{} { return q.ready }

// Take implements Source. It takes all that waits under one lock, and hands it
// out batch by batch.
func (q *Queue) Take() *event.Batch {
	q.handed.Add(int64(-q.inHand))
	q.inHand = 0
	if q.next == len(q.taken) {
		clear(q.taken)
		q.next = 0
		q.mu.Lock()
		q.taken, q.waiting = q.waiting, q.taken[:0]
		q.handed.Store(int64(q.size))
		q.events, q.size, q.open = 0, 0, nil
		q.mu.Unlock()
		if len(q.taken) == 0 {
			return nil
		}
	}
	b := q.taken[q.next]
	q.next++
	q.inHand = b.Bytes()
	return b
}

// Done implements Source.
func (q *Queue) Done(b *event.Batch) { b.Release() }

// Keep implements Source.
func (q *Queue) Keep(b *event.Batch) { q.keeper.Add(b) }
