package correlate

import (
	"cmp"
	"iter"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// fill makes the alarm document of a backlog as it is now.
func (e *Engine) fill(a *alarm.Alarm, b *backlog) {
	v := e.variantOf(b)
	current := v.owner.current.plan
	*a = alarm.Alarm{
		ID:       e.id(b),
		Title:    e.title(b),
		Status:   e.opts.Status,
		Tag:      e.opts.Tag,
		Kingdom:  current.Kingdom,
		Category: current.Category,
		Created:  b.created,
		Updated:  b.updated,
		Risk:     min(int(b.risk), alarm.MaxRisk),
		Class:    b.class,
		Rules:    make([]alarm.Rule, len(v.stages)),
		SrcIPs:   addrs(e.sources(b)),
		DstIPs:   addrs(e.destinations(b)),
	}
	a.Networks = slices.Clone(e.networks(b))
	x := e.store.extra(b)
	for i := range a.Rules {
		out := &a.Rules[i]
		fillRule(out, v.plan, i, &b.origin, x.origin())
		if i < int(b.reached) {
			p := e.progress(b, i)
			out.Start, out.End, out.Status = p.start, p.end, p.status
		}
	}
	if x == nil {
		return
	}
	if x.found != nil {
		a.IntelHits, a.Vulnerabilities = x.found.hits()
	}
	if x.custom != nil {
		a.CustomData = slices.Clone(x.custom.All())
	}
	a.Truncated = x.truncated()
}

func addrs(list []memory.Address) []netip.Addr {
	out := make([]netip.Addr, len(list))
	for i, a := range list {
		out[i] = a.Addr()
	}
	return out
}

// The texts in a directive's name that stand for the creating event's addresses.
const srcToken, dstToken = "SRC_IP", "DST_IP"

// title returns the alarm's title (D4, D23).
func (e *Engine) title(b *backlog) string {
	name := e.variantOf(b).owner.current.plan.Name
	if e.opts.LiteralTitles {
		return name
	}
	if x := e.store.extra(b); x != nil && x.rare != nil && x.rare.title != "" {
		return x.rare.title
	}
	for _, part := range []struct {
		token string
		value memory.Address
	}{{srcToken, b.origin.src}, {dstToken, b.origin.dst}} {
		if strings.Contains(name, part.token) {
			addr := part.value.Addr()
			name = strings.ReplaceAll(name, part.token, cmp.Or(e.assets.Name(addr), addr.String()))
		}
	}
	return name
}

// fillRule makes the document of a plan's rule with the values of a backlog's
// creating event.
func fillRule(out *alarm.Rule, plan *directive.Plan, i int, o *origin, data *openerData) {
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
		out.From = o.src.Addr().String()
	}
	if s.Origin.Has(directive.DstIP) {
		out.To = o.dst.Addr().String()
	}
	if s.Origin.Has(directive.SrcPort) {
		out.PortFrom = strconv.Itoa(int(o.srcPort))
	}
	if s.Origin.Has(directive.DstPort) {
		out.PortTo = strconv.Itoa(int(o.dstPort))
	}
	for i := range event.CustomFields {
		if s.Origin.Has(directive.CustomDataField(i)) {
			out.CustomData[i] = ""
			if data != nil {
				out.CustomData[i] = data.texts[i]
			}
		}
	}
}

// Save returns the saved form of all live backlogs with their directives' ids:
// directives in load order, the backlogs of each oldest first. The engine is
// unchanged. See Snapshot for steps that are taken meanwhile.
func (e *Engine) Save() iter.Seq2[uint64, alarm.Saved] {
	s := e.Snapshot()
	s.Sort()
	return s.All()
}

// Snapshot is a list of the backlogs that lived at a time.
type Snapshot struct {
	engine *Engine
	live   []saving
}

// saving is a backlog whose turn to be saved will come.
type saving struct {
	backlog handle
	opened  opening
}

// Snapshot lists the live backlogs, in no order. It only notes where they are,
// which takes some 4 ms for a hundred thousand.
func (e *Engine) Snapshot() *Snapshot {
	s := &Snapshot{engine: e, live: make([]saving, 0, e.timers.len())}
	for b := range e.store.all() {
		s.live = append(s.live, saving{b.self, e.opening(b)})
	}
	return s
}

// Sort puts the backlogs in the order of Save. It leaves the engine alone: any
// goroutine may do it while the engine takes steps.
func (s *Snapshot) Sort() {
	const turn = 1024 // comparisons until other goroutines have their turn
	n := 0
	slices.SortFunc(s.live, func(a, b saving) int {
		if n++; n%turn == 0 {
			runtime.Gosched()
		}
		return cmp.Or(cmp.Compare(a.opened.directive, b.opened.directive), a.opened.compare(b.opened))
	})
}

// All returns the saved form of the backlogs with their directives' ids. The
// engine may take steps between two elements, not while one is made: each backlog
// is as it is when its turn comes, and those closed by then are left out.
func (s *Snapshot) All() iter.Seq2[uint64, alarm.Saved] {
	e := s.engine
	return func(yield func(uint64, alarm.Saved) bool) {
		for _, one := range s.live {
			b := e.store.find(one.backlog)
			if b != nil && e.opening(b) == one.opened && !yield(e.variantOf(b).plan.ID, e.save(b)) {
				return
			}
		}
	}
}

// saveOpening sets what Restore would not take to be so otherwise, of the times of the
// backlog's events and of the one that opened it.
func (e *Engine) saveOpening(b *backlog, s *alarm.Saved) {
	current := int(b.current)
	if arrival := b.deadline - e.plan(b, current).Timeout; arrival != e.progress(b, current).start {
		s.Arrival = arrival
	}
	if b.nanos > 0 {
		s.Opened = b.openedAt()
	}
	if opening := b.stages[0].first; b.stages[0].filled && opening != e.records(b, 0)[0] {
		s.Opening = alarm.OtherEvent{ID: opening.ID, Identity: saved(opening.Identity)}
	}
	if b.origin.src != e.sources(b)[0] {
		s.Opener = b.origin.src.Addr()
	}
	if b.latest != e.latestKnown(b) {
		s.Latest = b.latest
	}
}

// saveOver sets what is known of the opening event and of addresses that are not
// listed, beside what the alarm shows.
func (e *Engine) saveOver(b *backlog, s *alarm.Saved) {
	x := e.store.extra(b)
	if x == nil {
		return
	}
	if x.data != nil {
		for i, hash := range x.data.whole {
			s.LongData[i] = event.IDHash(hash)
		}
	}
	if x.over != nil {
		s.Unlisted = alarm.Unlisted{Value: x.over.value, SrcNetworks: slices.Clone(x.over.src), DstNetworks: slices.Clone(x.over.dst)}
	}
	if x.rare != nil {
		s.LineTime, s.LineDue = x.rare.lined, x.rare.due
	}
}

// latestKnown is the latest time of a restored backlog whose file does not tell. It
// has whole seconds only: nothing within the last one is taken to be later.
func (e *Engine) latestKnown(b *backlog) int64 {
	return nanosOf(max(0, e.latestEnd(b))) + perSecond - 1
}

func (e *Engine) save(b *backlog) alarm.Saved {
	s := alarm.Saved{LastSrcPort: b.lastSrc, LastDstPort: b.lastDst}
	e.saveOpening(b, &s)
	e.saveOver(b, &s)
	e.fill(&s.Alarm, b)
	v := e.variantOf(b)
	if name := v.owner.current.plan.Name; s.Title != name {
		s.ExpandedTitle, s.Title = s.Title, name
	}
	s.Extras = make([]alarm.Extra, len(s.Rules))
	for i := range s.Extras {
		s.Extras[i].Origin = originKeys(v.plan.Stages[i].Origin)
	}
	more := e.store.extra(b)
	for i := range int(b.reached) {
		x := &s.Extras[i]
		e.saveEvents(b, i, x)
		for _, v := range more.rest(i).values() {
			v.save(e.plan(b, i).StickyDifferent, x)
		}
	}
	return s
}

// saveEvents adds what a stage has recorded to the saved form of its rule.
func (e *Engine) saveEvents(b *backlog, stage int, x *alarm.Extra) {
	events, others := e.records(b, stage), e.others(b, stage)
	known := len(others) > 0
	for i := range events {
		x.EventIDs = append(x.EventIDs, events[i].ID)
		known = known || events[i].Same != 0
	}
	if !known {
		return
	}
	for i := range events {
		x.Events = append(x.Events, saved(events[i].Identity))
	}
	for _, one := range others {
		x.Others = append(x.Others, alarm.OtherEvent{ID: one.ID, Identity: saved(one.Identity)})
	}
}

func saved(i memory.Identity) alarm.Identity { return alarm.Identity{Same: i.Same, Mark: i.Mark} }

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
		x.StickyTexts = append(x.StickyTexts, memory.Address{Hi: v.hi, Lo: v.lo}.Addr().String())
	case directive.StickyCustomData1, directive.StickyCustomData2, directive.StickyCustomData3:
		if v.lo != 0 {
			x.StickyNumbers = append(x.StickyNumbers, v.hi)
			return
		}
		x.StickyTexts = append(x.StickyTexts, v.text)
	case directive.StickyPluginSID, directive.StickySrcPort, directive.StickyDstPort:
		x.StickyNumbers = append(x.StickyNumbers, v.lo)
	case directive.NoSticky:
	}
}
