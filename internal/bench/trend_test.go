package bench

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// looks returns looks at memory once a second, from second 1 on.
func looks(n int, at func(second float64) Memory) []Memory {
	all := make([]Memory, n)
	for i := range all {
		all[i] = at(float64(i + 1))
		all[i].Seconds = float64(i + 1)
	}
	return all
}

func TestGrowthIsTheSlopeOfTheNearestLine(t *testing.T) {
	t.Parallel()
	const megabyte = 1_000_000
	for _, test := range []struct {
		name string
		all  []Memory
		want float64 // kB a minute
	}{
		{"nothing changes", looks(100, func(float64) Memory { return Memory{Resident: 70 * megabyte} }), 0},
		{"a kilobyte a second", looks(100, func(s float64) Memory { return Memory{Resident: 70*megabyte + uint64(1000*s)} }), 60},
		{"less and less", looks(100, func(s float64) Memory { return Memory{Resident: 70*megabyte - uint64(500*s)} }), -30},
		{"the nearest line", []Memory{{0, 0, 0}, {60, 4000, 0}, {120, 2000, 0}}, 1},
		{"back and forth", looks(120, func(s float64) Memory { return Memory{Resident: 70*megabyte + uint64(s)%2*megabyte} }), -12.5},
		{"a single time", []Memory{{5, 10, 0}, {5, 20, 0}}, 0},
	} {
		got := growth(test.all, func(m Memory) uint64 { return m.Resident })
		if math.Abs(got-test.want) > 0.01*math.Abs(test.want)+1e-6 {
			t.Errorf("%s: %v kB a minute, want %v", test.name, got, test.want)
		}
	}
}

// The time in which a server fills up is left out: two minutes, of a short run a
// third.
func TestTrendBeginsWhenTheServerHasSettled(t *testing.T) {
	t.Parallel()
	filling := func(until float64) func(float64) Memory {
		return func(s float64) Memory { // grows fast, then by 2 and 1 kB a second
			return Memory{Resident: uint64(1e6*min(s, until) + 2000*s), Live: uint64(2e6*min(s, until) + 1000*s)}
		}
	}
	for _, test := range []struct {
		seconds int
		until   float64
	}{{900, 120}, {360, 120}, {60, 20}, {3, 1}} {
		v := map[Measure]float64{}
		recordTrend(looks(test.seconds, filling(test.until)), v)
		want := map[Measure]float64{
			MemoryGrowth: 120, HeapGrowth: 60,
			FirstMemory: 1_002_000 * test.until, LastMemory: 1e6*test.until + 2000*float64(test.seconds),
		}
		for m, value := range v {
			v[m] = math.Round(value)
		}
		if diff := cmp.Diff(want, v); diff != "" {
			t.Errorf("%d seconds: (-want +got)\n%s", test.seconds, diff)
		}
	}
	for _, few := range [][]Memory{nil, {{1, 10, 10}}} {
		v := map[Measure]float64{}
		if recordTrend(few, v); len(v) > 0 {
			t.Errorf("%v: %v", few, v)
		}
	}
}

// There is a look for each tick, with its time, until the end.
func TestObserveLooksAtEachTick(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	ticks := make(chan time.Time, 3)
	for i := range 3 {
		ticks <- noon.Add(time.Duration(i+1) * time.Second)
	}
	looked := uint64(0)
	got, err := observe(ctx, noon, ticks, func(context.Context) (Memory, error) {
		if looked++; looked == 3 {
			cancel() // what is seen after the end does not count
		}
		return Memory{Resident: looked * 10, Live: looked}, nil
	})
	if diff := cmp.Diff([]Memory{{1, 10, 1}, {2, 20, 2}}, got); diff != "" || err != nil {
		t.Errorf("error %v, (-want +got)\n%s", err, diff)
	}
	if got, err := observe(ctx, noon, nil, nil); len(got) > 0 || err != nil {
		t.Errorf("after the end: %v, error %v", got, err)
	}
}

func TestObserveEndsWithAnError(t *testing.T) {
	t.Parallel()
	ticks := make(chan time.Time, 2)
	ticks <- noon
	ticks <- noon.Add(time.Second)
	gone := errors.New("gone")
	looked := 0
	got, err := observe(t.Context(), noon, ticks, func(context.Context) (Memory, error) {
		if looked++; looked == 2 {
			return Memory{}, gone
		}
		return Memory{Resident: 1}, nil
	})
	if len(got) != 1 || !errors.Is(err, gone) {
		t.Errorf("%v, error %v", got, err)
	}
}
