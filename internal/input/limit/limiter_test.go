package limit_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/input/limit"
	"dsiem/test/testkit"

	"pgregory.net/rapid"
)

// run runs a limiter until the end of the test.
func run(t *testing.T, l *limit.Limiter) {
	t.Helper()
	testkit.Run(t, l)
	synctest.Wait()
}

func TestD06NoLimit(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]*limit.Options{
		"nil":      nil,
		"zero":     {},
		"no max":   {Min: 10},
		"no min":   {Max: 10},
		"negative": {Max: -1, Min: -2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l *limit.Limiter
				if o != nil {
					l = limit.New(*o)
				}
				run(t, l)
				begin := time.Now()
				for range 1000 {
					if err := l.Take(t.Context(), "a", 1_000_000); err != nil {
						t.Fatal(err)
					}
				}
				l.Overload(true)
				testkit.Pass(time.Minute)
				if got := time.Since(begin); got != time.Minute {
					t.Errorf("taking took %v", got-time.Minute)
				}
				if l.Limit() != 0 || l.Overloaded() != (l != nil) {
					t.Errorf("limit %d, overloaded %v", l.Limit(), l.Overloaded())
				}
				testkit.Equal(t, l.Stats(), limit.Stats{})
			})
		})
	}
}

func TestTheLimitBeginsHalfWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ max, min, want int }{
		{1000, 100, 550},
		{5, 1, 3},
		{5, 4, 5},
		{7, 7, 7},
		{7, 9, 7},
		{1, 1, 1},
		{math.MaxInt, 1, math.MaxInt/2 + 1},
	} {
		if got := limit.New(limit.Options{Max: c.max, Min: c.min}).Limit(); got != c.want {
			t.Errorf("between %d and %d: %d, want %d", c.min, c.max, got, c.want)
		}
	}
}

func TestT39FortyPostsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Options{Max: 5, Min: 1})
		run(t, l)
		begin := time.Now()
		var passed, refused atomic.Int64
		var group sync.WaitGroup
		for range 40 {
			group.Go(func() {
				switch err := l.Take(t.Context(), "a", 1); {
				case err == nil:
					passed.Add(1)
				case errors.Is(err, limit.ErrLimited):
					if time.Since(begin) != 0 {
						t.Error("a refusal waited")
					}
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		group.Wait()
		if got := time.Since(begin); got > 3500*time.Millisecond {
			t.Errorf("it took %v", got)
		}
		// Three at once, and three in each of three seconds.
		if passed.Load() != 12 || refused.Load() != 28 {
			t.Errorf("%d passed, %d were refused", passed.Load(), refused.Load())
		}
		testkit.Equal(t, l.Stats(), limit.Stats{RefusedRequests: 28, RefusedEvents: 28, WaitedRequests: 9})
	})
}

func TestT40OverloadLowersTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := new(testkit.Logbook)
		l := limit.New(limit.Options{Max: 1000, Min: 100, Hold: 10 * time.Second, Logger: log.Logger()})
		run(t, l)
		testkit.Pass(5 * time.Second)
		testkit.Equal(t, log.Take(), []string{`level=INFO msg="Overload status is false, EPS limit changed from 550 to 559" towards=1000`})

		l.Overload(true)
		l.Overload(true)
		testkit.Pass(10 * time.Second)
		testkit.Equal(t, log.Take(), []string{
			`level=INFO msg="Received overload status change from false to true from backend"`,
			`level=INFO msg="Overload status is true, EPS limit changed from 559 to 469" towards=100`,
			`level=DEBUG msg="Overload status is true, EPS limit changed from 469 to 379" towards=100`,
		})
		testkit.Pass(time.Minute)
		if got := l.Limit(); got != 100 || len(log.With("level=DEBUG")) != 4 || len(log.Take()) != 4 {
			t.Errorf("the limit fell to %d, want 100 in 4 steps more", got)
		}

		l.Overload(false)
		testkit.Pass(10 * time.Second)
		testkit.Equal(t, log.Take(), []string{
			`level=INFO msg="Received overload status change from true to false from backend"`,
			`level=INFO msg="Overload status is false, EPS limit changed from 100 to 109" towards=1000`,
			`level=DEBUG msg="Overload status is false, EPS limit changed from 109 to 118" towards=1000`,
		})
		testkit.Pass(time.Hour)
		if got := l.Limit(); got != 1000 || len(log.With("level=DEBUG")) != 98 || len(log.Take()) != 98 {
			t.Errorf("the limit rose to %d, want 1000 in 98 steps more", got)
		}
	})
}

// Spans below 100 and below 10 gave steps of 0 (D08), large ones took the limit
// below 0 (D07).
func TestTheLimitReachesBothBoundsAndNoMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.OneOf(rapid.IntRange(1, 300), rapid.IntRange(1, math.MaxInt)).Draw(t, "min")
		high := rapid.OneOf(rapid.IntRange(low, min(low, math.MaxInt-300)+300), rapid.IntRange(low, math.MaxInt)).Draw(t, "max")
		l := limit.New(limit.Options{Max: high, Min: low})
		for _, overloaded := range []bool{true, false, true} {
			bound := high
			if overloaded {
				bound = low
			}
			for range 310 {
				before := l.Limit()
				limit.Adjust(l, overloaded)
				after := l.Limit()
				if after < low || after > high {
					t.Fatalf("%d is outside %d..%d", after, low, high)
				}
				if moved := after != before; moved != (before != bound) || moved && (after < before) != overloaded {
					t.Fatalf("overloaded %v: from %d to %d within %d..%d", overloaded, before, after, low, high)
				}
			}
			if l.Limit() != bound {
				t.Fatalf("overloaded %v: the limit stays at %d within %d..%d", overloaded, l.Limit(), low, high)
			}
		}
	})
}

// The burst used to stay at the upper bound.
func TestD10TheBurstIsTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Options{Max: 1000, Min: 10})
		run(t, l)
		l.Overload(true)
		testkit.Pass(time.Minute)
		if got := atOnce(t, l); got != 10 {
			t.Errorf("%d events passed at once, want 10", got)
		}
		l.Overload(false)
		testkit.Pass(time.Hour)
		if got := atOnce(t, l); got != 1000 {
			t.Errorf("%d events passed at once, want 1000", got)
		}
	})
}

// atOnce returns how many events pass without any wait.
func atOnce(t *testing.T, l *limit.Limiter) int {
	t.Helper()
	begin := time.Now()
	for n := 0; ; n++ {
		if err := l.Take(t.Context(), "a", 1); err != nil || time.Since(begin) > 0 {
			return n
		}
	}
}

func TestD70EventsCountNotRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Options{Max: 100, Min: 100})
		begin := time.Now()
		for range 5 {
			if err := l.Take(t.Context(), "a", 50); err != nil {
				t.Fatal(err)
			}
		}
		// The third waits for one token and owes 49, for which the fourth waits, and so on.
		if got := time.Since(begin); got != 1010*time.Millisecond {
			t.Errorf("250 events at 100 a second took %v, want 1.01s", got)
		}
		for _, n := range []int{0, -1} {
			if err := l.Take(t.Context(), "a", n); err != nil {
				t.Errorf("%d events: %v", n, err)
			}
		}
		if got := time.Since(begin); got != 1010*time.Millisecond {
			t.Errorf("no events took until %v", got)
		}
	})
}

func TestALargeArrayPassesAndIsPaidForLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Options{Max: 10, Min: 10})
		begin := time.Now()
		at := func(want time.Duration) {
			t.Helper()
			if got := time.Since(begin); got != want {
				t.Errorf("after %v, want %v", got, want)
			}
		}
		take := func(n int) {
			t.Helper()
			if err := l.Take(t.Context(), "a", n); err != nil {
				t.Errorf("%d events: %v", n, err)
			}
		}
		take(5)
		take(1000) // at once, and owes 995
		at(0)
		for range 3 {
			if err := l.Take(t.Context(), "a", 1); !errors.Is(err, limit.ErrLimited) {
				t.Fatalf("got error %v beside a debt", err)
			}
		}
		at(0)
		testkit.Pass(97 * time.Second)
		take(1)
		at(99600 * time.Millisecond) // 1006 events, 10 of them at once
		testkit.Equal(t, l.Stats(), limit.Stats{RefusedRequests: 3, RefusedEvents: 3, WaitedRequests: 1})
	})
}

func TestRetryAfterSaysWhenADebtIsPaid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		events int
		want   time.Duration
	}{
		{399, 0}, // it waits, Take for the last three seconds
		{2099, 20 * time.Second},
		{30_099, 5 * time.Minute},
		{1_000_000, 5 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := limit.New(limit.Options{Max: 100, Min: 100})
			if err := l.Take(t.Context(), "a", c.events); err != nil {
				t.Fatal(err)
			}
			for name, err := range map[string]error{"Admit": l.Admit("a"), "Take": takeOne(t, l, "a")} {
				got := time.Duration(0)
				if refusal, ok := errors.AsType[*limit.RefusalError](err); ok {
					got = refusal.RetryAfter()
				}
				if got != c.want || (err != nil) != (c.want > 0) {
					t.Errorf("%s after %d events: %v, try again after %s, want %s", name, c.events, err, got, c.want)
				}
			}
			testkit.Pass(c.want)
			if err := takeOne(t, l, "a"); err != nil && c.want < 5*time.Minute {
				t.Errorf("%d events, after that time: %v", c.events, err)
			}
		})
	}
}

func takeOne(t *testing.T, l *limit.Limiter, client string) error {
	t.Helper()
	return l.Take(t.Context(), client, 1)
}

func TestTheAverageIsTheLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		rate := rapid.IntRange(1, 50).Draw(r, "limit")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 300), 1, 30).Draw(r, "sizes")
		synctest.Test(t, func(t *testing.T) {
			l := limit.New(limit.Options{Max: rate, Min: rate})
			begin, total := time.Now(), 0
			for _, n := range sizes {
				for errors.Is(l.Take(t.Context(), "a", n), limit.ErrLimited) {
					testkit.Pass(time.Second)
				}
				// What passed so far, with the first event of the last array, is at most
				// a bucket more than what the time gave.
				most := rate + int(math.Ceil(time.Since(begin).Seconds()*float64(rate)))
				if paid := total + 1; paid > most {
					t.Errorf("%d events after %v at %d a second", paid, time.Since(begin), rate)
				}
				total += n
			}
			if waited := time.Since(begin); waited > time.Duration(total+4*rate+4)*time.Second/time.Duration(rate)+time.Second*time.Duration(len(sizes)) {
				t.Errorf("%d events took %v at %d a second", total, waited, rate)
			}
		})
	})
}

func TestWhoGoesGivesItsTokensBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Options{Max: 10, Min: 10})
		if err := l.Take(t.Context(), "a", 10); err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { left <- l.Take(ctx, "a", 1000) }()
		synctest.Wait()
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) || errors.Is(err, limit.ErrLimited) {
			t.Errorf("got error %v", err)
		}
		begin := time.Now()
		if err := l.Take(t.Context(), "a", 10); err != nil {
			t.Error(err)
		}
		if got := time.Since(begin); got != 100*time.Millisecond {
			t.Errorf("the next ten waited for %v, want 100ms for the first of them", got)
		}
		testkit.Equal(t, l.Stats(), limit.Stats{WaitedRequests: 1})
	})
}

func TestAnEarlierDeadlineRefusesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Options{Max: 10, Min: 10})
		begin := time.Now()
		if err := l.Take(t.Context(), "a", 10); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 99*time.Millisecond)
		defer cancel()
		if err := l.Take(ctx, "a", 1); !errors.Is(err, limit.ErrLimited) || time.Since(begin) > 0 {
			t.Errorf("got error %v after %v", err, time.Since(begin))
		}
	})
}

// The limit falls while events wait for a full bucket of the old size, and
// between two looks at it.
func TestALimitThatFallsMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Options{Max: 1_000_000, Min: 1})
		var group sync.WaitGroup
		for i := range 4 {
			group.Go(func() {
				for range 100 {
					if err := l.Take(t.Context(), "a", l.Limit()+i); err != nil && !errors.Is(err, limit.ErrLimited) {
						t.Error(err)
					}
				}
			})
		}
		for i := range 400 {
			limit.Adjust(l, i%40 < 20)
		}
		group.Wait()
	})
}

func TestD29HoldRule(t *testing.T) {
	t.Parallel()
	const hold = 10 * time.Second
	type step struct {
		after    time.Duration // since the step before
		signal   string        // "true", "false" or none
		overload bool          // afterwards
	}
	for _, c := range []struct {
		name  string
		hold  time.Duration
		steps []step
	}{
		{"relief in time counts at once", hold, []step{
			{0, "true", true}, {hold, "false", false},
		}},
		{"early relief waits for the hold time", hold, []step{
			{0, "true", true}, {time.Second, "false", true}, {9*time.Second - 1, "", true}, {1, "", false},
		}},
		{"another backend's overload cancels an early relief", hold, []step{
			{0, "true", true}, {time.Second, "false", true}, {time.Second, "true", true}, {time.Hour, "", true}, {0, "false", false},
		}},
		{"a sign that repeats moves the end", hold, []step{
			{0, "true", true}, {5 * time.Second, "true", true}, {time.Second, "false", true}, {hold - time.Second - 1, "", true}, {1, "", false},
		}},
		{"silence is no relief", hold, []step{
			{0, "true", true}, {24 * time.Hour, "", true}, {0, "false", false},
		}},
		{"a relief that comes twice counts once", hold, []step{
			{0, "true", true},
			{time.Second, "false", true},
			{time.Second, "false", true},
			{8 * time.Second, "", false},
			{0, "false", false},
			{0, "true", true},
			{time.Hour, "", true},
		}},
		{"relief without overload", hold, []step{
			{0, "false", false}, {time.Second, "true", true}, {time.Second, "", true}, {time.Hour, "", true},
		}},
		{"no hold time", 0, []step{
			{0, "true", true}, {0, "false", false}, {0, "true", true}, {0, "false", false},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := new(testkit.Logbook)
				l := limit.New(limit.Options{Max: 10, Min: 10, Hold: c.hold, Logger: log.Logger()})
				run(t, l)
				var want []string
				before := false
				for i, s := range c.steps {
					testkit.Pass(s.after)
					if s.signal != "" {
						l.Overload(s.signal == "true")
					}
					synctest.Wait()
					if got := l.Overloaded(); got != s.overload {
						t.Errorf("step %d: overloaded %v", i, got)
					}
					if s.overload && !before {
						want = append(want, `level=INFO msg="Received overload status change from false to true from backend"`)
					} else if !s.overload && before {
						want = append(want, `level=INFO msg="Received overload status change from true to false from backend"`)
					}
					before = s.overload
				}
				testkit.Equal(t, log.Take(), want)
			})
		})
	}
}

func TestTakeWithoutWaitDoesNotAllocate(t *testing.T) {
	free := limit.New(limit.Options{})
	bounded := limit.New(limit.Options{Max: math.MaxInt32, Min: math.MaxInt32})
	for name, l := range map[string]*limit.Limiter{"unlimited": free, "limited": bounded} {
		if got := testing.AllocsPerRun(100, func() {
			if err := l.Take(t.Context(), "a", 1); err != nil {
				t.Error(err)
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations, want none", name, got)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	for _, c := range []struct {
		name string
		o    limit.Options
	}{
		{"unlimited", limit.Options{}},
		{"limited", limit.Options{Max: math.MaxInt32, Min: math.MaxInt32}},
	} {
		b.Run(c.name, func(b *testing.B) {
			l := limit.New(c.o)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := l.Take(b.Context(), "a", 1); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
	b.Run("refused", func(b *testing.B) {
		l := limit.New(limit.Options{Max: 1, Min: 1})
		if err := l.Take(b.Context(), "a", 1_000_000); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if err := l.Take(b.Context(), "a", 1); !errors.Is(err, limit.ErrLimited) {
				b.Fatal(err)
			}
		}
	})
}
