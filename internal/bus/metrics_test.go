package bus_test

import (
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

func TestMetricsAreThereBeforeTheConnection(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	var conn atomic.Pointer[bus.Conn]
	bus.Register(reg, conn.Load)
	testkit.Equal(t, testkit.Samples(t, reg), []string{`dsiem_nats_connected 0`, `dsiem_nats_published_total 0`})

	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL())
	c := connect(t, o)
	conn.Store(c)
	if err := c.PublishEvents(t.Context(), [][]byte{[]byte("a"), []byte("b")}); err != nil {
		t.Fatal(err)
	}
	testkit.Equal(t, testkit.Samples(t, reg), []string{`dsiem_nats_connected 1`, `dsiem_nats_published_total 2`})

	s.Stop()
	log.Wait(t, 1, "Disconnected from NATS server")
	testkit.Equal(t, testkit.Samples(t, reg), []string{`dsiem_nats_connected 0`, `dsiem_nats_published_total 2`})
}
