package correlate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
)

// The reasons for which a saved backlog is not restored.
var (
	ErrNoDirective   = errors.New("no enabled directive has this id")
	ErrOtherTitle    = errors.New("the directive has another name now")
	ErrNoActiveStage = errors.New("every rule has a status, so no stage is left to wait for")
)

// Restore adds a saved backlog to the engine, behind those restored before. Its
// rules stay as they were saved; what the alarm is called and how it is scored
// comes from the configuration (§11.3). Call it before the first Step; the
// backlog expires with the first step or Expire that finds it due. An error
// says why the backlog cannot live on; the engine is then unchanged.
func (e *Engine) Restore(id uint64, s *alarm.Saved) error {
	place, ok := e.places[id]
	if !ok {
		return ErrNoDirective
	}
	owner := &e.tracked[place]
	if !e.titleFits(owner.current.plan.Name, s) {
		return fmt.Errorf("%w: %q, not %q", ErrOtherTitle, owner.current.plan.Name, s.Title)
	}
	r := restorer{engine: e, owner: owner, saved: s, rules: slices.Clone(s.Rules), extras: slices.Clone(s.Extras)}
	if err := r.sort(); err != nil {
		return err
	}
	current := slices.IndexFunc(r.rules, func(r alarm.Rule) bool { return r.Status == alarm.Pending })
	if current < 0 {
		return ErrNoActiveStage
	}
	if err := r.resolve(); err != nil {
		return err
	}
	if !r.bind(owner.current.plan) {
		if err := r.generalize(); err != nil {
			return err
		}
	}
	b := r.backlog(current)
	e.admit(b, e.groupKey(b))
	e.enterStages(b)
	return nil
}

// titleFits reports whether a saved title belongs to a directive: it is the
// name, or, in a file of the successor, the name with SRC_IP and DST_IP
// replaced by an address of the backlog or its name.
func (e *Engine) titleFits(name string, s *alarm.Saved) bool {
	if name == s.Title {
		return true
	}
	if !s.Successor {
		return false
	}
	for _, src := range e.names(s.SrcIPs) {
		for _, dst := range e.names(s.DstIPs) {
			if strings.ReplaceAll(strings.ReplaceAll(name, srcToken, src), dstToken, dst) == s.Title {
				return true
			}
		}
	}
	return false
}

// mostNames bounds the addresses that a title is compared with.
const mostNames = 100

// names returns what titles may call addresses.
func (e *Engine) names(list []netip.Addr) []string {
	var names []string
	for _, a := range list[:min(len(list), mostNames)] {
		names = append(names, a.String())
		if name := e.assets.Name(a); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// restorer makes a backlog of its saved form.
type restorer struct {
	engine *Engine
	owner  *tracked
	saved  *alarm.Saved
	rules  []alarm.Rule
	extras []alarm.Extra

	variant *variant
	origin  origin
	data    *openerData      // the creating event's, nil if unknown
	known   directive.Fields // fields of origin and data that the rules tell
}

// sort puts rules, with their extras, in order of stage, and reports a stage
// that stands there twice or is not 1..255.
func (r *restorer) sort() error {
	for len(r.extras) < len(r.rules) {
		r.extras = append(r.extras, alarm.Extra{})
	}
	places := make([]int, len(r.rules))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(i, j int) int { return r.rules[i].Stage - r.rules[j].Stage })
	rules, extras := make([]alarm.Rule, len(places)), make([]alarm.Extra, len(places))
	for to, from := range places {
		rules[to], extras[to] = r.rules[from], r.extras[from]
	}
	r.rules, r.extras = rules, extras
	for i := range rules {
		if stage := rules[i].Stage; stage < 1 || stage > math.MaxUint8 || i > 0 && stage == rules[i-1].Stage {
			return fmt.Errorf("stage %d is out of range or given twice", stage)
		}
	}
	return nil
}

// resolve replaces references that the successor leaves in saved rules, where
// the value is beyond doubt (§11.5).
func (r *restorer) resolve() error {
	stages := r.stages()
	for i := range r.rules {
		rule := &r.rules[i]
		refers := func(text string) bool { return directive.RefersTo(text, rule.Stage, stages) }
		for _, address := range []struct {
			text *string
			from []netip.Addr
		}{{&rule.From, r.saved.SrcIPs}, {&rule.To, r.saved.DstIPs}} {
			switch {
			case !refers(*address.text):
			case len(address.from) != 1:
				return fmt.Errorf("stage %d refers to %q, and the backlog has %d addresses it could mean",
					rule.Stage, *address.text, len(address.from))
			default:
				*address.text = address.from[0].String()
			}
		}
		if text, ok := r.untold(rule, refers); ok {
			return fmt.Errorf("stage %d refers to %q, whose value the file does not tell", rule.Stage, text)
		}
	}
	return nil
}

// untold returns a reference to a port or custom data, whose value a saved
// backlog does not hold.
func (r *restorer) untold(rule *alarm.Rule, refers func(string) bool) (text string, ok bool) {
	texts := []string{rule.PortFrom, rule.PortTo}
	if r.saved.Successor && rule.Type == directive.PluginRule.String() {
		texts = append(texts, rule.CustomData[:]...)
	}
	i := slices.IndexFunc(texts, refers)
	if i < 0 {
		return "", false
	}
	return texts[i], true
}

func (r *restorer) stages() []int {
	stages := make([]int, len(r.rules))
	for i := range r.rules {
		stages[i] = r.rules[i].Stage
	}
	return stages
}

// bind finds the creating event's values with which the plan's rules are the
// saved ones, and makes the plan the backlog's if there are any.
func (r *restorer) bind(plan *directive.Plan) bool {
	if len(plan.Stages) != len(r.rules) {
		return false
	}
	r.origin, r.data, r.known = origin{}, nil, 0
	for i := range plan.Stages {
		s, rule := &plan.Stages[i], &r.rules[i]
		if told := r.extras[i].Origin; told != nil && fieldsOf(told) != s.Origin {
			return false
		}
		if !r.learn(s.Origin, rule) {
			return false
		}
		var want alarm.Rule
		fillRule(&want, plan, i, &r.origin, r.data)
		if !sameRule(&want, rule) {
			return false
		}
	}
	r.variant = r.owner.current
	return true
}

// learn takes the creating event's values from the texts of a rule, and
// reports whether they are values and agree with those of the rules before.
func (r *restorer) learn(fields directive.Fields, rule *alarm.Rule) bool {
	return r.learnAddress(fields&directive.SrcIP, rule.From, &r.origin.src) &&
		r.learnAddress(fields&directive.DstIP, rule.To, &r.origin.dst) &&
		r.learnPort(fields&directive.SrcPort, rule.PortFrom, &r.origin.srcPort) &&
		r.learnPort(fields&directive.DstPort, rule.PortTo, &r.origin.dstPort) &&
		r.learnCustomData(fields, rule)
}

func (r *restorer) learnAddress(field directive.Fields, text string, value *memory.Address) bool {
	if field == 0 {
		return true
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return false
	}
	return learn(r, field, memory.ToAddress(addr), value)
}

func (r *restorer) learnPort(field directive.Fields, text string, value *uint16) bool {
	if field == 0 {
		return true
	}
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && learn(r, field, uint16(port), value)
}

func (r *restorer) learnCustomData(fields directive.Fields, rule *alarm.Rule) bool {
	for i, text := range rule.CustomData {
		field := directive.CustomDataField(i)
		if !fields.Has(field) {
			continue
		}
		if r.data == nil {
			r.data = &openerData{}
		}
		if !learn(r, field, text, &r.data.texts[i]) {
			return false
		}
	}
	return true
}

func learn[T comparable](r *restorer, field directive.Fields, got T, value *T) bool {
	if r.known.Has(field) {
		return got == *value
	}
	r.known |= field
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

// generalize makes a plan of the saved rules, in which the values of the creating
// event are told apart from the texts of the directive: by the file if it tells,
// else single hosts and ports are taken for such values. Backlogs of one older
// form of a directive then share a plan and are found by their values, however
// many there are.
func (r *restorer) generalize() error {
	r.origin, r.data, r.known = origin{}, nil, 0
	rules := make([]directive.Rule, len(r.rules))
	joins := make([]directive.Fields, len(r.rules))
	for i := range r.rules {
		rule, err := toRule(&r.rules[i])
		if err != nil {
			return fmt.Errorf("stage %d: %w", r.rules[i].Stage, err)
		}
		joins[i] = r.abstract(&rule, &r.rules[i], r.extras[i].Origin)
		if err := checkTerms(&rule); err != nil {
			return fmt.Errorf("stage %d: %w", rule.Stage, err)
		}
		rules[i] = rule
	}
	signature := fmt.Sprintf("%q %v", fmt.Sprintf("%+v", rules), joins)
	v := r.owner.others[signature]
	if v == nil {
		r.owner.variants++
		v = r.engine.newVariant(r.owner, r.owner.variants, savedPlan(r.owner.current.plan, rules, joins))
		v.signature = signature
		if r.owner.others == nil {
			r.owner.others = map[string]*variant{}
		}
		r.owner.others[signature] = v
		r.engine.index.add(v)
	}
	r.variant = v
	return nil
}

// savedPlan compiles saved rules. The first rule is not narrowed again: it has
// been when the backlog was opened, if it had to be.
func savedPlan(current *directive.Plan, rules []directive.Rule, joins []directive.Fields) *directive.Plan {
	plan := directive.CompileResolved(&directive.Directive{
		ID: current.ID, Name: current.Name, Kingdom: current.Kingdom, Category: current.Category,
		Priority: current.Priority, AllRulesAlwaysActive: current.AllRulesAlwaysActive, Rules: rules,
	})
	for i := range plan.Stages {
		plan.Stages[i].Origin |= joins[i]
		if rules[i].Type == directive.TaxonomyRule {
			joins[i] &^= directive.CustomData1 | directive.CustomData2 | directive.CustomData3 // shown, not compared (D11)
		}
		plan.Stages[i].Join |= joins[i]
	}
	return plan
}

// abstract replaces values of the creating event by ANY in a rule and returns
// their fields: those that the file tells of, or single hosts and ports.
func (r *restorer) abstract(rule *directive.Rule, saved *alarm.Rule, told []string) directive.Fields {
	fields := directive.SrcIP | directive.DstIP | directive.SrcPort | directive.DstPort
	if told != nil {
		fields = fieldsOf(told)
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

// backlog makes the live backlog.
func (r *restorer) backlog(current int) *backlog {
	e, s := r.engine, r.saved
	b := e.store.take()
	b.variant, b.origin = r.variant.slot, r.origin
	b.step = restoredStep + r.owner.restored
	b.created, b.updated = s.Created, s.Updated
	b.current, b.risk, b.class = uint8(current), int32(s.Risk), s.Class
	b.lastSrc, b.lastDst = s.LastSrcPort, s.LastDstPort
	r.owner.restored++
	if s.Created > 0 {
		b.shown = s.Class
	}
	e.setID(b, s.ID)
	b.origin.src = recall(s.SrcIPs, b.origin.src, r.known.Has(directive.SrcIP))
	if s.Opener.IsValid() && !r.known.Has(directive.SrcIP) {
		b.origin.src = memory.ToAddress(s.Opener)
	}
	b.origin.dst = recall(s.DstIPs, b.origin.dst, r.known.Has(directive.DstIP))
	if r.data != nil {
		for i, hash := range s.LongData {
			r.data.whole[i] = uint64(hash)
		}
		e.store.more(b).data = r.data
	}
	r.evidence(b)
	b.deadline = cmp.Or(s.Arrival, r.rules[current].Start) + r.rules[current].Timeout
	for i := range r.rules {
		if i <= current || r.rules[i].Start > 0 || r.rules[i].Status != alarm.Pending || len(r.extras[i].EventIDs) > 0 {
			r.progress(b, i)
		}
	}
	b.latest = cmp.Or(s.Latest, e.latestKnown(b))
	if nanos := s.Opened - nanosOf(b.stages[0].start); nanos > 0 && nanos < perSecond {
		b.nanos = int32(nanos)
	}
	return b
}

// evidence restores what the alarm shows beyond addresses.
func (r *restorer) evidence(b *backlog) {
	s, store := r.saved, &r.engine.store
	switch {
	case s.ExpandedTitle != "":
		store.more(b).rarely().title = s.ExpandedTitle
	case s.Title != r.owner.current.plan.Name:
		store.more(b).rarely().title = s.Title
	}
	if len(s.Networks) > 0 {
		r.engine.restoreNetworks(b, s.Networks, s.SrcIPs, s.DstIPs)
	}
	if len(s.IntelHits)+len(s.Vulnerabilities) > 0 {
		r.engine.addHits(b, s.IntelHits, s.Vulnerabilities)
	}
	r.listed(b)
	if s.LineTime != 0 || s.LineDue {
		r.engine.restoreLine(b, s.LineTime, s.LineDue)
	}
}

// listed restores the addresses and custom data of the alarm; an older version kept
// as many as there were.
func (r *restorer) listed(b *backlog) {
	e, s := r.engine, r.saved
	if s.Truncated != (alarm.Truncated{}) {
		*e.store.more(b).overs() = over{
			counts: s.Truncated, value: s.Unlisted.Value,
			src: slices.Clone(s.Unlisted.SrcNetworks), dst: slices.Clone(s.Unlisted.DstNetworks),
		}
	}
	// A side of which there is more than the creating event's address is empty at first, so
	// that nothing is counted twice.
	src, dst := !onlyOne(s.SrcIPs, b.origin.src), !onlyOne(s.DstIPs, b.origin.dst)
	if src {
		e.store.more(b).src = &memory.Set[memory.Address]{}
	}
	if dst {
		e.store.more(b).dst = &memory.Set[memory.Address]{}
	}
	for i := 0; src && i < len(s.SrcIPs); i++ {
		e.addSource(b, memory.ToAddress(s.SrcIPs[i]))
	}
	for i := 0; dst && i < len(s.DstIPs); i++ {
		e.addDestination(b, memory.ToAddress(s.DstIPs[i]))
	}
	for _, c := range s.CustomData {
		if !e.addOneCustomData(b, cut(c.Label), cut(c.Content)) {
			e.store.more(b).overs().counts.CustomData++
		}
	}
}

// recall returns the creating event's address. If no rule tells it, it is taken to be
// the first one saved; only titles show it then.
func recall(saved []netip.Addr, origin memory.Address, known bool) memory.Address {
	if !known && len(saved) > 0 {
		return memory.ToAddress(saved[0])
	}
	return origin
}

// onlyOne reports whether an address is the only one that was saved.
func onlyOne(saved []netip.Addr, a memory.Address) bool {
	return len(saved) == 1 && memory.ToAddress(saved[0]) == a
}

// progress restores the state of rule i.
func (r *restorer) progress(b *backlog, i int) {
	e, rule, x := r.engine, &r.rules[i], &r.extras[i]
	*e.reach(b, i) = progress{start: rule.Start, end: rule.End, status: rule.Status}
	for n, id := range x.EventIDs {
		one := memory.Record{ID: id}
		if n < len(x.Events) {
			one.Identity = memory.Identity{Same: x.Events[n].Same, Mark: x.Events[n].Mark}
		}
		e.record(b, i, one)
	}
	if len(x.Events) > 0 {
		r.owner.lastSent = never // not known; see RestoreRemembered
	}
	for _, other := range x.Others {
		if e.recorded(b, i, other.ID) != nil {
			e.recordOther(b, i, recordOf(other))
		}
	}
	if p := &b.stages[0]; i == 0 && p.filled && r.saved.Opening.ID != 0 {
		if events := &e.store.more(b).restOf(0).events; events.Len() == 0 {
			events.Add(e.index.salt, p.first)
		}
		p.first = recordOf(r.saved.Opening)
	}
	kind, _ := directive.ParseSticky(rule.StickyDifferent)
	for _, v := range savedSticky(kind, x) {
		e.store.more(b).restOf(i).addValue(v)
	}
}

func recordOf(saved alarm.OtherEvent) memory.Record {
	return memory.Record{ID: saved.ID, Identity: memory.Identity{Same: saved.Same, Mark: saved.Mark}}
}

// savedSticky returns the saved values of a sticky_different field. Others, such
// as a text where an address or a port is compared, can equal no event's.
func savedSticky(kind directive.Sticky, x *alarm.Extra) []sticky {
	var values []sticky
	switch kind {
	case directive.StickySrcIP, directive.StickyDstIP:
		for _, text := range x.StickyTexts {
			if addr, err := netip.ParseAddr(text); err == nil {
				a := memory.ToAddress(addr.WithZone(""))
				values = append(values, sticky{hi: a.Hi, lo: a.Lo})
			}
		}
	case directive.StickyCustomData1, directive.StickyCustomData2, directive.StickyCustomData3:
		for _, text := range x.StickyTexts {
			values = append(values, stickyText(text))
		}
		for _, hash := range x.StickyNumbers {
			values = append(values, sticky{hi: hash, lo: 1})
		}
	case directive.StickyPluginSID, directive.StickySrcPort, directive.StickyDstPort:
		for _, n := range x.StickyNumbers {
			values = append(values, sticky{lo: n})
		}
	case directive.NoSticky:
	}
	return values
}
