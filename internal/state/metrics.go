package state

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/observe/metric"
)

// lastCheckpoint is what metrics show of the last checkpoint. Its zero value is
// that there is none.
type lastCheckpoint struct {
	seconds  float64 // Unix time
	backlogs int
}

// checkpointed remembers that a checkpoint was written.
func (s *Store) checkpointed(at time.Time, backlogs int) {
	const millisecondsPerSecond = 1000
	s.last.Store(&lastCheckpoint{float64(at.UnixMilli()) / millisecondsPerSecond, backlogs})
}

// Register registers the metrics of the last checkpoint of this run.
func (s *Store) Register(reg prometheus.Registerer) {
	m := metric.NewSnapshot(func() lastCheckpoint {
		if last := s.last.Load(); last != nil {
			return *last
		}
		return lastCheckpoint{}
	})
	m.Gauge("dsiem_checkpoint_timestamp_seconds", "Unix time of the last checkpoint of the backlogs that was written.",
		func(l lastCheckpoint) float64 { return l.seconds })
	m.Gauge("dsiem_checkpoint_backlogs", "Backlogs in the last checkpoint.",
		func(l lastCheckpoint) float64 { return float64(l.backlogs) })
	reg.MustRegister(m)
}
