package correlate

import (
	"cmp"
	"iter"
	"net/netip"
	"runtime"
	"slices"
	"strings"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate/memory"
	"dsiem/internal/event"
)

// fill makes the alarm document of a backlog as it is now.
func (e *Engine) fill(a *alarm.Alarm, b *backlog) {
	v := e.variantOf(b)
	current := v.owner.current.plan
	*a = alarm.Alarm{
		ID:       e.store.id(b),
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
		SrcIPs:   addrs(e.store.sources(b)),
		DstIPs:   addrs(e.store.destinations(b)),
	}
	a.Networks = slices.Clone(e.store.networks(b))
	x := e.store.extra(b)
	for i := range a.Rules {
		out := &a.Rules[i]
		fillRule(out, v.plan, i, &b.origin, x.origin())
		if i < int(b.reached) {
			p := e.store.progress(b, i)
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
	if arrival := b.deadline - e.plan(b, current).Timeout; arrival != e.store.progress(b, current).start {
		s.Arrival = arrival
	}
	if b.nanos > 0 {
		s.Opened = b.openedAt()
	}
	if opening := b.stages[0].first; b.stages[0].filled && opening != e.store.records(b, 0)[0] {
		s.Opening = alarm.OtherEvent{ID: opening.ID, Identity: saved(opening.Identity)}
	}
	if b.origin.src != e.store.sources(b)[0] {
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
	return nanosOf(max(0, e.store.latestEnd(b))) + perSecond - 1
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
			saveSticky(v, e.plan(b, i).StickyDifferent, x)
		}
	}
	return s
}

// saveEvents adds what a stage has recorded to the saved form of its rule.
func (e *Engine) saveEvents(b *backlog, stage int, x *alarm.Extra) {
	events, others := e.store.records(b, stage), e.store.others(b, stage)
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
