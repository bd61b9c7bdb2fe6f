package correlate

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"dsiem/internal/alarm"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// fill makes the alarm document of a backlog as it is now.
func (e *Engine) fill(a *alarm.Alarm, b *backlog) {
	current := b.variant.owner.current.plan
	*a = alarm.Alarm{
		ID:       b.id,
		Title:    e.title(b),
		Status:   e.opts.Status,
		Tag:      e.opts.Tag,
		Kingdom:  current.Kingdom,
		Category: current.Category,
		Created:  b.created,
		Updated:  b.updated,
		Risk:     min(int(b.risk), alarm.MaxRisk),
		Class:    b.class,
		Rules:    make([]alarm.Rule, len(b.variant.stages)),
		SrcIPs:   addrs(b.sources()),
		DstIPs:   addrs(b.destinations()),
	}
	for i := range a.Rules {
		b.fillRule(&a.Rules[i], i)
	}
	if x := b.evidence; x != nil {
		a.Networks = slices.Clone(x.networks)
		a.IntelHits = slices.Clone(x.intel)
		a.Vulnerabilities = slices.Clone(x.vulns)
		a.CustomData = slices.Clone(x.custom.all())
	}
}

func addrs(list []address) []netip.Addr {
	out := make([]netip.Addr, len(list))
	for i, a := range list {
		out[i] = a.addr()
	}
	return out
}

// The texts in a directive's name that stand for the creating event's addresses.
const srcToken, dstToken = "SRC_IP", "DST_IP"

// title returns the alarm's title (D4, D23).
func (e *Engine) title(b *backlog) string {
	name := b.variant.owner.current.plan.Name
	if e.opts.LiteralTitles {
		return name
	}
	if b.evidence != nil && b.evidence.title != "" {
		return b.evidence.title
	}
	for _, part := range []struct {
		token string
		value address
	}{{srcToken, b.origin.src}, {dstToken, b.origin.dst}} {
		if strings.Contains(name, part.token) {
			addr := part.value.addr()
			name = strings.ReplaceAll(name, part.token, cmp.Or(e.assets.Name(addr), addr.String()))
		}
	}
	return name
}

// fillRule makes the document of rule i with its state.
func (b *backlog) fillRule(out *alarm.Rule, i int) {
	r := b.variant.plan.Rule(i)
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
	b.origin.show(out, b.plan(i).Origin)
	if i < len(b.stages) {
		p := &b.stages[i]
		out.Start, out.End, out.Status = p.start, p.end, p.status
	}
}

// show puts the creating event's values in place of resolved references.
func (o *origin) show(out *alarm.Rule, fields directive.Fields) {
	if fields.Has(directive.SrcIP) {
		out.From = o.src.addr().String()
	}
	if fields.Has(directive.DstIP) {
		out.To = o.dst.addr().String()
	}
	if fields.Has(directive.SrcPort) {
		out.PortFrom = strconv.Itoa(int(o.srcPort))
	}
	if fields.Has(directive.DstPort) {
		out.PortTo = strconv.Itoa(int(o.dstPort))
	}
	for i := range event.CustomFields {
		if fields.Has(directive.CustomDataField(i)) {
			out.CustomData[i] = o.custom(i)
		}
	}
}

// Save returns the saved form of all live backlogs with their directives' ids:
// directives in load order, the backlogs of each oldest first. The engine is
// unchanged. It may take steps between two elements: each backlog is as it is
// when its turn comes, those closed by then and those opened since Save are
// left out.
func (e *Engine) Save() iter.Seq2[uint64, alarm.Saved] {
	live := slices.Clone(e.timers)
	slices.SortFunc(live, func(a, b *backlog) int {
		return cmp.Or(cmp.Compare(a.variant.owner.order, b.variant.owner.order), a.opened.compare(b.opened))
	})
	return func(yield func(uint64, alarm.Saved) bool) {
		for _, b := range live {
			if b.timer != gone && !yield(b.variant.plan.ID, e.save(b)) {
				return
			}
		}
	}
}

func (e *Engine) save(b *backlog) alarm.Saved {
	s := alarm.Saved{LastSrcPort: b.lastSrc, LastDstPort: b.lastDst}
	e.fill(&s.Alarm, b)
	if name := b.variant.owner.current.plan.Name; s.Title != name {
		s.ExpandedTitle, s.Title = s.Title, name
	}
	s.Extras = make([]alarm.Extra, len(s.Rules))
	for i := range s.Extras {
		s.Extras[i].Origin = originKeys(b.plan(i).Origin)
	}
	for i := range b.stages {
		p, x := &b.stages[i], &s.Extras[i]
		x.EventIDs = slices.Clone(p.ids())
		for _, v := range p.values() {
			v.save(b.plan(i).StickyDifferent, x)
		}
	}
	return s
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

// originKeys returns the keys of fields; the list is never nil.
func originKeys(fields directive.Fields) []string {
	keys := []string{}
	for _, f := range originFields {
		if fields.Has(f.field) {
			keys = append(keys, f.key)
		}
	}
	return keys
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

// save adds a sticky_different value to the saved form of its rule.
func (v sticky) save(kind directive.Sticky, x *alarm.Extra) {
	switch kind {
	case directive.StickySrcIP, directive.StickyDstIP:
		x.StickyTexts = append(x.StickyTexts, address{v.hi, v.lo}.addr().String())
	case directive.StickyCustomData1, directive.StickyCustomData2, directive.StickyCustomData3:
		x.StickyTexts = append(x.StickyTexts, v.text)
	case directive.StickyPluginSID, directive.StickySrcPort, directive.StickyDstPort:
		x.StickyNumbers = append(x.StickyNumbers, v.lo)
	case directive.NoSticky:
	}
}
