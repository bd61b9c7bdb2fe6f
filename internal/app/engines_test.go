package app

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/correlate"
)

// TestMergeIsAStableSort compares the merged changes of any number of engines with
// a stable sort of all of them.
func TestMergeIsAStableSort(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lists := make([][]correlate.Change, rapid.IntRange(0, 2*mostHeads).Draw(t, "lists"))
		for i := range lists {
			steps := rapid.SliceOfN(rapid.Uint64Range(1, 20), 0, 20).Draw(t, "steps")
			slices.Sort(steps)
			for n, step := range steps {
				lists[i] = append(lists[i], correlate.Change{Directive: uint64(i), Stage: n, Order: correlate.Order{Step: step}})
			}
		}
		want := slices.Concat(lists...)
		slices.SortStableFunc(want, func(a, b correlate.Change) int { return a.Order.Compare(b.Order) })
		equal := cmp.Comparer(func(a, b correlate.Order) bool { return a.Compare(b) == 0 })
		if diff := cmp.Diff(want, merge(nil, lists), equal); diff != "" {
			t.Errorf("sorted - merged +:\n%s", diff)
		}
	})
}
