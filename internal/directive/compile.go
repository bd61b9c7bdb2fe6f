package directive

import (
	"slices"

	"dsiem/internal/event"
)

// CompileAll compiles directives that Load returned, or ones made by hand that
// satisfy the same rules: terms are valid, numbers are in their ranges and
// references name lower existing stages. The plans hold on to nothing of the
// directives' rules. They share memory, so that the garbage collector has a few
// large objects to look at, without pointers where possible, instead of very many
// small ones.
func CompileAll(directives []*Directive) []Plan { return compileAll(directives, false) }

// CompileResolved compiles a directive with the rules of a saved backlog: their
// references have been resolved, and their first stage narrowed, when the
// backlog was opened. Custom data that looks like a reference is plain text.
func CompileResolved(d *Directive) *Plan { return &compileAll([]*Directive{d}, true)[0] }

// narrow ties the first stage of an always-active directive to the addresses of
// the creating event. Later stages have been resolved before, so that their
// references see the directive's own values (§5.3).
func narrow(s *Stage, r *Rule) {
	for field, text := range map[Fields]string{SrcIP: r.From, DstIP: r.To} {
		if term, err := ParseAddress(text); err == nil && term.Kind <= AddressNotHomeNet {
			s.Join |= field
			s.Origin |= field
		}
	}
}

func compileAll(directives []*Directive, resolved bool) []Plan {
	c := compiler{resolved: resolved}
	stages, sids := 0, 0
	for _, d := range directives {
		stages += len(d.Rules)
		for i := range d.Rules {
			sids += len(d.Rules[i].PluginSID)
		}
	}
	c.stages, c.sids = make([]Stage, 0, stages), make([]uint64, 0, sids)
	plans := make([]Plan, len(directives))
	first := 0
	for i, d := range directives {
		c.plan(&plans[i], d)
		if len(c.packed) >= sharedText || i == len(plans)-1 {
			c.share(plans[first : i+1])
			first = i + 1
		}
	}
	return plans
}

// sharedText is the size in bytes from which plans share no more of one text:
// large enough for few objects, small enough that nobody who holds on to a name
// holds on to much.
const sharedText = 64 << 10

// share gives plans their texts, which have been packed one after the other.
func (c *compiler) share(plans []Plan) {
	packed := string(c.packed)
	start := 0
	for i := range plans {
		p := &plans[i]
		p.packed = packed[start:c.ends[i]]
		start = c.ends[i]
		u := unpacker(p.packed)
		p.Name, p.Kingdom, p.Category = u.text(), u.text(), u.text()
	}
	c.packed, c.ends = c.packed[:0], c.ends[:0]
}

// compiler compiles one directive after the other.
type compiler struct {
	// resolved says that no text is a reference, and no stage is to be narrowed.
	resolved bool

	// stages and sids are those of all plans so far.
	stages []Stage
	sids   []uint64
	// packed holds the packed plans that have no text yet, and ends where they
	// end in it.
	packed []byte
	ends   []int

	// rules are those of the directive so far, resolved, and before their stages.
	rules  []Rule
	before []Stage
	// rule is the one that is being compiled, and stage what it becomes.
	rule  *Rule
	stage *Stage
	// conditions are those of the stage, until their number is known.
	conditions []condition
}

// plan compiles a directive but for the texts of its plan.
func (c *compiler) plan(p *Plan, d *Directive) {
	firstStage, firstSID, start := len(c.stages), len(c.sids), len(c.packed)
	c.packed = packText(packText(packText(c.packed, d.Name), d.Kingdom), d.Category)
	c.rules = c.rules[:0]
	for i := range d.Rules {
		r := &d.Rules[i]
		c.before = c.stages[firstStage:]
		c.stages = append(c.stages, Stage{})
		c.stage = &c.stages[len(c.stages)-1]
		c.compile(r)
		c.stage.packed = uint32(len(c.packed) - start)
		c.packed = packRule(c.packed, c.rule, len(c.sids)-firstSID)
		c.sids = append(c.sids, r.PluginSID...)
	}
	c.ends = append(c.ends, len(c.packed))
	*p = Plan{
		ID: d.ID, Priority: d.Priority, AllRulesAlwaysActive: d.AllRulesAlwaysActive,
		Stages: slices.Clip(c.stages[firstStage:]), sids: slices.Clip(c.sids[firstSID:]),
	}
	if d.AllRulesAlwaysActive && !c.resolved && len(d.Rules) > 0 {
		narrow(&p.Stages[0], &d.Rules[0])
	}
}

// compile compiles one rule and adds it, resolved, to the rules.
func (c *compiler) compile(r *Rule) {
	c.rule, c.conditions = r, c.conditions[:0]
	s := c.stage
	*s = Stage{
		Number: uint8(r.Stage), Type: r.Type, Occurrence: r.Occurrence, Timeout: r.Timeout,
		Reliability: uint8(r.Reliability), StickyDifferent: r.StickyDifferent,
	}
	resolved := *r
	resolved.From, resolved.To = c.address(SrcIP, r.From), c.address(DstIP, r.To)
	resolved.PortFrom, resolved.PortTo = c.port(SrcPort, r.PortFrom), c.port(DstPort, r.PortTo)
	for i := range event.CustomFields {
		resolved.CustomData[i] = c.customData(i, r.CustomData[i])
	}
	if r.Type == TaxonomyRule && len(r.Subcategory) > 0 && !slices.Contains(r.Subcategory, anyTerm) {
		texts := anyOf(slices.Clone(r.Subcategory))
		c.conditions = append(c.conditions, condition{field: Subcategory, operand: &texts})
	}
	s.conditions = append([]condition(nil), c.conditions...)
	c.rules = append(c.rules, resolved)
	c.rule = &c.rules[len(c.rules)-1]
}

// referenced returns the rule that a reference names, resolved, and its stage;
// nil if the reference is not one to a lower existing stage.
func (c *compiler) referenced(number int) (*Rule, *Stage) {
	for i := range c.rules {
		if c.rules[i].Stage == number {
			return &c.rules[i], &c.before[i]
		}
	}
	return nil, nil
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
		r, s := c.referenced(term.Stage)
		text = r.From
		if field == DstIP {
			text = r.To
		}
		term, _ = ParseAddress(text)
		if s.Origin.Has(field) || term.Kind != AddressInList {
			c.join(field, true)
			return text
		}
	}
	switch term.Kind {
	case AddressAny, AddressReference:
	case AddressHomeNet:
		c.stage.home |= field
	case AddressNotHomeNet:
		c.stage.notHome |= field
	case AddressInList:
		list := term.List // not the whole term, which would live as long
		c.conditions = append(c.conditions, condition{field: field, operand: &list})
	}
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
		r, s := c.referenced(term.Stage)
		text = r.PortFrom
		if field == DstPort {
			text = r.PortTo
		}
		term, _ = ParsePort(text)
		if s.Origin.Has(field) || term.Kind == PortAny {
			c.join(field, true)
			return text
		}
	}
	if term.Kind == PortInList {
		list := term.List
		c.conditions = append(c.conditions, condition{field: field, operand: &list})
	}
	return text
}

// customData resolves a custom data term, adds its condition and returns its
// text. A reference to ANY is the creating event's value, compared as it is;
// one to anything else copies the text (§5.1, D18). Taxonomy rules show custom
// data but do not compare it (D11).
func (c *compiler) customData(i int, text string) string {
	field := CustomDataField(i)
	evaluated := c.rule.Type == PluginRule
	if number, ok := parseReference(text); ok && !c.resolved {
		if r, s := c.referenced(number); r != nil {
			text = r.CustomData[i]
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
		c.conditions = append(c.conditions, condition{field: field, operand: &term})
	}
	return text
}
