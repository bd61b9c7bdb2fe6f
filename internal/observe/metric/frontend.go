package metric

import "github.com/prometheus/client_golang/prometheus"

// Metrics of rooms that do not declare them themselves yet.

// HTTPEvents is what has become of the events of all requests by a moment.
// Every event that was read is in one of the counts, and all only grow.
type HTTPEvents struct {
	// Accepted are the events that were handed on.
	Accepted uint64
	// Limited are those above the event rate limit (429), Unavailable those
	// that could not be handed on (503). Their senders try again.
	Limited, Unavailable uint64
	// Rejected are those that were not valid, by reason, in the order of the
	// names that RegisterHTTPEvents was given. What lies beyond them is left
	// out.
	Rejected []uint64
}

// RegisterHTTPEvents registers the counters of events that came over HTTP.
// rejections are the names of the reasons to reject an event (those of
// event.Reason); one that is "" is not shown. read is called from any goroutine.
func RegisterHTTPEvents(reg prometheus.Registerer, rejections []string, read func() HTTPEvents) {
	s := NewSnapshot(read)
	add := s.Counters("dsiem_http_events_total", "Events that came over HTTP, by outcome.", "outcome")
	add("accepted", func(e HTTPEvents) uint64 { return e.Accepted })
	add("limited", func(e HTTPEvents) uint64 { return e.Limited })
	add("unavailable", func(e HTTPEvents) uint64 { return e.Unavailable })
	for i, name := range rejections {
		if name == "" {
			continue
		}
		add(name, func(e HTTPEvents) uint64 {
			if i < len(e.Rejected) {
				return e.Rejected[i]
			}
			return 0
		})
	}
	reg.MustRegister(s)
}

// Refusals are the requests that were refused for want of a right, by a moment.
// All only grow.
type Refusals struct {
	// NoCredentials and WrongCredentials got 401, MissingRight 403, and Busy, for
	// which there was no time to verify the password, 503.
	NoCredentials, WrongCredentials, MissingRight, Busy uint64
}

// RegisterRefusals registers the counters of requests without rights. read is
// called from any goroutine.
func RegisterRefusals(reg prometheus.Registerer, read func() Refusals) {
	s := NewSnapshot(read)
	add := s.Counters("dsiem_http_refused_total", "Requests refused for want of a right, by reason.", "reason")
	add("no_credentials", func(r Refusals) uint64 { return r.NoCredentials })
	add("wrong_credentials", func(r Refusals) uint64 { return r.WrongCredentials })
	add("missing_right", func(r Refusals) uint64 { return r.MissingRight })
	add("busy", func(r Refusals) uint64 { return r.Busy })
	reg.MustRegister(s)
}

// Limiter is the state of the event rate limiter at a moment.
type Limiter struct {
	// EPS is the limit in events per second; 0 is none.
	EPS int
	// Overloaded says whether a backend is overloaded, so that the limit falls.
	Overloaded bool
}

// RegisterLimiter registers the metrics of the event rate limiter. read is
// called from any goroutine.
func RegisterLimiter(reg prometheus.Registerer, read func() Limiter) {
	s := NewSnapshot(read)
	s.Gauge("dsiem_eps_limit", "Events per second that are accepted, 0 without limit.",
		func(l Limiter) float64 { return float64(l.EPS) })
	s.Gauge("dsiem_overloaded", "1 while a backend is overloaded.",
		func(l Limiter) float64 { return Truth(l.Overloaded) })
	reg.MustRegister(s)
}

// NATS is the state of the connection to the message queue at a moment.
type NATS struct {
	// Connected says whether the connection is up.
	Connected bool
	// Published are the messages that were published; it only grows.
	Published uint64
}

// RegisterNATS registers the metrics of the connection to the message queue.
// read is called from any goroutine.
func RegisterNATS(reg prometheus.Registerer, read func() NATS) {
	s := NewSnapshot(read)
	s.Gauge("dsiem_nats_connected", "1 while the connection to the message queue is up.",
		func(n NATS) float64 { return Truth(n.Connected) })
	s.Counter("dsiem_nats_published_total", "Messages that were published to the message queue.",
		func(n NATS) uint64 { return n.Published })
	reg.MustRegister(s)
}
