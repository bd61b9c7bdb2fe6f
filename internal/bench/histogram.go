package bench

import (
	"math/bits"
	"time"
)

// histogram counts durations with an error below 1 %, in constant memory. The
// zero value is empty.
type histogram struct {
	counts [buckets]uint64
	total  uint64
	most   time.Duration
}

// Each power of two has fine buckets.
const (
	fineBits = 7
	fine     = 1 << fineBits
	buckets  = (64 - fineBits) * fine
)

// bucket returns the bucket of a number of nanoseconds.
func bucket(ns uint64) int {
	shift := max(0, bits.Len64(ns)-fineBits-1)
	return shift<<fineBits + int(ns>>shift) //nolint:gosec // below 2*fine
}

// lowest returns the lowest number of nanoseconds in a bucket.
func lowest(bucket int) uint64 {
	if bucket < 2*fine {
		return uint64(bucket) //nolint:gosec // not negative
	}
	shift := bucket>>fineBits - 1
	return uint64(bucket-shift<<fineBits) << shift //nolint:gosec // not negative
}

// add counts a duration; one below zero counts as zero.
func (h *histogram) add(d time.Duration) {
	d = max(0, d)
	h.counts[bucket(uint64(d))]++
	h.total++
	h.most = max(h.most, d)
}

// quantile returns the duration that a share of all durations do not exceed, 0
// if there are none.
func (h *histogram) quantile(share float64) time.Duration {
	rank, seen := uint64(share*float64(h.total)), uint64(0)
	for i, n := range h.counts {
		if seen += n; seen > rank || seen == h.total && n > 0 {
			return min(h.most, time.Duration(lowest(i+1)-1)) //nolint:gosec // durations
		}
	}
	return 0
}
