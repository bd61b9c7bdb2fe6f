package correlate

import (
	"dsiem/internal/correlate/backlogs"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// compareStages orders stages by load order of their directives, then the
// current configuration before reloaded backlogs with other rules, then by
// stage.
func compareStages(a, b *stage) int {
	switch {
	case a.variant.owner.order != b.variant.owner.order:
		return int(a.variant.owner.order - b.variant.owner.order)
	case a.variant.number != b.variant.number:
		return a.variant.number - b.variant.number
	}
	return int(a.number - b.number)
}

// variant is one set of rules of a directive: those of the configuration, or
// those that reloaded backlogs brought with them.
type variant struct {
	owner  *tracked
	number int   // 0 is the configuration's
	slot   int32 // its place in the engine
	plan   *directive.Plan
	stages []stage
	live   int // live backlogs
	// groupFields are those in which the opening events of a group are equal (D32).
	groupFields directive.Fields
	// signature identifies the rules of a variant that is not the
	// configuration's.
	signature string
}

func (e *Engine) newVariant(owner *tracked, number int, plan *directive.Plan) *variant {
	v := &variant{}
	v.init(owner, number, plan, make([]stage, len(plan.Stages)))
	e.number(v)
	return v
}

// add lets events find the stages of a variant.
func (e *Engine) add(v *variant) {
	for i := range v.stages {
		rule := v.plan.Rule(i)
		v.stages[i].place = e.index.Add(&rule, &v.stages[i])
	}
}

// number gives a variant the number by which backlogs name it.
func (e *Engine) number(v *variant) {
	v.slot = int32(len(e.variants))
	e.store.KnowVariant(v.slot)
	e.variants = append(e.variants, v)
}

// init makes the variant, with its stages in the given place.
func (v *variant) init(owner *tracked, number int, plan *directive.Plan, stages []stage) {
	*v = variant{owner: owner, number: number, plan: plan, stages: stages, groupFields: backlogs.GroupFields(plan)}
	for i := range stages {
		stages[i] = stage{variant: v, number: int32(i), plan: &plan.Stages[i]}
		stages[i].tables = backlogs.Tables{Stage: int32(i), Join: plan.Stages[i].Join}
	}
}

// stage is one stage of a variant and the live backlogs it could give an event
// to.
type stage struct {
	variant *variant
	plan    *directive.Stage
	tables  backlogs.Tables
	// latest is the largest time, in nanoseconds, of the events that were remembered for
	// it (D33).
	latest int64
	number int32 // place in the plan
	place  int32 // in the index's stages
}

func (e *Engine) variantOf(b *backlogs.Backlog) *variant { return e.variants[b.Variant] }

func (e *Engine) plan(b *backlogs.Backlog, i int) *directive.Stage {
	return &e.variantOf(b).plan.Stages[i]
}

func (e *Engine) opening(b *backlogs.Backlog) opening {
	return opening{step: b.Step, directive: e.variantOf(b).owner.order}
}

// notBefore reports whether an event of a second is not older than the event that
// opened a backlog, but for the tolerance: it can be of that attack (D29).
func (e *Engine) notBefore(b *backlogs.Backlog, seconds int64) bool {
	return seconds >= b.Stages[0].Start-e.opts.OrderTolerance
}

// inWindow reports whether an event of a second is in the window of a backlog's current
// stage, whose plan is given (D32).
func (e *Engine) inWindow(b *backlogs.Backlog, plan *directive.Stage, seconds int64) bool {
	last := e.store.Progress(b, int(b.Current)).Start + plan.Timeout
	return seconds-last <= e.opts.MinAlarmLifetime
}

// duplicate reports whether the current stage has seen the event's
// sticky_different value (D1).
func (e *Engine) duplicate(b *backlogs.Backlog, ev *event.Event) bool {
	current := int(b.Current)
	kind := e.plan(b, current).StickyDifferent
	if kind == directive.NoSticky {
		return false
	}
	r := e.store.Extra(b).Rest(current)
	return r != nil && r.Sticky != nil && r.Sticky.Has(backlogs.StickyOf(kind, ev))
}

// enterStages puts a backlog into the tables of its current stage and, if its
// directive is always-active, of the stages before.
func (e *Engine) enterStages(b *backlogs.Backlog) {
	v := e.variantOf(b)
	if v.plan.AllRulesAlwaysActive {
		e.store.More(b).Rarely().Earlier = make([]backlogs.Link, b.Current)
		for i := range int(b.Current) {
			e.store.Enter(&v.stages[i].tables, b)
		}
	}
	e.store.Enter(&v.stages[b.Current].tables, b)
}

// leaveStages takes a backlog out of the tables, if it is in any: a new one is not.
func (e *Engine) leaveStages(b *backlogs.Backlog) {
	if b.Place.Next == 0 {
		return
	}
	v := e.variantOf(b)
	if v.plan.AllRulesAlwaysActive {
		for i := range int(b.Current) {
			e.store.Leave(&v.stages[i].tables, b)
		}
	}
	e.store.Leave(&v.stages[b.Current].tables, b)
}

// firstOwner returns the directive that comes first in load order.
func firstOwner(plugin, taxonomy []*stage) *tracked {
	if len(plugin) == 0 || len(taxonomy) > 0 && taxonomy[0].variant.owner.order < plugin[0].variant.owner.order {
		return taxonomy[0].variant.owner
	}
	return plugin[0].variant.owner
}

// collect takes the stages of owner from the front of the list, adds to
// e.offers the live backlogs that one of them matches, and reports whether the
// first stage of the directive does, so that the event may open a backlog.
func (e *Engine) collect(list *[]*stage, owner *tracked, a *arrived) (opener bool) {
	for len(*list) > 0 && (*list)[0].variant.owner == owner {
		s := (*list)[0]
		*list = (*list)[1:]
		first := s.number == 0 && s.variant == owner.current
		if (first || s.tables.Live > 0 || e.memory.Seconds > 0 && s.number > 0) && s.plan.Match(a.ev, e.assets) {
			opener = opener || first
			if e.memory.Seconds > 0 {
				e.remember(s, a)
			}
			if s.tables.Live > 0 {
				e.collectJoined(s, a)
			}
		}
	}
	return opener
}

// collectJoined adds to e.offers the live backlogs of a stage whose creating
// events an event equals in their join fields, but for those whose attack it is too old
// for (D29), and those whose window it misses (D32): that it met one of these is noted in
// e.outside.
func (e *Engine) collectJoined(s *stage, a *arrived) {
	for i := range s.tables.List {
		t := &s.tables.List[i]
		first := t.Heads[e.eventKey(t.Fields, a)]
		for h := first; h != 0; {
			b := e.store.At(h)
			if e.store.Joins(b, t.Fields, &a.Origin, &a.ev.CustomData) {
				current := s.plan
				if b.Current != uint8(s.number) {
					current = e.plan(b, int(b.Current))
				}
				if e.notBefore(b, a.seconds) && e.inWindow(b, current, a.seconds) {
					e.offers = append(e.offers, offer{b, int(s.number)})
				} else {
					e.outside = true
				}
			}
			if h = e.store.Link(b, s.number).Next; h == first {
				break
			}
		}
	}
}

// eventKey hashes the join fields of an event.
func (e *Engine) eventKey(fields directive.Fields, a *arrived) uint64 {
	if fields&backlogs.CustomData == 0 {
		return e.store.OriginKey(fields, &a.Origin, nil)
	}
	data := backlogs.DataOf(a.ev)
	return e.store.OriginKey(fields, &a.Origin, &data)
}
