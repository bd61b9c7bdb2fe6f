package enrich

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"dsiem/internal/observe/metric"
)

// otherSource is the label of look-ups at services that were not announced.
const otherSource = "other"

// Metrics counts look-ups by service and outcome, and the time they take. A nil
// Metrics counts nothing.
type Metrics struct {
	sources  map[string]bool // never changed
	lookups  *prometheus.CounterVec
	duration *metric.Histogram
}

// NewMetrics registers the metrics of look-ups at services, which are those of
// the configuration. Without any the metrics are there all the same.
func NewMetrics(reg prometheus.Registerer, services []Service) *Metrics {
	m := &Metrics{
		sources: map[string]bool{otherSource: true},
		lookups: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "dsiem_lookups_total", Help: "Look-ups of terms, by source and outcome.",
		}, []string{"source", "outcome"}),
		duration: metric.NewHistogram(reg, "dsiem_lookup_duration_seconds",
			"Time that sources took to answer look-ups, errors included."),
	}
	for i := range services {
		m.sources[services[i].Name] = true
	}
	for source := range m.sources {
		for _, outcome := range []Outcome{Found, Nothing, Cached, Abandoned, Failed, Skipped} {
			m.lookups.WithLabelValues(source, outcome.label())
		}
	}
	return m
}

// label returns how metrics call an outcome. They tell fewer apart.
func (o Outcome) label() string {
	switch o {
	case Found:
		return "hit"
	case Nothing:
		return "miss"
	case Cached, Joined:
		return "cached"
	case Abandoned:
		return "timed_out"
	case Failed:
		return "failed"
	case Skipped, Dropped, OverLimit:
	}
	return "skipped"
}

// count counts a look-up; took is 0 if the service was not asked.
func (m *Metrics) count(service *Service, outcome Outcome, took time.Duration) {
	if m == nil {
		return
	}
	source := service.Name
	if !m.sources[source] {
		source = otherSource
	}
	m.lookups.WithLabelValues(source, outcome.label()).Inc()
	if took > 0 {
		m.duration.Observe(took, 1)
	}
}
