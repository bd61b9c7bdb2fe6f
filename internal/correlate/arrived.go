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
	// record is zero as long as nobody asked, see identified.
	record
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
	// mark is a hash of the same and of the time as sent (D35 b): its last 16 bits of
	// the ports and the others of the rest, which is what an alarm's id is made of.
	mark uint64
}

// arrive says what an event is that comes at a time. a is empty.
func (e *Engine) arrive(a *arrived, arrival int64, ev *event.Event) {
	a.ev, a.src, a.dst = ev, toAddress(ev.SrcIP), toAddress(ev.DstIP)
	a.sent, a.arrival = sentAt(ev), arrival
	if a.t, a.seconds = a.sent, ev.Seconds; a.sent > arrival || ev.Seconds < -math.MaxInt64/perSecond {
		a.t = min(a.sent, arrival)
		a.seconds = secondsOf(a.t)
	}
}

// origin returns the values that a backlog would have of the event.
func (a *arrived) origin() origin {
	return origin{src: a.src, dst: a.dst, srcPort: a.ev.SrcPort, dstPort: a.ev.DstPort}
}

// identify sets the hash of the event's id, if that has not been done yet: many events
// that a rule names do not match it.
func (e *Engine) identify(a *arrived) {
	switch {
	case a.id != 0:
	case a.ev.ID == "":
		// No two events without an id are the same (D34).
		a.id = max(1, event.IDHash(mixed(e.stats.Steps, uint64(e.clock))))
	default:
		a.id = event.HashID(a.ev.ID)
	}
}

// identified returns the event's record.
func (e *Engine) identified(a *arrived) record {
	if a.same == 0 {
		e.identify(a)
		a.identity = identify(a.id, a.src, a.dst, a.ev.SrcPort, a.ev.DstPort, a.sent)
	}
	return a.record
}

// identify returns an event's identity. It is the same in every process, because
// it is saved.
func identify(id event.IDHash, src, dst address, srcPort, dstPort uint16, sent int64) identity {
	var buf [5 * 8]byte
	binary.LittleEndian.PutUint64(buf[0:], uint64(id))
	n := len(buf)
	if src.is4() && dst.is4() { // most are, and hash faster
		binary.LittleEndian.PutUint32(buf[8:], uint32(src.lo))
		binary.LittleEndian.PutUint32(buf[12:], uint32(dst.lo))
		n = 16
	} else {
		binary.LittleEndian.PutUint64(buf[8:], src.hi)
		binary.LittleEndian.PutUint64(buf[16:], src.lo)
		binary.LittleEndian.PutUint64(buf[24:], dst.hi)
		binary.LittleEndian.PutUint64(buf[32:], dst.lo)
	}
	rest, ports := xxhash.Sum64(buf[:n]), uint64(srcPort)<<16|uint64(dstPort)
	same := max(1, mixed(rest, ports)) // 0 is unknown
	return identity{same: same, mark: mixed(rest, uint64(sent))<<markPorts | same>>(64-markPorts)}
}

// markPorts is the number of bits of a mark that tell the ports.
const markPorts = 16

// mixed mixes two numbers of which nobody chooses both.
func mixed(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd6e8feb86659fd93)
	return hi ^ lo
}
