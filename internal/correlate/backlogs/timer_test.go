package backlogs

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTimersAreAHeap moves timers in any order and compares with a list: the heap
// is one, every backlog knows its place in it, and what is due is taken out.
func TestTimersAreAHeap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s Store
		all := Timers{Store: &s}
		var live []*Backlog
		deadline := rapid.OneOf(rapid.Int64Range(-20, 20), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64}))
		pick := func() int { return rapid.IntRange(0, len(live)-1).Draw(t, "which") }
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "how many") {
					b := s.Take()
					b.Deadline = deadline.Draw(t, "deadline")
					all.Push(b)
					live = append(live, b)
				}
			},
			"remove": func(t *rapid.T) {
				if len(live) == 0 {
					t.Skip("none lives")
				}
				i := pick()
				all.Remove(live[i])
				all.Remove(live[i]) // has none any more
				s.Drop(live[i])
				live = slices.Delete(live, i, i+1)
			},
			"fix": func(t *rapid.T) {
				if len(live) == 0 {
					t.Skip("none lives")
				}
				b := live[pick()]
				b.Deadline = deadline.Draw(t, "deadline")
				all.Fix(b)
			},
			"take what is due": func(t *rapid.T) {
				before := deadline.Draw(t, "before")
				taken := all.TakeDue(before, nil)
				if !slices.IsSortedFunc(taken, func(a, b Timer) int { return cmp.Compare(a.Deadline, b.Deadline) }) {
					t.Fatalf("taken out of order: %v", taken)
				}
				due := 0
				live = slices.DeleteFunc(live, func(b *Backlog) bool {
					if (b.Deadline < before) != (b.timer == gone) {
						t.Fatalf("deadline %d, place %d before %d", b.Deadline, b.timer, before)
					}
					if b.timer != gone {
						return false
					}
					due++
					s.Drop(b)
					return true
				})
				if due != len(taken) {
					t.Fatalf("%d taken, %d due", len(taken), due)
				}
			},
			"": func(t *rapid.T) {
				if len(all.heap) != len(live) {
					t.Fatalf("%d timers of %d", len(all.heap), len(live))
				}
				for i, m := range all.heap {
					b := s.At(m.Backlog)
					if int(b.timer) != i || b.Deadline != m.Deadline || i > 0 && all.heap[(i-1)/fan].Deadline > m.Deadline {
						t.Fatalf("place %d: %+v of %+v", i, m, *b)
					}
				}
			},
		})
	})
}
