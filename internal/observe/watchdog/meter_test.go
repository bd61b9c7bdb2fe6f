package watchdog_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/observe/watchdog"
)

func TestMeterKnowsTheLastFullSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var m watchdog.Meter
		var running sync.WaitGroup
		running.Go(func() {
			if err := m.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		eps := func(after time.Duration, want int64) {
			t.Helper()
			<-time.After(after)
			synctest.Wait()
			if got := m.EPS(); got != want {
				t.Errorf("%d events per second, want %d", got, want)
			}
		}
		m.Add(512)
		m.Add(488)
		m.Add(0)
		m.Add(-7)
		eps(999*time.Millisecond, 0) // the second is not over
		eps(2*time.Millisecond, 1000)
		m.Add(30)
		eps(998*time.Millisecond, 1000)
		eps(time.Millisecond, 30)
		eps(time.Second, 0)
		m.Add(9)
		eps(time.Second, 9)
		stop()
		running.Wait()
		eps(0, 0)
		if got := m.Total(); got != 1039 {
			t.Errorf("%d events altogether", got)
		}
	})
}

func TestMeterTicks(t *testing.T) {
	t.Parallel()
	start := time.Unix(1700000000, 0)
	for _, test := range []struct {
		name  string
		after time.Duration
		add   int
		want  int64
	}{
		{"on time", time.Second, 100, 100},
		{"late", 4 * time.Second, 100, 25},
		{"early", time.Second / 2, 100, 200},
		{"rounded", 3 * time.Second, 5, 2},
		{"no time", 0, 100, 7},
		{"clock set back", -time.Hour, 100, 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var m watchdog.Meter
			m.Add(1 << 40) // before the first tick: no second to count for
			m.Tick(start)
			if got := m.EPS(); got != 0 {
				t.Errorf("%d after the first tick", got)
			}
			m.Add(7)
			m.Tick(start.Add(time.Second))
			m.Add(test.add)
			m.Tick(start.Add(time.Second + test.after))
			if got := m.EPS(); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func BenchmarkMeter(b *testing.B) {
	var m watchdog.Meter
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Add(512)
		}
	})
}
