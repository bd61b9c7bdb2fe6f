// Package input knows the forms in which events come: normalized events, as
// package event decodes them, and records of Suricata's eve.json; and what may be
// behind data that is compressed. The rooms below it read them from files
// (input/file) and from requests (input/httpin).
//
// It keeps no state: a Record belongs to whoever read it. It never logs, counts
// or looks into an event's meaning: it returns why a record is rejected or
// skipped, and its caller counts.
package input

import (
	"fmt"

	"dsiem/internal/event"
)

// Format is the form in which a record holds an event.
type Format uint8

// The formats.
const (
	// Normalized is Dsiem's own form (docs/spec/correlation.md §1.1).
	Normalized Format = iota
	// SuricataEVE is a record of Suricata's eve.json, see DecodeSuricata.
	SuricataEVE
)

// ParseFormat returns the format of a name as String gives it.
func ParseFormat(name string) (Format, error) {
	for _, f := range []Format{Normalized, SuricataEVE} {
		if f.String() == name {
			return f, nil
		}
	}
	return 0, fmt.Errorf("unknown event format %q, want %s or %s", name, Normalized, SuricataEVE)
}

// String returns the format's name on the command line.
func (f Format) String() string {
	if f == SuricataEVE {
		return "suricata-eve"
	}
	return "normalized"
}

// Skip says why a record is passed over that is well-formed, but no event in the
// sense of its format. 0 is none that is.
type Skip uint8

// The reasons to skip a record.
const (
	// NoAlert is a record of Suricata about something else.
	NoAlert Skip = iota + 1
	// NoAddresses is an alert of Suricata about a packet without addresses, as of ARP:
	// it is of no use to any directive, and its sender cannot know that.
	NoAddresses

	// Skips is the number of reasons, and one for none.
	Skips = iota + 1
)

// String says why, as it stands in summaries.
func (s Skip) String() string {
	switch s {
	case NoAlert:
		return "not alerts"
	case NoAddresses:
		return "no addresses"
	}
	return "not skipped"
}

// Decode reads the event of a record into *ev. It returns why the record is
// skipped, or why it is rejected, be it by the Reader or by the format's decoder.
// In both cases *ev is the zero Event. The event keeps nothing of rec.Data.
//
// Decode may be called from several goroutines at once.
func Decode(rec Record, format Format, ev *event.Event) (Skip, *event.Rejection) {
	if rec.Rejection != nil {
		*ev = event.Event{}
		return 0, rec.Rejection
	}
	if format == SuricataEVE {
		return DecodeSuricata(rec.Data, ev)
	}
	return 0, event.Decode(rec.Data, ev)
}
