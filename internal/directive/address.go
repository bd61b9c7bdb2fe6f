package directive

import (
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"

	"dsiem/internal/config"
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
	elems := make([]addressElement, 0, 1+strings.Count(text, ","))
	err := parseList(text, func(e element) string {
		prefix, err := config.ParsePrefix(e.text)
		switch {
		case err != nil && strings.HasPrefix(e.text, ":") && !strings.HasPrefix(e.text, "::"):
			return badReference(e.text)
		case err != nil:
			return err.Error()
		}
		elems = append(elems, addressElement{prefix: prefix, negated: e.negated})
		return ""
	}, anyTerm, homeNet)
	if err != nil {
		return AddressTerm{}, err
	}
	return AddressTerm{Kind: AddressInList, List: newAddressList(elems)}, nil
}

const addressForms = `an address, a CIDR, ANY, HOME_NET, !HOME_NET, a list like "10.0.0.0/8,!10.0.0.5", or a reference like ":1"`

type addressElement struct {
	prefix  netip.Prefix
	negated bool
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

func newAddressList(elems []addressElement) AddressList {
	l := AddressList{elems: elems}
	for _, e := range elems {
		l.anyNegated = l.anyNegated || e.negated
	}
	if len(elems) < listIndexFrom {
		return l
	}
	l.table = new(bart.Table[int])
	for i, e := range elems {
		if _, ok := l.table.Get(e.prefix); !ok {
			l.table.Insert(e.prefix, i)
		}
	}
	for i, e := range elems {
		first := i
		for _, index := range l.table.Supernets(e.prefix) {
			first = min(first, index)
		}
		l.table.Insert(e.prefix, first)
	}
	return l
}

// Match reports whether the list matches an address. Families never match each
// other.
func (l *AddressList) Match(addr netip.Addr) bool {
	if l.table != nil {
		if first, ok := l.table.Lookup(addr); ok {
			return !l.elems[first].negated
		}
		return l.anyNegated
	}
	for i := range l.elems {
		if e := &l.elems[i]; e.prefix.Contains(addr) {
			return !e.negated
		}
	}
	return l.anyNegated
}
