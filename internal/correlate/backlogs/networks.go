package backlogs

import "slices"

// networkLists numbers, from 1, the lists of networks that the asset table has for
// addresses: nearly every alarm shows exactly one of them, so that it need not hold
// a list of its own.
type networkLists struct {
	lists   [][]string
	numbers map[*string]int32 // by the first element of a list
}

// number returns the number of a list of the asset table, which is not empty.
func (l *networkLists) number(list []string) int32 {
	first := &list[0]
	if n, ok := l.numbers[first]; ok {
		return n
	}
	if l.numbers == nil {
		l.numbers = map[*string]int32{}
	}
	l.lists = append(l.lists, list)
	n := int32(len(l.lists))
	l.numbers[first] = n
	return n
}

// Networks returns the networks that an alarm shows. The slice must not be
// changed.
func (s *Store) Networks(b *Backlog) []string {
	if b.Networks > 0 {
		return s.networkLists.lists[b.Networks-1]
	}
	if x := s.Extra(b); x != nil {
		return x.Networks
	}
	return nil
}

// AddNetworks adds a list of the asset table to an alarm's networks.
func (s *Store) AddNetworks(b *Backlog, list []string) {
	shown := s.Networks(b)
	if len(shown) == 0 {
		b.Networks = s.networkLists.number(list)
		return
	}
	for _, cidr := range list {
		s.AddNetwork(b, cidr)
	}
}

// AddNetwork adds one network to an alarm's.
func (s *Store) AddNetwork(b *Backlog, cidr string) {
	shown := s.Networks(b)
	if slices.Contains(shown, cidr) {
		return
	}
	if b.Networks > 0 {
		shown, b.Networks = slices.Clone(shown), 0
	}
	s.More(b).Networks = append(shown, cidr)
}
