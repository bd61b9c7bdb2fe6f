package confdist

import (
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/observe/metric"
)

// Register registers the counters of changes that were made.
func (s *Server) Register(reg prometheus.Registerer) {
	m := metric.NewSnapshot(func() *Server { return s })
	add := m.Counters("dsiem_config_changes_total", "Changes of configuration files over HTTP, by action.", "action")
	add("upload", func(s *Server) uint64 { return s.uploads.Load() })
	add("delete", func(s *Server) uint64 { return s.deletes.Load() })
	reg.MustRegister(m)
}
