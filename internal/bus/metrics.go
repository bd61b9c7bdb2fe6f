package bus

import (
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/observe/metric"
)

// Register registers the metrics of a connection that may come later: conn
// returns nil until it is there. It is called from any goroutine.
func Register(reg prometheus.Registerer, conn func() *Conn) {
	s := metric.NewSnapshot(func() Stats {
		c := conn()
		if c == nil {
			return Stats{}
		}
		return c.Stats()
	})
	s.Gauge("dsiem_nats_connected", "1 while the connection to the message queue is up.",
		func(s Stats) float64 { return metric.Truth(s.Connected) })
	s.Counter("dsiem_nats_published_total", "Messages that were published to the message queue.",
		func(s Stats) uint64 { return s.Published })
	reg.MustRegister(s)
}
