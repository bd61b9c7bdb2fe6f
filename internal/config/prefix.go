package config

import (
	"fmt"
	"net/netip"
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
		return netip.Prefix{}, fmt.Errorf("%q has a zone, which no event carries; remove %q", text, "%"+addr.Zone())
	}
	if !isCIDR {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(clean)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q has a bad prefix length %q; use 0 to %d", text, bits, addr.BitLen())
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
	address, bits, isCIDR := strings.Cut(text, "/")
	octets := strings.Split(address, ".")
	if len(octets) < 4 && strings.Trim(address, "0123456789.") == "" && address != "" {
		for len(octets) < 4 {
			octets = append(octets, "0")
		}
		full := strings.Join(octets, ".")
		if isCIDR {
			full += "/" + bits
		}
		return fmt.Errorf("%q is a short form; write all four parts, like %q", text, full)
	}
	return fmt.Errorf("%q is neither an address like 10.0.0.1 nor a network like 10.0.0.0/8", text)
}

// trimZeros removes leading zeros from the numbers of a dotted IPv4 address
// and of a prefix length.
func trimZeros(text string) string {
	if strings.Contains(text, ":") || !strings.Contains("."+text, ".0") && !strings.Contains(text, "/0") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if i == 0 || text[i-1] == '.' || text[i-1] == '/' {
			for text[i] == '0' && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9' {
				i++
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
