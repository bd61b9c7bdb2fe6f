package correlate

import (
	"iter"

	"dsiem/internal/correlate/backlogs"
)

// Waiting is what a live backlog waits for.
type Waiting struct {
	Directive uint64
	// Stage is the number of the current stage, Recorded the number of different events
	// that it has, Wanted that which completes it.
	Stage            int
	Recorded, Wanted uint64
}

// Waiting returns what the live backlogs wait for, in any order.
func (e *Engine) Waiting() iter.Seq[Waiting] {
	return func(yield func(Waiting) bool) {
		for b := range e.store.All() {
			if !yield(e.waiting(b)) {
				return
			}
		}
	}
}

func (e *Engine) waiting(b *backlogs.Backlog) Waiting {
	current := int(b.Current)
	stage := e.plan(b, current)
	return Waiting{
		Directive: e.variantOf(b).plan.ID, Stage: int(stage.Number),
		Recorded: e.store.Count(b, current), Wanted: stage.Occurrence,
	}
}
