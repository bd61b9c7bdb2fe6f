package correlate

import (
	"iter"
	"slices"

	"dsiem/internal/correlate/memory"
	"dsiem/internal/correlate/resume"
)

// rememberedPart is the number of events of a part of what is remembered.
const rememberedPart = 256

// Remembered returns what the engine remembers beside live backlogs, in parts. The engine
// may take steps between two parts: what is forgotten until its turn comes is left out.
func (e *Engine) Remembered() iter.Seq[*resume.Remembered] {
	return func(yield func(*resume.Remembered) bool) {
		p := parting{part: &resume.Remembered{}, yield: yield}
		for k := range e.memory.All() {
			p.part.Events = append(p.part.Events, resume.RememberedEvent{Arrival: k.Arrival, Event: e.recall(k)})
			if !p.added() {
				return
			}
		}
		for x := range e.ended.All() {
			e.addEnded(p.part, x)
			if !p.added() {
				return
			}
		}
		for i := range e.tracked {
			if t := &e.tracked[i]; t.lastSent > 0 {
				p.part.Latest = append(p.part.Latest, resume.LatestEvent{Directive: t.current.plan.ID, Sent: t.lastSent})
			}
		}
		p.handOn()
	}
}

// parting is a part that grows until it is handed on.
type parting struct {
	part   *resume.Remembered
	events int
	yield  func(*resume.Remembered) bool
}

// added hands on the part if it is complete, and reports whether to go on.
func (p *parting) added() bool {
	p.events++
	return p.events < rememberedPart || p.handOn()
}

func (p *parting) handOn() bool {
	part := p.part
	p.part, p.events = &resume.Remembered{}, 0
	return part.Empty() || p.yield(part)
}

func (e *Engine) addEnded(part *resume.Remembered, x *memory.EndedEvent) {
	place := max(x.Directive, ^x.Directive)
	directive, age := e.tracked[place].current.plan.ID, max(0, x.Age(e.second))
	last := len(part.Ended) - 1
	if last < 0 || part.Ended[last].Directive != directive || part.Ended[last].Age != age {
		part.Ended = append(part.Ended, resume.EndedEvents{Directive: directive, Age: age})
		last++
	}
	list := &part.Ended[last].Events
	*list = append(*list, resume.EndedEvent{Mark: x.Mark, Group: x.Group, Opener: x.Directive < 0})
}

// RestoreRemembered lets an engine remember what another one did when it was saved. It
// goes on at a time (UNIX nanoseconds): the time until then does not count for Ended;
// Events are forgotten when the clock says so. Call it after the last Restore and
// before the first Step, for each part of what was remembered, in order. What belongs to directives that the engine has not is left
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
		if !ok || some.Age < 0 || some.Age > Longest {
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
