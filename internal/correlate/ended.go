package correlate

// mostEnded is the number of events of ended backlogs that an engine remembers
// (D35 b).
const mostEnded = 1_000_000

// ended remembers the events of backlogs that have ended, so that they open no
// other one when they are sent again.
type ended struct {
	events ring[endedEvent]
	chains chains
	salt   uint64
	// seconds is how long an event is remembered, 0 if none is, and most how many.
	seconds int64
	most    int
}

// endedEvent is an event of an ended backlog.
type endedEvent struct {
	mark uint64
	// group tells the backlog's group.
	group     uint32
	directive int32 // place in the engine
	// at is the second of the end, modulo 2^32; before the clock has begun, relative to
	// that.
	at uint32
	// back is how far before it the next older one of the chain is, 0 if it is the
	// oldest.
	back uint32
}

func (m *ended) hash(directive int32, mark uint64) uint64 {
	return mixed(mark, m.salt^uint64(directive))
}

// add remembers an event and reports whether the oldest one had to go.
func (m *ended) add(one endedEvent) (forgotten bool) {
	if m.events.len() >= m.most {
		m.events.pop()
		forgotten = true
	}
	x, place := m.events.push()
	*x = one
	if m.chains.roomFor(m.events.len()) {
		m.link(place)
		return forgotten
	}
	m.relink()
	return forgotten
}

// relink makes the chains anew.
func (m *ended) relink() {
	m.chains.start(m.events.len())
	for place := m.events.first; place != m.events.next; place++ {
		m.link(place)
	}
}

func (m *ended) link(place uint32) {
	x := m.events.at(place)
	head := m.chains.head(m.hash(x.directive, x.mark))
	x.back = 0
	if m.events.has(*head) && *head != place {
		x.back = place - *head
	}
	*head = place
}

// has reports whether an event is remembered of a directive, and if any is false, of
// a backlog of a group.
func (m *ended) has(directive int32, mark uint64, any bool, group uint32) bool {
	if m.events.len() == 0 {
		return false
	}
	for place := *m.chains.head(m.hash(directive, mark)); m.events.has(place); {
		x := m.events.at(place)
		if x.mark == mark && x.directive == directive && (any || x.group == group) {
			return true
		}
		if x.back == 0 {
			break
		}
		place -= x.back
	}
	return false
}

// begin lets the clock begin: what has been restored is then as old as it was.
func (m *ended) begin(second int64) {
	for place := m.events.first; place != m.events.next; place++ {
		m.events.at(place).at += uint32(second)
	}
}

// pass forgets what is too old at a second of the clock.
func (m *ended) pass(second int64) {
	before := m.events.len()
	for m.events.len() > 0 && int64(uint32(second)-m.events.at(m.events.first).at) > m.seconds {
		m.events.pop()
	}
	if before != m.events.len() && !m.chains.roomFor(m.events.len()) {
		m.relink()
	}
}

// clear forgets everything: the clock has leapt further than it can tell.
func (m *ended) clear() {
	for m.events.len() > 0 {
		m.events.pop()
	}
}
