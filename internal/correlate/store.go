package correlate

import (
	"cmp"
	"iter"
	"slices"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate/memory"
)

// handle names a live backlog of an engine, 0 none. Engines keep handles where
// pointers would do as well: memory without pointers costs a garbage collection
// next to nothing, however many backlogs live.
type handle int32

// blockLen is the number of backlogs that are allocated together.
const blockLen = 64

// store holds the live backlogs of an engine in blocks, which are given back
// when the last backlog in them is gone. What few backlogs need is in extras,
// apart from the blocks because it has pointers.
type store struct {
	backlogs []*[blockLen]backlog
	extras   []*[blockLen]*extra
	blocks   []block
	// room has the numbers of the blocks with free places, also of those that
	// were given back, in descending order. The last one is filled first: so the
	// blocks with high numbers become empty.
	room []int32

	// keys are those of the hashes by which backlogs are found, and limits what their
	// alarms list.
	keys         memory.Keys
	limits       limits
	groups       groups
	networkLists networkLists
	texts        idTexts
	scratch      []byte
}

// block says which places of a block are free: those of a list, and all from
// fresh on.
type block struct {
	used, fresh int32
	free        handle // linked by place.next
}

// at returns a live backlog. The pointer is valid until the backlog is dropped.
func (s *store) at(h handle) *backlog {
	i := uint32(h - 1)
	return &s.backlogs[i/blockLen][i%blockLen]
}

// find returns the backlog that has a handle now, nil if none has.
func (s *store) find(h handle) *backlog {
	if s.backlogs[uint32(h-1)/blockLen] == nil || s.at(h).self == 0 {
		return nil
	}
	return s.at(h)
}

// all returns the live backlogs, in no order.
func (s *store) all() iter.Seq[*backlog] {
	return func(yield func(*backlog) bool) {
		for _, block := range s.backlogs {
			if block == nil {
				continue
			}
			for i := range block {
				if b := &block[i]; b.self != 0 && !yield(b) {
					return
				}
			}
		}
	}
}

// extra returns what the backlog has beyond its fields, nil if nothing.
func (s *store) extra(b *backlog) *extra {
	i := uint32(b.self - 1)
	return s.extras[i/blockLen][i%blockLen]
}

// more returns what the backlog has beyond its fields, made if there is nothing.
func (s *store) more(b *backlog) *extra {
	i := uint32(b.self - 1)
	x := &s.extras[i/blockLen][i%blockLen]
	if *x == nil {
		*x = &extra{}
	}
	return *x
}

// take returns a place for a backlog, empty but for its handle.
func (s *store) take() *backlog {
	if len(s.room) == 0 {
		s.room = append(s.room, int32(len(s.blocks)))
		s.blocks = append(s.blocks, block{})
		s.backlogs, s.extras = append(s.backlogs, nil), append(s.extras, nil)
	}
	n := s.room[len(s.room)-1]
	k := &s.blocks[n]
	if s.backlogs[n] == nil {
		s.backlogs[n], s.extras[n] = new([blockLen]backlog), new([blockLen]*extra)
	}
	h := k.free
	if h == 0 {
		h = handle(n*blockLen + k.fresh + 1)
		k.fresh++
	}
	b := s.at(h)
	k.free = b.place.next
	*b = backlog{self: h}
	if k.used++; k.used == blockLen {
		s.room = s.room[:len(s.room)-1]
	}
	return b
}

// drop gives a backlog's place back.
func (s *store) drop(b *backlog) {
	h := b.self
	n := int32(h-1) / blockLen
	k := &s.blocks[n]
	s.extras[n][(h-1)%blockLen] = nil
	*b = backlog{place: link{next: k.free}}
	k.free = h
	if k.used == blockLen {
		s.makeRoom(n)
	}
	if k.used--; k.used == 0 && s.room[len(s.room)-1] != n {
		s.giveBack(n)
	}
}

// makeRoom notes that a block has free places. If it is to be filled next now,
// the one before is given back if it is empty: one empty block is kept, so that a
// single backlog that comes and goes costs no memory.
func (s *store) makeRoom(n int32) {
	at, _ := slices.BinarySearchFunc(s.room, n, func(a, b int32) int { return cmp.Compare(b, a) })
	if last := len(s.room) - 1; at > last && last >= 0 && s.blocks[s.room[last]].used == 0 {
		s.giveBack(s.room[last])
	}
	s.room = slices.Insert(s.room, at, n)
}

func (s *store) giveBack(n int32) {
	s.backlogs[n], s.extras[n], s.blocks[n] = nil, nil, block{}
}

// extra is what a backlog has beyond what every backlog has. It is made on
// first use.
type extra struct {
	// src and dst are nil as long as the creating event's address is the only
	// one.
	src, dst *memory.Set[memory.Address]
	// rests has an element for each stage up to the last that needs one.
	rests []rest
	// networks are the alarm's, unless they are one of the engine's lists.
	networks []string
	custom   *memory.Set[alarm.CustomData]
	// labels counts the values of custom by label, nil as long as they are few.
	labels map[string]int
	// listed is the size of the addresses and custom data in a line, 0 if not known.
	listed int32
	over   *over
	found  *found
	// data is the creating event's custom data, nil if no rule refers to it.
	data *openerData
	rare *rare
}

// rare is what only a few backlogs have.
type rare struct {
	// later are the stages from inlineStages on.
	later []progress
	// earlier are the places in the tables of the stages before the current one,
	// if the directive is always-active.
	earlier []link
	// lined is the second of the clock of the last alarm line, and due says that
	// another one is to be written when it is over, if the directive is always-active
	// (D37).
	lined int64
	due   bool
	title string // of a restored backlog; "" to make it from the origin
	id    string // if it does not fit into the backlog
}

func (x *extra) rarely() *rare {
	if x.rare == nil {
		x.rare = &rare{}
	}
	return x.rare
}

// rest returns the further state of a stage, nil if it has none.
func (x *extra) rest(stage int) *rest {
	if x == nil || stage >= len(x.rests) {
		return nil
	}
	return &x.rests[stage]
}

// restOf returns the further state of a stage, made if it has none.
func (x *extra) restOf(stage int) *rest {
	if missing := stage + 1 - len(x.rests); missing > 0 {
		x.rests = append(x.rests, make([]rest, missing)...)
	}
	return &x.rests[stage]
}

// origin returns the creating event's custom data, nil if no rule refers to it.
func (x *extra) origin() *openerData {
	if x == nil {
		return nil
	}
	return x.data
}

// addOnce appends v unless the list has it.
func addOnce[T comparable](list []T, v T) []T {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}
