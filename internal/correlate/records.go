package correlate

import (
	"slices"

	"dsiem/internal/event"
)

// records are the events of a stage that have different ids, in order of
// recording. The zero value is empty.
type records struct {
	list []record
	// from is the number of those in the list that are forgotten.
	from int
	// slots find a record by its id from indexFrom records on: by open addressing,
	// the place in the list plus 1, or 0. Their number is a power of two.
	slots []uint32
}

func (r *records) len() int { return len(r.list) - r.from }

// all returns the records in order. The slice must not be changed and is valid
// until the next add or forget.
func (r *records) all() []record { return r.list[r.from:] }

// find returns the record with an id, nil if there is none. salt must always be the
// same.
func (r *records) find(salt uint64, id event.IDHash) *record {
	if r.slots == nil {
		for i := r.from; i < len(r.list); i++ {
			if r.list[i].id == id {
				return &r.list[i]
			}
		}
		return nil
	}
	if at := r.slots[r.slot(salt, id)]; at != 0 {
		return &r.list[at-1]
	}
	return nil
}

// slot returns the slot of an id, or the empty one where it belongs.
func (r *records) slot(salt uint64, id event.IDHash) uint64 {
	mask := uint64(len(r.slots) - 1)
	for i := mixed(uint64(id), salt) & mask; ; i = (i + 1) & mask {
		if at := r.slots[i]; at == 0 || r.list[at-1].id == id {
			return i
		}
	}
}

// add adds a record, unless there is one with its id, which it returns.
func (r *records) add(salt uint64, one record) (known *record) {
	if r.slots == nil {
		if known = r.find(salt, one.id); known != nil {
			return known
		}
		r.list = append(r.list, one)
		if r.len() >= indexFrom {
			r.index(salt)
		}
		return nil
	}
	slot := r.slot(salt, one.id)
	if at := r.slots[slot]; at != 0 {
		return &r.list[at-1]
	}
	r.list = append(r.list, one)
	if 2*r.len() > len(r.slots) {
		r.index(salt)
	} else {
		r.slots[slot] = uint32(len(r.list))
	}
	return nil
}

// index makes the slots anew, with room to grow.
func (r *records) index(salt uint64) {
	size := 4 * indexFrom
	for size < 4*r.len() {
		size *= 2
	}
	r.slots = make([]uint32, size)
	for i := r.from; i < len(r.list); i++ {
		r.slots[r.slot(salt, r.list[i].id)] = uint32(i + 1)
	}
}

// forget forgets the oldest records but for n, and returns those. The slice is
// valid until the next add.
func (r *records) forget(salt uint64, n int) []record {
	first := r.from
	last := max(first, len(r.list)-n)
	if last == first {
		return nil
	}
	gone := r.list[first:last]
	if last > len(r.list)/2 { // worth the work of numbering the rest anew
		r.list, r.from = append(make([]record, 0, len(r.list)-last+indexFrom), r.list[last:]...), 0
		if r.slots != nil {
			r.index(salt)
		}
		return gone
	}
	for ; r.from < last; r.from++ {
		if r.slots != nil {
			r.empty(salt, r.slot(salt, r.list[r.from].id))
		}
	}
	return gone
}

// empty empties a slot and moves up those behind it that it had kept from their
// place.
func (r *records) empty(salt, hole uint64) {
	mask := uint64(len(r.slots) - 1)
	for i := (hole + 1) & mask; r.slots[i] != 0; i = (i + 1) & mask {
		home := mixed(uint64(r.list[r.slots[i]-1].id), salt) & mask
		if (i-home)&mask >= (i-hole)&mask {
			r.slots[hole] = r.slots[i]
			hole = i
		}
	}
	r.slots[hole] = 0
}

// rest is the state of a stage that took more than one event or compares
// sticky_different values.
type rest struct {
	events records // empty as long as there is at most one
	// others are further events that have the id of one of events.
	others []record
	sticky *set[sticky]
}

// values returns the sticky_different values seen so far.
func (r *rest) values() []sticky {
	if r == nil || r.sticky == nil {
		return nil
	}
	return r.sticky.all()
}

// addValue adds a sticky_different value. Its text is kept.
func (r *rest) addValue(v sticky) {
	if r.sticky == nil {
		r.sticky = &set[sticky]{}
	}
	r.sticky.add(v)
}

// record records an event for a stage and reports whether its id was new, so that
// the event counts.
func (e *Engine) record(b *backlog, stage int, one record) bool {
	p := e.progress(b, stage)
	owner := e.variantOf(b).owner
	if !p.filled {
		p.first, p.filled = one, true
		e.enterRecord(owner, one)
		return true
	}
	known := &p.first
	if r := e.store.extra(b).rest(stage); r != nil && r.events.len() > 0 {
		known = r.events.add(e.index.salt, one)
	} else if known.id != one.id {
		r = e.store.more(b).restOf(stage)
		r.events.add(e.index.salt, p.first)
		known = r.events.add(e.index.salt, one)
	}
	if known == nil {
		e.enterRecord(owner, one)
		return true
	}
	if known.identity != one.identity {
		e.recordOther(b, stage, one)
	}
	return false
}

// recordOther records an event for a stage that has recorded its id before.
func (e *Engine) recordOther(b *backlog, stage int, one record) {
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
	if r == nil || r.events.len() <= e.bounds.ids {
		return
	}
	owner := e.variantOf(b).owner
	for _, one := range r.events.forget(e.index.salt, e.bounds.ids) {
		e.leaveRecord(owner, one)
		e.stats.ForgottenIDs++
		r.others = slices.DeleteFunc(r.others, func(o record) bool {
			if o.id == one.id {
				e.leaveRecord(owner, o)
			}
			return o.id == one.id
		})
	}
}

// forgetRecords ends the record of a backlog: what it has recorded is remembered as
// known for a time (D35 b).
func (e *Engine) forgetRecords(b *backlog) {
	owner := e.variantOf(b).owner
	x := endedEvent{at: uint32(e.second)}
	if e.ended.seconds > 0 {
		x.group = e.groupMark(b)
	}
	remember := func(one identity, opener bool) {
		x.mark, x.directive = one.mark, owner.place
		if opener {
			x.directive = ^owner.place
		}
		if e.ended.seconds > 0 && one.same != 0 && e.ended.add(x) {
			e.stats.ForgottenEnded++
		}
	}
	// What opened the backlog is remembered even if its id has been forgotten: its alarm's
	// id is not given again.
	opener := b.stages[0].first
	remember(opener.identity, true)
	for i := range int(b.reached) {
		for _, one := range e.records(b, i) {
			e.leaveRecord(owner, one)
			if i > 0 || one != opener {
				remember(one.identity, false)
			}
		}
		for _, one := range e.others(b, i) {
			e.leaveRecord(owner, one)
			remember(one.identity, false)
		}
	}
}

// records returns the events of a stage with different ids in order of recording.
// The slice must not be changed and is valid until the next is recorded.
func (e *Engine) records(b *backlog, stage int) []record {
	p := e.progress(b, stage)
	if !p.filled {
		return nil
	}
	if r := e.store.extra(b).rest(stage); r != nil && r.events.len() > 0 {
		return r.events.all()
	}
	return []record{p.first}
}

// others returns the further events of a stage, whose ids were not new.
func (e *Engine) others(b *backlog, stage int) []record {
	if r := e.store.extra(b).rest(stage); r != nil {
		return r.others
	}
	return nil
}

// recorded returns the record of a stage that has an id, nil if there is none.
func (e *Engine) recorded(b *backlog, stage int, id event.IDHash) *record {
	p := e.progress(b, stage)
	if r := e.store.extra(b).rest(stage); r != nil && r.events.len() > 0 {
		return r.events.find(e.index.salt, id)
	}
	if p.filled && p.first.id == id {
		return &p.first
	}
	return nil
}

// recordedBelow reports whether a stage before another one has an id.
func (e *Engine) recordedBelow(b *backlog, stage int, id event.IDHash) bool {
	if !e.variantOf(b).owner.seen.hasID(e.index.salt, id) {
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
	if r := e.store.extra(b).rest(stage); r != nil && r.events.len() > 0 {
		return uint64(r.events.len())
	}
	if e.progress(b, stage).filled {
		return 1
	}
	return 0
}

// enter notes that a live backlog has recorded an event, leave that it has no
// longer.
func (e *Engine) enterRecord(t *tracked, one record) {
	t.seen.add(e.index.salt, one)
}

func (e *Engine) leaveRecord(t *tracked, one record) {
	t.seen.remove(e.index.salt, one)
}

// key returns what an event is counted by: if it is unknown, there is only the id.
func (r *record) key() uint64 {
	if r.same == 0 {
		return uint64(r.id)
	}
	return r.same
}
