package metric

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// latencyBounds are the upper bounds of the buckets of every latency histogram,
// in seconds: a microsecond to ten minutes, three to a decade.
func latencyBounds() []float64 {
	return []float64{
		1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3,
		0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 180, 600,
	}
}

// Histogram is a histogram of durations that takes many equal observations at
// once, which the client library's own does not. It is safe for concurrent use.
type Histogram struct {
	desc   *prometheus.Desc
	bounds []float64

	mu     sync.Mutex
	counts []uint64 // one per bound and one for what is above
	sum    float64
}

var _ prometheus.Collector = (*Histogram)(nil)

// NewHistogram registers a histogram of durations, whose buckets are those of all
// of them: a microsecond to ten minutes, three to a decade.
func NewHistogram(reg prometheus.Registerer, name, help string) *Histogram {
	bounds := latencyBounds()
	h := &Histogram{
		desc:   prometheus.NewDesc(name, help, nil, nil),
		bounds: bounds,
		counts: make([]uint64, len(bounds)+1),
	}
	reg.MustRegister(h)
	return h
}

// Observe counts n durations of d. A negative one, from clocks that disagree,
// counts as 0.
func (h *Histogram) Observe(d time.Duration, n int) {
	if n <= 0 {
		return
	}
	seconds := max(d, 0).Seconds()
	bucket, _ := slices.BinarySearch(h.bounds, seconds)
	h.mu.Lock()
	h.counts[bucket] += uint64(n)
	h.sum += seconds * float64(n)
	h.mu.Unlock()
}

// Tally collects durations of one goroutine, for a Histogram to take together. The
// zero value is empty.
type Tally struct {
	bounds []float64
	counts []uint64
	sum    float64
	n      int
}

// Observe counts a duration. A negative one counts as 0.
func (t *Tally) Observe(d time.Duration) {
	if t.counts == nil {
		t.bounds = latencyBounds()
		t.counts = make([]uint64, len(t.bounds)+1)
	}
	seconds := max(d, 0).Seconds()
	bucket, _ := slices.BinarySearch(t.bounds, seconds)
	t.counts[bucket]++
	t.sum += seconds
	t.n++
}

// Take adds what a Tally has collected, and empties it.
func (h *Histogram) Take(t *Tally) {
	if t.n == 0 {
		return
	}
	h.mu.Lock()
	for i, n := range t.counts {
		h.counts[i] += n
	}
	h.sum += t.sum
	h.mu.Unlock()
	clear(t.counts)
	t.sum, t.n = 0, 0
}

// Describe implements prometheus.Collector.
func (h *Histogram) Describe(to chan<- *prometheus.Desc) { to <- h.desc }

// Collect implements prometheus.Collector.
func (h *Histogram) Collect(to chan<- prometheus.Metric) {
	buckets := make(map[float64]uint64, len(h.bounds))
	h.mu.Lock()
	var count uint64
	for i, bound := range h.bounds {
		count += h.counts[i]
		buckets[bound] = count
	}
	count += h.counts[len(h.bounds)]
	sum := h.sum
	h.mu.Unlock()
	to <- prometheus.MustNewConstHistogram(h.desc, count, sum, buckets)
}
