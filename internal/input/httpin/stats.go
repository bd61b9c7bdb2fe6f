package httpin

import (
	"net/http"
	"sync/atomic"

	"dsiem/internal/event"
)

// statuses are all the statuses that a Handler answers.
var statuses = [...]int{ //nolint:gochecknoglobals // a table
	http.StatusOK,
	http.StatusBadRequest,
	http.StatusRequestTimeout,
	http.StatusRequestEntityTooLarge,
	http.StatusUnsupportedMediaType,
	http.StatusTeapot,
	http.StatusTooManyRequests,
	http.StatusServiceUnavailable,
}

// statusIndex returns the place of a status in the table.
func statusIndex(status int) int {
	for i, s := range statuses {
		if s == status {
			return i
		}
	}
	return len(statuses) - 1
}

// counters are what Stats shows.
type counters struct {
	requests [len(statuses)]atomic.Uint64
	rejected [event.Reasons]atomic.Uint64

	accepted, withheld, skipped, limited, unavailable, withoutID, repaired atomic.Uint64
}

func (c *counters) request(status int) { c.requests[statusIndex(status)].Add(1) }

// Stats are counts since New. Each event of a request whose body could be read
// is in one of them, as far as it was looked at.
type Stats struct {
	// Requests are the requests by status, with all statuses there are:
	// 200 at least one was taken, or there was none, 400 the body cannot be parsed, 408
	// it did not arrive in time, 413 it or an event is too large, 415 unknown
	// Content-Encoding, 418 an event is invalid, 429 there are too many, 503 they cannot
	// be taken now.
	Requests map[int]uint64
	// Accepted events were handed over.
	Accepted uint64
	// Rejected records are no events, by reason.
	Rejected [event.Reasons]uint64
	// Withheld events were valid, but refused because their body is not well-formed, or
	// because another one was rejected and the sender wanted all or nothing.
	Withheld uint64
	// Skipped records of Suricata were no alerts, or have no addresses.
	Skipped uint64
	// Limited events were refused by the Limiter, Unavailable ones because they
	// could not be handed over, or their sender left.
	Limited, Unavailable uint64
	// WithoutID events of Accepted came without an id and got one, Repaired events of
	// Accepted had bytes that are not UTF-8.
	WithoutID, Repaired uint64
}

// Stats returns the counts of now.
func (h *Handler) Stats() Stats {
	c := &h.counters
	s := Stats{
		Requests:    make(map[int]uint64, len(statuses)),
		Accepted:    c.accepted.Load(),
		Withheld:    c.withheld.Load(),
		Skipped:     c.skipped.Load(),
		Limited:     c.limited.Load(),
		Unavailable: c.unavailable.Load(),
		WithoutID:   c.withoutID.Load(),
		Repaired:    c.repaired.Load(),
	}
	for i, status := range statuses {
		s.Requests[status] = c.requests[i].Load()
	}
	for i := range s.Rejected {
		s.Rejected[i] = c.rejected[i].Load()
	}
	return s
}
