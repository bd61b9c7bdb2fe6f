package correlate

import (
	"math"

	"dsiem/internal/correlate/backlogs"

	"dsiem/internal/correlate/memory"
	"dsiem/internal/event"
)

// sentAt returns an event's time in nanoseconds: the first or last there is, if it
// is not between them, which is so for no event that was decoded.
func sentAt(ev *event.Event) int64 {
	const last = math.MaxInt64 / memory.PerSecond
	switch {
	case ev.Seconds > last || ev.Seconds == last && int64(ev.Nanos) > math.MaxInt64%memory.PerSecond:
		return math.MaxInt64
	case ev.Seconds < -last:
		return math.MinInt64
	}
	return ev.Seconds*memory.PerSecond + int64(ev.Nanos)
}

// arrived is an event as an engine takes it.
type arrived struct {
	ev *event.Event
	// origin holds the values that a backlog would have of the event.
	backlogs.Origin
	// sent is its time, and t the same or, if that was ahead, the time of its
	// arrival (D28), both in UNIX nanoseconds; seconds is the whole second of t.
	sent, t, seconds int64
	arrival          int64
	// record is zero as long as nobody asked, see identified.
	memory.Record
	// kept says that it is remembered, at a place (D33).
	kept  bool
	place uint32
	// lookedBack says that it is offered again (D33).
	lookedBack bool
}

// arrive says what an event is that comes at a time. a is empty.
func (e *Engine) arrive(a *arrived, arrival int64, ev *event.Event) {
	a.ev = ev
	a.Src, a.Dst, a.SrcPort, a.DstPort = memory.ToAddress(ev.SrcIP), memory.ToAddress(ev.DstIP), ev.SrcPort, ev.DstPort
	a.sent, a.arrival = sentAt(ev), arrival
	if a.t, a.seconds = a.sent, ev.Seconds; a.sent > arrival || ev.Seconds < -math.MaxInt64/memory.PerSecond {
		a.t = min(a.sent, arrival)
		a.seconds = memory.SecondsOf(a.t)
	}
}

// identify sets the hash of the event's id, if that has not been done yet: many events
// that a rule names do not match it.
func (e *Engine) identify(a *arrived) {
	switch {
	case a.ID != 0:
	case a.ev.ID == "":
		// No two events without an id are the same (D34).
		a.ID = max(1, event.IDHash(memory.Mix(e.stats.Steps, uint64(e.clock))))
	default:
		a.ID = event.HashID(a.ev.ID)
	}
}

// identified returns the event's record.
func (e *Engine) identified(a *arrived) memory.Record {
	if a.Same == 0 {
		e.identify(a)
		a.Identity = memory.Identify(a.ID, a.Src, a.Dst, a.ev.SrcPort, a.ev.DstPort, a.sent)
	}
	return a.Record
}
