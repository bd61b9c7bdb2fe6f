package replay

import (
	"fmt"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/directive"
	"dsiem/internal/event"
	"dsiem/internal/text"
)

// riskless notes why stages were completed without an alarm, as long as there is no
// alarm at all.
type riskless struct {
	assets *asset.Table
	plans  map[uint64]*directive.Plan
	// unknown counts stages with hosts that no asset covers, low those with a product of
	// priority, reliability and value that is too low; each with its first example.
	unknown, low           int
	firstUnknown, firstLow string
}

func newRiskless(planned []correlate.Planned, assets *asset.Table) *riskless {
	r := &riskless{assets: assets, plans: make(map[uint64]*directive.Plan, len(planned))}
	for _, p := range planned {
		r.plans[p.Plan.ID] = p.Plan
	}
	return r
}

// completed notes a completed stage, of which ev was the last event.
func (r *riskless) completed(c *correlate.Change, ev *event.Event) {
	plan := r.plans[c.Directive]
	if plan == nil || ev == nil {
		return
	}
	stage := completedStage(plan, c)
	if stage == nil {
		return
	}
	value := max(r.assets.Value(ev.SrcIP), r.assets.Value(ev.DstIP))
	where := func() string { return fmt.Sprintf("directive %d, stage %d", plan.ID, stage.Number) }
	switch {
	case value == 0:
		if r.unknown++; r.unknown == 1 {
			hosts := fmt.Sprint(ev.SrcIP)
			if ev.DstIP != ev.SrcIP {
				hosts = fmt.Sprint(ev.SrcIP, " or ", ev.DstIP)
			}
			r.firstUnknown = fmt.Sprintf("no asset with a value covers %s (%s)", hosts, where())
		}
	case alarm.Risk(plan.Priority, int(stage.Reliability), value) == 0:
		if r.low++; r.low == 1 {
			r.firstLow = fmt.Sprintf("priority %d × reliability %d × asset value %d / 25 is below 1 (%s)",
				plan.Priority, stage.Reliability, value, where())
		}
	}
}

// completedStage returns the stage that a change tells to be complete: when a backlog
// has advanced, that before its current one.
func completedStage(plan *directive.Plan, c *correlate.Change) *directive.Stage {
	for i := range plan.Stages {
		if int(plan.Stages[i].Number) != c.Stage {
			continue
		}
		if c.Kind == correlate.Advanced {
			i--
		}
		if i >= 0 {
			return &plan.Stages[i]
		}
	}
	return nil
}

// reasons says why there is no alarm.
func (r *riskless) reasons(e *EventCounts, opened int) []string {
	all := []string{}
	for _, one := range []struct {
		n     int
		first string
	}{{r.unknown, r.firstUnknown}, {r.low, r.firstLow}} {
		if one.n > 0 {
			all = append(all, fmt.Sprintf("%s completed with risk 0: %s", text.Count(one.n, "stage"), one.first))
		}
	}
	switch {
	case len(all) > 0 || e.Read == 0:
	case e.Offered == 0:
		all = append(all, "no event was offered to a directive")
	case e.Matched == 0 && opened == 0:
		all = append(all, "no event matched a directive")
	default:
		all = append(all, "no stage was completed")
	}
	return all
}
