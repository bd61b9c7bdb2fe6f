package correlate

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
)

// emit reports a change of a backlog.
func (e *Engine) emit(b *backlog, c Change) {
	v := e.variantOf(b)
	c.Directive = v.plan.ID
	c.AlarmID = e.store.id(b)
	c.Order = e.order
	c.Order.directive = v.owner.order
	e.changes = append(e.changes, c)
}

// accept records an event for a stage of a backlog, and reports whether it counts
// (§6.4.1–6).
func (e *Engine) accept(b *backlog, stage int, a *arrived) (counts bool) {
	ev := a.ev
	counts = e.record(b, stage, e.identified(a))
	owner := e.variantOf(b).owner
	owner.lastSent = max(owner.lastSent, a.sent)
	if kind := e.plan(b, stage).StickyDifferent; kind != directive.NoSticky {
		value, r := stickyOf(kind, ev), e.store.more(b).restOf(stage)
		if r.sticky == nil || !r.sticky.Has(value) {
			e.addSticky(b, stage, value)
		}
	}
	e.addEvidence(b, a)
	if ev.SrcPort != 0 {
		b.lastSrc = ev.SrcPort
	}
	if ev.DstPort != 0 {
		b.lastDst = ev.DstPort
	}
	b.updated = e.second
	e.emit(b, Change{
		Kind: Accepted, Stage: int(e.plan(b, stage).Number), EventID: cut(ev.ID),
		Earlier: stage != int(b.current), ReceivedAt: ev.ReceivedAt, LookedBack: a.lookedBack,
	})
	return counts
}

// addSticky adds a sticky_different value to those of a stage. Beside those of events
// that count, as for the current stage, there is room for so many others.
func (e *Engine) addSticky(b *backlog, stage int, value sticky) {
	most := uint64(e.bounds.ids)
	if stage == int(b.current) {
		most += e.plan(b, stage).Occurrence
	}
	r := e.store.more(b).restOf(stage)
	if uint64(len(r.values())) >= most {
		e.stats.ForgottenIDs++
		return
	}
	value.text = strings.Clone(value.text)
	r.addValue(value)
}

// complete finishes the current stage: the risk is computed, and the backlog goes
// on to the next stage or is done (§6.4.8–10). The next stage begins, for events,
// where this one ended, and for the clock, now (D29, D31). It reports whether a stage
// began.
func (e *Engine) complete(b *backlog) (began bool) {
	current := int(b.current)
	p := e.store.progress(b, current)
	p.status = alarm.Finished
	p.end = secondsOf(b.latest)
	start := p.end
	e.forgetIDs(b, current)
	before := b.risk
	e.assess(b, int(e.plan(b, current).Reliability))
	next := e.store.nextStage(b, len(e.variantOf(b).stages))
	if next < 0 {
		e.update(b, before, true)
		e.emit(b, Change{Kind: Finished, Stage: int(e.plan(b, current).Number)})
		e.close(b)
		return false
	}
	e.leaveStages(b)
	e.store.reach(b, next).start = start
	b.current = uint8(next)
	b.deadline = e.second + e.plan(b, next).Timeout
	e.timers.fix(b)
	e.enterStages(b)
	e.emit(b, Change{Kind: Advanced, Stage: int(e.plan(b, next).Number)})
	e.update(b, before, true)
	return true
}

// assess computes the risk and, if it changed, its class (§7).
func (e *Engine) assess(b *backlog, reliability int) {
	value := 0
	if x := e.store.extra(b); x != nil && x.over != nil {
		value = x.over.value
	}
	for _, addresses := range [...][]memory.Address{e.store.sources(b), e.store.destinations(b)} {
		for _, a := range addresses {
			value = max(value, e.assets.Value(a.Addr()))
		}
	}
	risk := int32(alarm.Risk(e.variantOf(b).owner.current.plan.Priority, reliability, value))
	if risk == b.risk {
		return
	}
	b.risk = risk
	switch {
	case int(risk) < e.opts.MedRiskMin:
		b.class = alarm.Low
	case int(risk) > e.opts.MedRiskMax:
		b.class = alarm.High
	default:
		b.class = alarm.Medium
	}
}

// update reports the alarm as it is now, if it has any risk or had when it was
// published (D36). before is the risk before the event.
func (e *Engine) update(b *backlog, before int32, lookup bool) {
	if b.risk == 0 && b.created == 0 {
		return
	}
	if b.created == 0 {
		b.created = b.updated
	}
	e.gatherNetworks(b)
	a := &alarm.Alarm{}
	e.fill(a, b)
	e.emit(b, Change{
		Kind: Updated, Stage: int(e.plan(b, int(b.current)).Number),
		Alarm: a, Before: b.shown, RiskBefore: int(before), Lookup: lookup, LastSrcPort: b.lastSrc, LastDstPort: b.lastDst,
	})
	b.shown = b.class
	if e.variantOf(b).plan.AllRulesAlwaysActive {
		r := e.store.more(b).rarely()
		r.lined, r.due = e.second, false
	}
	if lookup && e.opts.Lookups {
		e.published.add(b, a.ID)
	}
}

// updateLater reports the alarm as update does, but at most once in a second: it may
// be due until the clock enters a later one (D37). The directive is always-active.
func (e *Engine) updateLater(b *backlog) {
	r := e.store.more(b).rarely()
	switch {
	case b.risk == 0 && b.created == 0:
	case b.created == 0 || r.lined != e.second:
		e.update(b, b.risk, false)
	case !r.due:
		r.due = true
		e.unwritten = append(e.unwritten, b.self)
	}
}

// restoreLine restores when the last line of an alarm was written. If another one is
// due, the clock is to enter a later second first.
func (e *Engine) restoreLine(b *backlog, at int64, due bool) {
	r := e.store.more(b).rarely()
	if r.lined, r.due = at, due; due {
		if len(e.unwritten) == 0 || at < e.lined {
			e.lined = at
		}
		e.unwritten = append(e.unwritten, b.self)
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
		b := e.store.find(h)
		if b == nil {
			continue
		}
		x := e.store.extra(b)
		switch {
		case x == nil || x.rare == nil || !x.rare.due:
		case all || x.rare.lined < e.second:
			x.rare.due = false
			e.due = append(e.due, timer{backlog: h})
		default:
			still = append(still, h)
		}
	}
	if e.unwritten = still; len(still) == 0 {
		e.unwritten = forget(e.unwritten)
	}
	e.sortDue(e.due)
	for _, t := range e.due {
		b := e.store.at(t.backlog)
		e.order.deadline, e.order.opened = math.MinInt64, e.opening(b)
		e.update(b, b.risk, false)
	}
	e.due = forget(e.due)
	e.order.deadline, e.order.opened = never, opening{}
}

// Enrich adds what look-ups found to a live alarm, whose later snapshots show it;
// hits it has already are left out. It reports whether the alarm is still live.
func (e *Engine) Enrich(alarmID string, intel, vulns []alarm.Hit) bool {
	h := e.published.find(alarmID)
	if h == 0 || len(intel)+len(vulns) == 0 {
		return h != 0
	}
	e.stats.ForgottenHits += e.store.addHits(e.store.at(h), intel, vulns)
	return true
}

// expire closes every backlog whose current stage has timed out at a second of the
// clock, in order of deadline and then of opening (D31).
func (e *Engine) expire(second int64) {
	before := int64(never)
	if grace := e.opts.MinAlarmLifetime; second < never {
		before = max(second, math.MinInt64+grace) - grace
	}
	if !e.timers.due(before) {
		return
	}
	e.due = e.timers.takeDue(before, e.due[:0])
	e.sortDue(e.due)
	for _, t := range e.due {
		b := e.store.at(t.backlog)
		e.order.deadline, e.order.opened = b.deadline, e.opening(b)
		e.timeOut(b, false)
	}
	e.due = forget(e.due)
	e.order.deadline, e.order.opened = never, opening{}
}

// sortDue sorts timers by deadline and then by the opening of their backlogs
// (D14).
func (e *Engine) sortDue(list []timer) {
	slices.SortFunc(list, func(a, b timer) int {
		if a.deadline != b.deadline {
			return cmp.Compare(a.deadline, b.deadline)
		}
		return e.opening(e.store.at(a.backlog)).compare(e.opening(e.store.at(b.backlog)))
	})
}

// timeOut ends a backlog whose current stage was not completed.
func (e *Engine) timeOut(b *backlog, evicted bool) {
	e.store.progress(b, int(b.current)).status = alarm.Timeout
	e.update(b, b.risk, false)
	w := e.waiting(b)
	e.emit(b, Change{Kind: Expired, Stage: w.Stage, Recorded: w.Recorded, Wanted: w.Wanted, Evicted: evicted})
	e.close(b)
}

// close removes a backlog from everything that knows it (D26).
func (e *Engine) close(b *backlog) {
	e.timers.remove(b)
	e.leaveStages(b)
	if e.opts.Lookups {
		e.published.remove(b, e.store.id(b))
	}
	v := e.variantOf(b)
	owner := v.owner
	e.store.leaveGroup(b, e.groupKey(b))
	e.forgetRecords(b)
	if delete(e.alarms, b.id); len(e.alarms) == 0 {
		e.alarms = nil
	}
	e.store.drop(b)
	if owner.live--; owner.live == 0 {
		e.stats.Active--
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
