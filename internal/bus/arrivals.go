package bus

import (
	"slices"
	"sync"
	"time"

	"dsiem/internal/event"
)

const (
	// tickInterval is the time between two looks at what has not come yet.
	tickInterval = time.Second
	// grace is how long a number may be late: messages that reach a backend over
	// different servers of a NATS cluster, or over two connections of a frontend, may
	// change places.
	grace = 4 * time.Second

	// The bounds of what is remembered: gaps of a frontend, runs of frontends, and
	// their names.
	maxGaps      = 1024
	maxFrontends = 256
	maxNames     = 64
	// otherName is the name for all others.
	otherName = "other"

	// maxGap is the longest gap that counts. A number still further away is no
	// frontend's, or that of one that has counted on for weeks: it is a new beginning.
	maxGap = 1 << 40
)

// arrivals finds the messages that frontends published and that did not come
// (decision D44 of docs/spec/correlation.md), by the numbers that frontends give to
// their messages without a gap, and by what they say is their last one. What comes
// first of a frontend is the beginning.
//
// A number that is missing counts when it is late by more than grace, or when too
// many gaps of the frontend wait for that. What comes after that all the same is
// not taken back, and nothing is counted twice.
//
// A frontend gives the numbers of a batch again that NATS has not confirmed: its
// connection broke, and nobody was told that these events were taken. Of such a
// batch the beginning has come, and perhaps one message from behind a piece that
// has not, which the library has sent over its next connection. So a number that
// comes again says that the gaps above it are none, and a gap that is being filled
// from its beginning is given more time.
//
// It is safe for concurrent use. Time is an argument of tick; see and told read no
// clock.
type arrivals struct {
	mu     sync.Mutex
	now    time.Time // of the last tick
	ticks  uint64
	last   *numbers // whose message came last
	runs   map[string]*numbers
	counts map[string]*missed // by name
	names  []*missed          // in order of appearance, the first one is for all others
}

// numbers are those of one run of a frontend.
type numbers struct {
	id   string
	next uint64 // the one after the highest that came
	// settled is the first one that came, or the end of the last gap that was
	// counted: what comes from below it says nothing.
	settled uint64
	// gaps are below next, in the order of numbers. That is also the order of time,
	// but for those that are being filled, and for the last one if the frontend has
	// said that its numbers are old.
	gaps   []gap
	heard  uint64 // the tick before the last message, or before the frontend said something
	missed *missed
}

// gap is numbers that have not come, from the first one to before the end.
type gap struct {
	from, end uint64
	// since is the tick before it was noticed, or before it was filled at its
	// beginning. How long its numbers are known to be old goes off that.
	since time.Time
}

// missed counts the messages of all runs of a frontend that did not come.
type missed struct {
	name        string
	total, told uint64 // told is the part that is in the log
}

func newArrivals(now time.Time) *arrivals {
	others := &missed{name: otherName}
	return &arrivals{
		now: now, runs: map[string]*numbers{},
		counts: map[string]*missed{otherName: others}, names: []*missed{others},
	}
}

// see notes a message. Those of other generations say nothing.
func (a *arrivals) see(message []byte) {
	id, number, _, ok := event.ReadOrigin(message)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.last
	if f == nil || f.id != string(id) {
		f = a.find(id, number)
		a.last = f
	}
	f.heard = a.ticks
	if number == f.next {
		f.next++
		return
	}
	f.mixed(number, a.now)
}

// told notes what a frontend says is its last number. All messages before have been
// seen, if they come.
func (a *arrivals) told(l lastNumber) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.find([]byte(l.Frontend), l.Number+1)
	f.heard = a.ticks
	if l.Number >= f.next {
		old := time.Duration(min(l.Idle, uint64(grace/time.Second))) * time.Second
		f.lacks(l.Number+1, a.now.Add(-old))
	}
}

// find returns the numbers of a run, new ones if need be, which begin with a number.
// Callers hold mu.
func (a *arrivals) find(id []byte, number uint64) *numbers {
	if f := a.runs[string(id)]; f != nil {
		return f
	}
	if len(a.runs) >= maxFrontends {
		a.forget()
	}
	f := &numbers{id: string(id), next: number, settled: number}
	f.missed = a.count(event.FrontendName(f.id))
	a.runs[f.id] = f
	return f
}

// forget forgets the run that has been silent for the longest time. Callers hold
// mu.
func (a *arrivals) forget() {
	var silent *numbers
	for _, f := range a.runs {
		if silent == nil || f.heard < silent.heard {
			silent = f
		}
	}
	silent.give(len(silent.gaps))
	delete(a.runs, silent.id)
}

// count returns the count for a name. Callers hold mu.
func (a *arrivals) count(name string) *missed {
	m := a.counts[name]
	switch {
	case m != nil:
		return m
	case len(a.names) > maxNames: // with the one for all others
		return a.names[0]
	}
	m = &missed{name: name}
	a.counts[name] = m
	a.names = append(a.names, m)
	return m
}

// mixed notes a number that is not the next one.
func (f *numbers) mixed(number uint64, now time.Time) {
	if number < f.next {
		f.fill(number, now)
		return
	}
	f.lacks(number, now)
	f.next = number + 1
}

// lacks notes that the numbers from the next one to before end have not come.
func (f *numbers) lacks(end uint64, since time.Time) {
	if end-f.next <= maxGap {
		f.gaps = append(f.gaps, gap{f.next, end, since})
		f.bound()
	}
	f.next = end
}

// fill notes a number that was missing, or that comes again.
func (f *numbers) fill(number uint64, now time.Time) {
	i, missing := slices.BinarySearchFunc(f.gaps, number, func(g gap, number uint64) int {
		switch {
		case g.end <= number:
			return -1
		case g.from > number:
			return 1
		}
		return 0
	})
	if !missing {
		if number >= f.settled {
			f.gaps = f.gaps[:i]
		}
		return
	}
	g := &f.gaps[i]
	switch {
	case g.end-g.from == 1:
		f.gaps = slices.Delete(f.gaps, i, i+1)
	case g.from == number:
		g.from, g.since = number+1, now
	case g.end-1 == number:
		g.end--
	default:
		behind := gap{number + 1, g.end, g.since}
		g.end = number
		f.gaps = slices.Insert(f.gaps, i+1, behind)
		f.bound()
	}
}

// bound gives up the oldest gap if there are too many.
func (f *numbers) bound() {
	if len(f.gaps) > maxGaps {
		f.give(1)
	}
}

// give counts the first n gaps: nobody waits for them any more.
func (f *numbers) give(n int) {
	for _, g := range f.gaps[:n] {
		f.count(g)
	}
	f.gaps = slices.Delete(f.gaps, 0, n)
}

// count counts a gap.
func (f *numbers) count(g gap) {
	f.missed.total += g.end - g.from
	f.settled = max(f.settled, g.end)
}

// tick counts what is late. It is called about every tickInterval.
func (a *arrivals) tick(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = now
	a.ticks++
	for _, f := range a.runs {
		f.gaps = slices.DeleteFunc(f.gaps, func(g gap) bool {
			late := now.Sub(g.since) >= grace
			if late {
				f.count(g)
			}
			return late
		})
	}
}

// Missed is how many messages of a frontend did not come, as far as is known.
type Missed struct {
	// Frontend is the name of the node, or "other" for all beyond a number of them.
	Frontend string
	Messages uint64
}

// all returns the counts of all frontends.
func (a *arrivals) all() []Missed {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]Missed, len(a.names))
	for i, m := range a.names {
		list[i] = Missed{m.name, m.total}
	}
	return list
}

// news calls tell for each frontend of which messages have been counted that tell
// has not been told of, until it returns false, which is to be asked again later.
func (a *arrivals) news(tell func(name string, fresh, total uint64) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.names {
		if m.total == m.told {
			continue
		}
		if !tell(m.name, m.total-m.told, m.total) {
			return
		}
		m.told = m.total
	}
}
