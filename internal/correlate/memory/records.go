package memory

import "dsiem/internal/event"

// Records are the events of a stage that have different ids, in order of
// recording. The zero value is empty.
type Records struct {
	list []Record
	// from is the number of those in the list that are forgotten.
	from int
	// slots find a record by its id from indexFrom records on: by open addressing,
	// the place in the list plus 1, or 0. Their number is a power of two.
	slots []uint32
}

// Len returns the number of records.
func (r *Records) Len() int { return len(r.list) - r.from }

// All returns the records in order. The slice must not be changed and is valid
// until the next add or forget.
func (r *Records) All() []Record { return r.list[r.from:] }

// Find returns the record with an id, nil if there is none. salt must always be the
// same.
func (r *Records) Find(salt uint64, id event.IDHash) *Record {
	if r.slots == nil {
		for i := r.from; i < len(r.list); i++ {
			if r.list[i].ID == id {
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
func (r *Records) slot(salt uint64, id event.IDHash) uint64 {
	mask := uint64(len(r.slots) - 1)
	for i := Mix(uint64(id), salt) & mask; ; i = (i + 1) & mask {
		if at := r.slots[i]; at == 0 || r.list[at-1].ID == id {
			return i
		}
	}
}

// Add adds a record, unless there is one with its id, which it returns.
func (r *Records) Add(salt uint64, one Record) (known *Record) {
	if r.slots == nil {
		if known = r.Find(salt, one.ID); known != nil {
			return known
		}
		r.list = append(r.list, one)
		if r.Len() >= indexFrom {
			r.index(salt)
		}
		return nil
	}
	slot := r.slot(salt, one.ID)
	if at := r.slots[slot]; at != 0 {
		return &r.list[at-1]
	}
	r.list = append(r.list, one)
	if 2*r.Len() > len(r.slots) {
		r.index(salt)
	} else {
		r.slots[slot] = uint32(len(r.list))
	}
	return nil
}

// index makes the slots anew, with room to grow.
func (r *Records) index(salt uint64) {
	size := 4 * indexFrom
	for size < 4*r.Len() {
		size *= 2
	}
	r.slots = make([]uint32, size)
	for i := r.from; i < len(r.list); i++ {
		r.slots[r.slot(salt, r.list[i].ID)] = uint32(i + 1)
	}
}

// Forget forgets the oldest records but for n, and returns those. The slice is
// valid until the next add.
func (r *Records) Forget(salt uint64, n int) []Record {
	first := r.from
	last := max(first, len(r.list)-n)
	if last == first {
		return nil
	}
	gone := r.list[first:last]
	if last > len(r.list)/2 { // worth the work of numbering the rest anew
		r.list, r.from = append(make([]Record, 0, len(r.list)-last+indexFrom), r.list[last:]...), 0
		if r.slots != nil {
			r.index(salt)
		}
		return gone
	}
	for ; r.from < last; r.from++ {
		if r.slots != nil {
			r.empty(salt, r.slot(salt, r.list[r.from].ID))
		}
	}
	return gone
}

// empty empties a slot and moves up those behind it that it had kept from their
// place.
func (r *Records) empty(salt, hole uint64) {
	mask := uint64(len(r.slots) - 1)
	for i := (hole + 1) & mask; r.slots[i] != 0; i = (i + 1) & mask {
		home := Mix(uint64(r.list[r.slots[i]-1].ID), salt) & mask
		if (i-home)&mask >= (i-hole)&mask {
			r.slots[hole] = r.slots[i]
			hole = i
		}
	}
	r.slots[hole] = 0
}
