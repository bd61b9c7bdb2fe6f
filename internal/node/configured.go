package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/web/status"
)

// maxLeftOut is how many directives that were left out are named; the others are
// counted.
const maxLeftOut = 100

// configuration returns which configuration the node has loaded, and which one is
// stored where it would load another one from.
func (n *Node) configuration() status.Configuration {
	// Not the node's clock: files have their times from the machine's.
	c := status.Configuration{Stored: n.stored.Hash(time.Now())}
	if n.backend == nil || !n.prepared.Load() {
		return c
	}
	loaded := n.backend.config
	out := loaded.LeftOut()
	c.Loaded, c.Pending, c.LeftOut = loaded.Hash, loaded.Hash != c.Stored, len(out)
	for _, o := range out[:min(len(out), maxLeftOut)] {
		c.LeftOutList = append(c.LeftOutList, status.LeftOut(o))
	}
	return c
}

// configurationMetrics shows to Prometheus what configuration returns.
type configurationMetrics struct {
	read func() status.Configuration
	// engine says that the node loads a configuration.
	engine                          bool
	hash, pending, leftOut, nameOut *prometheus.Desc
}

func newConfigurationMetrics(n *Node) *configurationMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &configurationMetrics{
		read: n.configuration, engine: n.backend != nil,
		hash:    desc("dsiem_config_info", "Hash of the configuration files that are loaded, and of those that are stored; always 1.", "state", "hash"),
		pending: desc("dsiem_config_pending", "Whether the stored configuration is another one than the loaded one: 1 or 0."),
		leftOut: desc("dsiem_config_left_out", "Directives and files of directives that are left out because of errors."),
		nameOut: desc("dsiem_config_left_out_info", "What is left out because of errors, the first 100; always 1.", "file", "directive"),
	}
}

// Describe implements prometheus.Collector.
func (m *configurationMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.hash, m.pending, m.leftOut, m.nameOut} {
		to <- d
	}
}

// Collect implements prometheus.Collector. A state without files has no sample.
func (m *configurationMetrics) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	c := m.read()
	if c.Stored != "" {
		gauge(m.hash, 1, "stored", c.Stored)
	}
	if !m.engine {
		return
	}
	if c.Loaded != "" {
		gauge(m.hash, 1, "loaded", c.Loaded)
	}
	pending := 0.0
	if c.Pending {
		pending = 1
	}
	gauge(m.pending, pending)
	gauge(m.leftOut, float64(c.LeftOut))
	for _, o := range c.LeftOutList {
		gauge(m.nameOut, 1, o.File, o.Directive)
	}
}
