package correlate

// ended remembers the events of backlogs that have ended, so that they open no
// other one when they are sent again. They are linked only when one is looked for:
// an event that is later than all of its directive's is none of them.
type ended struct {
	events ring[endedEvent]
	chains chains
	// unlinked is the place of the first event that is not linked.
	unlinked uint32
	salt     uint64
	// seconds is how long an event is remembered, 0 if none is, and most how many.
	seconds int64
	most    int
}

// endedEvent is an event of an ended backlog.
type endedEvent struct {
	mark uint64
	// group tells the backlog's group.
	group uint32
	// directive is its place in the engine or, of the event that opened the backlog, the
	// complement of that.
	directive int32
	// at is the second of the end, modulo 2^32.
	at uint32
	// back is how far before it the next older one of the chain is, 0 if it is the
	// oldest.
	back uint32
}

// age returns how many seconds of the clock ago the end was, negative if the clock is
// not there yet: a restored engine ends first what is due since it was saved.
func (x *endedEvent) age(second int64) int64 { return int64(int32(uint32(second) - x.at)) }

func (m *ended) hash(directive int32, mark uint64) uint64 {
	return mixed(mark>>markPorts, m.salt^uint64(max(directive, ^directive)))
}

// add remembers an event and reports whether the oldest one had to go.
func (m *ended) add(one endedEvent) (forgotten bool) {
	if m.events.len() >= m.most {
		m.pop()
		forgotten = true
	}
	x, _ := m.events.push()
	*x = one
	return forgotten
}

func (m *ended) pop() {
	if m.unlinked == m.events.first {
		m.unlinked++
	}
	m.events.pop()
}

// link links the events that are not linked yet.
func (m *ended) link() {
	if !m.chains.roomFor(m.events.len()) {
		m.chains.start(m.events.len())
		m.unlinked = m.events.first
	}
	for ; m.unlinked != m.events.next; m.unlinked++ {
		x := m.events.at(m.unlinked)
		head := m.chains.head(m.hash(x.directive, x.mark))
		x.back = m.events.back(m.unlinked, *head)
		*head = m.unlinked
	}
}

// has reports whether an event is remembered of a directive. An event that opened a
// backlog is it whatever its ports are: their alarms would have one id (D13).
func (m *ended) has(directive int32, mark uint64) bool {
	return m.contains(directive, mark, func(x *endedEvent) bool {
		return x.mark == mark || x.directive < 0
	})
}

// hasOfGroup reports whether an event is remembered of backlogs of a group.
func (m *ended) hasOfGroup(directive int32, mark uint64, group uint32) bool {
	return m.contains(directive, mark, func(x *endedEvent) bool {
		return x.mark == mark && x.group == group
	})
}

// mostRecords is the number of records of one event that are looked at.
const mostRecords = 256

// contains reports whether an event like one with a mark, but for the ports, is
// remembered of a directive that fits.
func (m *ended) contains(directive int32, mark uint64, fits func(*endedEvent) bool) bool {
	if m.events.len() == 0 {
		return false
	}
	m.link()
	// One event may have been recorded in any number of backlogs: whoever makes many
	// must not make this long, so that only the newest are looked at.
	place := *m.chains.head(m.hash(directive, mark))
	for walked := 0; walked < mostRecords && m.events.has(place); walked++ {
		x := m.events.at(place)
		if x.mark>>markPorts == mark>>markPorts && max(x.directive, ^x.directive) == directive && fits(x) {
			return true
		}
		if x.back == 0 {
			break
		}
		place -= x.back
	}
	return false
}

// pass forgets what is too old at a second of the clock.
func (m *ended) pass(second int64) {
	for m.events.len() > 0 && m.events.at(m.events.first).age(second) > m.seconds {
		m.pop()
	}
	if m.events.len() == 0 && m.chains.heads != nil { // gives the memory of a burst back
		m.chains, m.events.spare = chains{}, nil
	}
}

// clear forgets everything: the clock has leapt further than it can tell.
func (m *ended) clear() {
	for m.events.len() > 0 {
		m.pop()
	}
}
