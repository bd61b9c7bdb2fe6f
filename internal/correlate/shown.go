package correlate

import (
	"net/netip"
	"slices"

	"dsiem/internal/correlate/memory"
	"dsiem/internal/event"
)

// addEvidence adds an event's addresses and custom data to what the alarm shows.
func (e *Engine) addEvidence(b *backlog, a *arrived) {
	e.addSource(b, a.src)
	e.addDestination(b, a.dst)
	if a.ev.CustomData != [event.CustomFields]string{} && !e.store.addCustomData(b, a.ev) {
		e.store.extra(b).overs().counts.CustomData++
		e.stats.Truncated++
	}
}

func (e *Engine) addSource(b *backlog, a memory.Address) {
	if !e.store.addSource(b, a) {
		o := e.store.more(b).overs()
		o.counts.SrcIPs++
		o.src = e.notListed(o, o.src, a)
	}
}

func (e *Engine) addDestination(b *backlog, a memory.Address) {
	if !e.store.addDestination(b, a) {
		o := e.store.more(b).overs()
		o.counts.DstIPs++
		o.dst = e.notListed(o, o.dst, a)
	}
}

// notListed notes that an address finds no room among the listed ones: risk and
// networks count it nevertheless.
func (e *Engine) notListed(o *over, networks []string, a memory.Address) []string {
	e.stats.Truncated++
	addr := a.Addr()
	o.value = max(o.value, e.assets.Value(addr))
	for _, cidr := range e.assets.Networks(addr) {
		networks = addOnce(networks, cidr)
	}
	return networks
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
	}{{e.store.sources(b), over.src}, {e.store.destinations(b), over.dst}} {
		for _, a := range side.listed {
			if list := e.assets.Networks(a.Addr()); len(list) > 0 {
				e.store.addNetworks(b, list)
			}
		}
		for _, cidr := range side.others {
			e.store.addNetwork(b, cidr)
		}
	}
}

// restoreNetworks gives a backlog the networks of its saved form.
func (e *Engine) restoreNetworks(b *backlog, saved []string, addresses ...[]netip.Addr) {
	for _, some := range addresses {
		if len(some) == 0 {
			continue
		}
		if list := e.assets.Networks(some[0]); len(list) > 0 && slices.Equal(list, saved) {
			b.networks = e.store.networkLists.number(list)
			return
		}
	}
	e.store.more(b).networks = slices.Clone(saved)
}
