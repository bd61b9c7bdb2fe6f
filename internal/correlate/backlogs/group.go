package backlogs

import (
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
)

// group is the live backlogs of one directive whose opening events have the same
// source address and the same values of what later stages copy from them: one
// attacker can make it as long as it may be, but not more than this one.
type group struct {
	first Handle // of a circular list in order of opening
	n     int32
}

// groups are those of an engine, by what tells them apart.
type groups struct {
	of   map[uint64]group
	most int // highest number since the map was made
}

// JoinGroup puts a new backlog at the end of its group.
func (s *Store) JoinGroup(b *Backlog, key uint64) {
	if s.groups.of == nil {
		s.groups.of = map[uint64]group{}
	}
	g := s.groups.of[key]
	if g.n++; g.first == 0 {
		g.first = b.Self
		b.Member = Link{Next: b.Self, prev: b.Self}
	} else {
		head := s.At(g.first)
		b.Member = Link{Next: g.first, prev: head.Member.prev}
		s.At(head.Member.prev).Member.Next = b.Self
		head.Member.prev = b.Self
	}
	s.groups.of[key] = g
	s.groups.most = max(s.groups.most, len(s.groups.of))
}

// Group returns the first of the backlogs of a group, in a circular list in order of
// opening, and how many they are.
func (s *Store) Group(key uint64) (first Handle, n int) {
	g := s.groups.of[key]
	return g.first, int(g.n)
}

// LeaveGroup takes a backlog out of its group.
func (s *Store) LeaveGroup(b *Backlog, key uint64) {
	all := &s.groups
	if b.Member.Next == b.Self {
		if delete(all.of, key); len(all.of) == 0 && all.most > memory.WorthFreeing {
			*all = groups{}
		}
		return
	}
	g := all.of[key]
	s.At(b.Member.prev).Member.Next = b.Member.Next
	s.At(b.Member.Next).Member.prev = b.Member.prev
	if g.first == b.Self {
		g.first = b.Member.Next
	}
	g.n--
	all.of[key] = g
}

// GroupFields returns the fields in which the opening events of a group are equal.
func GroupFields(plan *directive.Plan) directive.Fields {
	fields := directive.SrcIP
	for i := 1; i < len(plan.Stages); i++ {
		fields |= plan.Stages[i].Origin
	}
	return fields
}
