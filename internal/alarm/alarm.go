// Package alarm holds the documents the engine publishes — alarms and alarm
// events — and the saved form of a backlog, with their exact JSON. A Batch is
// alarms and alarm events that are written together.
//
// The package is pure. Other people's Logstash, Kibana and scripts read these
// documents, so key order, omission and number formats are a contract.
//
// Source of the formats: spec/correlation.md §8, §11.2, decisions D5, D6, D20.
package alarm

import (
	"net/netip"

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
}

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
}

// Extra is the state of a rule that is saved but never published.
type Extra struct {
	// EventIDs are the hashes of the distinct event ids the rule took.
	EventIDs []event.IDHash
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
