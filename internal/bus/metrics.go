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

// RegisterMissed registers the count of messages that were published and that a
// connection, which may come later, did not get.
func RegisterMissed(reg prometheus.Registerer, conn func() *Conn) {
	reg.MustRegister(missedMetric{
		desc: prometheus.NewDesc("dsiem_events_missed_total",
			"Messages that a frontend published and that did not come, by the name of its node.", []string{"frontend"}, nil),
		conn: conn,
	})
}

// missedMetric shows the frontends that there are: a bounded number of values,
// which only grows. The one for all others is there from the start.
type missedMetric struct {
	desc *prometheus.Desc
	conn func() *Conn
}

var _ prometheus.Collector = missedMetric{}

// Describe implements prometheus.Collector.
func (m missedMetric) Describe(to chan<- *prometheus.Desc) { to <- m.desc }

// Collect implements prometheus.Collector.
func (m missedMetric) Collect(to chan<- prometheus.Metric) {
	list := []Missed{{Frontend: otherName}}
	if c := m.conn(); c != nil {
		list = c.Missed()
	}
	for _, f := range list {
		to <- prometheus.MustNewConstMetric(m.desc, prometheus.CounterValue, float64(f.Messages), f.Frontend)
	}
}
