package correlate

import "slices"

// indexFrom is the number of members from which a set keeps a hash index.
const indexFrom = 16

// set is an insertion-ordered set. It is small while it has one member, which
// is what most sets of most backlogs have. The zero value is empty.
type set[T comparable] struct {
	first T
	n     int32
	more  *members[T]
}

// members holds all members of a set of two or more.
type members[T comparable] struct {
	list  []T
	index map[T]struct{} // nil below indexFrom members
}

func (s *set[T]) len() int { return int(s.n) }

// has reports whether v is a member.
func (s *set[T]) has(v T) bool {
	switch {
	case s.n == 0:
		return false
	case s.more == nil:
		return s.first == v
	case s.more.index != nil:
		_, ok := s.more.index[v]
		return ok
	}
	return slices.Contains(s.more.list, v)
}

// add adds v and reports whether it was new.
func (s *set[T]) add(v T) bool {
	if s.has(v) {
		return false
	}
	s.n++
	if s.n == 1 {
		s.first = v
		return true
	}
	if s.more == nil {
		s.more = &members[T]{list: append(make([]T, 0, 4), s.first)}
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

// replace makes v the only member of a set of one.
func (s *set[T]) replace(v T) { s.first = v }

// all returns the members in order of insertion. The slice must not be changed
// and is valid until the next add.
func (s *set[T]) all() []T {
	switch {
	case s.n == 0:
		return nil
	case s.more == nil:
		return []T{s.first}
	}
	return s.more.list
}
