package directive

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"dsiem/internal/asset"
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

// operator is how a condition compares its field.
type operator uint8

const (
	inHomeNet operator = iota
	notInHomeNet
	inAddresses
	inPorts
	textMatches
	oneOf
)

// Condition is one test of one event field, independent of any backlog.
type Condition struct {
	// Field is the field that is tested.
	Field Fields

	op operator
	// What the field is compared with; which one is set depends on op. Pointers,
	// because there are very many conditions.
	addresses *AddressList
	ports     *PortList
	text      *TextTerm
	texts     []string
}

// Match reports whether an event satisfies the condition.
func (c *Condition) Match(ev *event.Event, assets *asset.Table) bool {
	switch c.op {
	case inHomeNet:
		return assets.Home(c.address(ev))
	case notInHomeNet:
		return !assets.Home(c.address(ev))
	case inAddresses:
		return c.addresses.Match(c.address(ev))
	case inPorts:
		if c.Field == SrcPort {
			return c.ports.Match(ev.SrcPort)
		}
		return c.ports.Match(ev.DstPort)
	case textMatches:
		return c.text.Match(c.customData(ev))
	case oneOf:
		return slices.Contains(c.texts, ev.Subcategory)
	}
	return false
}

func (c *Condition) address(ev *event.Event) netip.Addr {
	if c.Field == SrcIP {
		return ev.SrcIP
	}
	return ev.DstIP
}

func (c *Condition) customData(ev *event.Event) string {
	switch c.Field {
	case CustomData1:
		return ev.CustomData[0]
	case CustomData2:
		return ev.CustomData[1]
	default:
		return ev.CustomData[2]
	}
}

// Stage is one compiled rule.
type Stage struct {
	// Rule is the rule with its references resolved: a field in Origin is
	// meaningless here and has the creating event's value in every backlog, any
	// other field has the text to show.
	Rule *Rule
	// Conditions must all hold; they leave out what identifies the event, which
	// is the index's part.
	Conditions []Condition
	// Join holds the fields in which an event must equal the event that
	// created the backlog: the stage's references, and on stage 1 of an
	// always-active directive the addresses it is narrowed to (§5.1, §5.3).
	Join Fields
	// Origin holds the fields whose shown value is the creating event's. It
	// contains Join.
	Origin Fields
}

// Match reports whether an event, identified by the index, satisfies the
// stage's conditions. A live backlog's join fields must be equal besides.
func (s *Stage) Match(ev *event.Event, assets *asset.Table) bool {
	for i := range s.Conditions {
		if !s.Conditions[i].Match(ev, assets) {
			return false
		}
	}
	return true
}

// IndexKeys returns what identifies the stage's events, as the engine's index
// has it: "1001:2010935" for a plugin id and SID, "Firewall/Deny" for a product
// and category.
func (s *Stage) IndexKeys() []string {
	var keys []string
	if s.Rule.Type == PluginRule {
		for _, sid := range s.Rule.PluginSID {
			keys = append(keys, fmt.Sprintf("%d:%d", s.Rule.PluginID, sid))
		}
		return keys
	}
	for _, product := range s.Rule.Product {
		keys = append(keys, product+"/"+s.Rule.Category)
	}
	return keys
}

// Tests returns what the stage's conditions compare, with the keys and texts
// of the rule: "to HOME_NET".
func (s *Stage) Tests() []string {
	var tests []string
	for i := range s.Conditions {
		switch f := s.Conditions[i].Field; f {
		case SrcIP:
			tests = append(tests, "from "+s.Rule.From)
		case DstIP:
			tests = append(tests, "to "+s.Rule.To)
		case SrcPort:
			tests = append(tests, "port_from "+s.Rule.PortFrom)
		case DstPort:
			tests = append(tests, "port_to "+s.Rule.PortTo)
		case Subcategory:
			tests = append(tests, "subcategory "+strings.Join(s.Rule.Subcategory, ","))
		default:
			for j, text := range s.Rule.CustomData {
				if f == CustomDataField(j) {
					tests = append(tests, f.Names()[0]+" "+text)
				}
			}
		}
	}
	return tests
}

// Plan is a compiled directive. It never changes.
type Plan struct {
	*Directive
	// Stages are in ascending order of stage number.
	Stages []Stage
}

// Compile compiles a directive that Load returned, or one made by hand that
// satisfies the same rules: terms are valid and references name lower existing
// stages.
func Compile(d *Directive) *Plan {
	p := compile(d, false)
	if d.AllRulesAlwaysActive && len(p.Stages) > 0 {
		narrow(&p.Stages[0])
	}
	return p
}

// CompileResolved compiles a directive with the rules of a saved backlog: their
// references have been resolved, and their first stage narrowed, when the
// backlog was opened. Custom data that looks like a reference is plain text.
func CompileResolved(d *Directive) *Plan { return compile(d, true) }

func compile(d *Directive, resolved bool) *Plan {
	p := &Plan{Directive: d, Stages: make([]Stage, len(d.Rules))}
	c := compiler{plan: p, resolved: resolved}
	for i := range d.Rules {
		c.index, c.stage = i, &p.Stages[i]
		c.compile(&d.Rules[i])
	}
	return p
}

// narrow ties the first stage of an always-active directive to the addresses of
// the creating event. Later stages have been resolved before, so that their
// references see the directive's own values (§5.3).
func narrow(s *Stage) {
	for field, text := range map[Fields]string{SrcIP: s.Rule.From, DstIP: s.Rule.To} {
		if term, err := ParseAddress(text); err == nil && term.Kind <= AddressNotHomeNet {
			s.Join |= field
			s.Origin |= field
		}
	}
}

// compiler compiles one rule after the other.
type compiler struct {
	plan  *Plan
	stage *Stage
	index int
	// conditions are those of the stage, until their number is known.
	conditions []Condition
	// resolved says that no text is a reference.
	resolved bool
}

func (c *compiler) compile(r *Rule) {
	s := c.stage
	s.Rule = r
	c.conditions = c.conditions[:0]
	terms := [...]string{
		c.address(SrcIP, r.From), c.address(DstIP, r.To), c.port(SrcPort, r.PortFrom), c.port(DstPort, r.PortTo),
		c.customData(0, r.CustomData[0]), c.customData(1, r.CustomData[1]), c.customData(2, r.CustomData[2]),
	}
	if terms != r.terms() {
		resolved := *r
		resolved.From, resolved.To, resolved.PortFrom, resolved.PortTo = terms[0], terms[1], terms[2], terms[3]
		resolved.CustomData = [event.CustomFields]string(terms[4:])
		s.Rule = &resolved
	}
	if r.Type == TaxonomyRule && len(r.Subcategory) > 0 && !slices.Contains(r.Subcategory, anyTerm) {
		c.conditions = append(c.conditions, Condition{Field: Subcategory, op: oneOf, texts: r.Subcategory})
	}
	s.Conditions = append([]Condition(nil), c.conditions...)
}

// terms returns the texts of a rule that may hold references.
func (r *Rule) terms() [4 + event.CustomFields]string {
	return [...]string{
		r.From, r.To, r.PortFrom, r.PortTo, r.CustomData[0], r.CustomData[1], r.CustomData[2],
	}
}

// referenced returns the compiled stage that a reference names, nil if the
// reference is not one to a lower existing stage.
func (c *compiler) referenced(number int) *Stage {
	for i := range c.plan.Stages[:c.index] {
		if s := &c.plan.Stages[i]; s.Rule.Stage == number {
			return s
		}
	}
	return nil
}

// join makes a field one in which events must equal the creating event.
func (c *compiler) join(field Fields, evaluated bool) {
	c.stage.Origin |= field
	if evaluated {
		c.stage.Join |= field
	}
}

// address resolves a from or to, adds its condition and returns its text.
func (c *compiler) address(field Fields, text string) string {
	term, _ := ParseAddress(text)
	if term.Kind == AddressReference {
		s := c.referenced(term.Stage)
		resolved := s.Rule.From
		if field == DstIP {
			resolved = s.Rule.To
		}
		text = resolved
		term, _ = ParseAddress(text)
		if s.Origin.Has(field) || term.Kind != AddressInList {
			c.join(field, true)
			return text
		}
	}
	condition := Condition{Field: field}
	switch term.Kind {
	case AddressAny, AddressReference:
		return text
	case AddressHomeNet:
		condition.op = inHomeNet
	case AddressNotHomeNet:
		condition.op = notInHomeNet
	case AddressInList:
		list := term.List // not the whole term, which would live as long
		condition.op, condition.addresses = inAddresses, &list
	}
	c.conditions = append(c.conditions, condition)
	return text
}

// port resolves a port_from or port_to, adds its condition and returns its
// text.
func (c *compiler) port(field Fields, text string) string {
	term, _ := ParsePort(text)
	if c.resolved {
		term, _ = ParseResolvedPort(text)
	}
	if term.Kind == PortReference {
		s := c.referenced(term.Stage)
		resolved := s.Rule.PortFrom
		if field == DstPort {
			resolved = s.Rule.PortTo
		}
		text = resolved
		term, _ = ParsePort(text)
		if s.Origin.Has(field) || term.Kind == PortAny {
			c.join(field, true)
			return text
		}
	}
	if term.Kind == PortInList {
		list := term.List
		c.conditions = append(c.conditions, Condition{Field: field, op: inPorts, ports: &list})
	}
	return text
}

// customData resolves a custom data term, adds its condition and returns its
// text. A reference to ANY is the creating event's value, compared as it is;
// one to anything else copies the text (§5.1, D18). Taxonomy rules show custom
// data but do not compare it (D11).
func (c *compiler) customData(i int, text string) string {
	field := CustomDataField(i)
	evaluated := c.stage.Rule.Type == PluginRule
	if number, ok := parseReference(text); ok && !c.resolved {
		if s := c.referenced(number); s != nil {
			text = s.Rule.CustomData[i]
			if s.Origin.Has(field) || text == anyTerm {
				c.join(field, evaluated)
				return text
			}
		}
	}
	if text == "" || !evaluated {
		return text
	}
	if term := ParseText(text); !term.All {
		c.conditions = append(c.conditions, Condition{Field: field, op: textMatches, text: &term})
	}
	return text
}
