package correlate

import "dsiem/internal/correlate/memory"

// group is the live backlogs of one directive whose opening events have the same
// source address and the same values of what later stages copy from them: one
// attacker can make it as long as it may be, but not more than this one.
type group struct {
	first handle // of a circular list in order of opening
	n     int32
}

// groups are those of an engine, by what tells them apart.
type groups struct {
	of   map[uint64]group
	most int // highest number since the map was made
}

// joinGroup puts a new backlog at the end of its group.
func (s *store) joinGroup(b *backlog, key uint64) {
	if s.groups.of == nil {
		s.groups.of = map[uint64]group{}
	}
	g := s.groups.of[key]
	if g.n++; g.first == 0 {
		g.first = b.self
		b.member = link{next: b.self, prev: b.self}
	} else {
		head := s.at(g.first)
		b.member = link{next: g.first, prev: head.member.prev}
		s.at(head.member.prev).member.next = b.self
		head.member.prev = b.self
	}
	s.groups.of[key] = g
	s.groups.most = max(s.groups.most, len(s.groups.of))
}

// leaveGroup takes a backlog out of its group.
func (s *store) leaveGroup(b *backlog, key uint64) {
	all := &s.groups
	if b.member.next == b.self {
		if delete(all.of, key); len(all.of) == 0 && all.most > memory.WorthFreeing {
			*all = groups{}
		}
		return
	}
	g := all.of[key]
	s.at(b.member.prev).member.next = b.member.next
	s.at(b.member.next).member.prev = b.member.prev
	if g.first == b.self {
		g.first = b.member.next
	}
	g.n--
	all.of[key] = g
}
