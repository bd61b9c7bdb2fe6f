package limit

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"dsiem/internal/observe/metric"
)

// Register registers the limit and the overload.
func (l *Limiter) Register(reg prometheus.Registerer) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dsiem_eps_limit", Help: "Events per second that are accepted, 0 without limit.",
	}, func() float64 { return float64(l.Limit()) })
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dsiem_overloaded", Help: "1 while a backend is overloaded.",
	}, func() float64 { return metric.Truth(l.Overloaded()) })
}
