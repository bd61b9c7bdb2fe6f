package correlate

import (
	"slices"
	"strings"

	"dsiem/internal/alarm"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// emit reports a change of a backlog.
func (e *Engine) emit(b *backlog, c Change) {
	c.Directive = b.variant.plan.ID
	c.AlarmID = b.id
	c.Order = e.order
	c.Order.directive = b.variant.owner.order
	e.changes = append(e.changes, c)
}

// accept records an event for a stage of a backlog (§6.4.1–6).
func (e *Engine) accept(now int64, b *backlog, stage int, ev *event.Event) {
	p := &b.stages[stage]
	id := event.HashID(ev.ID)
	if p.addID(id) {
		b.variant.owner.record(id)
	}
	if kind := b.plan(stage).StickyDifferent; kind != directive.NoSticky {
		value, seen := stickyOf(kind, ev), &p.more().sticky
		if !seen.has(value) {
			value.text = strings.Clone(value.text)
			seen.add(value)
		}
	}
	b.src = addAddress(b.src, b.origin.src, toAddress(ev.SrcIP))
	b.dst = addAddress(b.dst, b.origin.dst, toAddress(ev.DstIP))
	for i, content := range ev.CustomData {
		if content != "" {
			addCustomData(&b.more().custom, ev.CustomLabel[i], content)
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
		Kind: Accepted, Stage: int(b.plan(stage).Number), EventID: ev.ID,
		Earlier: stage != int(b.current), ReceivedAt: ev.ReceivedAt,
	})
}

func addCustomData(s *set[alarm.CustomData], label, content string) {
	if c := (alarm.CustomData{Label: label, Content: content}); !s.has(c) {
		s.add(alarm.CustomData{Label: strings.Clone(label), Content: strings.Clone(content)})
	}
}

// complete finishes the current stage with its last event: the risk is
// computed, and the backlog goes on to the next stage or is done (§6.4.8–10).
func (e *Engine) complete(b *backlog, ev *event.Event) {
	current := int(b.current)
	p := &b.stages[current]
	p.status = alarm.Finished
	p.end = ev.Seconds
	before := b.risk
	e.assess(b, int(b.plan(current).Reliability))
	next := b.nextStage()
	if next < 0 {
		e.update(b, before, true)
		e.close(b)
		e.emit(b, Change{Kind: Finished, Stage: int(b.plan(current).Number)})
		return
	}
	e.leaveStages(b)
	b.reach(next).start = ev.Seconds
	b.current = uint8(next)
	b.deadline = b.due()
	e.timers.fix(b)
	e.enterStages(b)
	e.emit(b, Change{Kind: Advanced, Stage: int(b.plan(next).Number)})
	e.update(b, before, true)
}

// assess computes the risk and, if it changed, its class (§7).
func (e *Engine) assess(b *backlog, reliability int) {
	value := 0
	for _, addresses := range [...][]address{b.sources(), b.destinations()} {
		for _, a := range addresses {
			value = max(value, e.assets.Value(a.addr()))
		}
	}
	risk := int32(alarm.Risk(b.variant.owner.current.plan.Priority, reliability, value))
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
		Kind: Updated, Stage: int(b.plan(int(b.current)).Number),
		Alarm: a, Before: b.shown, RiskBefore: int(before), Lookup: lookup, LastSrcPort: b.lastSrc, LastDstPort: b.lastDst,
	})
	b.shown = b.class
	if lookup && e.opts.Lookups {
		e.published[b.id] = b
	}
}

// gatherNetworks adds the HOME_NET networks of the alarm's addresses (D22).
func (e *Engine) gatherNetworks(b *backlog) {
	for _, addresses := range [...][]address{b.sources(), b.destinations()} {
		for _, a := range addresses {
			for _, cidr := range e.assets.Networks(a.addr()) {
				if x := b.more(); !slices.Contains(x.networks, cidr) {
					x.networks = append(x.networks, cidr)
				}
			}
		}
	}
}

// Enrich adds what look-ups found to a live alarm, whose later snapshots show it;
// hits it has already are left out. It reports whether the alarm is still live.
func (e *Engine) Enrich(alarmID string, intel, vulns []alarm.Hit) bool {
	b := e.published[alarmID]
	if b == nil || len(intel)+len(vulns) == 0 {
		return b != nil
	}
	x := b.more()
	for _, hit := range intel {
		if !slices.Contains(x.intel, hit) {
			x.intel = append(x.intel, hit)
		}
	}
	for _, hit := range vulns {
		if !slices.Contains(x.vulns, hit) {
			x.vulns = append(x.vulns, hit)
		}
	}
	return true
}

// expire closes every backlog whose current stage has timed out, in order of
// deadline and then of opening (§6.6, D14).
func (e *Engine) expire(now int64) {
	for len(e.timers) > 0 && (now == never || e.timers[0].deadline < now-e.opts.MinAlarmLifetime) {
		b := e.timers[0]
		e.order.deadline, e.order.opened = b.deadline, b.opened
		b.stages[b.current].status = alarm.Timeout
		e.update(b, b.risk, false)
		e.close(b)
		e.emit(b, Change{Kind: Expired, Stage: int(b.plan(int(b.current)).Number)})
	}
	e.order.deadline, e.order.opened = never, opening{}
}

// close removes a backlog from everything that knows it (D26).
func (e *Engine) close(b *backlog) {
	e.timers.remove(b)
	e.leaveStages(b)
	delete(e.published, b.id)
	owner := b.variant.owner
	for i := range b.stages {
		for _, id := range b.stages[i].ids() {
			if owner.ids[id]--; owner.ids[id] == 0 {
				delete(owner.ids, id)
			}
		}
	}
	if owner.live--; owner.live == 0 {
		e.stats.Active--
		if owner.most > worthFreeing {
			owner.ids, owner.most = nil, 0
		}
	}
	b.variant.live--
	if b.variant != owner.current && b.variant.live == 0 {
		e.index.remove(b.variant)
		delete(owner.others, b.variant.signature)
	}
}
