package correlate

import (
	"slices"

	"dsiem/internal/correlate/memory"
	"dsiem/internal/event"
)

// rest is the state of a stage that took more than one event or compares
// sticky_different values.
type rest struct {
	events memory.Records // empty as long as there is at most one
	// others are further events that have the id of one of events.
	others []memory.Record
	sticky *memory.Set[sticky]
}

// values returns the sticky_different values seen so far.
func (r *rest) values() []sticky {
	if r == nil || r.sticky == nil {
		return nil
	}
	return r.sticky.All()
}

// addValue adds a sticky_different value. Its text is kept.
func (r *rest) addValue(v sticky) {
	if r.sticky == nil {
		r.sticky = &memory.Set[sticky]{}
	}
	r.sticky.Add(v)
}

// record records an event for a stage and reports whether its id was new, so that
// the event counts.
func (e *Engine) record(b *backlog, stage int, one memory.Record) bool {
	p := e.progress(b, stage)
	owner := e.variantOf(b).owner
	if !p.filled {
		p.first, p.filled = one, true
		e.enterRecord(owner, one)
		return true
	}
	known := &p.first
	if r := e.store.extra(b).rest(stage); r != nil && r.events.Len() > 0 {
		known = r.events.Add(e.index.salt, one)
	} else if known.ID != one.ID {
		r = e.store.more(b).restOf(stage)
		r.events.Add(e.index.salt, p.first)
		known = r.events.Add(e.index.salt, one)
	}
	if known == nil {
		e.enterRecord(owner, one)
		return true
	}
	if known.Identity != one.Identity {
		e.recordOther(b, stage, one)
	}
	return false
}

// recordOther records an event for a stage that has recorded its id before.
func (e *Engine) recordOther(b *backlog, stage int, one memory.Record) {
	r := e.store.more(b).restOf(stage)
	if slices.Contains(r.others, one) {
		return
	}
	owner := e.variantOf(b).owner
	if len(r.others) == mostOthers {
		e.leaveRecord(owner, r.others[0])
		r.others = slices.Delete(r.others, 0, 1)
		e.stats.ForgottenIDs++
	}
	r.others = append(r.others, one)
	e.enterRecord(owner, one)
}

// mostOthers is the number of events that a stage knows beside those with new ids.
const mostOthers = 100

// forgetIDs keeps the ids of a completed stage in bounds.
func (e *Engine) forgetIDs(b *backlog, stage int) {
	r := e.store.extra(b).rest(stage)
	if r == nil || r.events.Len() <= e.bounds.ids {
		return
	}
	owner := e.variantOf(b).owner
	for _, one := range r.events.Forget(e.index.salt, e.bounds.ids) {
		e.leaveRecord(owner, one)
		e.stats.ForgottenIDs++
		r.others = slices.DeleteFunc(r.others, func(o memory.Record) bool {
			if o.ID == one.ID {
				e.leaveRecord(owner, o)
			}
			return o.ID == one.ID
		})
	}
}

// forgetRecords ends the record of a backlog: what it has recorded is remembered as
// known for a time (D35 b).
func (e *Engine) forgetRecords(b *backlog) {
	owner := e.variantOf(b).owner
	x := memory.EndedEvent{At: uint32(e.second)}
	if e.ended.Seconds > 0 {
		x.Group = e.groupMark(b)
	}
	remember := func(one memory.Identity, directive int32) {
		x.Mark, x.Directive = one.Mark, directive
		if e.ended.Seconds > 0 && one.Same != 0 && e.ended.Add(x) {
			e.stats.ForgottenEnded++
		}
	}
	// What opened the backlog is remembered even if its id has been forgotten: its alarm's
	// id is not given again.
	opener := b.stages[0].first
	remember(opener.Identity, ^owner.place)
	for i := range int(b.reached) {
		for _, list := range [...][]memory.Record{e.records(b, i), e.others(b, i)} {
			for _, one := range list {
				e.leaveRecord(owner, one)
				if i > 0 || one != opener {
					remember(one.Identity, owner.place)
				}
			}
		}
	}
}

// records returns the events of a stage with different ids in order of recording.
// The slice must not be changed and is valid until the next is recorded.
func (e *Engine) records(b *backlog, stage int) []memory.Record {
	p := e.progress(b, stage)
	if !p.filled {
		return nil
	}
	if r := e.store.extra(b).rest(stage); r != nil && r.events.Len() > 0 {
		return r.events.All()
	}
	return []memory.Record{p.first}
}

// others returns the further events of a stage, whose ids were not new.
func (e *Engine) others(b *backlog, stage int) []memory.Record {
	if r := e.store.extra(b).rest(stage); r != nil {
		return r.others
	}
	return nil
}

// recorded returns the record of a stage that has an id, nil if there is none.
func (e *Engine) recorded(b *backlog, stage int, id event.IDHash) *memory.Record {
	p := e.progress(b, stage)
	if r := e.store.extra(b).rest(stage); r != nil && r.events.Len() > 0 {
		return r.events.Find(e.index.salt, id)
	}
	if p.filled && p.first.ID == id {
		return &p.first
	}
	return nil
}

// recordedBelow reports whether a stage before another one has an id.
func (e *Engine) recordedBelow(b *backlog, stage int, id event.IDHash) bool {
	if !e.variantOf(b).owner.seen.HasID(e.index.salt, id) {
		return false
	}
	for i := range min(stage, int(b.reached)) {
		if e.recorded(b, i, id) != nil {
			return true
		}
	}
	return false
}

// count returns the number of distinct event ids of a stage.
func (e *Engine) count(b *backlog, stage int) uint64 {
	if r := e.store.extra(b).rest(stage); r != nil && r.events.Len() > 0 {
		return uint64(r.events.Len())
	}
	if e.progress(b, stage).filled {
		return 1
	}
	return 0
}

// enter notes that a live backlog has recorded an event, leave that it has no
// longer.
func (e *Engine) enterRecord(t *tracked, one memory.Record) {
	t.seen.Add(e.index.salt, one)
}

func (e *Engine) leaveRecord(t *tracked, one memory.Record) {
	t.seen.Remove(e.index.salt, one)
}
