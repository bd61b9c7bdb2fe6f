package backlogs

import "dsiem/internal/correlate/memory"

// Timer is when a backlog is due.
type Timer struct {
	Deadline int64
	Backlog  Handle
}

// Timers is a heap of the live backlogs, ordered by deadline, of four children a
// node: they lie side by side in memory. Every backlog knows its place, so that
// moving and removing cost O(log n).
type Timers struct {
	heap  []Timer
	Store *Store
}

// gone is the place of a backlog that has no timer.
const gone = -1

// slack is how many times as much room as it needs the heap may have.
const slack = 4

// fan is the number of children of a node.
const fan = 4

// Len returns the number of timers.
func (t *Timers) Len() int { return len(t.heap) }

// First returns the deadline that comes first; there is one.
func (t *Timers) First() int64 { return t.heap[0].Deadline }

// Due reports whether any deadline is before a time.
func (t *Timers) Due(before int64) bool {
	return len(t.heap) > 0 && t.heap[0].Deadline < before
}

// put sets the timer at place i.
func (t *Timers) put(i int, m Timer) {
	t.heap[i] = m
	t.Store.At(m.Backlog).timer = int32(i)
}

// Push adds the timer of a backlog.
func (t *Timers) Push(b *Backlog) {
	t.heap = append(t.heap, Timer{b.Deadline, b.Self})
	t.up(len(t.heap)-1, Timer{b.Deadline, b.Self})
}

// Fix restores the order after b's deadline changed.
func (t *Timers) Fix(b *Backlog) { t.move(int(b.timer), Timer{b.Deadline, b.Self}) }

// Remove takes out a backlog, if it has a timer.
func (t *Timers) Remove(b *Backlog) {
	i, last := int(b.timer), len(t.heap)-1
	if i == gone {
		return
	}
	b.timer = gone
	moved := t.heap[last]
	t.heap = t.heap[:last]
	if i < last {
		t.move(i, moved)
	}
	if last < cap(t.heap)/slack && cap(t.heap) > memory.WorthFreeing {
		t.heap = append(make([]Timer, 0, 2*last), t.heap...) // gives the memory of a burst back
	}
}

// move finds the place for m, which is to go to place i or near it.
func (t *Timers) move(i int, m Timer) {
	if i > 0 && m.Deadline < t.heap[(i-1)/fan].Deadline {
		t.up(i, m)
		return
	}
	t.down(i, m)
}

// up makes room for m at place i or above it.
func (t *Timers) up(i int, m Timer) {
	for i > 0 {
		parent := (i - 1) / fan
		if t.heap[parent].Deadline <= m.Deadline {
			break
		}
		t.put(i, t.heap[parent])
		i = parent
	}
	t.put(i, m)
}

// down makes room for m at place i or below it.
func (t *Timers) down(i int, m Timer) {
	for {
		first := fan*i + 1
		if first >= len(t.heap) {
			break
		}
		child := first
		for c := first + 1; c < min(first+fan, len(t.heap)); c++ {
			if t.heap[c].Deadline < t.heap[child].Deadline {
				child = c
			}
		}
		if m.Deadline <= t.heap[child].Deadline {
			break
		}
		t.put(i, t.heap[child])
		i = child
	}
	t.put(i, m)
}

// TakeDue takes out all timers before a time and appends them to list.
func (t *Timers) TakeDue(before int64, list []Timer) []Timer {
	for t.Due(before) {
		list = append(list, t.heap[0])
		t.Remove(t.Store.At(t.heap[0].Backlog))
	}
	return list
}
