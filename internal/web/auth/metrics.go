package auth

import (
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/observe/metric"
)

// Register registers the counters of requests that were refused. A nil Guard's
// stay 0.
func (g *Guard) Register(reg prometheus.Registerer) {
	s := metric.NewSnapshot(g.Stats)
	add := s.Counters("dsiem_http_refused_total", "Requests refused for want of a right, by reason.", "reason")
	add("no_credentials", func(s Stats) uint64 { return s.NoCredentials })
	add("wrong_credentials", func(s Stats) uint64 { return s.WrongCredentials })
	add("missing_right", func(s Stats) uint64 { return s.MissingRight })
	add("busy", func(s Stats) uint64 { return s.Busy })
	reg.MustRegister(s)
}
