package correlate

import (
	"cmp"
	"iter"
	"net/netip"
	"runtime"
	"slices"
	"strings"

	"dsiem/internal/correlate/backlogs"
	"dsiem/internal/correlate/resume"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate/memory"
	"dsiem/internal/event"
)

// fill makes the alarm document of a backlog as it is now.
func (e *Engine) fill(a *alarm.Alarm, b *backlogs.Backlog) {
	v := e.variantOf(b)
	current := v.owner.current.plan
	*a = alarm.Alarm{
		ID:       e.store.ID(b),
		Title:    e.title(b),
		Status:   e.opts.Status,
		Tag:      e.opts.Tag,
		Kingdom:  current.Kingdom,
		Category: current.Category,
		Created:  b.Created,
		Updated:  b.Updated,
		Risk:     min(int(b.Risk), alarm.MaxRisk),
		Class:    b.Class,
		Rules:    make([]alarm.Rule, len(v.stages)),
		SrcIPs:   addrs(e.store.Sources(b)),
		DstIPs:   addrs(e.store.Destinations(b)),
	}
	a.Networks = slices.Clone(e.store.Networks(b))
	x := e.store.Extra(b)
	for i := range a.Rules {
		out := &a.Rules[i]
		resume.FillRule(out, v.plan, i, &b.Origin, x.Origin())
		if i < int(b.Reached) {
			p := e.store.Progress(b, i)
			out.Start, out.End, out.Status = p.Start, p.End, p.Status
		}
	}
	if x == nil {
		return
	}
	if x.Found != nil {
		a.IntelHits, a.Vulnerabilities = x.Found.Hits()
	}
	if x.Custom != nil {
		a.CustomData = slices.Clone(x.Custom.All())
	}
	a.Truncated = x.Truncated()
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
func (e *Engine) title(b *backlogs.Backlog) string {
	name := e.variantOf(b).owner.current.plan.Name
	if e.opts.LiteralTitles {
		return name
	}
	if x := e.store.Extra(b); x != nil && x.Rare != nil && x.Rare.Title != "" {
		return x.Rare.Title
	}
	for _, part := range []struct {
		token string
		value memory.Address
	}{{srcToken, b.Origin.Src}, {dstToken, b.Origin.Dst}} {
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
	s.IDs = map[event.IDHash]string{}
	e.AddIDs(s.IDs)
	return s.All()
}

// AddIDs adds the event ids that are known as text, those of the events to look back to:
// a sender repeats first of all what it sent last, and an older backend knows that again
// only by the text (§11.5). It takes some 100 ms for the most there can be.
func (e *Engine) AddIDs(ids map[event.IDHash]string) {
	for k := range e.memory.All() {
		if text := e.memory.ID(k); text != "" && len(text) <= backlogs.MostText {
			ids[k.ID] = text
		}
	}
}

// Snapshot is a list of the backlogs that lived at a time.
type Snapshot struct {
	// IDs are what AddIDs gave before All, or nil: a checkpoint has no time for them.
	IDs    map[event.IDHash]string
	engine *Engine
	live   []saving
}

// saving is a backlog whose turn to be saved will come.
type saving struct {
	backlog backlogs.Handle
	opened  opening
}

// Snapshot lists the live backlogs, in no order. It only notes where they are,
// which takes some 4 ms for a hundred thousand.
func (e *Engine) Snapshot() *Snapshot {
	s := &Snapshot{engine: e, live: make([]saving, 0, e.timers.Len())}
	for b := range e.store.All() {
		s.live = append(s.live, saving{b.Self, e.opening(b)})
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
			b := e.store.Find(one.backlog)
			if b == nil || e.opening(b) != one.opened {
				continue
			}
			saved := e.save(b)
			saved.IDs = s.IDs
			if !yield(e.variantOf(b).plan.ID, saved) {
				return
			}
		}
	}
}

// saveOpening sets what Restore would not take to be so otherwise, of the times of the
// backlog's events and of the one that opened it.
func (e *Engine) saveOpening(b *backlogs.Backlog, s *alarm.Saved) {
	current := int(b.Current)
	if arrival := b.Deadline - e.plan(b, current).Timeout; arrival != e.store.Progress(b, current).Start {
		s.Arrival = arrival
	}
	if b.Nanos > 0 {
		s.Opened = b.OpenedAt()
	}
	if opening := b.Stages[0].First; b.Stages[0].Filled && opening != e.store.Records(b, 0)[0] {
		s.Opening = alarm.OtherEvent{ID: opening.ID, Identity: savedIdentity(opening.Identity)}
	}
	if sources := e.store.Sources(b); len(sources) > 0 && b.Origin.Src != sources[0] { // a file may name none
		s.Opener = b.Origin.Src.Addr()
	}
	if b.Latest != e.latestKnown(b) {
		s.Latest = b.Latest
	}
}

// saveOver sets what is known of the opening event and of addresses that are not
// listed, beside what the alarm shows.
func (e *Engine) saveOver(b *backlogs.Backlog, s *alarm.Saved) {
	x := e.store.Extra(b)
	if x == nil {
		return
	}
	if x.Data != nil {
		for i, hash := range x.Data.Whole {
			s.LongData[i] = event.IDHash(hash)
		}
	}
	if x.Over != nil {
		s.Unlisted = alarm.Unlisted{Value: x.Over.Value, SrcNetworks: slices.Clone(x.Over.Src), DstNetworks: slices.Clone(x.Over.Dst)}
	}
	if x.Rare != nil {
		s.LineTime, s.LineDue = x.Rare.Lined, x.Rare.Due
	}
}

// latestKnown is the latest time of a restored backlog whose file does not tell. It
// has whole seconds only: nothing within the last one is taken to be later.
func (e *Engine) latestKnown(b *backlogs.Backlog) int64 {
	return memory.NanosOf(max(0, e.store.LatestEnd(b))) + memory.PerSecond - 1
}

func (e *Engine) save(b *backlogs.Backlog) alarm.Saved {
	s := alarm.Saved{LastSrcPort: b.LastSrc, LastDstPort: b.LastDst}
	e.saveOpening(b, &s)
	e.saveOver(b, &s)
	e.fill(&s.Alarm, b)
	v := e.variantOf(b)
	if name := v.owner.current.plan.Name; s.Title != name {
		s.ExpandedTitle, s.Title = s.Title, name
	}
	s.Extras = make([]alarm.Extra, len(s.Rules))
	for i := range s.Extras {
		s.Extras[i].Origin = resume.OriginKeys(v.plan.Stages[i].Origin)
	}
	more := e.store.Extra(b)
	for i := range int(b.Reached) {
		x := &s.Extras[i]
		e.saveEvents(b, i, x)
		for _, v := range more.Rest(i).Values() {
			resume.AddSticky(v, e.plan(b, i).StickyDifferent, x)
		}
	}
	return s
}

// saveEvents adds what a stage has recorded to the saved form of its rule.
func (e *Engine) saveEvents(b *backlogs.Backlog, stage int, x *alarm.Extra) {
	events, others := e.store.Records(b, stage), e.store.Others(b, stage)
	known := len(others) > 0
	for i := range events {
		x.EventIDs = append(x.EventIDs, events[i].ID)
		known = known || events[i].Same != 0
	}
	if !known {
		return
	}
	for i := range events {
		x.Events = append(x.Events, savedIdentity(events[i].Identity))
	}
	for _, one := range others {
		x.Others = append(x.Others, alarm.OtherEvent{ID: one.ID, Identity: savedIdentity(one.Identity)})
	}
}

func savedIdentity(i memory.Identity) alarm.Identity {
	return alarm.Identity{Same: i.Same, Mark: i.Mark}
}
