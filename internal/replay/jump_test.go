package replay

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dsiem/test/testkit"
)

const hour = int64(time.Hour)

// times repeats a time.
func times(t int64, n int) []int64 { return slices.Repeat([]int64{t}, n) }

func TestConfirmed(t *testing.T) {
	t.Parallel()
	const at = 100 * hour
	for _, test := range []struct {
		name string
		next []int64
		want bool
	}{
		{"the last one", nil, true},
		{"one as late", []int64{at}, true},
		{"one later", []int64{at + 1000*hour}, true},
		{"one that is an hour earlier", []int64{at - hour}, true},
		{"one that is more than an hour earlier", []int64{at - hour - 1}, false},
		{"half is not more than half", []int64{at, 0}, false},
		{"two of three", []int64{0, at, at}, true},
		{"stragglers of three days ago", append(times(at-72*hour, 499), times(at, 501)...), true},
		{"half of a thousand", append(times(at-72*hour, 500), times(at, 500)...), false},
		{"only the next thousand", append(times(at, 501), times(0, 10_000)...), true},
		{"and no more", append(times(0, 1000), times(at, 10_000)...), false},
		{"the beginning of time", times(0, 3), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			testkit.Equal(t, confirmed(at, hour, of(test.next)), test.want)
		})
	}
	if !confirmed(1, math.MaxInt64, of([]int64{0})) || !confirmed(math.MaxInt64, math.MaxInt64, of([]int64{0})) {
		t.Error("any jump is allowed")
	}
}

// of returns times one after the other.
func of(times []int64) func() (int64, bool) {
	i := -1
	return func() (int64, bool) {
		i++
		if i >= len(times) {
			return 0, false
		}
		return times[i], true
	}
}

// TestConfirmedIsAMajority compares the early end of a judgement with counting all.
func TestConfirmedIsAMajority(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		near := rapid.IntRange(0, 100).Draw(t, "near")
		next := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) int64 {
			if rapid.IntRange(0, 99).Draw(t, "is") < near {
				return 0
			}
			return -2 * hour
		}), 0, 1100).Draw(t, "next")
		with, all := 0, min(len(next), lookAhead)
		for _, at := range next[:all] {
			if at >= -hour {
				with++
			}
		}
		if want := all == 0 || 2*with > all; confirmed(0, hour, of(next)) != want {
			t.Errorf("%d of %d are near: want %v", with, all, want)
		}
	})
}

func TestLead(t *testing.T) {
	t.Parallel()
	const at = 100 * hour
	for _, test := range []struct {
		name  string
		times []int64
		first int
		t     int64
		ok    bool
	}{
		{"nothing", nil, 0, 0, false},
		{"one", []int64{at}, 0, at, true},
		{"in order", []int64{at, at + 1, at + 2}, 0, at, true},
		{"a forged first record", append([]int64{at + 9*hour}, times(at, 3)...), 1, at, true},
		{"two forged records", append([]int64{at + 9*hour, at + 99*hour}, times(at, 5)...), 2, at, true},
		{"a first record that is too old", append([]int64{0}, times(at, 5)...), 0, 0, true},
		{"newest first", []int64{at, at - 2*hour, at - 4*hour, at - 6*hour}, 3, at - 6*hour, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			first, at, ok := lead(hour, 1000, func(i int) (int64, bool) {
				if i >= len(test.times) {
					return 0, false
				}
				return test.times[i], true
			})
			if first != test.first || at != test.t || ok != test.ok {
				t.Errorf("got %d, %d, %v; want %d, %d, %v", first, at, ok, test.first, test.t, test.ok)
			}
		})
	}
	if first, _, ok := lead(hour, 3, func(i int) (int64, bool) { return int64(-i) * 2 * hour, i < 10 }); ok || first != 3 {
		t.Errorf("it looked at %d, %v", first, ok)
	}
}
