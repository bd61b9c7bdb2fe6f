package app

import (
	"fmt"
	"strings"
	"testing"

	"dsiem/internal/correlate"
	"dsiem/internal/event"
)

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
func testEngines(tb testing.TB, shards int) engines {
	tb.Helper()
	c, err := loadConfiguration(benchConfig(50), "test")
	if err != nil {
		tb.Fatal(err)
	}
	return newEngines(c.directives, c.assets, EngineOptions{}, shards)
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
