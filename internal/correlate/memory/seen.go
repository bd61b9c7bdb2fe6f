package memory

import "dsiem/internal/event"

// Seen is what the live backlogs of a directive have recorded, by the ids of the
// events: the number of stages that have recorded one. The zero value is empty. As
// long as the ids are few, as in most directives, they are in a table that is faster
// than a map.
type Seen struct {
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
func (s *Seen) slot(salt uint64, id event.IDHash) uint64 {
	mask := uint64(len(s.slots) - 1)
	for i := Mix(uint64(id), salt) & mask; ; i = (i + 1) & mask {
		if x := &s.slots[i]; x.id == id || x.n+x.others == 0 {
			return i
		}
	}
}

// get returns what is known of an id. salt must always be the same.
func (s *Seen) get(salt uint64, id event.IDHash) seenCount {
	switch {
	case s.many != nil:
		return s.many[id]
	case s.n == 0:
		return seenCount{}
	}
	return s.slots[s.slot(salt, id)].seenCount
}

// HasID reports whether any event with an id is recorded.
func (s *Seen) HasID(salt uint64, id event.IDHash) bool {
	x := s.get(salt, id)
	return x.n+x.others > 0
}

// Has reports whether an event is recorded (D35 c); of an unknown event only the id is
// known.
func (s *Seen) Has(salt uint64, one Record) bool {
	x := s.get(salt, one.ID)
	unknown := uint64(one.ID)
	return x.n > 0 && (x.key == one.Same || x.key == unknown) ||
		x.others > 0 && (s.others[one.Same] > 0 || s.others[unknown] > 0)
}

// Add notes that a stage has recorded an event.
func (s *Seen) Add(salt uint64, one Record) {
	if s.many == nil && 2*(s.n+1) > len(s.slots) {
		s.grow(salt)
	}
	if s.many != nil {
		x := s.many[one.ID]
		s.count(&x, one, 1)
		s.many[one.ID] = x
		s.most = max(s.most, len(s.many))
		return
	}
	x := &s.slots[s.slot(salt, one.ID)]
	if x.n+x.others == 0 {
		x.id = one.ID
		s.n++
	}
	s.count(&x.seenCount, one, 1)
}

// count adds to or takes from what is known of an id.
func (s *Seen) count(x *seenCount, one Record, by int32) {
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

// Remove takes back that a stage has recorded an event.
func (s *Seen) Remove(salt uint64, one Record) {
	if s.many != nil {
		s.removeOfMany(one)
		return
	}
	hole := s.slot(salt, one.ID)
	s.count(&s.slots[hole].seenCount, one, -1)
	if x := &s.slots[hole]; x.n+x.others > 0 {
		return
	}
	if s.n--; s.n == 0 {
		if len(s.slots) > WorthFreeing {
			s.slots = nil
		}
		return
	}
	// Those behind that it had kept from their place move up.
	mask := uint64(len(s.slots) - 1)
	for i := (hole + 1) & mask; s.slots[i].n+s.slots[i].others != 0; i = (i + 1) & mask {
		home := Mix(uint64(s.slots[i].id), salt) & mask
		if (i-home)&mask >= (i-hole)&mask {
			s.slots[hole], s.slots[i] = s.slots[i], seenID{}
			hole = i
		}
	}
}

func (s *Seen) removeOfMany(one Record) {
	x := s.many[one.ID]
	s.count(&x, one, -1)
	if x.n+x.others > 0 {
		s.many[one.ID] = x
		return
	}
	if delete(s.many, one.ID); len(s.many) == 0 && s.most > WorthFreeing {
		s.many, s.most, s.others = nil, 0, nil
	}
}

// grow makes more room.
func (s *Seen) grow(salt uint64) {
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
