package story

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"dsiem/internal/event"
)

// teller collects the moments of the story in any order.
type teller struct {
	rng     *rand.Rand
	moments []moment
}

// moment is an event without id and time, and its place in the story.
type moment struct {
	at time.Duration
	ev event.Event
}

// tell adds an event to the story.
func (t *teller) tell(at time.Duration, ev event.Event) {
	t.moments = append(t.moments, moment{at.Truncate(time.Microsecond), ev})
}

// span is a part of the story that a number of events share evenly.
type span struct {
	from, to time.Duration
	n        int
}

func (s span) step() time.Duration { return (s.to - s.from) / time.Duration(s.n) }

// at returns a moment for event number i of a span. Every event has a slot of
// its own and leaves the last fifth of it free, so that they stay in order.
func (t *teller) at(s span, i int) time.Duration {
	jitter := time.Duration(t.rng.Int64N(int64(s.step()) / 5 * 4))
	return s.from + time.Duration(i)*s.step() + jitter
}

// spread adds the events of a span.
func (t *teller) spread(s span, next func(i int) event.Event) {
	for i := range s.n {
		t.tell(t.at(s, i), next(i))
	}
}

// events returns the events in order of time, each with its time and id.
func (t *teller) events(start time.Time) []event.Event {
	slices.SortStableFunc(t.moments, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	out := make([]event.Event, len(t.moments))
	for i, m := range t.moments {
		at := start.Add(m.at)
		m.ev.ID = t.id()
		m.ev.Seconds = at.Unix()
		m.ev.Nanos = int32(at.Nanosecond())
		out[i] = m.ev
	}
	return out
}

// id returns a random UUID (version 4).
func (t *teller) id() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], t.rng.Uint64())
	binary.BigEndian.PutUint64(b[8:], t.rng.Uint64())
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	text := hex.EncodeToString(b[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// tcp and udp return an event about a connection to a port, from an ephemeral
// port.
func (t *teller) tcp(src, dst string, port uint16) event.Event {
	ev := host(src)
	ev.DstIP = netip.MustParseAddr(dst)
	ev.SrcPort = t.ephemeral()
	ev.DstPort = port
	ev.Protocol = "TCP"
	return ev
}

func (t *teller) udp(src, dst string, port uint16) event.Event {
	ev := t.tcp(src, dst, port)
	ev.Protocol = "UDP"
	return ev
}

// ephemeral returns a source port as operating systems choose them.
func (t *teller) ephemeral() uint16 {
	const first, last = 32768, 60999
	return uint16(first + t.rng.IntN(last-first+1))
}

// host returns an event about a single host, its source and destination.
func host(addr string) event.Event {
	ip := netip.MustParseAddr(addr)
	return event.Event{SrcIP: ip, DstIP: ip}
}

// pick returns a random element.
func pick[T any](t *teller, from []T) T { return from[t.rng.IntN(len(from))] }
