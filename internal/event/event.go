// Package event holds the normalized security event: its fields, the decoder
// for its JSON form, ids for events that come without, and the closed set of
// reasons for which an event is rejected.
//
// The package is pure: it reads no clock, does no I/O and logs nothing. An
// Event belongs to whoever decoded it; the correlation engine keeps none of
// its memory beyond the strings it copies.
//
// Source of the behaviour: docs/spec/correlation.md §1, decisions D17, D34 and D39.
package event

import (
	"net/netip"

	"github.com/cespare/xxhash/v2"
)

// MaxSize is the largest accepted JSON text of one event, in bytes. A larger
// one is rejected with TooLarge.
const MaxSize = 1 << 20

// CustomFields is the number of custom data fields an event carries.
const CustomFields = 3

// Event is one normalized event. The zero value is invalid; use Decode.
type Event struct {
	// ID is the sender's event id, "" if the sender gave none. The first node that
	// takes an event without id gives it one (D34): see IDs and RecordID.
	ID string
	// Seconds is the event time in whole UNIX seconds, floored; all
	// correlation uses it (§1.3). It is not negative, and together with Nanos it
	// fits 64 bits of nanoseconds.
	Seconds int64
	// Nanos is the rest of the event time in nanoseconds, 0..999999999.
	Nanos int32
	// Repaired is the number of U+FFFD that Decode has put in the place of bytes
	// that are not UTF-8 and of half surrogates, one for each (D39). It is a count
	// about the text, and no part of the event: no encoder writes it.
	Repaired uint32

	Sensor   string
	Title    string
	Protocol string

	// SrcIP and DstIP are valid, without zone, and never IPv4-mapped (§1.4).
	SrcIP, DstIP netip.Addr
	// SrcPort and DstPort are 0 when absent.
	SrcPort, DstPort uint16

	// PluginID and PluginSID identify the event for PluginRules; both are
	// non-zero then.
	PluginID, PluginSID uint64
	// Product and Category identify the event for TaxonomyRules; both are
	// non-empty then.
	Product, Category, Subcategory string

	// CustomData and CustomLabel hold custom_data1..3 and custom_label1..3.
	CustomData, CustomLabel [CustomFields]string

	// ConnID is the frontend's connection number, 0 when absent.
	ConnID uint64
	// ReceivedAt is the frontend's receive time in UNIX nanoseconds, 0 when
	// absent; it measures back-pressure and never takes part in correlation.
	ReceivedAt int64
}

// HasPlugin reports whether PluginRules can want the event (§1.2).
func (e *Event) HasPlugin() bool { return e.PluginID != 0 && e.PluginSID != 0 }

// HasTaxonomy reports whether TaxonomyRules can want the event (§1.2).
func (e *Event) HasTaxonomy() bool { return e.Product != "" && e.Category != "" }

// IDHash is an event id as the engine keeps it: eight bytes instead of text.
type IDHash uint64

// hashPrefix starts the text form of an id that is known by its hash only.
const hashPrefix = "h:"

// HashID returns the hash of an event id. The text form of a hash (see
// IDHash.String) hashes to itself, so that ids written to a saved backlog and
// read back stay the same ids.
func HashID(id string) IDHash {
	if h, ok := parseHash(id); ok {
		return h
	}
	return IDHash(xxhash.Sum64String(id))
}

// String returns the text form of a hash: "h:" and 16 lower-case hex digits.
func (h IDHash) String() string {
	const digits = "0123456789abcdef"
	buf := [len(hashPrefix) + 16]byte{'h', ':'}
	for i := range 16 {
		buf[len(hashPrefix)+i] = digits[h>>(60-4*i)&0xf]
	}
	return string(buf[:])
}

func parseHash(id string) (IDHash, bool) {
	if len(id) != len(hashPrefix)+16 || id[:len(hashPrefix)] != hashPrefix {
		return 0, false
	}
	var h IDHash
	for _, c := range []byte(id[len(hashPrefix):]) {
		switch {
		case c >= '0' && c <= '9':
			h = h<<4 | IDHash(c-'0')
		case c >= 'a' && c <= 'f':
			h = h<<4 | IDHash(c-'a'+10)
		default:
			return 0, false
		}
	}
	return h, true
}
