package bus_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dsiem/internal/bus"
)

// start is when tables begin; their times are seconds after it.
var start = time.Unix(1_700_000_000, 0)

func at(seconds float64) time.Time {
	return start.Add(time.Duration(seconds * float64(time.Second)))
}

func TestPressure(t *testing.T) {
	const late, fresh, unknown, tick = "late", "fresh", "unknown", "tick"
	type step struct {
		at   float64
		what string
		want bus.Signal
	}
	const (
		none     = bus.NoSignal
		overload = bus.Overloaded
		relief   = bus.Relieved
	)
	for name, c := range map[string]struct {
		maxDelay, hold time.Duration
		steps          []step
	}{
		"T46 one true for a burst, false after the hold time": {time.Second, 3 * time.Second, []step{
			{0, tick, none},
			{0, fresh, none},
			{0, late, overload},
			{0.1, late, none},
			{1.4, late, none},
			{1.5, tick, none},
			{3, tick, none},
			{4.3, tick, none},
			{4.4, tick, relief},
			{4.5, tick, none},
			{100, tick, none},
		}},
		"T47 unknown times never signal": {time.Second, 3 * time.Second, []step{
			{0, unknown, none}, {1, unknown, none}, {2, tick, none},
		}},
		"max_delay 0 never signals": {0, 3 * time.Second, []step{{0, late, none}, {9, tick, none}}},
		"true is repeated each half hold time while it goes on": {time.Second, 4 * time.Second, []step{
			{0, late, overload},
			{1, late, none},
			{1.9, late, none},
			{2, late, overload},
			{3.9, late, none},
			{4.5, late, overload},
			{6.4, late, none},
			{10.3, tick, none},
			{10.4, tick, relief},
		}},
		"fresh events do not end it before the hold time": {time.Second, 3 * time.Second, []step{
			{0, late, overload}, {1, fresh, none}, {2.9, tick, none}, {3, tick, relief}, {3, fresh, none},
		}},
		"it comes again": {time.Second, 3 * time.Second, []step{
			{0, late, overload}, {3, tick, relief}, {3.1, late, overload}, {6, tick, none}, {6.1, tick, relief},
		}},
		"a late tick": {time.Second, 3 * time.Second, []step{
			{0, late, overload}, {50, late, overload}, {52, tick, none}, {53, tick, relief},
		}},
		"no hold time": {time.Second, 0, []step{{0, late, overload}, {0, tick, relief}, {0, tick, none}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := bus.NewPressure(c.maxDelay, c.hold)
			for _, s := range c.steps {
				now := at(s.at)
				received := map[string]int64{late: now.Add(-10 * time.Second).UnixNano(), fresh: now.UnixNano(), unknown: 0}
				var got bus.Signal
				if s.what == tick {
					got = p.Tick(now)
				} else {
					got = p.Observe(now, received[s.what])
				}
				if got != s.want {
					t.Fatalf("%s at %v: got %d, want %d", s.what, s.at, got, s.want)
				}
			}
		})
	}
}

func TestLate(t *testing.T) {
	p := bus.NewPressure(time.Second, time.Minute)
	now := at(0)
	for received, want := range map[int64]bool{
		now.UnixNano():                       false,
		now.Add(-time.Second).UnixNano():     false,
		now.Add(-time.Second - 1).UnixNano(): true,
		now.Add(time.Hour).UnixNano():        false, // a frontend whose clock is ahead
		1:                                    true,
		0:                                    false,
		-1:                                   false,
		math.MinInt64:                        false,
		math.MaxInt64:                        false,
		now.Add(-200 * 365 * 24 * time.Hour).Unix(): false,
	} {
		if got := p.Late(now, received); got != want {
			t.Errorf("received at %d: %v", received, got)
		}
	}
}

// Relief comes exactly when the hold time is over, and signals alternate but for
// repeated overload.
func TestPressureProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hold := time.Duration(rapid.IntRange(1, 20).Draw(t, "hold")) * time.Second
		p := bus.NewPressure(time.Second, hold)
		now, last := start, time.Time{}
		overloaded := false
		for range rapid.IntRange(1, 50).Draw(t, "events") {
			next := now.Add(time.Duration(rapid.IntRange(0, 30_000).Draw(t, "wait")) * time.Millisecond)
			if due := last.Add(hold); overloaded && !due.After(next) {
				if due.After(now) && p.Tick(due.Add(-1)) != bus.NoSignal {
					t.Fatal("relief comes early")
				}
				if p.Tick(due) != bus.Relieved {
					t.Fatal("relief does not come when it is due")
				}
				overloaded = false
			}
			now = next
			signal := p.Observe(now, now.Add(-time.Minute).UnixNano())
			if !overloaded && signal != bus.Overloaded {
				t.Fatal("overload is not signalled")
			}
			overloaded, last = true, now
			if p.Overloaded() != overloaded {
				t.Fatal("the state is not that of the signals")
			}
		}
	})
}
