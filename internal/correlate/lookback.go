package correlate

import (
	"cmp"
	"slices"

	"dsiem/internal/correlate/backlogs"

	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// mostWalked is the number of events that are passed to find those of a stage and key.
const mostWalked = 10_000

// looking is what looking back for one backlog needs to know. It is made anew for
// each, in the memory of the one before.
type looking struct {
	candidates []candidate
	// offered counts the events that each stage was offered.
	offered []int
	// elders are the live backlogs of the group that opened no later by the times of
	// their events, once they are known.
	elders      []*backlogs.Backlog
	knowsElders bool
	// group tells the backlog's group, once it is known.
	group      uint32
	knowsGroup bool
}

// candidate is a remembered event that a backlog may take.
type candidate struct {
	time  int64
	event uint32 // place
}

// lookBack plays a backlog, of which a stage has begun, through what is remembered:
// it takes what is later than the end of the stages before by the events' own times,
// but came earlier (D33).
func (e *Engine) lookBack(b *backlogs.Backlog) {
	if e.memory.Len() == 0 {
		return
	}
	l := &e.looking
	stages := len(e.variantOf(b).stages)
	l.offered = slices.Grow(l.offered[:0], stages)[:stages]
	clear(l.offered)
	l.knowsElders, l.knowsGroup = false, false
	for e.lookBackInStage(b) {
	}
	l.candidates, l.elders = forget(l.candidates), forget(l.elders)
}

// lookBackInStage does so for the current stage, and reports whether another one has
// begun.
func (e *Engine) lookBackInStage(b *backlogs.Backlog) (next bool) {
	if !e.findCandidates(b) {
		return false
	}
	list := e.looking.candidates
	for i, c := range list {
		if i > 0 && list[i-1].event == c.event {
			continue // of several stages
		}
		seconds := memory.SecondsOf(c.time)
		if !e.inWindow(b, e.plan(b, int(b.Current)), seconds) {
			return false // and so are those that come
		}
		k := e.memory.Event(c.event)
		one := memory.Record{ID: k.ID, Identity: memory.Identify(k.ID, k.Src, k.Dst, k.SrcPort, k.DstPort, k.Sent)}
		if e.recordedBelow(b, len(e.looking.offered), k.ID) || e.belongsToElder(b, one) {
			continue
		}
		stage := e.fitting(b, k)
		if e.looking.offered[stage] == e.bounds.offered {
			continue
		}
		e.looking.offered[stage]++
		e.stats.LookedBack++
		a := arrived{
			ev: e.recall(k), Origin: originOf(k), sent: k.Sent, t: c.time, seconds: seconds,
			Record: one, lookedBack: true,
		}
		if began := e.take(b, stage, &a); began || b.Self == 0 {
			return began
		}
	}
	return false
}

// findCandidates lists, in order of time and then of arrival, the events later than
// the end of the stages before that match the current stage or, of an always-active
// directive, an earlier one after the first. It reports whether there are any.
func (e *Engine) findCandidates(b *backlogs.Backlog) bool {
	l, v, current := &e.looking, e.variantOf(b), int(b.Current)
	l.candidates = l.candidates[:0]
	first := current
	if v.plan.AllRulesAlwaysActive {
		first = 1
	}
	for i := first; i <= current; i++ {
		if s := &v.stages[i]; s.latest > b.Latest {
			e.findOfStage(b, s)
		}
	}
	m := &e.memory
	slices.SortFunc(l.candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(m.Age(a.event), m.Age(b.event)))
	})
	return len(l.candidates) > 0
}

// findOfStage adds the candidates of one stage.
func (e *Engine) findOfStage(b *backlogs.Backlog, s *stage) {
	e.linkMatches()
	m, data := &e.memory, e.store.Extra(b).Origin()
	joined := backlogs.JoinFields(s.plan.Join, data)
	fields, key := joined, s.key(false)
	if joined != s.plan.Join {
		fields, key = joined&^backlogs.CustomData, s.key(true)
	}
	hash := e.matchHash(key, fields, &b.Origin, data)
	place, ok := m.Newest(hash)
	for n, walked := 0, 0; ok && n < e.bounds.considered && walked < mostWalked; walked++ {
		p := m.At(place)
		if p.Latest <= b.Latest {
			return
		}
		if p.Hash == hash && p.Key == key {
			if k := m.Event(p.Event); e.remembers(b, joined, k) {
				n++
				if t := k.Time(); t > b.Latest {
					e.looking.candidates = append(e.looking.candidates, candidate{t, p.Event})
				}
			}
		}
		place, ok = m.Older(place)
	}
}

// remembers reports whether a remembered event equals a backlog's creating event in
// fields.
func (e *Engine) remembers(b *backlogs.Backlog, fields directive.Fields, k *memory.Event) bool {
	o := originOf(k)
	var custom [event.CustomFields]string
	if fields&backlogs.CustomData != 0 {
		custom = e.memory.CustomData(k)
	}
	return e.store.Joins(b, fields, &o, &custom)
}

// fitting returns the stage that a remembered event is offered to, as on arrival: the
// current one or else the lowest that fits.
func (e *Engine) fitting(b *backlogs.Backlog, k *memory.Event) int {
	v, current := e.variantOf(b), int(b.Current)
	lowest := current
	if !v.plan.AllRulesAlwaysActive {
		return current
	}
	fits := false
	for i := range k.Matches {
		s := e.stageOf(e.memory.At(k.Match + i))
		if s == nil || s.variant != v || int(s.number) > current {
			continue
		}
		if int(s.number) <= lowest || int(s.number) == current {
			if e.remembers(b, backlogs.JoinFields(s.plan.Join, e.store.Extra(b).Origin()), k) {
				lowest = min(lowest, int(s.number))
				fits = fits || int(s.number) == current
			}
		}
	}
	if fits {
		return current
	}
	return lowest
}

// belongsToElder reports whether an event is of a backlog of the same group that has
// ended, or lives and opened no later (D33 d).
func (e *Engine) belongsToElder(b *backlogs.Backlog, one memory.Record) bool {
	l, owner := &e.looking, e.variantOf(b).owner
	if e.ended.Len() > 0 {
		if !l.knowsGroup {
			l.group, l.knowsGroup = e.groupMark(b), true
		}
		if e.ended.HasOfGroup(owner.place, one.Mark, l.group) {
			return true
		}
	}
	if !owner.seen.Has(e.keys.Salt, one) {
		return false
	}
	if !l.knowsElders {
		l.elders, l.knowsElders = l.elders[:0], true
		for h := b.Member.Next; h != b.Self; {
			o := e.store.At(h)
			if o.OpenedAt() <= b.OpenedAt() {
				l.elders = append(l.elders, o)
			}
			h = o.Member.Next
		}
	}
	return slices.ContainsFunc(l.elders, func(o *backlogs.Backlog) bool { return e.hasRecorded(o, one) })
}

// hasRecorded reports whether a backlog has recorded an event.
func (e *Engine) hasRecorded(b *backlogs.Backlog, one memory.Record) bool {
	for i := range int(b.Reached) {
		if r := e.store.Recorded(b, i, one.ID); r != nil && (r.Same == one.Same || r.Same == 0) {
			return true
		}
		if slices.ContainsFunc(e.store.Others(b, i), func(o memory.Record) bool { return o.Same == one.Same }) {
			return true
		}
	}
	return false
}
