package correlate

import "dsiem/internal/event"

// seen is what the live backlogs of a directive have recorded, by the ids of the
// events: the number of stages that have recorded one. The zero value is empty. As
// long as the ids are few, as in most directives, they are in a table that is faster
// than a map.
type seen struct {
	// slots are found by open addressing; their number is a power of two.
	slots []seenID
	n     int
	many  map[event.IDHash]seenCount // instead of slots, until it is empty
	most  int                        // highest number of ids since many was made
	// others counts events that have the id of another one, by record.key.
	others map[uint64]int32
}

// seenID is an id that was recorded.
type seenID struct {
	id event.IDHash
	seenCount
}

// seenCount says how often an id was recorded.
type seenCount struct {
	// key is the record.key of an event with this id, n its number, and others that of
	// other events that have the same id.
	key       uint64
	n, others int32
}

// fewSeen is the number of ids up to which they are in slots.
const fewSeen = 2048

// slot returns the slot of an id, or the free one where it belongs.
func (s *seen) slot(salt uint64, id event.IDHash) uint64 {
	mask := uint64(len(s.slots) - 1)
	for i := mixed(uint64(id), salt) & mask; ; i = (i + 1) & mask {
		if x := &s.slots[i]; x.id == id || x.n+x.others == 0 {
			return i
		}
	}
}

// get returns what is known of an id. salt must always be the same.
func (s *seen) get(salt uint64, id event.IDHash) seenCount {
	switch {
	case s.many != nil:
		return s.many[id]
	case s.n == 0:
		return seenCount{}
	}
	return s.slots[s.slot(salt, id)].seenCount
}

// hasID reports whether any event with an id is recorded, has whether one is (D35 c);
// of an unknown event only the id is known.
func (s *seen) hasID(salt uint64, id event.IDHash) bool {
	x := s.get(salt, id)
	return x.n+x.others > 0
}

func (s *seen) has(salt uint64, one record) bool {
	x := s.get(salt, one.id)
	unknown := uint64(one.id)
	return x.n > 0 && (x.key == one.same || x.key == unknown) ||
		x.others > 0 && (s.others[one.same] > 0 || s.others[unknown] > 0)
}

// add notes that a stage has recorded an event.
func (s *seen) add(salt uint64, one record) {
	if s.many == nil && 2*(s.n+1) > len(s.slots) {
		s.grow(salt)
	}
	if s.many != nil {
		x := s.many[one.id]
		s.count(&x, one, 1)
		s.many[one.id] = x
		s.most = max(s.most, len(s.many))
		return
	}
	x := &s.slots[s.slot(salt, one.id)]
	if x.n+x.others == 0 {
		x.id = one.id
		s.n++
	}
	s.count(&x.seenCount, one, 1)
}

// count adds to or takes from what is known of an id.
func (s *seen) count(x *seenCount, one record, by int32) {
	key := one.key()
	switch {
	case x.n+x.others == 0:
		*x = seenCount{key: key, n: by}
	case x.key == key:
		x.n += by
	default:
		if s.others == nil {
			s.others = map[uint64]int32{}
		}
		x.others += by
		if s.others[key] += by; s.others[key] == 0 {
			delete(s.others, key)
		}
	}
}

// remove takes back that a stage has recorded an event.
func (s *seen) remove(salt uint64, one record) {
	if s.many != nil {
		s.removeOfMany(one)
		return
	}
	hole := s.slot(salt, one.id)
	s.count(&s.slots[hole].seenCount, one, -1)
	if x := &s.slots[hole]; x.n+x.others > 0 {
		return
	}
	if s.n--; s.n == 0 {
		if len(s.slots) > worthFreeing {
			s.slots = nil
		}
		return
	}
	// Those behind that it had kept from their place move up.
	mask := uint64(len(s.slots) - 1)
	for i := (hole + 1) & mask; s.slots[i].n+s.slots[i].others != 0; i = (i + 1) & mask {
		home := mixed(uint64(s.slots[i].id), salt) & mask
		if (i-home)&mask >= (i-hole)&mask {
			s.slots[hole], s.slots[i] = s.slots[i], seenID{}
			hole = i
		}
	}
}

func (s *seen) removeOfMany(one record) {
	x := s.many[one.id]
	s.count(&x, one, -1)
	if x.n+x.others > 0 {
		s.many[one.id] = x
		return
	}
	if delete(s.many, one.id); len(s.many) == 0 && s.most > worthFreeing {
		s.many, s.most, s.others = nil, 0, nil
	}
}

// grow makes more room.
func (s *seen) grow(salt uint64) {
	old := s.slots
	if s.n >= fewSeen {
		s.many = make(map[event.IDHash]seenCount, 2*s.n)
		for _, x := range old {
			if x.n+x.others > 0 {
				s.many[x.id] = x.seenCount
			}
		}
		s.slots, s.n, s.most = nil, 0, len(s.many)
		return
	}
	const fewest = 8
	s.slots = make([]seenID, max(fewest, 2*len(old)))
	for _, x := range old {
		if x.n+x.others > 0 {
			s.slots[s.slot(salt, x.id)] = x
		}
	}
}
