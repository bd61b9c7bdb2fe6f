package directive

import "math"

// unlimited is the number of values that a condition without a bound takes.
const unlimited = math.MaxUint64

// different returns in how many values of its sticky field the events of stage
// i, counted from 0, can differ at most, and the key of the rule that says so.
func (p *Plan) different(i int) (key string, n uint64) {
	s := &p.Stages[i]
	field, key := s.StickyDifferent.field()
	switch {
	case s.StickyDifferent == StickyPluginSID && s.Type == PluginRule:
		return key, uint64(len(p.Rule(i).PluginSID))
	case s.Join.Has(field) && field != 0:
		return key, 1
	}
	n = unlimited
	for i := range s.conditions {
		if s.conditions[i].field == field {
			n = s.conditions[i].size()
		}
	}
	return key, n
}

// field returns the event field and the key of the rule that compares it; no
// field for PLUGIN_SID, which the index compares.
func (s Sticky) field() (Fields, string) {
	switch s {
	case StickySrcIP:
		return SrcIP, "from"
	case StickyDstIP:
		return DstIP, "to"
	case StickySrcPort:
		return SrcPort, "port_from"
	case StickyDstPort:
		return DstPort, "port_to"
	case StickyCustomData1:
		return CustomData1, "custom_data1"
	case StickyCustomData2:
		return CustomData2, "custom_data2"
	case StickyCustomData3:
		return CustomData3, "custom_data3"
	default:
		return 0, "plugin_sid"
	}
}

// size returns how many values the condition takes at most.
func (c *condition) size() uint64 {
	switch operand := c.operand.(type) {
	case *AddressList:
		return operand.size()
	case *PortList:
		return operand.size()
	case *TextTerm:
		return operand.size()
	}
	return unlimited
}

func (l *AddressList) size() uint64 {
	const all = 128 // bits of an address
	var n uint64
	for i := range l.elems {
		free := all - l.elems[i].bits
		if l.anyNegated || free >= 64 || n+1<<free < n {
			return unlimited
		}
		n += 1 << free
	}
	return n
}

func (l *PortList) size() uint64 {
	if l.anyNegated {
		return unlimited
	}
	return uint64(len(l.elems))
}

// size takes texts that differ only in the case of their letters for one where
// the term does so.
func (t *TextTerm) size() uint64 {
	switch {
	case t.All || t.negated:
		return unlimited
	case t.list == nil:
		return 1
	}
	for i := range t.list {
		if t.list[i].negated {
			return unlimited
		}
	}
	return uint64(len(t.list))
}
