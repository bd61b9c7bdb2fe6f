package httpin_test

import (
	"context"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/input/httpin"
	"dsiem/internal/input/limit"
	"dsiem/test/testkit"
)

var _ httpin.Limiter = (*limit.Limiter)(nil)

func TestT39FortyPostsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, in := newHandler(httpin.Options{Limiter: limit.New(limit.Options{Max: 5, Min: 1})})
		begin := time.Now()
		var taken, limited atomic.Int64
		var group sync.WaitGroup
		for range 40 {
			group.Go(func() {
				switch r := post(t, h.Events, ev("e")); r.Code {
				case http.StatusOK:
					taken.Add(1)
				case http.StatusTooManyRequests:
					limited.Add(1)
				default:
					t.Errorf("status %d", r.Code)
				}
			})
		}
		group.Wait()
		if d := time.Since(begin); taken.Load() != 12 || limited.Load() != 28 || d > 3500*time.Millisecond {
			t.Errorf("%d taken, %d limited after %v", taken.Load(), limited.Load(), d)
		}
		testkit.Equal(t, len(in.take()), 12)
		testkit.Equal(t, stats(h), httpin.Stats{Requests: map[int]uint64{200: 12, 429: 28}, Accepted: 12, Limited: 28})
	})
}

func TestD06D70NoLimitAndLargeArrays(t *testing.T) {
	t.Parallel()
	var none *limit.Limiter
	for _, l := range []*limit.Limiter{none, limit.New(limit.Options{}), limit.New(limit.Options{Max: 2, Min: 2})} {
		h, in := newHandler(httpin.Options{Limiter: l})
		if r := post(t, h.Events, ev("a")+ev("b")+ev("c")); r.Code != http.StatusOK {
			t.Errorf("status %d", r.Code)
		}
		testkit.Equal(t, in.take(), []string{"a b c"})
	}
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop objects")
	}
	t.Run("unlimited", func(t *testing.T) { allocations(t, limit.New(limit.Options{})) })
	t.Run("limited", func(t *testing.T) {
		allocations(t, limit.New(limit.Options{Max: math.MaxInt32, Min: math.MaxInt32}))
	})
}

func allocations(t *testing.T, l *limit.Limiter) {
	t.Helper()
	client := func(*http.Request) string { return "a" }
	h := httpin.New(httpin.Options{Limiter: l, Client: client, Deliver: release})
	for _, c := range []struct {
		name, in, encoding string
		most               float64
	}{
		{"single", benchEvent, "", 2}, // the event's text, and the context of Deliver
		{"array", benchArray(100), "", 101},
		{"gzip", zip(benchEvent), "gzip", 3},
		{"zstd", zst(benchEvent), "zstd", 3},
	} {
		var in body
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "/events", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Encoding", c.encoding)
		r.Body, r.ContentLength = &in, int64(len(c.in))
		content, w := []byte(c.in), &response{header: http.Header{}}
		// Now and then the collector empties the pools.
		if got := testing.AllocsPerRun(500, func() {
			in.Reset(content)
			h.Events(w, r)
		}); got > c.most {
			t.Errorf("%s: %v allocations, want at most %v", c.name, got, c.most)
		}
		if h.Stats().Accepted == 0 || w.status != 0 {
			t.Errorf("%s: status %d", c.name, w.status)
		}
	}
}
