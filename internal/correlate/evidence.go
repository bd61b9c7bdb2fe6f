package correlate

import (
	"net/netip"
	"slices"

	"dsiem/internal/correlate/backlogs"
	"dsiem/internal/correlate/counts"
	"dsiem/internal/correlate/memory"
	"dsiem/internal/event"
)

// addEvidence adds an event's addresses and custom data to what the alarm shows.
func (e *Engine) addEvidence(b *backlogs.Backlog, a *arrived) {
	before := e.stats.Truncated
	e.addSource(b, a.Src)
	e.addDestination(b, a.Dst)
	if a.ev.CustomData != [event.CustomFields]string{} && !e.store.AddCustomData(b, a.ev) {
		e.store.Extra(b).Overs().Counts.CustomData++
		e.stats.Truncated++
	}
	if e.stats.Truncated != before {
		counts.Note(&e.sensors.Truncated, a.ev.Sensor)
	}
}

func (e *Engine) addSource(b *backlogs.Backlog, a memory.Address) {
	if !e.store.AddSource(b, a) {
		o := e.store.More(b).Overs()
		o.Counts.SrcIPs++
		o.Src = e.notListed(o, o.Src, a)
	}
}

func (e *Engine) addDestination(b *backlogs.Backlog, a memory.Address) {
	if !e.store.AddDestination(b, a) {
		o := e.store.More(b).Overs()
		o.Counts.DstIPs++
		o.Dst = e.notListed(o, o.Dst, a)
	}
}

// notListed notes that an address finds no room among the listed ones: risk and
// networks count it nevertheless.
func (e *Engine) notListed(o *backlogs.Over, networks []string, a memory.Address) []string {
	e.stats.Truncated++
	addr := a.Addr()
	o.Value = max(o.Value, e.assets.Value(addr))
	for _, cidr := range e.assets.Networks(addr) {
		networks = backlogs.AddOnce(networks, cidr)
	}
	return networks
}

// gatherNetworks adds the HOME_NET networks of the alarm's addresses (D22).
func (e *Engine) gatherNetworks(b *backlogs.Backlog) {
	var over backlogs.Over
	if x := e.store.Extra(b); x != nil && x.Over != nil {
		over = *x.Over
	}
	for _, side := range [...]struct {
		listed []memory.Address
		others []string
	}{{e.store.Sources(b), over.Src}, {e.store.Destinations(b), over.Dst}} {
		for _, a := range side.listed {
			if list := e.assets.Networks(a.Addr()); len(list) > 0 {
				e.store.AddNetworks(b, list)
			}
		}
		for _, cidr := range side.others {
			e.store.AddNetwork(b, cidr)
		}
	}
}

// restoreNetworks gives a backlog the networks of its saved form.
func (e *Engine) restoreNetworks(b *backlogs.Backlog, saved []string, addresses ...[]netip.Addr) {
	for _, some := range addresses {
		if len(some) == 0 {
			continue
		}
		if list := e.assets.Networks(some[0]); len(list) > 0 && slices.Equal(list, saved) {
			e.store.AddNetworks(b, list)
			return
		}
	}
	e.store.More(b).Networks = slices.Clone(saved)
}
