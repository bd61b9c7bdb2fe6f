package metric

import "github.com/prometheus/client_golang/prometheus"

// Snapshot shows what others count already: values of a struct that is read when
// Prometheus asks, all at one moment. Register it when its samples are complete.
type Snapshot[T any] struct {
	read    func() T
	samples []sample[T]
}

type sample[T any] struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	value  func(T) float64
	labels []string // values
}

// NewSnapshot returns a Snapshot without samples. read is called from any
// goroutine.
func NewSnapshot[T any](read func() T) *Snapshot[T] { return &Snapshot[T]{read: read} }

// Counter adds a value that only grows.
func (s *Snapshot[T]) Counter(name, help string, value func(T) uint64) {
	s.counter(prometheus.NewDesc(name, help, nil, nil), value)
}

// Counters returns a function that adds a value that only grows: one of those of
// a name, told apart by the value of a label.
func (s *Snapshot[T]) Counters(name, help, label string) func(labelled string, value func(T) uint64) {
	desc := prometheus.NewDesc(name, help, []string{label}, nil)
	return func(labelled string, value func(T) uint64) { s.counter(desc, value, labelled) }
}

func (s *Snapshot[T]) counter(desc *prometheus.Desc, value func(T) uint64, labels ...string) {
	s.samples = append(s.samples, sample[T]{
		desc: desc, kind: prometheus.CounterValue, labels: labels,
		value: func(t T) float64 { return float64(value(t)) },
	})
}

// Gauge adds a value that may rise and fall.
func (s *Snapshot[T]) Gauge(name, help string, value func(T) float64) {
	s.samples = append(s.samples, sample[T]{
		desc: prometheus.NewDesc(name, help, nil, nil), kind: prometheus.GaugeValue, value: value,
	})
}

// Describe implements prometheus.Collector.
func (s *Snapshot[T]) Describe(to chan<- *prometheus.Desc) {
	for i := range s.samples {
		to <- s.samples[i].desc
	}
}

// Collect implements prometheus.Collector.
func (s *Snapshot[T]) Collect(to chan<- prometheus.Metric) {
	t := s.read()
	for i := range s.samples {
		sample := &s.samples[i]
		to <- prometheus.MustNewConstMetric(sample.desc, sample.kind, sample.value(t), sample.labels...)
	}
}

// Truth is the value of a gauge that says whether something is so: 1 or 0.
func Truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
