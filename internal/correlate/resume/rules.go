package resume

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"

	"dsiem/internal/correlate/backlogs"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// Rules are those of a saved backlog, from which what opened it and the plan that it
// belongs to are found again (§11.3).
type Rules struct {
	Saved *alarm.Saved
	// List has the rules in order of stage, and extras what belongs to each.
	List   []alarm.Rule
	Extras []alarm.Extra

	// Origin and data are the values of the creating event, data nil if unknown, and
	// known the fields of both that the rules tell.
	Origin backlogs.Origin
	Data   *backlogs.OpeningData
	Known  directive.Fields

	// copied are custom data that Resolve has filled in: such a text is no pattern (D18).
	copied []place
}

// place is a field of the rule with a number.
type place struct {
	rule  int
	field directive.Fields
}

// ReadRules returns the rules of a saved backlog in order of stage. It reports a stage
// that stands there twice or is not 1..255, and references whose value is in doubt.
func ReadRules(s *alarm.Saved) (*Rules, error) {
	r := &Rules{Saved: s, List: slices.Clone(s.Rules), Extras: slices.Clone(s.Extras)}
	if err := r.sort(); err != nil {
		return nil, err
	}
	return r, nil
}

// sort puts rules, with their extras, in order of stage, and reports a stage
// that stands there twice or is not 1..255.
func (r *Rules) sort() error {
	for len(r.Extras) < len(r.List) {
		r.Extras = append(r.Extras, alarm.Extra{})
	}
	places := make([]int, len(r.List))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(i, j int) int { return r.List[i].Stage - r.List[j].Stage })
	list, extras := make([]alarm.Rule, len(places)), make([]alarm.Extra, len(places))
	for to, from := range places {
		list[to], extras[to] = r.List[from], r.Extras[from]
	}
	r.List, r.Extras = list, extras
	for i := range list {
		if stage := list[i].Stage; stage < 1 || stage > math.MaxUint8 || i > 0 && stage == list[i-1].Stage {
			return fmt.Errorf("stage %d is out of range or given twice", stage)
		}
	}
	return nil
}

// Resolve replaces references that the successor leaves in saved rules, where
// the value is beyond doubt (§11.5). plan is the directive's: the successor saves no
// labels of custom data.
func (r *Rules) Resolve(plan *directive.Plan) error {
	stages := r.stages()
	for i := range r.List {
		rule := &r.List[i]
		for _, f := range originFields {
			text := textOf(rule, f.field)
			if !directive.RefersTo(*text, rule.Stage, stages) || !r.mayRefer(rule, f.field) {
				continue
			}
			value, err := r.valueOf(f.field, labelOf(plan, rule.Stage, f.field))
			if err != nil {
				return fmt.Errorf("stage %d refers to %q in %s, %w", rule.Stage, *text, f.key, err)
			}
			*text = value
			if f.field&backlogs.CustomData != 0 {
				r.copied = append(r.copied, place{i, f.field})
			}
		}
	}
	return nil
}

// mayRefer reports whether a rule is compared in a field and can have a reference
// there: any file but the successor's has resolved those to custom data, and what still
// looks like one is text.
func (r *Rules) mayRefer(rule *alarm.Rule, field directive.Fields) bool {
	return field&backlogs.CustomData == 0 || r.Saved.Successor && rule.Type == directive.PluginRule.String()
}

// valueOf returns what a reference to a field must mean. label is that of custom data,
// "" if unknown.
func (r *Rules) valueOf(field directive.Fields, label string) (string, error) {
	switch field {
	case directive.SrcIP:
		return onlyAddress(r.Saved.SrcIPs)
	case directive.DstIP:
		return onlyAddress(r.Saved.DstIPs)
	case directive.SrcPort, directive.DstPort:
		return "", errors.New("whose value the file does not tell")
	default:
		return onlyContent(r.Saved.CustomData, label)
	}
}

func onlyAddress(list []netip.Addr) (string, error) {
	if len(list) != 1 {
		return "", fmt.Errorf("and the backlog has %d addresses it could mean", len(list))
	}
	return list[0].String(), nil
}

// onlyContent returns the one content that there is, or that has a label, without
// regard to case; "" if no event had any (D18).
func onlyContent(list []alarm.CustomData, label string) (string, error) {
	contents := different(list, func(string) bool { return true })
	if labelled := different(list, func(of string) bool { return of == label }); label != "" && len(labelled) > 0 {
		contents = labelled
	}
	switch len(contents) {
	case 0:
		return "", nil
	case 1:
		return contents[0], nil
	}
	return "", fmt.Errorf("and the backlog has %d contents it could mean", len(contents))
}

// different returns the contents with certain labels, once each.
func different(list []alarm.CustomData, labelled func(string) bool) []string {
	var contents []string
	for _, c := range list {
		same := func(other string) bool { return directive.EqualFolded(c.Content, directive.Fold(other)) }
		if labelled(c.Label) && !slices.ContainsFunc(contents, same) {
			contents = append(contents, c.Content)
		}
	}
	return contents
}

// labelOf returns the label that a directive gives a field of custom data in a stage or
// else in the nearest one before it, "" if there is none.
func labelOf(plan *directive.Plan, stage int, field directive.Fields) (label string) {
	for i := range plan.Stages {
		rule := plan.Rule(i)
		for k, text := range rule.CustomLabel {
			if rule.Stage <= stage && text != "" && directive.CustomDataField(k) == field {
				label = text
			}
		}
	}
	return label
}

func (r *Rules) stages() []int {
	stages := make([]int, len(r.List))
	for i := range r.List {
		stages[i] = r.List[i].Stage
	}
	return stages
}

// Bind finds the creating event's values with which the plan's rules are the
// saved ones, and reports whether there are any.
func (r *Rules) Bind(plan *directive.Plan) bool {
	if len(plan.Stages) != len(r.List) {
		return false
	}
	r.Origin, r.Data, r.Known = backlogs.Origin{}, nil, 0
	for i := range plan.Stages {
		s, rule := &plan.Stages[i], &r.List[i]
		if told := r.Extras[i].Origin; told != nil && fieldsOf(told) != s.Origin {
			return false
		}
		if !r.learn(s.Origin, rule) {
			return false
		}
		var want alarm.Rule
		FillRule(&want, plan, i, &r.Origin, r.Data)
		if !sameRule(&want, rule) {
			return false
		}
	}
	return true
}

// learn takes the creating event's values from the texts of a rule, and
// reports whether they are values and agree with those of the rules before.
func (r *Rules) learn(fields directive.Fields, rule *alarm.Rule) bool {
	return r.learnAddress(fields&directive.SrcIP, rule.From, &r.Origin.Src) &&
		r.learnAddress(fields&directive.DstIP, rule.To, &r.Origin.Dst) &&
		r.learnPort(fields&directive.SrcPort, rule.PortFrom, &r.Origin.SrcPort) &&
		r.learnPort(fields&directive.DstPort, rule.PortTo, &r.Origin.DstPort) &&
		r.learnCustomData(fields, rule)
}

func (r *Rules) learnAddress(field directive.Fields, text string, value *memory.Address) bool {
	if field == 0 {
		return true
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return false
	}
	return learn(r, field, memory.ToAddress(addr), value)
}

func (r *Rules) learnPort(field directive.Fields, text string, value *uint16) bool {
	if field == 0 {
		return true
	}
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && learn(r, field, uint16(port), value)
}

func (r *Rules) learnCustomData(fields directive.Fields, rule *alarm.Rule) bool {
	for i, text := range rule.CustomData {
		field := directive.CustomDataField(i)
		if !fields.Has(field) {
			continue
		}
		if r.Data == nil {
			r.Data = &backlogs.OpeningData{}
		}
		if !learn(r, field, text, &r.Data.Texts[i]) {
			return false
		}
	}
	return true
}

func learn[T comparable](r *Rules, field directive.Fields, got T, value *T) bool {
	if r.Known.Has(field) {
		return got == *value
	}
	r.Known |= field
	*value = got
	return true
}

// sameRule reports whether two rules are the same but for their state.
func sameRule(a, b *alarm.Rule) bool {
	return a.Name == b.Name && a.Stage == b.Stage && a.Occurrence == b.Occurrence &&
		a.From == b.From && a.To == b.To && a.PortFrom == b.PortFrom && a.PortTo == b.PortTo &&
		a.PluginID == b.PluginID && slices.Equal(a.PluginSID, b.PluginSID) &&
		slices.Equal(a.Product, b.Product) && a.Category == b.Category &&
		slices.Equal(a.Subcategory, b.Subcategory) && a.Type == b.Type && a.Protocol == b.Protocol &&
		a.Reliability == b.Reliability && a.Timeout == b.Timeout && a.StickyDifferent == b.StickyDifferent &&
		a.CustomData == b.CustomData && a.CustomLabel == b.CustomLabel
}

// Generalize returns rules in which the values of the creating event are told apart
// from the texts of the directive, and a signature that identifies them: by the file if
// it tells, else single hosts and ports are taken for such values. Backlogs of one older
// form of a directive then share a plan and are found by their values, however many
// there are.
func (r *Rules) Generalize() (*General, error) {
	r.Origin, r.Data, r.Known = backlogs.Origin{}, nil, 0
	g := &General{rules: make([]directive.Rule, len(r.List)), joins: make([]directive.Fields, len(r.List))}
	for i := range r.List {
		rule, err := toRule(&r.List[i])
		if err != nil {
			return nil, fmt.Errorf("stage %d: %w", r.List[i].Stage, err)
		}
		g.joins[i] = r.abstract(&rule, i)
		if err := checkTerms(&rule); err != nil {
			return nil, fmt.Errorf("stage %d: %w", rule.Stage, err)
		}
		g.rules[i] = rule
	}
	return g, nil
}

// General is the rules of saved backlogs without the values of their creating events.
type General struct {
	rules []directive.Rule
	// joins are the fields in which each must equal the creating event.
	joins []directive.Fields
}

// Signature identifies the rules.
func (g *General) Signature() string {
	return fmt.Sprintf("%q %v", fmt.Sprintf("%+v", g.rules), g.joins)
}

// Plan compiles the rules for backlogs of a directive whose plan is given. The first rule is not narrowed again: it has
// been when the backlog was opened, if it had to be.
func (g *General) Plan(current *directive.Plan) *directive.Plan {
	plan := directive.CompileResolved(&directive.Directive{
		ID: current.ID, Name: current.Name, Kingdom: current.Kingdom, Category: current.Category,
		Priority: current.Priority, AllRulesAlwaysActive: current.AllRulesAlwaysActive, Rules: g.rules,
	})
	for i := range plan.Stages {
		join := g.joins[i]
		plan.Stages[i].Origin |= join
		if g.rules[i].Type == directive.TaxonomyRule {
			join &^= directive.CustomData1 | directive.CustomData2 | directive.CustomData3 // shown, not compared (D11)
		}
		plan.Stages[i].Join |= join
	}
	return plan
}

// abstract replaces values of the creating event by ANY in rule i and returns
// their fields: those that the file tells of, or single hosts and ports and what Resolve
// has filled in.
func (r *Rules) abstract(rule *directive.Rule, i int) directive.Fields {
	saved, fields := &r.List[i], directive.SrcIP|directive.DstIP|directive.SrcPort|directive.DstPort
	if told := r.Extras[i].Origin; told != nil {
		fields = fieldsOf(told)
	}
	for _, c := range r.copied {
		if c.rule == i {
			fields |= c.field
		}
	}
	var joins directive.Fields
	take := func(field directive.Fields, text *string) {
		if fields.Has(field) && r.learn(field, saved) {
			joins |= field
			*text = "ANY"
		}
	}
	take(directive.SrcIP, &rule.From)
	take(directive.DstIP, &rule.To)
	take(directive.SrcPort, &rule.PortFrom)
	take(directive.DstPort, &rule.PortTo)
	for i := range rule.CustomData {
		take(directive.CustomDataField(i), &rule.CustomData[i])
	}
	return joins
}

func toRule(a *alarm.Rule) (directive.Rule, error) {
	sticky, ok := directive.ParseSticky(a.StickyDifferent)
	if !ok {
		return directive.Rule{}, fmt.Errorf("sticky_different: %q is not a field", a.StickyDifferent)
	}
	r := directive.Rule{
		Name: a.Name, Stage: a.Stage, Occurrence: a.Occurrence,
		From: a.From, To: a.To, PortFrom: a.PortFrom, PortTo: a.PortTo,
		Protocol: a.Protocol, Reliability: a.Reliability, Timeout: a.Timeout,
		PluginID: a.PluginID, PluginSID: a.PluginSID,
		Product: a.Product, Category: a.Category, Subcategory: a.Subcategory,
		StickyDifferent: sticky, CustomData: a.CustomData, CustomLabel: a.CustomLabel,
	}
	switch a.Type {
	case directive.PluginRule.String():
	case directive.TaxonomyRule.String():
		r.Type = directive.TaxonomyRule
	default:
		return r, fmt.Errorf("type: %q is not a rule type", a.Type)
	}
	return r, nil
}

func checkTerms(r *directive.Rule) error {
	for _, text := range []string{r.From, r.To} {
		if term, err := directive.ParseAddress(text); err != nil || term.Kind == directive.AddressReference {
			return fmt.Errorf("%q is not an address to compare with", text)
		}
	}
	for _, text := range []string{r.PortFrom, r.PortTo} {
		if term, err := directive.ParseResolvedPort(text); err != nil || term.Kind == directive.PortReference {
			return fmt.Errorf("%q is not a port to compare with", text)
		}
	}
	return nil
}

// FillRule makes the document of a plan's rule with the values of a backlog's
// creating event.
func FillRule(out *alarm.Rule, plan *directive.Plan, i int, o *backlogs.Origin, data *backlogs.OpeningData) {
	s, r := &plan.Stages[i], plan.Rule(i)
	*out = alarm.Rule{
		Name: r.Name, Stage: r.Stage, Occurrence: r.Occurrence,
		From: r.From, To: r.To, PortFrom: r.PortFrom, PortTo: r.PortTo,
		PluginID: r.PluginID, PluginSID: r.PluginSID,
		Product: r.Product, Category: r.Category, Subcategory: r.Subcategory,
		Type: r.Type.String(), Protocol: r.Protocol,
		Reliability: r.Reliability, Timeout: r.Timeout,
		StickyDifferent: r.StickyDifferent.String(),
		CustomData:      r.CustomData, CustomLabel: r.CustomLabel,
	}
	if s.Origin.Has(directive.SrcIP) {
		out.From = o.Src.Addr().String()
	}
	if s.Origin.Has(directive.DstIP) {
		out.To = o.Dst.Addr().String()
	}
	if s.Origin.Has(directive.SrcPort) {
		out.PortFrom = strconv.Itoa(int(o.SrcPort))
	}
	if s.Origin.Has(directive.DstPort) {
		out.PortTo = strconv.Itoa(int(o.DstPort))
	}
	for i := range event.CustomFields {
		if s.Origin.Has(directive.CustomDataField(i)) {
			out.CustomData[i] = ""
			if data != nil {
				out.CustomData[i] = data.Texts[i]
			}
		}
	}
}

// StickyValues returns the saved values of a sticky_different field. Others, such
// as a text where an address or a port is compared, can equal no event's.
func StickyValues(kind directive.Sticky, x *alarm.Extra) []backlogs.Sticky {
	var values []backlogs.Sticky
	switch kind {
	case directive.StickySrcIP, directive.StickyDstIP:
		for _, text := range x.StickyTexts {
			if addr, err := netip.ParseAddr(text); err == nil {
				a := memory.ToAddress(addr.WithZone(""))
				values = append(values, backlogs.Sticky{Hi: a.Hi, Lo: a.Lo})
			}
		}
	case directive.StickyCustomData1, directive.StickyCustomData2, directive.StickyCustomData3:
		for _, text := range x.StickyTexts {
			values = append(values, backlogs.StickyText(text))
		}
		for _, hash := range x.StickyNumbers {
			values = append(values, backlogs.Sticky{Hi: hash, Lo: 1})
		}
	case directive.StickyPluginSID, directive.StickySrcPort, directive.StickyDstPort:
		for _, n := range x.StickyNumbers {
			values = append(values, backlogs.Sticky{Lo: n})
		}
	case directive.NoSticky:
	}
	return values
}

// originFields are the fields that rules can take from the opening event, by
// the keys of the rule.
var originFields = []struct { //nolint:gochecknoglobals // a table that never changes
	key   string
	field directive.Fields
}{
	{"from", directive.SrcIP},
	{"to", directive.DstIP},
	{"port_from", directive.SrcPort},
	{"port_to", directive.DstPort},
	{"custom_data1", directive.CustomData1},
	{"custom_data2", directive.CustomData2},
	{"custom_data3", directive.CustomData3},
}

// OriginKeys returns the keys of fields; the list is never nil.
func OriginKeys(fields directive.Fields) []string {
	keys := []string{}
	for _, f := range originFields {
		if fields.Has(f.field) {
			keys = append(keys, f.key)
		}
	}
	return keys
}

// textOf returns where a rule has the text of a field.
func textOf(rule *alarm.Rule, field directive.Fields) *string {
	switch field {
	case directive.SrcIP:
		return &rule.From
	case directive.DstIP:
		return &rule.To
	case directive.SrcPort:
		return &rule.PortFrom
	case directive.DstPort:
		return &rule.PortTo
	case directive.CustomData1:
		return &rule.CustomData[0]
	case directive.CustomData2:
		return &rule.CustomData[1]
	default:
		return &rule.CustomData[2]
	}
}

// fieldsOf returns the fields of keys; unknown ones are passed over.
func fieldsOf(keys []string) directive.Fields {
	var fields directive.Fields
	for _, f := range originFields {
		if slices.Contains(keys, f.key) {
			fields |= f.field
		}
	}
	return fields
}

// AddSticky adds a sticky_different value to the saved form of its rule.
func AddSticky(v backlogs.Sticky, kind directive.Sticky, x *alarm.Extra) {
	switch kind {
	case directive.StickySrcIP, directive.StickyDstIP:
		x.StickyTexts = append(x.StickyTexts, memory.Address{Hi: v.Hi, Lo: v.Lo}.Addr().String())
	case directive.StickyCustomData1, directive.StickyCustomData2, directive.StickyCustomData3:
		if v.Lo != 0 {
			x.StickyNumbers = append(x.StickyNumbers, v.Hi)
			return
		}
		x.StickyTexts = append(x.StickyTexts, v.Text)
	case directive.StickyPluginSID, directive.StickySrcPort, directive.StickyDstPort:
		x.StickyNumbers = append(x.StickyNumbers, v.Lo)
	case directive.NoSticky:
	}
}
