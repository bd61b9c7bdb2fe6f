// Package alarm holds the documents the engine publishes — alarms and alarm
// events — and the saved form of a backlog, with their exact JSON. A Batch is
// alarms and alarm events that are written together.
//
// The package is pure. Other people's Logstash, Kibana and scripts read these
// documents, so key order, omission and number formats are a contract.
//
// Source of the formats: docs/spec/correlation.md §8, §11.2, decisions D5, D6, D20.
package alarm

import (
	"fmt"
	"net/netip"
	"strconv"

	"dsiem/internal/event"
)

// Class is the risk class of an alarm.
type Class uint8

// The risk classes. Unclassified is that of a backlog without risk.
const (
	Unclassified Class = iota
	Low
	Medium
	High
)

// String returns the class as it stands in documents, "" for Unclassified.
func (c Class) String() string {
	switch c {
	case Low:
		return "Low"
	case Medium:
		return "Medium"
	case High:
		return "High"
	case Unclassified:
	}
	return ""
}

// ParseClass returns the class of a name in a document.
func ParseClass(name string) (Class, bool) {
	for c := Unclassified; c <= High; c++ {
		if c.String() == name {
			return c, true
		}
	}
	return Unclassified, false
}

// Risk returns the risk of priority 1..5, reliability 0..10 and asset value
// 0..255, rounded down (§7).
func Risk(priority, reliability, value int) int {
	const divisor = 25
	return priority * reliability * value / divisor
}

// MaxRisk is the highest risk that is published; readers keep it in 8 bits
// (§7, D6).
const MaxRisk = 255

// Status is the state of a rule within a backlog (§6.5).
type Status uint8

// The states of a rule.
const (
	// Pending is a rule that is current or not reached yet.
	Pending Status = iota
	// Finished is a rule whose occurrence was reached.
	Finished
	// Timeout is a rule that expired while it was current.
	Timeout
)

// String returns the state as it stands in documents, "" for Pending.
func (s Status) String() string {
	switch s {
	case Finished:
		return "finished"
	case Timeout:
		return "timeout"
	case Pending:
	}
	return ""
}

// Alarm is one full snapshot of an alarm: one line of siem_alarms.json.
type Alarm struct {
	ID       string
	Title    string
	Status   string
	Tag      string
	Kingdom  string
	Category string
	// Created is when the alarm was first published, Updated when its last
	// event was taken, in UNIX seconds.
	Created, Updated int64
	// Risk is 1..MaxRisk in a published alarm.
	Risk  int
	Class Class
	// Rules are in order of stage.
	Rules []Rule
	// SrcIPs, DstIPs, Networks and CustomData are in order of first appearance.
	SrcIPs, DstIPs  []netip.Addr
	Networks        []string
	IntelHits       []Hit
	Vulnerabilities []Hit
	CustomData      []CustomData
	// Truncated counts what found no room in SrcIPs, DstIPs and CustomData.
	Truncated Truncated
}

// Truncated counts the events whose address or custom data is not in an alarm,
// because there were too many before it (D37).
type Truncated struct{ SrcIPs, DstIPs, CustomData uint64 }

// Rule is a rule of an alarm with its state. Texts are as written in the
// directive, resolved references as copied (D20).
type Rule struct {
	Name                    string
	Stage                   int
	Occurrence              uint64
	From, To                string
	PluginID                uint64
	PluginSID               []uint64
	Product                 []string
	Category                string
	Subcategory             []string
	Type                    string
	PortFrom, PortTo        string
	Protocol                string
	Reliability             int
	Timeout                 int64 // seconds
	Start, End              int64 // UNIX seconds of event time, 0 if not reached
	Status                  Status
	StickyDifferent         string
	CustomData, CustomLabel [event.CustomFields]string
}

// Hit is one finding of a threat-intel or vulnerability source.
type Hit struct{ Provider, Term, Result string }

// CustomData is one custom data value seen by an alarm.
type CustomData struct{ Label, Content string }

// Event is one line of siem_alarm_events.json: an event that an alarm took.
type Event struct {
	AlarmID string
	Stage   int
	EventID string
}

// Saved is everything a backlog needs to live on: an alarm snapshot, also
// without risk, and what is kept out of alarms (§11.2).
type Saved struct {
	// Alarm's Title is the raw name of the directive; the rules' own state is
	// in Rules.
	Alarm
	// Extras holds the rules' hidden state, in the order of Alarm.Rules.
	Extras []Extra
	// LastSrcPort and LastDstPort are the last non-zero ports seen.
	LastSrcPort, LastDstPort uint16
	// Successor says that the successor of the seed wrote the file: custom data
	// of its rules may be references like ":1", which any other file has
	// resolved (§5.2, §11.5). It is not written.
	Successor bool
	// ExpandedTitle is the title with SRC_IP and DST_IP replaced, "" if it is
	// the raw name.
	ExpandedTitle string
	// Arrival is when, by the clock, the current stage began, in UNIX seconds (D31).
	// 0 is not known, as in files of the seed: then it is the start of the stage. So
	// it is in a replay, whatever the file says, for its clock is another one.
	Arrival int64
	// Opened is the time of the event that opened the backlog, and Latest the largest
	// one of those that counted so far (D29), both in UNIX nanoseconds; 0 if not known.
	Opened, Latest int64
	// Opener is the source of the event that opened the backlog, if it is not the first
	// of SrcIPs; else the zero Addr.
	Opener netip.Addr
	// Opening is the event that opened the backlog, if it is not the first of those of
	// stage 1 any more; else the zero OtherEvent.
	Opening OtherEvent
	// LineTime is the second of the clock of the last alarm line, and LineDue says
	// that another one is to be written in a later second, of an alarm whose directive
	// is always-active (D37).
	LineTime int64
	LineDue  bool
	// LongData are hashes of the opening event's custom data, where a rule refers to it
	// and it is too long to be shown as a whole (D38); 0 where not.
	LongData [event.CustomFields]event.IDHash
	// Unlisted is what is known of the addresses that found no room.
	Unlisted Unlisted
	// IDs are event ids that are known as text: AppendSaved writes those of Extras so, and
	// the others as hashes. They are nil when the backlog is read.
	IDs map[event.IDHash]string
}

// Unlisted is what an alarm has to know of addresses that it does not list: the
// largest of their asset values, and their networks.
type Unlisted struct {
	Value                    int
	SrcNetworks, DstNetworks []string
}

// Extra is the state of a rule that is saved but never published.
type Extra struct {
	// EventIDs are the hashes of the distinct event ids the rule took.
	EventIDs []event.IDHash
	// Events are the events themselves, one for each of EventIDs, in their order, and
	// Others are further ones that had one of the same ids. Files of the seed have none.
	Events []Identity
	Others []OtherEvent
	// StickyTexts and StickyNumbers are the values of sticky_different seen so
	// far: addresses and custom data in the first, ports and plugin SIDs in the
	// second.
	StickyTexts   []string
	StickyNumbers []uint64
	// Origin are the keys of the rule whose texts are values of the event that
	// opened the backlog, nil if the file does not tell, as the seed's: such a
	// text is compared as it is, whatever it looks like (D18).
	Origin []string
}

// Identity tells an event from others, also if they have its id (D35).
type Identity struct {
	// Same is a hash of the event's id, addresses and ports, 0 if not known, and Mark
	// one of these and the time as sent.
	Same, Mark uint64
}

// OtherEvent is an event with its id.
type OtherEvent struct {
	ID event.IDHash
	Identity
}

// String returns the text form of an identity: 32 lower-case hex digits.
func (i Identity) String() string { return fmt.Sprintf("%016x%016x", i.Same, i.Mark) }

// String returns the text form of an event: 48 lower-case hex digits.
func (o OtherEvent) String() string { return fmt.Sprintf("%016x%s", uint64(o.ID), o.Identity) }

// ParseIdentity reads the text form of an identity.
func ParseIdentity(text string) (i Identity, ok bool) {
	ok = parseHex(text, &i.Same, &i.Mark)
	return i, ok
}

// ParseOtherEvent reads the text form of an event.
func ParseOtherEvent(text string) (o OtherEvent, ok bool) {
	ok = parseHex(text, (*uint64)(&o.ID), &o.Same, &o.Mark)
	return o, ok
}

// parseHex reads numbers of 16 hex digits each.
func parseHex(text string, numbers ...*uint64) bool {
	const digits = 16
	if len(text) != digits*len(numbers) {
		return false
	}
	for i, number := range numbers {
		n, err := strconv.ParseUint(text[digits*i:digits*(i+1)], 16, 64)
		if err != nil {
			return false
		}
		*number = n
	}
	return true
}
