package correlate

import (
	"net/netip"
	"slices"
)

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
func (e *Engine) networks(b *backlog) []string {
	if b.networks > 0 {
		return e.networkLists.lists[b.networks-1]
	}
	if x := e.store.extra(b); x != nil {
		return x.networks
	}
	return nil
}

// gatherNetworks adds the HOME_NET networks of the alarm's addresses (D22).
func (e *Engine) gatherNetworks(b *backlog) {
	for _, addresses := range [...][]address{e.sources(b), e.destinations(b)} {
		for _, a := range addresses {
			if list := e.assets.Networks(a.addr()); len(list) > 0 {
				e.addNetworks(b, list)
			}
		}
	}
}

// addNetworks adds a list of the asset table to an alarm's networks.
func (e *Engine) addNetworks(b *backlog, list []string) {
	shown := e.networks(b)
	if len(shown) == 0 {
		b.networks = e.networkLists.number(list)
		return
	}
	for _, cidr := range list {
		if slices.Contains(shown, cidr) {
			continue
		}
		if b.networks > 0 {
			shown, b.networks = slices.Clone(shown), 0
		}
		shown = append(shown, cidr)
		e.store.more(b).networks = shown
	}
}

// restoreNetworks gives a backlog the networks of its saved form.
func (e *Engine) restoreNetworks(b *backlog, saved []string, addresses ...[]netip.Addr) {
	for _, some := range addresses {
		if len(some) == 0 {
			continue
		}
		if list := e.assets.Networks(some[0]); len(list) > 0 && slices.Equal(list, saved) {
			b.networks = e.networkLists.number(list)
			return
		}
	}
	e.store.more(b).networks = slices.Clone(saved)
}
