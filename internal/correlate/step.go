package correlate

import (
	"math"
	"strings"

	"dsiem/internal/alarm"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// emit reports a change of a backlog.
func (e *Engine) emit(b *backlog, c Change) {
	v := e.variantOf(b)
	c.Directive = v.plan.ID
	c.AlarmID = e.id(b)
	c.Order = e.order
	c.Order.directive = v.owner.order
	e.changes = append(e.changes, c)
}

// accept records an event for a stage of a backlog (§6.4.1–6).
func (e *Engine) accept(now int64, b *backlog, stage int, ev *event.Event) {
	id := event.HashID(ev.ID)
	if e.addID(b, stage, id) {
		e.variantOf(b).owner.record(id)
	}
	if kind := e.plan(b, stage).StickyDifferent; kind != directive.NoSticky {
		value, r := stickyOf(kind, ev), e.store.more(b).restOf(stage)
		if r.sticky == nil || !r.sticky.has(value) {
			value.text = strings.Clone(value.text)
			r.addValue(value)
		}
	}
	e.addAddresses(b, ev)
	for i, content := range ev.CustomData {
		if content != "" {
			e.store.more(b).addCustomData(ev.CustomLabel[i], content)
		}
	}
	if ev.SrcPort != 0 {
		b.lastSrc = ev.SrcPort
	}
	if ev.DstPort != 0 {
		b.lastDst = ev.DstPort
	}
	b.updated = now
	e.emit(b, Change{
		Kind: Accepted, Stage: int(e.plan(b, stage).Number), EventID: ev.ID,
		Earlier: stage != int(b.current), ReceivedAt: ev.ReceivedAt,
	})
}

// complete finishes the current stage with its last event: the risk is
// computed, and the backlog goes on to the next stage or is done (§6.4.8–10).
func (e *Engine) complete(b *backlog, ev *event.Event) {
	current := int(b.current)
	p := e.progress(b, current)
	p.status = alarm.Finished
	p.end = ev.Seconds
	before := b.risk
	e.assess(b, int(e.plan(b, current).Reliability))
	next := e.nextStage(b)
	if next < 0 {
		e.update(b, before, true)
		e.emit(b, Change{Kind: Finished, Stage: int(e.plan(b, current).Number)})
		e.close(b)
		return
	}
	e.leaveStages(b)
	e.reach(b, next).start = ev.Seconds
	b.current = uint8(next)
	b.deadline = e.deadline(b)
	e.timers.fix(b)
	e.enterStages(b)
	e.emit(b, Change{Kind: Advanced, Stage: int(e.plan(b, next).Number)})
	e.update(b, before, true)
}

// assess computes the risk and, if it changed, its class (§7).
func (e *Engine) assess(b *backlog, reliability int) {
	value := 0
	for _, addresses := range [...][]address{e.sources(b), e.destinations(b)} {
		for _, a := range addresses {
			value = max(value, e.assets.Value(a.addr()))
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

// update reports the alarm as it is now, if it has any risk. before is the
// risk before the event.
func (e *Engine) update(b *backlog, before int32, lookup bool) {
	if b.risk == 0 {
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
	if lookup && e.opts.Lookups {
		e.published.add(b, a.ID)
	}
}

// Enrich adds what look-ups found to a live alarm, whose later snapshots show it;
// hits it has already are left out. It reports whether the alarm is still live.
func (e *Engine) Enrich(alarmID string, intel, vulns []alarm.Hit) bool {
	h := e.published.find(alarmID)
	if h == 0 || len(intel)+len(vulns) == 0 {
		return h != 0
	}
	x := e.store.more(e.store.at(h))
	if x.found == nil {
		x.found = &found{}
	}
	for _, hit := range intel {
		x.found.intel = addOnce(x.found.intel, hit)
	}
	for _, hit := range vulns {
		x.found.vulns = addOnce(x.found.vulns, hit)
	}
	return true
}

// expire closes every backlog whose current stage has timed out, in order of
// deadline and then of opening (§6.6, D14).
func (e *Engine) expire(now int64) {
	before := int64(never)
	if grace := e.opts.MinAlarmLifetime; now < never {
		before = max(now, math.MinInt64+grace) - grace
	}
	if !e.timers.due(before) {
		return
	}
	e.due = e.timers.takeDue(before, e.due[:0])
	e.sortDue(e.due)
	for _, t := range e.due {
		b := e.store.at(t.backlog)
		e.order.deadline, e.order.opened = b.deadline, e.opening(b)
		e.progress(b, int(b.current)).status = alarm.Timeout
		e.update(b, b.risk, false)
		w := e.waiting(b)
		e.emit(b, Change{Kind: Expired, Stage: w.Stage, Recorded: w.Recorded, Wanted: w.Wanted})
		e.close(b)
	}
	e.due = forget(e.due)
	e.order.deadline, e.order.opened = never, opening{}
}

// close removes a backlog from everything that knows it (D26).
func (e *Engine) close(b *backlog) {
	e.timers.remove(b)
	e.leaveStages(b)
	if e.opts.Lookups {
		e.published.remove(b, e.id(b))
	}
	v := e.variantOf(b)
	owner := v.owner
	for i := range int(b.reached) {
		for _, id := range e.ids(b, i) {
			if owner.ids[id]--; owner.ids[id] == 0 {
				delete(owner.ids, id)
			}
		}
	}
	e.store.drop(b)
	if owner.live--; owner.live == 0 {
		e.stats.Active--
		if owner.most > worthFreeing {
			owner.ids, owner.most = nil, 0
		}
	}
	if v.live--; v != owner.current && v.live == 0 {
		e.index.remove(v)
		delete(owner.others, v.signature)
		e.variants[v.slot] = nil
	}
}
