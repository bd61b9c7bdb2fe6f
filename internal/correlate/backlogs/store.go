package backlogs

import (
	"cmp"
	"iter"
	"slices"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate/memory"
)

// Handle names a live backlog of an engine, 0 none. Engines keep handles where
// pointers would do as well: memory without pointers costs a garbage collection
// next to nothing, however many backlogs live.
type Handle int32

// blockLen is the number of backlogs that are allocated together.
const blockLen = 64

// Store holds the live backlogs of an engine in blocks, which are given back
// when the last backlog in them is gone. What few backlogs need is in extras,
// apart from the blocks because it has pointers.
type Store struct {
	backlogs []*[blockLen]Backlog
	extras   []*[blockLen]*Extra
	blocks   []block
	// room has the numbers of the blocks with free places, also of those that
	// were given back, in descending order. The last one is filled first: so the
	// blocks with high numbers become empty.
	room []int32

	// Keys are those of the hashes by which backlogs are found.
	Keys memory.Keys
	// Limits are what alarms list at most.
	Limits       Limits
	groups       groups
	networkLists networkLists
	texts        idTexts
	scratch      []byte
	bytes        int   // what the backlogs take, by estimate
	charged      []int // by variant, what its backlogs take beyond BacklogBytes
}

// block says which places of a block are free: those of a list, and all from
// fresh on.
type block struct {
	used, fresh int32
	free        Handle // linked by Place.Next
}

// At returns a live backlog. The pointer is valid until the backlog is dropped.
func (s *Store) At(h Handle) *Backlog {
	i := uint32(h - 1)
	return &s.backlogs[i/blockLen][i%blockLen]
}

// Find returns the backlog that has a handle now, nil if none has.
func (s *Store) Find(h Handle) *Backlog {
	if s.backlogs[uint32(h-1)/blockLen] == nil || s.At(h).Self == 0 {
		return nil
	}
	return s.At(h)
}

// All returns the live backlogs, in no order.
func (s *Store) All() iter.Seq[*Backlog] {
	return func(yield func(*Backlog) bool) {
		for _, block := range s.backlogs {
			if block == nil {
				continue
			}
			for i := range block {
				if b := &block[i]; b.Self != 0 && !yield(b) {
					return
				}
			}
		}
	}
}

// Extra returns what the backlog has beyond its fields, nil if nothing.
func (s *Store) Extra(b *Backlog) *Extra {
	i := uint32(b.Self - 1)
	return s.extras[i/blockLen][i%blockLen]
}

// More returns what the backlog has beyond its fields, made if there is nothing.
func (s *Store) More(b *Backlog) *Extra {
	i := uint32(b.Self - 1)
	x := &s.extras[i/blockLen][i%blockLen]
	if *x == nil {
		*x = &Extra{}
		s.chargeTo(b, *x, extraBytes)
	}
	return *x
}

// Take returns a place for a backlog, empty but for its handle.
func (s *Store) Take() *Backlog {
	if len(s.room) == 0 {
		s.room = append(s.room, int32(len(s.blocks)))
		s.blocks = append(s.blocks, block{})
		s.backlogs, s.extras = append(s.backlogs, nil), append(s.extras, nil)
	}
	n := s.room[len(s.room)-1]
	k := &s.blocks[n]
	if s.backlogs[n] == nil {
		s.backlogs[n], s.extras[n] = new([blockLen]Backlog), new([blockLen]*Extra)
	}
	h := k.free
	if h == 0 {
		h = Handle(n*blockLen + k.fresh + 1)
		k.fresh++
	}
	b := s.At(h)
	k.free = b.Place.Next
	*b = Backlog{Self: h}
	s.bytes += BacklogBytes
	if k.used++; k.used == blockLen {
		s.room = s.room[:len(s.room)-1]
	}
	return b
}

// Drop gives a backlog's place back.
func (s *Store) Drop(b *Backlog) {
	h := b.Self
	n := int32(h-1) / blockLen
	k := &s.blocks[n]
	s.bytes -= BacklogBytes
	if x := s.Extra(b); x != nil {
		s.chargeTo(b, x, -x.cost)
	}
	s.extras[n][(h-1)%blockLen] = nil
	*b = Backlog{Place: Link{Next: k.free}}
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
func (s *Store) makeRoom(n int32) {
	at, _ := slices.BinarySearchFunc(s.room, n, func(a, b int32) int { return cmp.Compare(b, a) })
	if last := len(s.room) - 1; at > last && last >= 0 && s.blocks[s.room[last]].used == 0 {
		s.giveBack(s.room[last])
	}
	s.room = slices.Insert(s.room, at, n)
}

func (s *Store) giveBack(n int32) {
	s.backlogs[n], s.extras[n], s.blocks[n] = nil, nil, block{}
}

// Extra is what a backlog has beyond what every backlog has. It is made on
// first use.
type Extra struct {
	// Src and Dst are nil as long as the creating event's address is the only
	// one.
	Src, Dst *memory.Set[memory.Address]
	// rests has an element for each stage up to the last that needs one.
	rests []Rest
	// Networks are the alarm's, unless they are one of the engine's lists.
	Networks []string
	Custom   *memory.Set[alarm.CustomData]
	// labels counts the values of custom by label, nil as long as they are few.
	labels map[string]int
	// cost is what the backlog takes beyond BacklogBytes, by estimate.
	cost int
	// listed is the size of the addresses and custom data in a line, 0 if not known.
	listed int32
	Over   *Over
	Found  *found
	// Data is the creating event's custom data, nil if no rule refers to it.
	Data *OpeningData
	Rare *Rare
}

// Rare is what only a few backlogs have.
type Rare struct {
	// later are the stages from inlineStages on.
	later []Progress
	// Earlier are the places in the tables of the stages before the current one,
	// if the directive is always-active.
	Earlier []Link
	// Lined is the second of the clock of the last alarm line, and due says that
	// another one is to be written when it is over, if the directive is always-active
	// (D37).
	Lined int64
	Due   bool
	Title string // of a restored backlog; "" to make it from the origin
	id    string // if it does not fit into the backlog
}

// Rarely returns what few backlogs have, made if there is nothing.
func (x *Extra) Rarely() *Rare {
	if x.Rare == nil {
		x.Rare = &Rare{}
	}
	return x.Rare
}

// Rest returns the further state of a stage, nil if it has none.
func (x *Extra) Rest(stage int) *Rest {
	if x == nil || stage >= len(x.rests) {
		return nil
	}
	return &x.rests[stage]
}

// RestOf returns the further state of a stage, made if it has none.
func (x *Extra) RestOf(stage int) *Rest {
	if missing := stage + 1 - len(x.rests); missing > 0 {
		x.rests = append(x.rests, make([]Rest, missing)...)
	}
	return &x.rests[stage]
}

// Origin returns the creating event's custom data, nil if no rule refers to it.
func (x *Extra) Origin() *OpeningData {
	if x == nil {
		return nil
	}
	return x.Data
}

// AddOnce appends v unless the list has it.
func AddOnce[T comparable](list []T, v T) []T {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}
