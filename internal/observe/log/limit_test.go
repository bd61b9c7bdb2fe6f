package log_test

import (
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"

	"dsiem/internal/observe/log"
)

func TestLimitLetsOneLineThroughInTenSeconds(t *testing.T) {
	var l log.Limit
	now := time.Unix(1_000_000, 0)
	for _, step := range []struct {
		after time.Duration
		allow bool
	}{{0, true}, {0, false}, {10*time.Second - 1, false}, {1, true}, {9 * time.Second, false}, {time.Hour, true}, {0, false}} {
		now = now.Add(step.after)
		if got := l.Allow(now); got != step.allow {
			t.Errorf("%s later: %t", step.after, got)
		}
	}
	if first, second := l.LeftOut(), l.LeftOut(); first != 4 || second != 0 {
		t.Errorf("%d and then %d are left out, want 4 and 0", first, second)
	}
}

// TestLimitIsATokenBucket: what is let through is what a rate.Limiter allows,
// and every other line counts.
func TestLimitIsATokenBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		burst := rapid.IntRange(1, 10).Draw(t, "burst")
		l := log.Limit{Burst: burst, Per: 8 * time.Second * time.Duration(burst)}
		bucket := rate.NewLimiter(rate.Every(8*time.Second), burst)
		now := time.Unix(1_000_000, 0)
		var not uint64
		for range 100 {
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second)
			want := bucket.AllowN(now, 1)
			if got := l.Allow(now); got != want {
				t.Fatalf("allowed is %t, want %t", got, want)
			}
			if !want {
				not++
			}
		}
		if got := l.LeftOut(); got != not {
			t.Fatalf("%d are left out, want %d", got, not)
		}
	})
}

func TestLimitIsSafeForConcurrentUse(t *testing.T) {
	l := log.Limit{Burst: 3}
	now := time.Unix(1_000_000, 0)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				l.Allow(now)
			}
		})
	}
	group.Wait()
	if n := l.LeftOut(); n != 8*100-3 {
		t.Errorf("%d are left out", n)
	}
}
