package correlate

import (
	"slices"

	"dsiem/internal/correlate/resume"

	"dsiem/internal/correlate/memory"
)

// Remembered returns what the engine remembers beside live backlogs.
func (e *Engine) Remembered() *resume.Remembered {
	r := &resume.Remembered{}
	r.Events = make([]resume.RememberedEvent, 0, e.memory.Len())
	for k := range e.memory.All() {
		r.Events = append(r.Events, resume.RememberedEvent{Arrival: k.Arrival, Event: e.recall(k)})
	}
	for x := range e.ended.All() {
		place := max(x.Directive, ^x.Directive)
		directive, age := e.tracked[place].current.plan.ID, max(0, x.Age(e.second))
		last := len(r.Ended) - 1
		if last < 0 || r.Ended[last].Directive != directive || r.Ended[last].Age != age {
			r.Ended = append(r.Ended, resume.EndedEvents{Directive: directive, Age: age})
			last++
		}
		r.Ended[last].Events = append(r.Ended[last].Events, resume.EndedEvent{Mark: x.Mark, Group: x.Group, Opener: x.Directive < 0})
	}
	for i := range e.tracked {
		if t := &e.tracked[i]; t.lastSent > 0 {
			r.Latest = append(r.Latest, resume.LatestEvent{Directive: t.current.plan.ID, Sent: t.lastSent})
		}
	}
	return r
}

// RestoreRemembered lets an engine remember what another one did when it was saved. It
// goes on at a time (UNIX nanoseconds): the time until then does not count for Ended;
// Events are forgotten when the clock says so. Call it after the last Restore and
// before the first Step. What belongs to directives that the engine has not is left
// out.
func (e *Engine) RestoreRemembered(clock int64, r *resume.Remembered) {
	for _, one := range r.Events {
		e.Remember(one.Arrival, one.Event)
	}
	if e.ended.Seconds == 0 {
		return
	}
	for _, one := range r.Latest {
		if place, ok := e.places[one.Directive]; ok {
			e.tracked[place].lastSent = one.Sent
		}
	}
	oldestFirst := slices.Clone(r.Ended)
	slices.SortStableFunc(oldestFirst, func(a, b resume.EndedEvents) int { return int(b.Age - a.Age) })
	for _, some := range oldestFirst {
		place, ok := e.places[some.Directive]
		if !ok || some.Age < 0 || some.Age > longest {
			continue
		}
		for _, one := range some.Events {
			x := memory.EndedEvent{Mark: one.Mark, Group: one.Group, Directive: place, At: uint32(memory.SecondsOf(clock) - some.Age)}
			if one.Opener {
				x.Directive = ^place
			}
			e.ended.Add(x)
		}
	}
}
