package metric

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Counters are the counters of one name that a label with a fixed set of values
// tells apart. They are for what is counted as it happens; what others count
// already is for a Snapshot.
type Counters []prometheus.Counter

// NewCounters registers a counter for each value of a label.
func NewCounters(reg prometheus.Registerer, name, help, label string, values []string) Counters {
	vec := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	counters := make(Counters, len(values))
	for i, value := range values {
		counters[i] = vec.WithLabelValues(value)
	}
	return counters
}

// Add adds n, unless it is negative, to the counter of the value with an index.
// An index beyond the last value counts as the last.
func (c Counters) Add(value, n int) {
	if n > 0 {
		c[min(value, len(c)-1)].Add(float64(n))
	}
}
