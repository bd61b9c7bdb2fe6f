package correlate

import (
	"cmp"
	"slices"

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
	elders      []*backlog
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
func (e *Engine) lookBack(b *backlog) {
	if e.memory.events.len() == 0 {
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
func (e *Engine) lookBackInStage(b *backlog) (next bool) {
	if !e.findCandidates(b) {
		return false
	}
	list := e.looking.candidates
	for i, c := range list {
		if i > 0 && list[i-1].event == c.event {
			continue // of several stages
		}
		seconds := secondsOf(c.time)
		if !e.inWindow(b, e.plan(b, int(b.current)), seconds) {
			return false // and so are those that come
		}
		k := e.memory.events.at(c.event)
		one := record{id: k.id, identity: identify(k.id, k.src, k.dst, k.srcPort, k.dstPort, k.sent)}
		if e.recordedBelow(b, len(e.looking.offered), k.id) || e.belongsToElder(b, one) {
			continue
		}
		stage := e.fitting(b, k)
		if e.looking.offered[stage] == e.bounds.offered {
			continue
		}
		e.looking.offered[stage]++
		e.stats.LookedBack++
		a := arrived{
			ev: e.memory.recall(k), src: k.src, dst: k.dst, sent: k.sent, t: c.time, seconds: seconds,
			record: one, lookedBack: true,
		}
		if began := e.take(b, stage, &a); began || b.self == 0 {
			return began
		}
	}
	return false
}

// findCandidates lists, in order of time and then of arrival, the events later than
// the end of the stages before that match the current stage or, of an always-active
// directive, an earlier one after the first. It reports whether there are any.
func (e *Engine) findCandidates(b *backlog) bool {
	l, v, current := &e.looking, e.variantOf(b), int(b.current)
	l.candidates = l.candidates[:0]
	first := current
	if v.plan.AllRulesAlwaysActive {
		first = 1
	}
	for i := first; i <= current; i++ {
		if s := &v.stages[i]; s.latest > b.latest {
			e.findOfStage(b, s)
		}
	}
	oldest := e.memory.events.first
	slices.SortFunc(l.candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.event-oldest, b.event-oldest))
	})
	return len(l.candidates) > 0
}

// findOfStage adds the candidates of one stage.
func (e *Engine) findOfStage(b *backlog, s *stage) {
	e.linkMatches()
	m, data := &e.memory, e.store.extra(b).origin()
	joined := s.joinFields(data)
	fields, key := joined, s.key(false)
	if joined != s.plan.Join {
		fields, key = joined&^customData, s.key(true)
	}
	hash := e.matchHash(key, fields, &b.origin, data)
	place := *m.chains.head(uint64(hash))
	for n, walked := 0, 0; n < e.bounds.considered && walked < mostWalked && m.matches.has(place); walked++ {
		p := m.matches.at(place)
		if p.latest <= b.latest {
			return
		}
		if p.hash == hash && p.key == key {
			if k := m.events.at(p.event); e.remembers(b, joined, k) {
				n++
				if t := k.time(); t > b.latest {
					e.looking.candidates = append(e.looking.candidates, candidate{t, p.event})
				}
			}
		}
		if p.back == 0 {
			return
		}
		place -= p.back
	}
}

// remembers reports whether a remembered event equals a backlog's creating event in
// fields.
func (e *Engine) remembers(b *backlog, fields directive.Fields, k *kept) bool {
	a := arrived{ev: &e.looked, src: k.src, dst: k.dst}
	e.looked = event.Event{SrcPort: k.srcPort, DstPort: k.dstPort}
	if fields&customData != 0 {
		e.looked.CustomData = e.memory.customData(k)
	}
	return e.joins(b, fields, &a)
}

// fitting returns the stage that a remembered event is offered to, as on arrival: the
// current one or else the lowest that fits.
func (e *Engine) fitting(b *backlog, k *kept) int {
	v, current := e.variantOf(b), int(b.current)
	lowest := current
	if !v.plan.AllRulesAlwaysActive {
		return current
	}
	fits := false
	for i := range k.matches {
		s := e.stageOf(e.memory.matches.at(k.match + i))
		if s == nil || s.variant != v || int(s.number) > current {
			continue
		}
		if int(s.number) <= lowest || int(s.number) == current {
			if e.remembers(b, s.joinFields(e.store.extra(b).origin()), k) {
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
func (e *Engine) belongsToElder(b *backlog, one record) bool {
	l, owner := &e.looking, e.variantOf(b).owner
	if e.ended.events.len() > 0 {
		if !l.knowsGroup {
			l.group, l.knowsGroup = e.groupMark(b), true
		}
		if e.ended.hasOfGroup(owner.place, one.mark, l.group) {
			return true
		}
	}
	if !owner.seen.has(e.index.salt, one) {
		return false
	}
	if !l.knowsElders {
		l.elders, l.knowsElders = l.elders[:0], true
		for h := b.member.next; h != b.self; {
			o := e.store.at(h)
			if o.openedAt() <= b.openedAt() {
				l.elders = append(l.elders, o)
			}
			h = o.member.next
		}
	}
	return slices.ContainsFunc(l.elders, func(o *backlog) bool { return e.hasRecorded(o, one) })
}

// hasRecorded reports whether a backlog has recorded an event.
func (e *Engine) hasRecorded(b *backlog, one record) bool {
	for i := range int(b.reached) {
		if r := e.recorded(b, i, one.id); r != nil && (r.same == one.same || r.same == 0) {
			return true
		}
		if slices.ContainsFunc(e.others(b, i), func(o record) bool { return o.same == one.same }) {
			return true
		}
	}
	return false
}
