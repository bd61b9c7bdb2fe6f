package bench

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBuckets(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Uint64Range(0, math.MaxInt64).Draw(t, "ns")
		b := bucket(ns)
		if b < 0 || b >= buckets || lowest(b) > ns || lowest(b+1) <= ns {
			t.Fatalf("%d is in bucket %d, which goes from %d to %d", ns, b, lowest(b), lowest(b+1))
		}
		if width := lowest(b+1) - lowest(b); width > 1 && float64(width) > float64(ns)/fine {
			t.Fatalf("the bucket of %d is %d wide", ns, width)
		}
	})
}

// A quantile is that of the sorted durations, within the error of a bucket.
func TestQuantiles(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Int64Range(-5, 10_000_000_000), 1, 200).Draw(t, "durations")
		var h histogram
		for i, ns := range list {
			h.add(time.Duration(ns))
			list[i] = max(0, ns)
		}
		slices.Sort(list)
		for _, share := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
			want := list[min(len(list)-1, int(share*float64(len(list))))]
			if got := int64(h.quantile(share)); got < want || float64(got) > float64(want)*(1+1./fine)+1 {
				t.Fatalf("quantile %v is %d, want %d", share, got, want)
			}
		}
		if h.most != time.Duration(list[len(list)-1]) {
			t.Fatalf("the longest is %v, want %v", h.most, list[len(list)-1])
		}
	})
	if got := new(histogram).quantile(0.5); got != 0 {
		t.Errorf("quantile of nothing: %v", got)
	}
}

func BenchmarkHistogram(b *testing.B) {
	var h histogram
	b.ReportAllocs()
	for b.Loop() {
		h.add(3141592)
	}
}
