package directive

import (
	"net/netip"
	"slices"

	"dsiem/internal/event"
)

// Fields is a set of event fields.
type Fields uint16

// The fields that rules compare with conditions or references.
const (
	SrcIP Fields = 1 << iota
	DstIP
	SrcPort
	DstPort
	CustomData1
	CustomData2
	CustomData3
	Subcategory
)

// CustomDataField returns the field of custom data i, 0..2.
func CustomDataField(i int) Fields { return CustomData1 << i }

// Has reports whether the set holds all fields of o.
func (f Fields) Has(o Fields) bool { return f&o == o }

// Names returns the JSON keys of the fields.
func (f Fields) Names() []string {
	var names []string
	for i, name := range []string{
		"src_ip", "dst_ip", "src_port", "dst_port",
		"custom_data1", "custom_data2", "custom_data3", "subcategory",
	} {
		if f.Has(1 << i) {
			names = append(names, name)
		}
	}
	return names
}

// condition is one test of one event field, independent of any backlog.
type condition struct {
	// operand is what the field is compared with: an *AddressList, a *PortList,
	// a *TextTerm or an *anyOf. It has no method that tests an event, because a
	// call through an interface would move every event to the heap.
	operand any
	field   Fields
}

// anyOf holds the texts that a field may have.
type anyOf []string

// match reports whether an event satisfies the condition.
func (c *condition) match(ev *event.Event) bool {
	switch operand := c.operand.(type) {
	case *AddressList:
		return operand.Match(c.address(ev))
	case *PortList:
		if c.field == SrcPort {
			return operand.Match(ev.SrcPort)
		}
		return operand.Match(ev.DstPort)
	case *TextTerm:
		return operand.Match(c.customData(ev))
	case *anyOf:
		return slices.Contains(*operand, ev.Subcategory)
	}
	return false
}

func (c *condition) address(ev *event.Event) netip.Addr {
	if c.field == SrcIP {
		return ev.SrcIP
	}
	return ev.DstIP
}

func (c *condition) customData(ev *event.Event) string {
	switch c.field {
	case CustomData1:
		return ev.CustomData[0]
	case CustomData2:
		return ev.CustomData[1]
	default:
		return ev.CustomData[2]
	}
}
