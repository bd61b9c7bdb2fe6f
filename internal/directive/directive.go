// Package directive reads directives — the use cases the engine looks for —
// from configuration files, reports every problem in them with its place, and
// compiles each valid one to a plan that the engine indexes.
//
// The package is pure and keeps no run-time state: a Directive and its Plan
// never change after loading and may be shared by any number of engines.
//
// Source of the behaviour: docs/spec/correlation.md §2, §3, §5 and decisions D7,
// D8, D11, D18–D25.
package directive

import (
	"dsiem/internal/event"
	"dsiem/internal/jsonfile"
)

// Type is the type of a rule, which decides what identifies its events.
type Type uint8

const (
	// PluginRule takes events by plugin_id and plugin_sid.
	PluginRule Type = iota
	// TaxonomyRule takes events by product, category and subcategory.
	TaxonomyRule
)

// String returns the name as it stands in files.
func (t Type) String() string {
	if t == TaxonomyRule {
		return "TaxonomyRule"
	}
	return "PluginRule"
}

// Directive is one use case: a sequence of rules that together raise an alarm.
type Directive struct {
	// ID is unique among the enabled directives; 0 is allowed.
	ID uint64
	// Name is the raw name, the alarm's title before SRC_IP and DST_IP are
	// expanded; saved backlogs are matched by it (§11.3).
	Name string
	// Kingdom and Category are the alarm's.
	Kingdom, Category string
	// Priority is 1..5.
	Priority int
	// AllRulesAlwaysActive lets a live backlog go on taking events for the
	// stages it has left behind (§5.3).
	AllRulesAlwaysActive bool
	// Disabled directives are read but neither validated nor loaded.
	Disabled bool
	// Rules are in ascending order of stage, stage numbers unique.
	Rules []Rule

	// File is where the directive stands, and PriorityAt the byte offset of its
	// priority there.
	File       string
	PriorityAt int
	// LintOff are the warnings that the directive switches off.
	LintOff []jsonfile.Lint
}

// Rule is one stage of a directive, with the texts as written in the file
// except that missing optional ones have their defaults.
type Rule struct {
	Name string
	Type Type
	// Stage is 1..255.
	Stage int
	// Occurrence is the number of distinct event ids that complete the stage,
	// at least 1 and exactly 1 on stage 1.
	Occurrence uint64
	// From, To, PortFrom and PortTo are terms: see ParseAddress and ParsePort.
	From, To, PortFrom, PortTo string
	// Protocol is shown but not evaluated (D11).
	Protocol string
	// Reliability is 0..10.
	Reliability int
	// Timeout is in seconds, 0..2^32-1.
	Timeout int64

	// PluginID and PluginSID identify the events of a PluginRule.
	PluginID  uint64
	PluginSID []uint64
	// Product, Category and Subcategory identify those of a TaxonomyRule.
	Product     []string
	Category    string
	Subcategory []string

	// StickyDifferent names the event field whose values must differ within
	// the stage; NoSticky if none.
	StickyDifferent Sticky

	// CustomData holds terms (see ParseText), evaluated for PluginRules only
	// (D11); CustomLabel is shown but never evaluated.
	CustomData, CustomLabel [event.CustomFields]string
}

// Sticky is an event field by which events of one stage must differ (§4).
type Sticky uint8

// The values of sticky_different.
const (
	NoSticky Sticky = iota
	StickyPluginSID
	StickySrcIP
	StickyDstIP
	StickySrcPort
	StickyDstPort
	StickyCustomData1
	StickyCustomData2
	StickyCustomData3
)

// stickyNames returns the names of the values, in their order.
func stickyNames() []string {
	return []string{
		"", "PLUGIN_SID", "SRC_IP", "DST_IP", "SRC_PORT", "DST_PORT",
		"CUSTOM_DATA1", "CUSTOM_DATA2", "CUSTOM_DATA3",
	}
}

// String returns the value as it stands in files, "" for NoSticky.
func (s Sticky) String() string { return stickyNames()[s] }

// ParseSticky returns the value of a name in a file.
func ParseSticky(name string) (Sticky, bool) {
	for i, n := range stickyNames() {
		if n == name {
			return Sticky(i), true
		}
	}
	return NoSticky, false
}
