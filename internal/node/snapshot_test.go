package node

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/test/testkit"
)

func TestMetricsOfDrops(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	registerDrops(reg, func() Snapshot { return Snapshot{QueueFull: 7, Shutdown: 1} })
	want := []string{
		`dsiem_events_dropped_total{reason="queue_full"} 7`,
		`dsiem_events_dropped_total{reason="shutdown"} 1`,
		`dsiem_events_dropped_total{reason="slow_consumer"} 0`,
	}
	if diff := cmp.Diff(want, testkit.Samples(t, reg)); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}
