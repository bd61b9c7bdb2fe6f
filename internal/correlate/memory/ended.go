package memory

import "iter"

// Ended remembers the events of backlogs that have ended, so that they open no
// other one when they are sent again. They are linked only when one is looked for:
// an event that is later than all of its directive's is none of them.
type Ended struct {
	events ring[EndedEvent]
	chains chains
	// unlinked is the place of the first event that is not linked.
	unlinked uint32
	Salt     uint64
	// Seconds is how long an event is remembered, 0 if none is, and Most how many.
	Seconds int64
	Most    int
}

// EndedBytes is what an event of an ended backlog takes: itself, and four places in the
// chains.
const EndedBytes = 32 + 4*4

// EndedEvent is an event of an ended backlog.
type EndedEvent struct {
	Mark uint64
	// Group tells the backlog's group.
	Group uint32
	// Directive is its place in the engine or, of the event that opened the backlog, the
	// complement of that.
	Directive int32
	// At is the second of the end, modulo 2^32.
	At uint32
	// back is how far before it the next older one of the chain is, 0 if it is the
	// oldest.
	back uint32
}

// Age returns how many seconds of the clock ago the end was, negative if the clock is
// not there yet: a restored engine ends first what is due since it was saved.
func (x *EndedEvent) Age(second int64) int64 { return int64(int32(uint32(second) - x.At)) }

// hash returns the hash of an event of a directive or, if that is a complement, of one
// that opened a backlog: that is looked for without ports, and nothing else is, so that
// nobody makes long chains.
func (m *Ended) hash(directive int32, mark uint64) uint64 {
	if directive < 0 {
		mark >>= markPorts
	}
	return Mix(mark, m.Salt^uint64(int64(directive)))
}

// Add remembers an event and reports whether the oldest one had to go.
func (m *Ended) Add(one EndedEvent) (forgotten bool) {
	if m.events.len() >= m.Most {
		m.pop()
		forgotten = true
	}
	x, _ := m.events.push()
	*x = one
	return forgotten
}

func (m *Ended) pop() {
	if m.unlinked == m.events.first {
		m.unlinked++
	}
	m.events.pop()
}

// link links the events that are not linked yet.
func (m *Ended) link() {
	if !m.chains.roomFor(m.events.len()) {
		m.chains.start(m.events.len())
		m.unlinked = m.events.first
	}
	for ; m.unlinked != m.events.next; m.unlinked++ {
		x := m.events.at(m.unlinked)
		head := m.chains.head(m.hash(x.Directive, x.Mark))
		x.back = m.events.back(m.unlinked, *head)
		*head = m.unlinked
	}
}

// Has reports whether an event is remembered of a directive. An event that opened a
// backlog is it whatever its ports are: their alarms would have one id (D13).
func (m *Ended) Has(directive int32, mark uint64) bool {
	return m.contains(directive, mark, func(x *EndedEvent) bool { return x.Mark == mark }) ||
		m.contains(^directive, mark, func(x *EndedEvent) bool { return x.Mark>>markPorts == mark>>markPorts })
}

// HasOfGroup reports whether an event is remembered of backlogs of a group.
func (m *Ended) HasOfGroup(directive int32, mark uint64, group uint32) bool {
	same := func(x *EndedEvent) bool { return x.Mark == mark && x.Group == group }
	return m.contains(directive, mark, same) || m.contains(^directive, mark, same)
}

// mostRecords is the number of records of one event that are looked at.
const mostRecords = 256

// contains reports whether an event is remembered that has the directive, as it is
// there, and is the one looked for.
func (m *Ended) contains(directive int32, mark uint64, same func(*EndedEvent) bool) bool {
	if m.events.len() == 0 {
		return false
	}
	m.link()
	// One event may have been recorded in any number of backlogs: whoever makes many
	// must not make this long, so that only the newest are looked at.
	place := *m.chains.head(m.hash(directive, mark))
	for walked := 0; walked < mostRecords && m.events.has(place); walked++ {
		x := m.events.at(place)
		if x.Directive == directive && same(x) {
			return true
		}
		if x.back == 0 {
			break
		}
		place -= x.back
	}
	return false
}

// Len returns the number of events.
func (m *Ended) Len() int { return m.events.len() }

// All returns the events, the oldest end first.
func (m *Ended) All() iter.Seq[*EndedEvent] { return m.events.all() }

// Pass forgets what is too old at a second of the clock.
func (m *Ended) Pass(second int64) {
	for m.events.len() > 0 && m.events.at(m.events.first).Age(second) > m.Seconds {
		m.pop()
	}
	if m.events.len() == 0 && m.chains.heads != nil { // gives the memory of a burst back
		m.chains, m.events.spare = chains{}, nil
	}
}

// Clear forgets everything: the clock has leapt further than it can tell.
func (m *Ended) Clear() {
	for m.events.len() > 0 {
		m.pop()
	}
}
