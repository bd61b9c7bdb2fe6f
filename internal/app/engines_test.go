package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/correlate"
	"dsiem/internal/event"
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

// testSteps returns the events of benchEvents as steps.
func testSteps(tb testing.TB, n, share int) []step {
	tb.Helper()
	steps := make([]step, 0, n)
	for line := range strings.Lines(benchEvents(n, share)) {
		ev := new(event.Event)
		if rej := event.Decode([]byte(line), ev); rej != nil {
			tb.Fatal(rej)
		}
		steps = append(steps, step{now: ev.Seconds, event: ev})
	}
	return steps
}

// testEngines returns engines with the directives of benchConfig.
func testEngines(tb testing.TB, shards int) *engines {
	tb.Helper()
	c, err := loadConfiguration(benchConfig(50), "test")
	if err != nil {
		tb.Fatal(err)
	}
	return newEngines(c.plans, c.assets, EngineOptions{}, shards)
}

// However many steps engines are given at a time, in turn or side by side, they
// change the same in the same order.
func TestEnginesMergeStepsOfAnyNumber(t *testing.T) {
	t.Parallel()
	steps := testSteps(t, 3000, 50)
	play := func(shards, at int) string {
		all := testEngines(t, shards)
		var text strings.Builder
		for rest := steps; len(rest) > 0; {
			n := min(at, len(rest))
			for _, c := range all.step(rest[:n]) {
				fmt.Fprintln(&text, c.Kind, c.Directive, c.EventID, c.Stage, c.Order.Step)
			}
			rest = rest[n:]
		}
		return text.String()
	}
	want := play(1, 1)
	if n := strings.Count(want, "\n"); n < 100 {
		t.Fatalf("only %d changes", n)
	}
	for _, shards := range []int{1, 3} {
		for _, at := range []int{1, 2, worthSharing - 1, worthSharing, 1000} {
			if got := play(shards, at); got != want {
				t.Errorf("%d engines with %d steps at a time differ from one with one", shards, at)
			}
		}
	}
}

// A single event that nobody wants costs no memory, as it is with posts of
// single events.
func TestStepsThatChangeNothingAllocateNothing(t *testing.T) { // not in parallel with others, which allocate
	steps := testSteps(t, 1, 0)
	all := testEngines(t, 3)
	var changes []correlate.Change
	if n := testing.AllocsPerRun(100, func() { changes = all.step(steps) }); n != 0 || len(changes) > 0 {
		t.Errorf("%v allocations and %d changes, want none", n, len(changes))
	}
}
