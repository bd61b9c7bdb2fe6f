package correlate

import (
	"slices"

	"dsiem/internal/correlate/backlogs"

	"dsiem/internal/correlate/memory"
	"dsiem/internal/event"
)

// record records an event for a stage and reports whether its id was new, so that
// the event counts.
func (e *Engine) record(b *backlogs.Backlog, stage int, one memory.Record) bool {
	known := e.store.Record(b, stage, one)
	if known == nil {
		e.enterRecord(e.variantOf(b).owner, one)
		return true
	}
	if known.Identity != one.Identity {
		e.recordOther(b, stage, one)
	}
	return false
}

// recordOther records an event for a stage that has recorded its id before.
func (e *Engine) recordOther(b *backlogs.Backlog, stage int, one memory.Record) {
	r := e.store.More(b).RestOf(stage)
	if slices.Contains(r.Others, one) {
		return
	}
	owner := e.variantOf(b).owner
	if len(r.Others) == mostOthers {
		e.leaveRecord(owner, r.Others[0])
		r.Others = slices.Delete(r.Others, 0, 1)
		e.store.Knows(b, -1)
		e.stats.ForgottenIDs++
	}
	r.Others = append(r.Others, one)
	e.store.Knows(b, 1)
	e.enterRecord(owner, one)
}

// mostOthers is the number of events that a stage knows beside those with new ids.
const mostOthers = 100

// forgetIDs keeps the ids of a completed stage in bounds.
func (e *Engine) forgetIDs(b *backlogs.Backlog, stage int) {
	r := e.store.Extra(b).Rest(stage)
	if r == nil || r.Events.Len() <= e.bounds.ids {
		return
	}
	owner := e.variantOf(b).owner
	owner.forgetful = owner.forgetful || stage == 0
	for _, one := range r.Events.Forget(e.keys.Salt, e.bounds.ids) {
		e.leaveRecord(owner, one)
		e.stats.ForgottenIDs++
		e.store.Knows(b, -1)
		r.Others = slices.DeleteFunc(r.Others, func(o memory.Record) bool {
			if o.ID == one.ID {
				e.leaveRecord(owner, o)
				e.store.Knows(b, -1)
			}
			return o.ID == one.ID
		})
	}
}

// forgetRecords ends the record of a backlog: what it has recorded is remembered as
// known for a time (D35 b).
func (e *Engine) forgetRecords(b *backlogs.Backlog) {
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
	opener := b.Stages[0].First
	remember(opener.Identity, ^owner.place)
	for i := range int(b.Reached) {
		for _, list := range [...][]memory.Record{e.store.Records(b, i), e.store.Others(b, i)} {
			for _, one := range list {
				e.leaveRecord(owner, one)
				if i > 0 || one != opener {
					remember(one.Identity, owner.place)
				}
			}
		}
	}
}

// recordedBelow reports whether a stage before another one has an id.
func (e *Engine) recordedBelow(b *backlogs.Backlog, stage int, id event.IDHash) bool {
	if !e.variantOf(b).owner.seen.HasID(e.keys.Salt, id) {
		return false
	}
	for i := range min(stage, int(b.Reached)) {
		if e.store.Recorded(b, i, id) != nil {
			return true
		}
	}
	return false
}

// enter notes that a live backlog has recorded an event, leave that it has no
// longer.
func (e *Engine) enterRecord(t *tracked, one memory.Record) {
	t.seen.Add(e.keys.Salt, one)
}

func (e *Engine) leaveRecord(t *tracked, one memory.Record) {
	t.seen.Remove(e.keys.Salt, one)
}
