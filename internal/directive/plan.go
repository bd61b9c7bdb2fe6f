package directive

import (
	"fmt"
	"strings"

	"dsiem/internal/asset"
	"dsiem/internal/event"
)

// Plan is a compiled directive. It never changes.
//
// A server has tens of thousands of them for as long as it runs, and every
// garbage collection goes through all pointers that live. A plan therefore has
// few: what events are compared with is in the stages, everything that is only
// shown lies packed in one text, see Rule. Plans that were compiled together
// share their memory.
type Plan struct {
	// Name, Kingdom and Category are the directive's.
	Name, Kingdom, Category string
	// Stages are in ascending order of stage number.
	Stages []Stage
	// packed holds the texts, and sids the plugin SIDs of the rules.
	packed string
	sids   []uint64

	// ID, Priority and AllRulesAlwaysActive are the directive's.
	ID                   uint64
	Priority             int
	AllRulesAlwaysActive bool
}

// Stage is what the engine needs of one rule; Plan.Rule has the rest of it.
type Stage struct {
	// conditions must all hold, and the addresses in home and notHome must be
	// in HOME_NET or not. They leave out what identifies the event, which is the
	// index's part.
	conditions []condition
	// Occurrence is the number of distinct event ids that complete the stage,
	// at least 1.
	Occurrence uint64
	// Timeout is in seconds, 0..2^32-1.
	Timeout int64
	// packed is where the rule's texts begin in the plan's.
	packed        uint32
	home, notHome Fields
	// Join holds the fields in which an event must equal the event that
	// created the backlog: the stage's references, and on stage 1 of an
	// always-active directive the addresses it is narrowed to (§5.1, §5.3).
	Join Fields
	// Origin holds the fields whose shown value is the creating event's. It
	// contains Join.
	Origin Fields
	// Number is the stage's, 1..255.
	Number uint8
	Type   Type
	// Reliability is 0..10.
	Reliability     uint8
	StickyDifferent Sticky
}

// Match reports whether an event, identified by the index, satisfies the
// stage's conditions. A live backlog's join fields must be equal besides.
func (s *Stage) Match(ev *event.Event, assets *asset.Table) bool {
	if tested := s.home | s.notHome; tested != 0 {
		if tested.Has(SrcIP) && assets.Home(ev.SrcIP) != s.home.Has(SrcIP) ||
			tested.Has(DstIP) && assets.Home(ev.DstIP) != s.home.Has(DstIP) {
			return false
		}
	}
	for i := range s.conditions {
		if !s.conditions[i].match(ev) {
			return false
		}
	}
	return true
}

// tested returns the fields that the stage's conditions compare.
func (s *Stage) tested() Fields {
	fields := s.home | s.notHome
	for i := range s.conditions {
		fields |= s.conditions[i].field
	}
	return fields
}

// IndexKeys returns what identifies the events of stage i, counted from 0, as
// the engine's index has it: "1001:2010935" for a plugin id and SID,
// "Firewall/Deny" for a product and category.
func (p *Plan) IndexKeys(i int) []string {
	var keys []string
	r := p.Rule(i)
	if r.Type == PluginRule {
		for _, sid := range r.PluginSID {
			keys = append(keys, fmt.Sprintf("%d:%d", r.PluginID, sid))
		}
		return keys
	}
	for _, product := range r.Product {
		keys = append(keys, product+"/"+r.Category)
	}
	return keys
}

// Tests returns what the conditions of stage i, counted from 0, compare, with
// the keys and texts of the rule: "to HOME_NET".
func (p *Plan) Tests(i int) []string {
	var tests []string
	r := p.Rule(i)
	tested := p.Stages[i].tested()
	for _, test := range [...]struct {
		field     Fields
		key, text string
	}{
		{SrcIP, "from", r.From},
		{DstIP, "to", r.To},
		{SrcPort, "port_from", r.PortFrom},
		{DstPort, "port_to", r.PortTo},
		{CustomData1, "custom_data1", r.CustomData[0]},
		{CustomData2, "custom_data2", r.CustomData[1]},
		{CustomData3, "custom_data3", r.CustomData[2]},
		{Subcategory, "subcategory", strings.Join(r.Subcategory, ",")},
	} {
		if tested.Has(test.field) {
			tests = append(tests, test.key+" "+test.text)
		}
	}
	return tests
}
