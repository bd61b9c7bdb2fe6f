package auth

import (
	"net/http"
	"net/netip"
	"strings"
)

// Client returns whose request it is that Require has let pass: the name of the user
// whose credentials it has, or else the address that it comes from. Of an IPv6 address
// that is its network of 64 bits, as whoever has one of its addresses has them all.
func (g *Guard) Client(r *http.Request) string {
	if g != nil {
		if a := g.rules.Load().claimed(r); a != nil {
			return a.name
		}
	}
	return source(r.RemoteAddr)
}

// claimed returns the account of the credentials of a request, which have been
// verified; nil if there are none, or if the account has gone in the meantime.
func (r *rules) claimed(request *http.Request) *account {
	headers := request.Header["Authorization"]
	if len(headers) == 0 {
		return nil
	}
	if scheme, token, _ := strings.Cut(headers[0], " "); strings.EqualFold(scheme, "Bearer") {
		return r.byToken(strings.Trim(token, " "))
	}
	name, _, _ := request.BasicAuth()
	return r.users[name]
}

// source returns the part of a peer's address that tells clients apart.
func source(peer string) string {
	parsed, err := netip.ParseAddrPort(peer)
	if err != nil {
		return peer
	}
	address := parsed.Addr()
	if address.Is4() {
		return peer[:strings.LastIndexByte(peer, ':')]
	}
	if address.Is4In6() {
		return address.Unmap().String()
	}
	const network = 64
	return netip.PrefixFrom(address.WithZone(""), network).Masked().String()
}
