package correlate

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"dsiem/internal/correlate/backlogs"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
)

// emit reports a change of a backlog.
func (e *Engine) emit(b *backlogs.Backlog, c Change) {
	v := e.variantOf(b)
	c.Directive = v.plan.ID
	c.AlarmID = e.store.ID(b)
	c.Order = e.order
	c.Order.directive = v.owner.order
	e.changes = append(e.changes, c)
}

// accept records an event for a stage of a backlog, and reports whether it counts
// (§6.4.1–6).
func (e *Engine) accept(b *backlogs.Backlog, stage int, a *arrived) (counts bool) {
	ev := a.ev
	counts = e.record(b, stage, e.identified(a))
	owner := e.variantOf(b).owner
	owner.lastSent = max(owner.lastSent, a.sent)
	if kind := e.plan(b, stage).StickyDifferent; kind != directive.NoSticky {
		value, r := backlogs.StickyOf(kind, ev), e.store.More(b).RestOf(stage)
		if r.Sticky == nil || !r.Sticky.Has(value) {
			e.addSticky(b, stage, value)
		}
	}
	e.addEvidence(b, a)
	if ev.SrcPort != 0 {
		b.LastSrc = ev.SrcPort
	}
	if ev.DstPort != 0 {
		b.LastDst = ev.DstPort
	}
	b.Updated = e.second
	e.emit(b, Change{
		Kind: Accepted, Stage: int(e.plan(b, stage).Number), EventID: backlogs.Cut(ev.ID),
		Earlier: stage != int(b.Current), ReceivedAt: ev.ReceivedAt, LookedBack: a.lookedBack,
	})
	return counts
}

// addSticky adds a sticky_different value to those of a stage. Beside those of events
// that count, as for the current stage, there is room for so many others.
func (e *Engine) addSticky(b *backlogs.Backlog, stage int, value backlogs.Sticky) {
	most := uint64(e.bounds.ids)
	if stage == int(b.Current) {
		most += e.plan(b, stage).Occurrence
	}
	r := e.store.More(b).RestOf(stage)
	if uint64(len(r.Values())) >= most {
		e.stats.ForgottenIDs++
		return
	}
	value.Text = strings.Clone(value.Text)
	e.store.AddValue(b, stage, value)
}

// complete finishes the current stage: the risk is computed, and the backlog goes
// on to the next stage or is done (§6.4.8–10). The next stage begins, for events,
// where this one ended, and for the clock, now (D29, D31). It reports whether a stage
// began.
func (e *Engine) complete(b *backlogs.Backlog) (began bool) {
	current := int(b.Current)
	p := e.store.Progress(b, current)
	p.Status = alarm.Finished
	p.End = memory.SecondsOf(b.Latest)
	start := p.End
	e.forgetIDs(b, current)
	before := b.Risk
	e.assess(b, int(e.plan(b, current).Reliability))
	next := e.store.NextStage(b, len(e.variantOf(b).stages))
	if next < 0 {
		e.update(b, before, true)
		e.emit(b, Change{Kind: Finished, Stage: int(e.plan(b, current).Number)})
		e.countSilent(b)
		e.close(b)
		return false
	}
	e.leaveStages(b)
	e.store.Reach(b, next).Start = start
	b.Current = uint8(next)
	b.Deadline = e.second + e.plan(b, next).Timeout
	e.timers.Fix(b)
	e.enterStages(b)
	e.emit(b, Change{Kind: Advanced, Stage: int(e.plan(b, next).Number)})
	e.update(b, before, true)
	return true
}

// value returns the largest value of the assets that a backlog's addresses are in, 0 if
// they are in none.
func (e *Engine) value(b *backlogs.Backlog) int {
	value := 0
	if x := e.store.Extra(b); x != nil && x.Over != nil {
		value = x.Over.Value
	}
	for _, addresses := range [...][]memory.Address{e.store.Sources(b), e.store.Destinations(b)} {
		for _, a := range addresses {
			value = max(value, e.assets.Value(a.Addr()))
		}
	}
	return value
}

// assess computes the risk and, if it changed, its class (§7).
func (e *Engine) assess(b *backlogs.Backlog, reliability int) {
	risk := int32(alarm.Risk(e.variantOf(b).owner.current.plan.Priority, reliability, e.value(b)))
	if risk == b.Risk {
		return
	}
	b.Risk = risk
	switch {
	case int(risk) < e.opts.MedRiskMin:
		b.Class = alarm.Low
	case int(risk) > e.opts.MedRiskMax:
		b.Class = alarm.High
	default:
		b.Class = alarm.Medium
	}
}

// countSilent counts a backlog that completed all stages without an alarm line.
func (e *Engine) countSilent(b *backlogs.Backlog) {
	switch {
	case b.Created != 0:
	case e.value(b) == 0:
		e.stats.WithoutAsset++
	default:
		e.stats.WithoutRisk++
	}
}

// update reports the alarm as it is now, if it has any risk or had when it was
// published (D36). before is the risk before the event.
func (e *Engine) update(b *backlogs.Backlog, before int32, lookup bool) {
	if b.Risk == 0 && b.Created == 0 {
		return
	}
	if b.Created == 0 {
		b.Created = b.Updated
		e.hasLine(b)
	}
	e.gatherNetworks(b)
	a := &alarm.Alarm{}
	e.fill(a, b)
	e.emit(b, Change{
		Kind: Updated, Stage: int(e.plan(b, int(b.Current)).Number),
		Alarm: a, Before: b.Shown, RiskBefore: int(before), Lookup: lookup, LastSrcPort: b.LastSrc, LastDstPort: b.LastDst,
	})
	b.Shown = b.Class
	if e.variantOf(b).plan.AllRulesAlwaysActive {
		r := e.store.More(b).Rarely()
		r.Lined, r.Due = e.second, false
	}
	if lookup && e.opts.Lookups {
		e.published.Add(b, a.ID)
	}
}

// updateLater reports the alarm as update does, but at most once in a second: it may
// be due until the clock enters a later one (D37). The directive is always-active.
func (e *Engine) updateLater(b *backlogs.Backlog) {
	r := e.store.More(b).Rarely()
	switch {
	case b.Risk == 0 && b.Created == 0:
	case b.Created == 0 || r.Lined != e.second:
		e.update(b, b.Risk, false)
	case !r.Due:
		r.Due = true
		e.unwritten = append(e.unwritten, b.Self)
	}
}

// restoreLine restores when the last line of an alarm was written. If another one is
// due, the clock is to enter a later second first.
func (e *Engine) restoreLine(b *backlogs.Backlog, at int64, due bool) {
	r := e.store.More(b).Rarely()
	if r.Lined, r.Due = at, due; due {
		if len(e.unwritten) == 0 || at < e.lined {
			e.lined = at
		}
		e.unwritten = append(e.unwritten, b.Self)
	}
}

// writeDue writes the alarm lines that are due, in order of opening: all, or those of
// alarms that have no line in the current second of the clock.
func (e *Engine) writeDue(all bool) {
	if len(e.unwritten) == 0 {
		return
	}
	e.due = e.due[:0]
	still := e.unwritten[:0]
	for _, h := range e.unwritten {
		// The backlog may have ended, or another line of its alarm been written.
		b := e.store.Find(h)
		if b == nil {
			continue
		}
		x := e.store.Extra(b)
		switch {
		case x == nil || x.Rare == nil || !x.Rare.Due:
		case all || x.Rare.Lined < e.second:
			x.Rare.Due = false
			e.due = append(e.due, backlogs.Timer{Backlog: h})
		default:
			still = append(still, h)
		}
	}
	if e.unwritten = still; len(still) == 0 {
		e.unwritten = forget(e.unwritten)
	}
	e.sortDue(e.due)
	for _, t := range e.due {
		b := e.store.At(t.Backlog)
		e.order.deadline, e.order.opened = math.MinInt64, e.opening(b)
		e.update(b, b.Risk, false)
	}
	e.due = forget(e.due)
	e.order.deadline, e.order.opened = never, opening{}
}

// Enrich adds what look-ups found to a live alarm, whose later snapshots show it;
// hits it has already are left out. It reports whether the alarm is still live.
func (e *Engine) Enrich(alarmID string, intel, vulns []alarm.Hit) bool {
	h := e.published.Find(alarmID)
	if h == 0 || len(intel)+len(vulns) == 0 {
		return h != 0
	}
	e.stats.ForgottenHits += e.store.AddHits(e.store.At(h), intel, vulns)
	return true
}

// expire closes every backlog whose current stage has timed out at a second of the
// clock, in order of deadline and then of opening (D31).
func (e *Engine) expire(second int64) {
	before := int64(never)
	if grace := e.opts.MinAlarmLifetime; second < never {
		before = max(second, math.MinInt64+grace) - grace
	}
	if !e.timers.Due(before) {
		return
	}
	e.due = e.timers.TakeDue(before, e.due[:0])
	e.sortDue(e.due)
	for _, t := range e.due {
		b := e.store.At(t.Backlog)
		e.order.deadline, e.order.opened = b.Deadline, e.opening(b)
		e.timeOut(b, false)
	}
	e.due = forget(e.due)
	e.order.deadline, e.order.opened = never, opening{}
}

// sortDue sorts timers by deadline and then by the opening of their backlogs
// (D14).
func (e *Engine) sortDue(list []backlogs.Timer) {
	slices.SortFunc(list, func(a, b backlogs.Timer) int {
		if a.Deadline != b.Deadline {
			return cmp.Compare(a.Deadline, b.Deadline)
		}
		return e.opening(e.store.At(a.Backlog)).compare(e.opening(e.store.At(b.Backlog)))
	})
}

// timeOut ends a backlog whose current stage was not completed.
func (e *Engine) timeOut(b *backlogs.Backlog, evicted bool) {
	e.store.Progress(b, int(b.Current)).Status = alarm.Timeout
	e.update(b, b.Risk, false)
	w := e.waiting(b)
	e.emit(b, Change{Kind: Expired, Stage: w.Stage, Recorded: w.Recorded, Wanted: w.Wanted, Evicted: evicted})
	e.close(b)
}

// close removes a backlog from everything that knows it (D26).
func (e *Engine) close(b *backlogs.Backlog) {
	e.timers.Remove(b)
	e.leaveStages(b)
	if e.opts.Lookups {
		e.published.Remove(b, e.store.ID(b))
	}
	v := e.variantOf(b)
	owner := v.owner
	group := e.groupKey(b)
	e.leaveCrowds(b, group)
	e.store.LeaveGroup(b, group)
	e.forgetRecords(b)
	if delete(e.alarms, b.ID); len(e.alarms) == 0 {
		e.alarms = nil
	}
	e.store.Drop(b)
	if owner.live--; owner.live == 0 {
		e.stats.Active--
		owner.forgetful = false
	}
	if v.live--; v != owner.current && v.live == 0 {
		for i := range v.stages {
			rule := v.plan.Rule(i)
			e.index.Remove(&rule, v.stages[i].place)
		}
		delete(owner.others, v.signature)
		e.variants[v.slot] = nil
	}
}
