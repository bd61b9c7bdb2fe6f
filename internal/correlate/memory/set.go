package memory

import "slices"

// indexFrom is the number of members from which a set keeps a hash index.
const indexFrom = 16

// WorthFreeing is the number of entries from which a map that has become empty
// is made anew: a map never gets smaller.
const WorthFreeing = 1024

// Set is an insertion-ordered set. It is small while it has one member, which
// is what most sets of most backlogs have. The zero value is empty.
type Set[T comparable] struct {
	First T
	n     int32
	more  *members[T]
}

// members holds all members of a set of two or more.
type members[T comparable] struct {
	list  []T
	index map[T]struct{} // nil below indexFrom members
}

// Len returns the number of members.
func (s *Set[T]) Len() int { return int(s.n) }

// Has reports whether v is a member.
func (s *Set[T]) Has(v T) bool {
	switch {
	case s.n == 0:
		return false
	case s.more == nil:
		return s.First == v
	case s.more.index != nil:
		_, ok := s.more.index[v]
		return ok
	}
	return slices.Contains(s.more.list, v)
}

// Add adds v and reports whether it was new.
func (s *Set[T]) Add(v T) bool {
	if s.Has(v) {
		return false
	}
	s.n++
	if s.n == 1 {
		s.First = v
		return true
	}
	if s.more == nil {
		s.more = &members[T]{list: append(make([]T, 0, 4), s.First)}
	}
	m := s.more
	m.list = append(m.list, v)
	switch {
	case m.index != nil:
		m.index[v] = struct{}{}
	case len(m.list) >= indexFrom:
		m.index = make(map[T]struct{}, 2*indexFrom)
		for _, v := range m.list {
			m.index[v] = struct{}{}
		}
	}
	return true
}

// Replace makes v the only member of a set of one.
func (s *Set[T]) Replace(v T) { s.First = v }

// All returns the members in order of insertion. The slice must not be changed
// and is valid until the next add.
func (s *Set[T]) All() []T {
	switch {
	case s.n == 0:
		return nil
	case s.more == nil:
		return []T{s.First}
	}
	return s.more.list
}
