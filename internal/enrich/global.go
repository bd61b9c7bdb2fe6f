package enrich

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// specialNetworks returns the networks whose addresses mean nothing to a
// threat-intel service, and inside them, with true, the few that do (§9.2).
func specialNetworks() map[string]bool {
	return map[string]bool{
		"0.0.0.0/8":       false, // this network
		"10.0.0.0/8":      false, // private
		"100.64.0.0/10":   false, // shared by a provider's customers
		"127.0.0.0/8":     false, // loopback
		"169.254.0.0/16":  false, // link-local
		"172.16.0.0/12":   false, // private
		"192.0.0.0/24":    false, // protocol assignments, but for two:
		"192.0.0.9/32":    true,  // port control anycast
		"192.0.0.10/32":   true,  // TURN anycast
		"192.0.2.0/24":    false, // documentation
		"192.168.0.0/16":  false, // private
		"198.18.0.0/15":   false, // benchmarks
		"198.51.100.0/24": false, // documentation
		"203.0.113.0/24":  false, // documentation
		"240.0.0.0/4":     false, // reserved, and broadcast
		"::/128":          false, // unspecified
		"::1/128":         false, // loopback
		"2001:db8::/32":   false, // documentation
		"fc00::/7":        false, // unique local
		"fe80::/10":       false, // link-local
		"ff00::/8":        false, // multicast, but for the global scope
	}
}

// publicTable tells global addresses from others.
type publicTable struct{ special bart.Table[bool] }

func newPublicTable() *publicTable {
	t := &publicTable{}
	for network, global := range specialNetworks() {
		t.special.Insert(netip.MustParsePrefix(network), global)
	}
	return t
}

// The scope of an IPv6 multicast address is the lower half of its second byte.
const (
	scopeMask   = 0x0f
	globalScope = 0x0e
)

// global reports whether an unmapped address means the same everywhere. As in
// the references IPv4 multicast and site-local IPv6 addresses count as global.
func (t *publicTable) global(addr netip.Addr) bool {
	if addr.Is6() && addr.IsMulticast() {
		return addr.As16()[1]&scopeMask == globalScope
	}
	global, special := t.special.Lookup(addr)
	return global || !special
}
