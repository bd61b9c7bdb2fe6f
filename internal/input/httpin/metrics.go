package httpin

import (
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/event"
	"dsiem/internal/observe/metric"
)

// Register registers the counters of events that came over HTTP. Every event
// that was looked at is in one of them.
func (h *Handler) Register(reg prometheus.Registerer) {
	s := metric.NewSnapshot(h.Stats)
	add := s.Counters("dsiem_http_events_total", "Events that came over HTTP, by outcome.", "outcome")
	add("accepted", func(s Stats) uint64 { return s.Accepted })
	add("limited", func(s Stats) uint64 { return s.Limited })
	add("unavailable", func(s Stats) uint64 { return s.Unavailable })
	for reason := range event.Reason(event.Reasons) {
		switch reason {
		case event.Accepted, event.Unwanted, event.Whitelisted: // none for which a request is refused
		default:
			add(reason.String(), func(s Stats) uint64 { return s.Rejected[reason] })
		}
	}
	add("incomplete", func(s Stats) uint64 { return s.Incomplete })
	add("withheld", func(s Stats) uint64 { return s.Withheld })
	add("skipped", func(s Stats) uint64 { return s.Skipped })
	reg.MustRegister(s)
}
