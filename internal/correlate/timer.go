package correlate

import "dsiem/internal/correlate/memory"

// timer is when a backlog is due.
type timer struct {
	deadline int64
	backlog  handle
}

// timers is a heap of the live backlogs, ordered by deadline, of four children a
// node: they lie side by side in memory. Every backlog knows its place, so that
// moving and removing cost O(log n).
type timers struct {
	heap  []timer
	store *store
}

// gone is the place of a backlog that has no timer.
const gone = -1

// slack is how many times as much room as it needs the heap may have.
const slack = 4

// fan is the number of children of a node.
const fan = 4

func (t *timers) len() int { return len(t.heap) }

// first returns the deadline that comes first; there is one.
func (t *timers) first() int64 { return t.heap[0].deadline }

// due reports whether any deadline is before a time.
func (t *timers) due(before int64) bool {
	return len(t.heap) > 0 && t.heap[0].deadline < before
}

// put sets the timer at place i.
func (t *timers) put(i int, m timer) {
	t.heap[i] = m
	t.store.at(m.backlog).timer = int32(i)
}

func (t *timers) push(b *backlog) {
	t.heap = append(t.heap, timer{b.deadline, b.self})
	t.up(len(t.heap)-1, timer{b.deadline, b.self})
}

// fix restores the order after b's deadline changed.
func (t *timers) fix(b *backlog) { t.move(int(b.timer), timer{b.deadline, b.self}) }

// remove takes out a backlog, if it has a timer.
func (t *timers) remove(b *backlog) {
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
		t.heap = append(make([]timer, 0, 2*last), t.heap...) // gives the memory of a burst back
	}
}

// move finds the place for m, which is to go to place i or near it.
func (t *timers) move(i int, m timer) {
	if i > 0 && m.deadline < t.heap[(i-1)/fan].deadline {
		t.up(i, m)
		return
	}
	t.down(i, m)
}

// up makes room for m at place i or above it.
func (t *timers) up(i int, m timer) {
	for i > 0 {
		parent := (i - 1) / fan
		if t.heap[parent].deadline <= m.deadline {
			break
		}
		t.put(i, t.heap[parent])
		i = parent
	}
	t.put(i, m)
}

// down makes room for m at place i or below it.
func (t *timers) down(i int, m timer) {
	for {
		first := fan*i + 1
		if first >= len(t.heap) {
			break
		}
		child := first
		for c := first + 1; c < min(first+fan, len(t.heap)); c++ {
			if t.heap[c].deadline < t.heap[child].deadline {
				child = c
			}
		}
		if m.deadline <= t.heap[child].deadline {
			break
		}
		t.put(i, t.heap[child])
		i = child
	}
	t.put(i, m)
}

// takeDue takes out all timers before a time and appends them to list.
func (t *timers) takeDue(before int64, list []timer) []timer {
	for t.due(before) {
		list = append(list, t.heap[0])
		t.remove(t.store.at(t.heap[0].backlog))
	}
	return list
}
