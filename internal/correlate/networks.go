package correlate

import (
	"net/netip"
	"slices"

	"dsiem/internal/correlate/memory"
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
	var over over
	if x := e.store.extra(b); x != nil && x.over != nil {
		over = *x.over
	}
	for _, side := range [...]struct {
		listed []memory.Address
		others []string
	}{{e.sources(b), over.src}, {e.destinations(b), over.dst}} {
		for _, a := range side.listed {
			if list := e.assets.Networks(a.Addr()); len(list) > 0 {
				e.addNetworks(b, list)
			}
		}
		for _, cidr := range side.others {
			e.addNetwork(b, cidr)
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
		e.addNetwork(b, cidr)
	}
}

// addNetwork adds one network to an alarm's.
func (e *Engine) addNetwork(b *backlog, cidr string) {
	shown := e.networks(b)
	if slices.Contains(shown, cidr) {
		return
	}
	if b.networks > 0 {
		shown, b.networks = slices.Clone(shown), 0
	}
	e.store.more(b).networks = append(shown, cidr)
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
