package correlate

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"dsiem/internal/correlate/backlogs"
	"dsiem/internal/correlate/resume"

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
	rules, err := resume.ReadRules(s)
	if err != nil {
		return err
	}
	current := slices.IndexFunc(rules.List, func(r alarm.Rule) bool { return r.Status == alarm.Pending })
	if current < 0 {
		return ErrNoActiveStage
	}
	if err := rules.Resolve(owner.current.plan); err != nil {
		return err
	}
	r := restorer{Rules: rules, engine: e, owner: owner, variant: owner.current}
	if !rules.Bind(owner.current.plan) {
		g, err := rules.Generalize()
		if err != nil {
			return err
		}
		r.variant = e.variantWith(owner, g)
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
	*resume.Rules
	engine  *Engine
	owner   *tracked
	variant *variant
}

// variantWith returns the variant of a directive that has other rules than the
// configuration's.
func (e *Engine) variantWith(owner *tracked, g *resume.General) *variant {
	signature := g.Signature()
	v := owner.others[signature]
	if v == nil {
		owner.variants++
		v = e.newVariant(owner, owner.variants, g.Plan(owner.current.plan))
		v.signature = signature
		if owner.others == nil {
			owner.others = map[string]*variant{}
		}
		owner.others[signature] = v
		e.add(v)
	}
	return v
}

// backlog makes the live backlog.
func (r *restorer) backlog(current int) *backlogs.Backlog {
	e, s := r.engine, r.Saved
	b := e.store.Take()
	b.Variant, b.Origin = r.variant.slot, r.Origin
	b.Step = restoredStep + r.owner.restored
	b.Created, b.Updated = s.Created, s.Updated
	b.Current, b.Risk, b.Class = uint8(current), int32(s.Risk), s.Class
	b.LastSrc, b.LastDst = s.LastSrcPort, s.LastDstPort
	r.owner.restored++
	if s.Created > 0 {
		b.Shown = s.Class
	}
	e.store.SetID(b, s.ID)
	b.Origin.Src = recall(s.SrcIPs, b.Origin.Src, r.Known.Has(directive.SrcIP))
	if s.Opener.IsValid() && !r.Known.Has(directive.SrcIP) {
		b.Origin.Src = memory.ToAddress(s.Opener)
	}
	b.Origin.Dst = recall(s.DstIPs, b.Origin.Dst, r.Known.Has(directive.DstIP))
	if r.Data != nil {
		for i, hash := range s.LongData {
			r.Data.Whole[i] = uint64(hash)
		}
		e.store.SetData(b, r.Data)
	}
	r.evidence(b)
	b.Deadline = cmp.Or(s.Arrival, r.List[current].Start) + r.List[current].Timeout
	for i := range r.List {
		if i <= current || r.List[i].Start > 0 || r.List[i].Status != alarm.Pending || len(r.Extras[i].EventIDs) > 0 {
			r.progress(b, i)
		}
	}
	b.Latest = cmp.Or(s.Latest, e.latestKnown(b))
	if nanos := s.Opened - memory.NanosOf(b.Stages[0].Start); nanos > 0 && nanos < memory.PerSecond {
		b.Nanos = int32(nanos)
	}
	return b
}

// evidence restores what the alarm shows beyond addresses.
func (r *restorer) evidence(b *backlogs.Backlog) {
	s, store := r.Saved, &r.engine.store
	title := s.ExpandedTitle
	if title == "" && s.Title != r.owner.current.plan.Name {
		title = s.Title
	}
	if title != "" && title != r.engine.title(b) { // most are made of the origin as they were
		store.More(b).Rarely().Title = title
	}
	if len(s.Networks) > 0 {
		r.engine.restoreNetworks(b, s.Networks, s.SrcIPs, s.DstIPs)
	}
	if len(s.IntelHits)+len(s.Vulnerabilities) > 0 {
		store.AddHits(b, s.IntelHits, s.Vulnerabilities)
	}
	r.listed(b)
	if s.LineTime != 0 || s.LineDue {
		r.engine.restoreLine(b, s.LineTime, s.LineDue)
	}
}

// listed restores the addresses and custom data of the alarm; an older version kept
// as many as there were.
func (r *restorer) listed(b *backlogs.Backlog) {
	e, s := r.engine, r.Saved
	if s.Truncated != (alarm.Truncated{}) {
		*e.store.More(b).Overs() = backlogs.Over{
			Counts: s.Truncated, Value: s.Unlisted.Value,
			Src: slices.Clone(s.Unlisted.SrcNetworks), Dst: slices.Clone(s.Unlisted.DstNetworks),
		}
	}
	// A side of which there is more than the creating event's address is empty at first, so
	// that nothing is counted twice.
	src, dst := !onlyOne(s.SrcIPs, b.Origin.Src), !onlyOne(s.DstIPs, b.Origin.Dst)
	if src {
		e.store.More(b).Src = &memory.Set[memory.Address]{}
	}
	if dst {
		e.store.More(b).Dst = &memory.Set[memory.Address]{}
	}
	for i := 0; src && i < len(s.SrcIPs); i++ {
		e.addSource(b, memory.ToAddress(s.SrcIPs[i]))
	}
	for i := 0; dst && i < len(s.DstIPs); i++ {
		e.addDestination(b, memory.ToAddress(s.DstIPs[i]))
	}
	for _, c := range s.CustomData {
		if !e.store.AddOneCustomData(b, backlogs.Cut(c.Label), backlogs.Cut(c.Content)) {
			e.store.More(b).Overs().Counts.CustomData++
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
func (r *restorer) progress(b *backlogs.Backlog, i int) {
	e, rule, x := r.engine, &r.List[i], &r.Extras[i]
	*e.store.Reach(b, i) = backlogs.Progress{Start: rule.Start, End: rule.End, Status: rule.Status}
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
		if e.store.Recorded(b, i, other.ID) != nil {
			e.recordOther(b, i, recordOf(other))
		}
	}
	if p := &b.Stages[0]; i == 0 && p.Filled && r.Saved.Opening.ID != 0 {
		if events := &e.store.More(b).RestOf(0).Events; events.Len() == 0 {
			events.Add(e.keys.Salt, p.First)
		}
		p.First = recordOf(r.Saved.Opening)
		r.owner.forgetful = true
	}
	kind, _ := directive.ParseSticky(rule.StickyDifferent)
	for _, v := range resume.StickyValues(kind, x) {
		e.store.AddValue(b, i, v)
	}
}

func recordOf(saved alarm.OtherEvent) memory.Record {
	return memory.Record{ID: saved.ID, Identity: memory.Identity{Same: saved.Same, Mark: saved.Mark}}
}
