package node

import (
	"io"
	"net"
	"path/filepath"
	"strings"
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

// A start that fails says why, also when metrics go to a collector, which asks for
// the last ones: some parts are not there yet.
func TestFailedStartWithMetrics(t *testing.T) {
	t.Parallel()
	var network net.ListenConfig
	taken, err := network.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, mode := range []string{ModeStandalone, ModeFrontend} {
		dir := t.TempDir()
		o := &Options{
			Mode: mode, Node: "node", ConfigDir: filepath.Join(dir, "configs"), LogDir: filepath.Join(dir, "logs"), MaxQueue: 1,
			Statuses: []string{"Open"}, Tags: []string{"Identified Threat"}, NATS: "nats://127.0.0.1:1", Out: io.Discard,
			HTTP:    HTTPOptions{Address: "127.0.0.1", Port: taken.Addr().(*net.TCPAddr).Port},
			Tracing: TracingOptions{Metrics: true, Endpoint: "http://127.0.0.1:1"},
		}
		if err := New(o).Start(t.Context()); err == nil || !strings.Contains(err.Error(), "starting the HTTP server") {
			t.Errorf("%s: the error is %v", mode, err)
		}
	}
}
