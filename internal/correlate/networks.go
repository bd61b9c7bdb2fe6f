package correlate

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

// networks returns the networks that an alarm shows. The slice must not be
// changed.
func (s *store) networks(b *backlog) []string {
	if b.networks > 0 {
		return s.networkLists.lists[b.networks-1]
	}
	if x := s.extra(b); x != nil {
		return x.networks
	}
	return nil
}

// addNetworks adds a list of the asset table to an alarm's networks.
func (s *store) addNetworks(b *backlog, list []string) {
	shown := s.networks(b)
	if len(shown) == 0 {
		b.networks = s.networkLists.number(list)
		return
	}
	for _, cidr := range list {
		s.addNetwork(b, cidr)
	}
}

// addNetwork adds one network to an alarm's.
func (s *store) addNetwork(b *backlog, cidr string) {
	shown := s.networks(b)
	if slices.Contains(shown, cidr) {
		return
	}
	if b.networks > 0 {
		shown, b.networks = slices.Clone(shown), 0
	}
	s.more(b).networks = append(shown, cidr)
}
