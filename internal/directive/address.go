package directive

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"dsiem/internal/jsonfile"

	"github.com/gaissmai/bart"
)

// AddressKind is the kind of an address term.
type AddressKind uint8

// The kinds of address terms.
const (
	AddressAny AddressKind = iota
	AddressHomeNet
	AddressNotHomeNet
	AddressReference
	AddressInList
)

// AddressTerm is the value of a rule's from or to.
type AddressTerm struct {
	Kind AddressKind
	// Stage is the stage a reference names.
	Stage int
	// List holds the elements of an AddressInList.
	List AddressList
}

// ParseAddress parses a from or to: ANY, HOME_NET, !HOME_NET, a reference such
// as ":1", or a comma list of addresses and CIDRs, each optionally negated by
// a leading "!" (§2.4.2).
func ParseAddress(text string) (AddressTerm, *TermError) {
	switch text {
	case anyTerm:
		return AddressTerm{Kind: AddressAny}, nil
	case homeNet:
		return AddressTerm{Kind: AddressHomeNet}, nil
	case notHomeNet:
		return AddressTerm{Kind: AddressNotHomeNet}, nil
	}
	if stage, ok := parseReference(text); ok {
		return AddressTerm{Kind: AddressReference, Stage: stage}, nil
	}
	if strings.TrimSpace(text) == "" {
		return AddressTerm{}, &TermError{Msg: "must not be empty; use " + addressForms}
	}
	prefixes := make([]netip.Prefix, 0, 1+strings.Count(text, ","))
	negated := make([]bool, 0, cap(prefixes))
	err := parseList(text, func(e element) string {
		prefix, err := jsonfile.ParsePrefix(e.text)
		switch {
		case err != nil && strings.HasPrefix(e.text, ":") && !strings.HasPrefix(e.text, "::"):
			return badReference(e.text)
		case err != nil:
			return err.Error()
		}
		prefixes, negated = append(prefixes, prefix), append(negated, e.negated)
		return ""
	}, anyTerm, homeNet)
	if err != nil {
		return AddressTerm{}, err
	}
	return AddressTerm{Kind: AddressInList, List: newAddressList(prefixes, negated)}, nil
}

const addressForms = `an address, a CIDR, ANY, HOME_NET, !HOME_NET, a list like "10.0.0.0/8,!10.0.0.5", or a reference like ":1"`

// addressElement is a network of a list, without the pointer that a
// netip.Prefix has.
type addressElement struct {
	hi, lo uint64 // the address, of IPv4 the mapped one
	bits   uint8  // of hi and lo that count, 0..128
	is4    bool
	// negated is the element's "!".
	negated bool
}

func newAddressElement(p netip.Prefix, negated bool) addressElement {
	e := addressElement{bits: uint8(p.Bits()), is4: p.Addr().Is4(), negated: negated}
	if e.is4 {
		e.bits += mappedBits
	}
	e.hi, e.lo = halves(p.Addr())
	return e
}

// mappedBits is the length of what comes before the address in a mapped IPv4
// address.
const mappedBits = 96

func halves(addr netip.Addr) (hi, lo uint64) {
	b := addr.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

// contains reports whether the network contains an address of its family, given
// as its halves.
func (e *addressElement) contains(hi, lo uint64) bool {
	const half = 64
	return (hi^e.hi)>>(half-min(e.bits, half)) == 0 && (lo^e.lo)>>(2*half-max(e.bits, half)) == 0
}

// listIndexFrom is the number of elements from which an address list is looked
// up in a prefix table instead of one by one.
const listIndexFrom = 9

// AddressList is a comma list of networks: the first element that contains an
// address decides; if none does, the address matches if any element is negated
// (§3.3).
type AddressList struct {
	elems      []addressElement
	anyNegated bool
	// table gives, for the most specific element that contains an address, the
	// first element in list order that does. Long lists only.
	table *bart.Table[int]
}

func newAddressList(prefixes []netip.Prefix, negated []bool) AddressList {
	l := AddressList{elems: make([]addressElement, len(prefixes))}
	for i, prefix := range prefixes {
		l.elems[i] = newAddressElement(prefix, negated[i])
		l.anyNegated = l.anyNegated || negated[i]
	}
	if len(prefixes) < listIndexFrom {
		return l
	}
	l.table = new(bart.Table[int])
	for i, prefix := range prefixes {
		if _, ok := l.table.Get(prefix); !ok {
			l.table.Insert(prefix, i)
		}
	}
	for i, prefix := range prefixes {
		first := i
		for _, index := range l.table.Supernets(prefix) {
			first = min(first, index)
		}
		l.table.Insert(prefix, first)
	}
	return l
}

// Match reports whether the list matches an address. Families never match each
// other, and no network contains an address with a zone or the zero Addr.
func (l *AddressList) Match(addr netip.Addr) bool {
	if !addr.IsValid() || addr.Zone() != "" {
		return l.anyNegated
	}
	if l.table != nil {
		if first, ok := l.table.Lookup(addr); ok {
			return !l.elems[first].negated
		}
		return l.anyNegated
	}
	hi, lo := halves(addr)
	for i := range l.elems {
		if e := &l.elems[i]; e.is4 == addr.Is4() && e.contains(hi, lo) {
			return !e.negated
		}
	}
	return l.anyNegated
}
