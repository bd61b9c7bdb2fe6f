package httpin

import (
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/event"
	"dsiem/internal/observe/metric"
)

// Register registers the counters of events that came over HTTP. Every event
// that was looked at has one outcome.
func (h *Handler) Register(reg prometheus.Registerer) {
	s := metric.NewSnapshot(h.Stats)
	add := s.Counters("dsiem_http_events_total", "Events that came over HTTP, by outcome.", "outcome")
	add("accepted", func(s Stats) uint64 { return s.Accepted })
	add("limited", func(s Stats) uint64 { return s.Limited })
	add("unavailable", func(s Stats) uint64 { return s.Unavailable })
	for reason := range event.Reason(event.Reasons) {
		switch reason {
		case event.Accepted, event.Unwanted, event.Whitelisted: // none for which a record is rejected
		default:
			add(reason.String(), func(s Stats) uint64 { return s.Rejected[reason] })
		}
	}
	add("withheld", func(s Stats) uint64 { return s.Withheld })
	add("skipped", func(s Stats) uint64 { return s.Skipped })
	s.Counter("dsiem_http_events_without_id_total", "Events that came over HTTP without an event_id and got one here.",
		func(s Stats) uint64 { return s.WithoutID })
	s.Counter("dsiem_events_repaired_total", "Events with bytes that are not UTF-8, which became U+FFFD.",
		func(s Stats) uint64 { return s.Repaired })
	reg.MustRegister(s)
}
