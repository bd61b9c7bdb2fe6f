package shard

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"dsiem/test/testkit"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/config"
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
func testSteps(tb testing.TB, n, share int) []Step {
	tb.Helper()
	steps := make([]Step, 0, n)
	for line := range strings.Lines(testkit.BenchEvents(n, share)) {
		ev := new(event.Event)
		if rej := event.Decode([]byte(line), ev); rej != nil {
			tb.Fatal(rej)
		}
		steps = append(steps, Step{Now: ev.Seconds, Event: ev})
	}
	return steps
}

// testEngines returns engines with the directives of benchConfig.
func testEngines(tb testing.TB, shards int) *Set {
	tb.Helper()
	c, err := config.Load(testkit.BenchConfig(50), "test")
	if err != nil {
		tb.Fatal(err)
	}
	return New(c.Plans, c.Assets, correlate.Options{}, shards)
}

// However many steps engines are given at a time, in turn or side by side, and
// however often time passes between them, they change the same in the same order.
func TestEnginesMergeStepsOfAnyNumber(t *testing.T) {
	t.Parallel()
	steps := testSteps(t, 3000, 50)
	for i := range steps { // stages time out after ten minutes
		steps[i].Now = steps[0].Event.Seconds + int64(i/10)*7
		steps[i].Event.Seconds = steps[i].Now
	}
	n := 0
	steps = slices.DeleteFunc(steps, func(s Step) bool { // two in three attacks get no further
		second := s.Event.PluginID == 1001 && s.Event.PluginSID%2 == 1
		if second {
			n++
		}
		return second && n%3 > 0
	})
	play := func(shards, at int, passes bool) string {
		all := testEngines(t, shards)
		var text strings.Builder
		write := func(changes []correlate.Change) {
			for _, c := range changes {
				fmt.Fprintln(&text, c.Kind, c.Directive, c.EventID, c.Stage, c.Order.Step)
			}
		}
		for rest := steps; len(rest) > 0; {
			n := min(at, len(rest))
			if passes {
				for changes := range all.Expire(rest[0].Now) {
					write(changes)
				}
			}
			write(all.Step(rest[:n]))
			rest = rest[n:]
		}
		for changes := range all.ExpireAll() {
			write(changes)
		}
		if stats := all.Stats(); stats.Live != 0 {
			t.Errorf("%d backlogs live at the end", stats.Live)
		}
		return text.String()
	}
	want := play(1, 1, false)
	if all, expired := strings.Count(want, "\n"), strings.Count(want, fmt.Sprintln()+fmt.Sprint(correlate.Expired, " ")); all < 100 || expired < 20 {
		t.Fatalf("only %d changes, %d expired", all, expired)
	}
	for _, shards := range []int{1, 3} {
		for _, at := range []int{1, 2, worthSharing - 1, worthSharing, 1000} {
			for _, passes := range []bool{false, true} {
				if got := play(shards, at, passes); got != want {
					t.Errorf("%d engines with %d steps at a time differ from one with one (time passes between: %v)", shards, at, passes)
				}
			}
		}
	}
}

// What changed is let go when time passes, also if nothing comes any more.
func TestEnginesLetGoOfAlarms(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 3} {
		all := testEngines(t, shards)
		changes := all.Step(testSteps(t, 200, 50))
		if !slices.ContainsFunc(changes, func(c correlate.Change) bool { return c.Alarm != nil }) {
			t.Fatal("there is no alarm")
		}
		for range all.Expire(0) {
			t.Error("something is due")
		}
		for _, kept := range append(all.changes, changes) {
			if slices.ContainsFunc(kept[:cap(kept)], func(c correlate.Change) bool { return c.Alarm != nil }) {
				t.Errorf("%d engines hold an alarm", shards)
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
	if n := testing.AllocsPerRun(100, func() { changes = all.Step(steps) }); n != 0 || len(changes) > 0 {
		t.Errorf("%v allocations and %d changes, want none", n, len(changes))
	}
}
