package replay

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestHeap compares a heap with a sorted list.
func TestHeap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := newHeap(func(a, b int) bool { return a < b })
		var want []int
		for _, n := range rapid.SliceOf(rapid.IntRange(0, 20)).Draw(t, "members") {
			h.push(n)
			want = append(want, n)
			if rapid.Bool().Draw(t, "change") {
				slices.Sort(want)
				want[0] += 5
				h.items[0] += 5
				h.fix()
			}
		}
		for slices.Sort(want); len(want) > 0; want = want[1:] {
			second, ok := h.second()
			if h.first() != want[0] || ok != (len(want) > 1) || ok && second != want[1] {
				t.Fatalf("first %d, second %d (%v), want %v", h.first(), second, ok, want)
			}
			h.pop()
		}
		if h.len() != 0 {
			t.Errorf("%d members are left", h.len())
		}
	})
}
