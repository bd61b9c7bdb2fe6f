package replay

import (
	"context"
	"math"
)

// heap has the first of its members, by before, at hand.
type heap[T any] struct {
	items  []T
	before func(a, b T) bool
}

func newHeap[T any](before func(a, b T) bool) *heap[T] { return &heap[T]{before: before} }

func (h *heap[T]) len() int { return len(h.items) }

func (h *heap[T]) first() T { return h.items[0] }

// second returns the member after the first one, false if there is none.
func (h *heap[T]) second() (second T, ok bool) {
	switch len(h.items) {
	case 0, 1:
		return second, false
	case 2:
		return h.items[1], true
	}
	if h.before(h.items[2], h.items[1]) {
		return h.items[2], true
	}
	return h.items[1], true
}

func (h *heap[T]) push(item T) {
	h.items = append(h.items, item)
	for i := len(h.items) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.before(h.items[i], h.items[up]) {
			return
		}
		h.items[i], h.items[up] = h.items[up], h.items[i]
		i = up
	}
}

// fix finds the place of the first member after it has changed.
func (h *heap[T]) fix() {
	for i := 0; ; {
		down := 2*i + 1
		if down >= len(h.items) {
			return
		}
		if down+1 < len(h.items) && h.before(h.items[down+1], h.items[down]) {
			down++
		}
		if !h.before(h.items[down], h.items[i]) {
			return
		}
		h.items[i], h.items[down] = h.items[down], h.items[i]
		i = down
	}
}

// pop takes the first member out.
func (h *heap[T]) pop() {
	last := len(h.items) - 1
	h.items[0] = h.items[last]
	h.items = h.items[:last]
	h.fix()
}

// mostOpen is the number of files that are open at a time.
const mostOpen = 256

// mostKept is how much memory records may take of inputs that the merge has not
// reached: it is worth it not to read them again.
const mostKept = 128 << 20

// before orders inputs by the time of their next records, which is the largest of
// the input so far, and then by their names (D30).
func (in *stream) before(o *stream) bool {
	return in.clock < o.clock || in.clock == o.clock && in.rank < o.rank
}

// merge plays inputs in order of time; the order within an input is kept.
type merge struct {
	p *pipeline
	// waiting are the inputs with something to play, and broken those that cannot be
	// read from the start: they come last.
	waiting *heap[*stream]
	broken  []*stream
	kept    int // memory of inputs that the merge has not reached
}

// play plays inputs to their end, or up to the place at which one cannot be read.
func (m *merge) play(ctx context.Context, inputs []*stream) error {
	if len(inputs) == 1 {
		inputs[0].open(ctx, false)
		return m.run(inputs[0], nil)
	}
	for _, in := range inputs {
		if err := m.look(ctx, in); err != nil {
			return err
		}
	}
	for m.waiting.len() > 0 {
		in := m.waiting.first()
		if err := m.reach(ctx, in); err != nil {
			return err
		}
		next, _ := m.waiting.second()
		if err := m.run(in, next); err != nil {
			return err
		}
		if in.record != nil {
			m.waiting.fix()
			continue
		}
		m.waiting.pop()
		in.shut()
	}
	for _, in := range m.broken {
		in.tell()
		if err := m.run(in, nil); err != nil {
			return err
		}
	}
	return nil
}

// look finds out when an input begins.
func (m *merge) look(ctx context.Context, in *stream) error {
	in.open(ctx, true)
	if in.front() {
		held := 0
		for _, j := range in.queue {
			held += j.weight
		}
		switch {
		case in.again && (in.forgot || m.kept+held > m.p.mostKept || m.p.open > m.p.mostOpen/2):
			in.shut()
		default:
			m.kept += held
		}
		m.waiting.push(in)
		return nil
	}
	if m.p.failed != nil {
		return m.p.failed
	}
	if in.forgot { // too much to remember
		in.shut()
		in.open(ctx, false)
		in.front()
	}
	m.nothing(in)
	return nil
}

// nothing notes an input without anything to play.
func (m *merge) nothing(in *stream) {
	if in.readErr != nil {
		m.broken = append(m.broken, in)
		return
	}
	in.tell()
	in.shut()
}

// reach opens an input when its first time has come. If too many are open, it is
// read to its end and put away.
func (m *merge) reach(ctx context.Context, in *stream) error {
	if in.jobs != nil {
		if in.quiet {
			in.tell()
		}
		return nil
	}
	if in.spool == nil && m.p.open >= m.p.mostOpen-1 { // it is the last that may be open
		if err := m.p.putAway(ctx, in); err != nil {
			return err
		}
	}
	in.open(ctx, false)
	return m.p.failed
}

// run plays an input as long as it is before another one, to its end if that is nil.
func (m *merge) run(in, other *stream) error {
	p := m.p
	last, tie := int64(math.MaxInt64), true
	if other != nil {
		last, tie = other.clock, in.rank < other.rank
	}
	for in.front() {
		if in.clock > last || in.clock == last && !tie {
			return nil
		}
		p.step(in)
		in.next()
		if len(p.steps) >= p.batchSize {
			if err := p.flush(); err != nil {
				return err
			}
		}
	}
	if p.failed != nil {
		return p.failed
	}
	if err := p.flush(); err != nil {
		return err
	}
	return in.readErr
}
