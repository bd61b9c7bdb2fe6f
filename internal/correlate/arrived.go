package correlate

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/cespare/xxhash/v2"

	"dsiem/internal/event"
)

// perSecond is the number of nanoseconds in a second.
const perSecond = 1_000_000_000

// secondsOf returns the whole second of a time in nanoseconds.
func secondsOf(ns int64) int64 {
	s := ns / perSecond
	if ns < s*perSecond {
		s--
	}
	return s
}

// nanosOf returns the beginning of a second in nanoseconds, or an end of time.
func nanosOf(seconds int64) int64 {
	const last = math.MaxInt64 / perSecond
	switch {
	case seconds > last:
		return math.MaxInt64
	case seconds < -last:
		return math.MinInt64
	}
	return seconds * perSecond
}

// sentAt returns an event's time in nanoseconds: the first or last there is, if it
// is not between them, which is so for no event that was decoded.
func sentAt(ev *event.Event) int64 {
	const last = math.MaxInt64 / perSecond
	switch {
	case ev.Seconds > last || ev.Seconds == last && int64(ev.Nanos) > math.MaxInt64%perSecond:
		return math.MaxInt64
	case ev.Seconds < -last:
		return math.MinInt64
	}
	return ev.Seconds*perSecond + int64(ev.Nanos)
}

// arrived is an event as an engine takes it.
type arrived struct {
	ev       *event.Event
	src, dst address
	// sent is its time, and t the same or, if that was ahead, the time of its
	// arrival (D28), both in UNIX nanoseconds; seconds is the whole second of t.
	sent, t, seconds int64
	arrival          int64
	record
	identified bool
	// kept says that it is remembered, at a place (D33).
	kept  bool
	place uint32
	// lookedBack says that it is offered again (D33).
	lookedBack bool
}

// record is what identifies an event that a backlog has recorded.
type record struct {
	// id is that of the event's id. Within a backlog it alone decides (D35 a).
	id event.IDHash
	identity
}

// identity says which event it was. The zero value is an unknown event, of a file
// of saved backlogs that does not tell.
type identity struct {
	// same is the hash of what makes it the same event: id, addresses, ports.
	same uint64
	// mark is the hash of the same and of the time as sent (D35 b).
	mark uint64
}

// arrive says what an event is when it comes at the engine's time.
func (e *Engine) arrive(ev *event.Event) arrived {
	return e.arriveAt(e.clock, ev)
}

func (e *Engine) arriveAt(arrival int64, ev *event.Event) arrived {
	a := arrived{ev: ev, src: toAddress(ev.SrcIP), dst: toAddress(ev.DstIP), sent: sentAt(ev), arrival: arrival}
	a.t = min(a.sent, arrival)
	a.seconds = secondsOf(a.t)
	return a
}

// origin returns the values that a backlog would have of the event.
func (a *arrived) origin() origin {
	return origin{src: a.src, dst: a.dst, srcPort: a.ev.SrcPort, dstPort: a.ev.DstPort}
}

// identify sets what identifies the event, if that has not been done yet: most
// events that a rule names do not match it.
func (e *Engine) identify(a *arrived) {
	if a.identified {
		return
	}
	a.identified = true
	if a.ev.ID == "" {
		// No two events without an id are the same (D34).
		a.id = event.IDHash(mixed(e.stats.Steps, uint64(e.clock)))
	} else {
		a.id = event.HashID(a.ev.ID)
	}
	a.identity = identify(a.id, a.src, a.dst, a.ev.SrcPort, a.ev.DstPort, a.sent)
}

// identify returns an event's identity. It is the same in every process, because
// it is saved.
func identify(id event.IDHash, src, dst address, srcPort, dstPort uint16, sent int64) identity {
	var buf [5*8 + 2*2]byte
	binary.LittleEndian.PutUint64(buf[0:], uint64(id))
	binary.LittleEndian.PutUint64(buf[8:], src.hi)
	binary.LittleEndian.PutUint64(buf[16:], src.lo)
	binary.LittleEndian.PutUint64(buf[24:], dst.hi)
	binary.LittleEndian.PutUint64(buf[32:], dst.lo)
	binary.LittleEndian.PutUint16(buf[40:], srcPort)
	binary.LittleEndian.PutUint16(buf[42:], dstPort)
	same := max(1, xxhash.Sum64(buf[:])) // 0 is unknown
	return identity{same: same, mark: mixed(same, uint64(sent))}
}

// mixed mixes two numbers of which nobody chooses both.
func mixed(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd6e8feb86659fd93)
	return hi ^ lo
}
