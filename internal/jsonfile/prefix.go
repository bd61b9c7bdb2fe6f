package jsonfile

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParsePrefix parses an address (a host) or a CIDR as users write them in
// directives and assets (§2.4.2). Numbers with leading zeros are decimal;
// IPv4-mapped IPv6 addresses are unmapped (D24). Short forms, zones, CIDRs with
// host bits and CIDRs of mapped addresses are errors that say what would be
// right.
func ParsePrefix(text string) (netip.Prefix, error) {
	clean := trimZeros(text)
	address, bits, isCIDR := strings.Cut(clean, "/")
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}, addressError(text)
	}
	if addr.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%s has a zone, which no event carries; remove %s", Quote(text), Quote("%"+addr.Zone()))
	}
	if !isCIDR {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(clean)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%s has a bad prefix length %s; use 0 to %d", Quote(text), Quote(bits), addr.BitLen())
	case addr.Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q is a network of IPv4-mapped addresses; write it as an IPv4 network", text)
	case prefix != prefix.Masked():
		return netip.Prefix{}, fmt.Errorf("%q has bits set outside the network; write %q for the network or %q for the host",
			text, prefix.Masked(), addr)
	}
	return prefix, nil
}

// addressError explains a text that is no address.
func addressError(text string) error {
	if full, ok := completed(text); ok {
		return fmt.Errorf("%q is a short form; write all four parts, like %q", text, full)
	}
	return fmt.Errorf("%s is neither an address like 10.0.0.1 nor a network like 10.0.0.0/8", Quote(text))
}

// completed returns the network that a short form such as 10/8 or 192.168 most
// likely means.
func completed(text string) (netip.Prefix, bool) {
	address, bits, isCIDR := strings.Cut(text, "/")
	parts := strings.Count(address, ".") + 1
	if parts > 3 {
		return netip.Prefix{}, false
	}
	if !isCIDR {
		bits = strconv.Itoa(8 * parts)
	}
	full := address + strings.Repeat(".0", 4-parts) + "/" + bits
	prefix, err := netip.ParsePrefix(trimZeros(full))
	return prefix.Masked(), err == nil && prefix.Addr().Is4()
}

// trimZeros removes leading zeros from the numbers of a dotted IPv4 address
// and from a prefix length.
func trimZeros(text string) string {
	if !strings.Contains("."+text, ".0") && !strings.Contains(text, "/0") {
		return text
	}
	var b strings.Builder
	isIPv6 := strings.Contains(text, ":")
	for i := 0; i < len(text); i++ {
		if start := i == 0 || text[i-1] == '.'; start && !isIPv6 || i > 0 && text[i-1] == '/' {
			for text[i] == '0' && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9' {
				i++
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
