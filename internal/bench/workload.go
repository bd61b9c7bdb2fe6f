package bench

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Workload says what events are sent: the same values give the same events,
// but for the time in them.
//
// The heart of it are attacks. Each belongs to one of the directives, which
// have three stages, and to one pair of addresses. Its first event opens a
// backlog, the others go through stages 2 and 3; with its last event the next
// attack of its slot begins, so the number of live backlogs stays what it is.
// Some events may open a backlog of a directive that is only for them, of which
// no more comes: it has to expire. All other events must leave no trace.
type Workload struct {
	// Seed decides what is drawn by lot.
	Seed uint64
	// Directives is how many there are, each with a plugin id of its own.
	Directives int
	// Match is the share of events that a backlog takes, 0 to 1. There is always
	// at least one in 2,000: the driver sees by their lines how far the server is.
	Match float64
	// Near is the share of events that a rule names and no backlog takes, because
	// of their addresses: they are decoded and looked up, and nothing more. With
	// Match it is at most 1.
	Near float64
	// Abandoned is the share of events that open a backlog which expires: at most 1
	// with Match and Near. Timeout is the time after which it does, in seconds as
	// configurations have them. The backlogs of all other events never expire.
	Abandoned float64
	Timeout   time.Duration
	// Live is the number of backlogs that are live at any time, rounded up to
	// a multiple of the connections.
	Live int
	// Addresses is the number of distinct sources, and that of distinct
	// destinations. All backlogs of a directive need pairs of their own.
	Addresses int
	// EventSize is the size of an event's text in bytes.
	EventSize int
	// Occurrence is the number of events that complete stage 2, and stage 3.
	Occurrence int
}

// The limits and defaults of a workload.
const (
	defaultDirectives = 100
	defaultLive       = 10
	defaultAddresses  = 10_000
	defaultEventSize  = 500
	defaultOccurrence = 5
	defaultTimeout    = 30 * time.Second

	// lonely is the number of directives of attacks that are abandoned; they are
	// behind the others.
	lonely        = 10
	maxDirectives = noisePlugin - firstPlugin - lonely
	maxAddresses  = octets * octets * octets
	maxOccurrence = 1_000_000
	maxLive       = 100_000_000
	// maxTimeout and leastAddresses are what keeps attacks that are abandoned apart:
	// a directive of theirs has the same pair again after a billion events, which
	// no server takes in that time.
	maxTimeout     = 10 * time.Minute
	leastAddresses = 10_000
	// maxEvents keeps products with million in 64 bits.
	maxEvents = 1 << 40
	// maxStreams is what three hexadecimal digits of an event id can hold.
	maxStreams = 1 << 12

	million = 1_000_000
	// pulse is the least share of events that match, in millionths: one in
	// pulseEvery.
	pulse      = million / pulseEvery
	pulseEvery = 2000
	// groupSize is the number of attacks that are in progress at the same time,
	// while all other backlogs wait: the events of one attack come close together.
	groupSize = 512
)

func (w Workload) withDefaults() Workload {
	for _, d := range []struct {
		value    *int
		fallback int
	}{
		{&w.Directives, defaultDirectives},
		{&w.Live, defaultLive},
		{&w.Addresses, defaultAddresses},
		{&w.EventSize, defaultEventSize},
		{&w.Occurrence, defaultOccurrence},
	} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	if w.Timeout == 0 {
		w.Timeout = defaultTimeout
	}
	return w
}

// check returns what cannot be made.
func (w *Workload) check() error {
	for _, n := range []struct {
		name               string
		value, least, most int
	}{
		{"directives", w.Directives, 1, maxDirectives},
		{"live backlogs", w.Live, 1, maxLive},
		{"addresses", w.Addresses, 1, maxAddresses},
		{"bytes in an event", w.EventSize, leastEventSize(), maxEventSize},
		{"occurrences", w.Occurrence, 1, maxOccurrence},
	} {
		if n.value < n.least || n.value > n.most {
			return fmt.Errorf("%d %s are not possible; use %d to %d", n.value, n.name, n.least, n.most)
		}
	}
	switch {
	case !(w.Match >= 0 && w.Near >= 0 && w.Abandoned >= 0 && w.Match+w.Near+w.Abandoned <= 1):
		return errors.New("the shares of events that match, that nearly do, and that are abandoned must not be negative, nor above 1 together")
	case w.Timeout < time.Second || w.Timeout > maxTimeout || w.Timeout%time.Second != 0:
		return fmt.Errorf("a timeout of %v is not possible; use whole seconds up to %v", w.Timeout, maxTimeout)
	case w.Abandoned > 0 && w.Addresses < leastAddresses:
		return fmt.Errorf("%d addresses are too few for attacks that are abandoned; use at least %d", w.Addresses, leastAddresses)
	}
	return nil
}

// plan is a workload with all that follows from it. It never changes.
type plan struct {
	Workload

	// streams is the number of connections; each has events, slots and attacks
	// of its own, so that nothing depends on their order among each other.
	streams int
	// live is the number of slots of a stream, group that of attacks in progress.
	live, group uint64
	// length is the number of events of an attack.
	length uint64
	// match, near and abandoned are shares in millionths; near and abandoned are
	// those of the events that do not match.
	match, near, abandoned uint64
	// queue is the number of backlogs of a directive, turns that of pairs of
	// addresses that each of them has before its first one comes again.
	queue, turns uint64
	text         template
}

// newPlan returns the plan of a workload that comes over a number of
// connections.
func newPlan(w Workload, streams int) (*plan, error) {
	w = w.withDefaults()
	if err := w.check(); err != nil {
		return nil, err
	}
	if streams < 1 || streams > maxStreams {
		return nil, fmt.Errorf("%d connections are not possible; use 1 to %d", streams, maxStreams)
	}
	p := &plan{Workload: w, streams: streams, length: 1 + 2*uint64(w.Occurrence)} //nolint:gosec // checked
	p.live = divideUp(uint64(w.Live), uint64(streams))                            //nolint:gosec // checked
	p.group = min(p.live, groupSize)
	p.match = max(pulse, uint64(math.Round(w.Match*million)))
	if p.match < million {
		others := func(share float64) uint64 { return uint64(math.Round(share*million)) * million / (million - p.match) }
		p.near = min(million, others(w.Near))
		p.abandoned = min(million-p.near, others(w.Abandoned))
	}
	pairs := uint64(w.Addresses) * uint64(w.Addresses)               //nolint:gosec // checked
	p.queue = divideUp(p.live*uint64(streams), uint64(w.Directives)) //nolint:gosec // checked
	if p.turns = pairs / p.queue; p.turns == 0 {
		return nil, fmt.Errorf("%d addresses make %d pairs, which are too few for %d live backlogs of each directive; use more addresses or directives",
			w.Addresses, pairs, p.queue)
	}
	p.text = newTemplate(w.Seed, w.EventSize)
	return p, nil
}

func divideUp(a, b uint64) uint64 { return (a + b - 1) / b }

// kind is what an event is to the server.
type kind uint8

const (
	noise     kind = iota // no rule names it
	near                  // a rule names it, no backlog takes it
	abandoned             // it opens a backlog, which expires
	matched               // it opens a backlog, or one takes it, which goes on
)

// part is the part that an event has in the workload.
type part struct {
	kind kind
	// slot, round and position say of a matched event which event it is, from 0,
	// of which attack: the one of a slot in a round. The slot of an attack that is
	// abandoned is the number of its event.
	slot, round, position uint64
}

// part returns the part of event n of a stream. The first ones open a backlog
// in each slot; they come before anything is measured. Then all groups of slots
// have their turn, one after the other, for as many events as bring each attack
// of the group to its end and open the next: first each attack goes on by one
// event, again and again, until all wait for their last one; then that of each
// comes, and behind it the first of its successor.
func (p *plan) part(n uint64) part {
	if n < p.live {
		return part{kind: matched, slot: n}
	}
	x := n - p.live
	before := x * p.match / million
	if (x+1)*p.match/million == before {
		switch drawn := p.random(n, 0) % million; {
		case drawn < p.near:
			return part{kind: near}
		case drawn < p.near+p.abandoned:
			return part{kind: abandoned, slot: n}
		}
		return part{kind: noise}
	}
	turn := p.live * p.length
	round, y := before/turn, before%turn
	first := y / (p.group * p.length) * p.group
	size := min(p.group, p.live-first)
	y -= first * p.length
	m := part{kind: matched, slot: first + y%size, round: round, position: 1 + y/size}
	if ends := (p.length - 2) * size; y >= ends {
		m.slot = first + (y-ends)/2
		if m.position = p.length - 1; (y-ends)%2 == 1 {
			m.position, m.round = 0, round+1
		}
	}
	return m
}

// number returns the number of the event that has a part; the part's kind is
// matched.
func (p *plan) number(m part) uint64 {
	first := m.slot / p.group * p.group
	size := min(p.group, p.live-first)
	round, place := m.round, m.slot-first
	y := (m.position-1)*size + place
	switch ends := (p.length - 2) * size; m.position {
	case p.length - 1:
		y = ends + 2*place
	case 0:
		if round == 0 {
			return m.slot
		}
		y, round = ends+2*place+1, round-1
	}
	before := (round*p.live+first)*p.length + y
	return p.live + divideUp((before+1)*million, p.match) - 1
}

// matches returns how many of the first n events of a stream match and are not
// abandoned.
func (p *plan) matches(n uint64) uint64 {
	if n <= p.live {
		return n
	}
	return p.live + (n-p.live)*p.match/million
}

// deserted returns how many of the first n events of a stream are abandoned.
func (p *plan) deserted(n uint64) uint64 {
	sum := uint64(0)
	for i := p.live; i < n && p.abandoned > 0; i++ {
		if p.part(i).kind == abandoned {
			sum++
		}
	}
	return sum
}

// stage returns the stage that takes the event at a position of an attack.
func (p *plan) stage(position uint64) int {
	switch occurrence := uint64(p.Occurrence); { //nolint:gosec // checked
	case position == 0:
		return 1
	case position <= occurrence:
		return 2
	}
	return stages
}

// last returns the position of the event that completes a stage.
func (p *plan) last(stage int) uint64 {
	return uint64(stage-1) * uint64(p.Occurrence) //nolint:gosec // both are positive
}

// target is what an attack is about.
type target struct {
	directive uint64 // its number, from 0
	src, dst  uint64 // numbers of addresses
}

// target returns what the attack of a slot in a round is about. No two live
// attacks have the same.
func (p *plan) target(stream int, m part) target {
	slot := m.slot*uint64(p.streams) + uint64(stream)                  //nolint:gosec // not negative
	directives, addresses := uint64(p.Directives), uint64(p.Addresses) //nolint:gosec // checked
	directive, pair := slot%directives, slot/directives+p.queue*(m.round%p.turns)
	if m.kind == abandoned {
		directive, pair = directives+slot%lonely, slot/lonely%(addresses*addresses)
	}
	return target{directive: directive, src: pair % addresses, dst: (pair + pair/addresses) % addresses}
}

// random returns a number that depends on the event's number and on which of
// its numbers this is.
func (p *plan) random(n, which uint64) uint64 {
	x := p.Seed ^ (n*4+which+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
