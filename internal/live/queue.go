package live

import (
	"sync"
	"sync/atomic"

	"dsiem/internal/input/httpin"
)

// The bounds of the event queue.
const (
	// unboundedQueue is the capacity that stands for "no limit" (spec/interfaces.md
	// §5.2), and the most that burst gives.
	unboundedQueue = 1_000_000
	// burst is the number of times that max_queue is there: frontends send for a
	// moment faster than any core takes, and a flood of 600,000 events must not
	// cost one of them on default settings, however many are matched. The original's queue has twice the
	// length it is asked for (spec/interfaces.md §1.3, 9).
	burst = 24
	// queueBytes bounds the text of waiting events, whatever their number.
	queueBytes = 1 << 30
	// blockBytes is the size of the blocks that texts are copied into, spareBytes
	// and spareTexts what is kept for the next ones.
	blockBytes = 256 << 10
	spareBytes = 16 << 20
	spareTexts = 64 << 10
)

// payloads are the texts of consecutive events. They are copied into blocks of
// memory, which are used again.
type payloads struct {
	texts [][]byte // parts of blocks
	// blocks are the ones in use, the last one with room; spare are empty ones.
	blocks, spare [][]byte
	size          int // bytes in texts
}

func (p *payloads) len() int { return len(p.texts) }

// at returns the text of event i, valid until the payloads are used again.
func (p *payloads) at(i int) []byte { return p.texts[i] }

// slice returns the texts of events from … to-1, valid until the payloads are used
// again.
func (p *payloads) slice(from, to int) [][]byte { return p.texts[from:to] }

// add copies a text.
func (p *payloads) add(data []byte) {
	last := len(p.blocks) - 1
	if last < 0 || cap(p.blocks[last])-len(p.blocks[last]) < len(data) {
		p.blocks = append(p.blocks, p.block(len(data)))
		last++
	}
	from := len(p.blocks[last])
	p.blocks[last] = append(p.blocks[last], data...)
	end := from + len(data)
	p.texts = append(p.texts, p.blocks[last][from:end:end])
	p.size += len(data)
}

// block returns an empty block with room for a text of a size.
func (p *payloads) block(size int) []byte {
	if last := len(p.spare) - 1; last >= 0 && size <= blockBytes {
		block := p.spare[last]
		p.spare = p.spare[:last]
		return block
	}
	return make([]byte, 0, max(blockBytes, size))
}

// reset empties the payloads, and keeps their memory unless a flood made it
// large.
func (p *payloads) reset() {
	for _, block := range p.blocks {
		if cap(block) == blockBytes && len(p.spare) < spareBytes/blockBytes {
			p.spare = append(p.spare, block[:0])
		}
	}
	clear(p.blocks)
	clear(p.texts)
	p.blocks, p.texts, p.size = p.blocks[:0], p.texts[:0], 0
	if cap(p.texts) > spareTexts {
		p.texts, p.blocks = nil, nil
	}
}

// delivery is a number of events that were waiting: texts from the bus and
// batches from the HTTP intake.
type delivery struct {
	texts   payloads
	batches []*httpin.Batch
	// decoded are the events in batches, size the bytes of their texts.
	decoded, size int
}

func (d *delivery) len() int { return d.texts.len() + d.decoded }

func (d *delivery) reset() {
	d.texts.reset()
	clear(d.batches)
	d.batches, d.decoded, d.size = d.batches[:0], 0, 0
}

// Queue holds events between those who receive them and the dispatcher.
// Order is kept within the texts and within the batches.
//
// When it is full the newest text is dropped and counted, because the bus's
// goroutine must never wait: the oldest ones may be the beginning of an attack.
// A batch is refused instead, and its sender told to try again.
type Queue struct {
	Limit int
	// filled has an element when events wait.
	filled  chan struct{}
	Dropped atomic.Uint64

	mu      sync.Mutex
	waiting delivery
	// reserved are the events that have a place, and reservedSize their bytes.
	reserved, reservedSize int
}

// NewQueue returns a queue for max_queue, 0 for a large one.
func NewQueue(maxQueue int) *Queue {
	limit := maxQueue
	switch {
	case maxQueue <= 0:
		limit = unboundedQueue
	case maxQueue < unboundedQueue:
		limit = min(burst*maxQueue, unboundedQueue)
	}
	return &Queue{Limit: limit, filled: make(chan struct{}, 1)}
}

// Put adds an event, whose text it copies, or drops and counts it.
func (q *Queue) Put(data []byte) {
	q.mu.Lock()
	w := &q.waiting
	first := w.len() == 0
	full := q.full(len(data))
	if !full {
		w.texts.add(data)
	}
	q.mu.Unlock()
	switch {
	case full:
		q.Dropped.Add(1)
	case first:
		q.signal()
	}
}

// Restore adds an event of an earlier run, whatever waits already.
func (q *Queue) Restore(data []byte) {
	q.mu.Lock()
	w := &q.waiting
	w.texts.add(data)
	q.mu.Unlock()
	q.signal()
}

// Reserve keeps a place for all events of a batch, and reports whether there is
// one. There is while there is room for one event, so that no batch is too large
// for ever. Who has a place calls putBatch or cancel.
func (q *Queue) Reserve(b *httpin.Batch) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.full(1) {
		return false
	}
	q.reserved += len(b.Events)
	q.reservedSize += b.Size
	return true
}

// Cancel gives a place back.
func (q *Queue) Cancel(b *httpin.Batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reserved -= len(b.Events)
	q.reservedSize -= b.Size
}

// PutBatch puts a batch, which it keeps, into the place that it has.
func (q *Queue) PutBatch(b *httpin.Batch) {
	q.mu.Lock()
	w := &q.waiting
	first := w.len() == 0
	w.batches = append(w.batches, b)
	w.decoded += len(b.Events)
	w.size += b.Size
	q.reserved -= len(b.Events)
	q.reservedSize -= b.Size
	q.mu.Unlock()
	if first {
		q.signal()
	}
}

// HasRoom reports whether there is room for one event.
func (q *Queue) HasRoom() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.full(1)
}

// full reports whether there is no room for an event of a size. Callers hold mu.
func (q *Queue) full(size int) bool {
	w := &q.waiting
	return w.len()+q.reserved >= q.Limit || w.texts.size+w.size+q.reservedSize+size > queueBytes
}

func (q *Queue) signal() {
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

// take moves all waiting events into d, whose memory the queue uses from now
// on, and reports whether there were any.
func (q *Queue) take(d *delivery) bool {
	d.reset()
	q.mu.Lock()
	*d, q.waiting = q.waiting, *d
	q.mu.Unlock()
	return d.len() > 0
}

// Len returns the number of waiting events.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting.len()
}
