package limit

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"dsiem/internal/observe/metric"
)

// Register registers the limit, the clients that share it, and the overload.
func (l *Limiter) Register(reg prometheus.Registerer) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dsiem_eps_limit", Help: "Events per second that are accepted, 0 without limit.",
	}, func() float64 { return float64(l.Limit()) })
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dsiem_eps_clients", Help: "Clients that share the limit of events per second now.",
	}, func() float64 { return float64(l.Clients().Sharing) })
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dsiem_eps_clients_in_debt", Help: "Clients that have sent more than their share, and have to wait.",
	}, func() float64 { return float64(l.Clients().InDebt) })
	promauto.With(reg).NewCounterFunc(prometheus.CounterOpts{
		Name: "dsiem_eps_accounts_forgotten_total",
		Help: "Clients that were forgotten while they shared the limit or were in debt, as there were too many.",
	}, func() float64 { return float64(l.Clients().Forgotten) })
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dsiem_overloaded", Help: "1 while a backend is overloaded.",
	}, func() float64 { return metric.Truth(l.Overloaded()) })
}
