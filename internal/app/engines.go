package app

import (
	"iter"
	"slices"
	"sync"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// step is an event offered to the engines at a time.
type step struct {
	now   int64
	event *event.Event
}

// engines are the shards of one configuration: every directive belongs to one
// of them. They have one owner, who uses them all at a time.
type engines []*correlate.Engine

// newEngines spreads directives over count engines.
func newEngines(directives []*directive.Directive, assets *asset.Table, opts EngineOptions, count int) engines {
	plans := correlate.Plans(directives)
	all := make(engines, count)
	for i := range all {
		all[i] = correlate.New(correlate.Shard(plans, i, count), assets, opts)
	}
	return all
}

// of returns the engine that has a directive.
func (all engines) of(directive uint64) *correlate.Engine {
	return all[correlate.ShardOf(directive, len(all))]
}

// wants reports whether any engine wants events of an identity.
func (all engines) wants(id event.Identity) bool {
	for _, e := range all {
		if e.Wants(id) {
			return true
		}
	}
	return false
}

// restore gives a saved backlog to the engine of its directive.
func (all engines) restore(directive uint64, s *alarm.Saved) error {
	return all.of(directive).Restore(directive, s)
}

// saved returns the saved form of all live backlogs, those of one directive
// one after the other. See correlate.Engine.Save.
func (all engines) saved() iter.Seq2[uint64, alarm.Saved] {
	each := make([]iter.Seq2[uint64, alarm.Saved], len(all))
	for i, e := range all {
		each[i] = e.Save()
	}
	return func(yield func(uint64, alarm.Saved) bool) {
		for _, one := range each {
			for id, s := range one {
				if !yield(id, s) {
					return
				}
			}
		}
	}
}

// stats sums up the counters of all engines.
func (all engines) stats() correlate.Stats {
	var stats correlate.Stats
	for _, e := range all {
		stats.Add(e.Stats())
	}
	return stats
}

// step lets all engines take the steps and merges what changed into the order
// of a single engine.
func (all engines) step(steps []step) []correlate.Change {
	if len(all) == 1 || len(steps) < worthSharing {
		return all.stepInTurn(steps)
	}
	return all.each(len(steps), func(e *correlate.Engine) []correlate.Change {
		return appendSteps(nil, e, steps)
	})
}

// stepInTurn is step for one engine, or for few steps: of those from posts of
// single events most change nothing, and then nothing is allocated.
func (all engines) stepInTurn(steps []step) []correlate.Change {
	var changes []correlate.Change
	for _, e := range all {
		changes = appendSteps(changes, e, steps)
	}
	if len(all) > 1 {
		inOrder(changes)
	}
	return changes
}

// appendSteps appends what changes when an engine takes the steps.
func appendSteps(changes []correlate.Change, e *correlate.Engine, steps []step) []correlate.Change {
	for i := range steps {
		some := e.Step(steps[i].now, steps[i].event)
		if len(some) > 0 && changes == nil {
			changes = make([]correlate.Change, 0, max(len(some), len(steps)-i))
		}
		changes = append(changes, some...)
	}
	return changes
}

// inOrder brings the changes of several engines into the order of a single one.
func inOrder(changes []correlate.Change) {
	slices.SortStableFunc(changes, func(a, b correlate.Change) int { return a.Order.Compare(b.Order) })
}

// expire lets the time be now (UNIX seconds) and expires what is due.
func (all engines) expire(now int64) []correlate.Change {
	return all.each(0, func(e *correlate.Engine) []correlate.Change { return e.Expire(now) })
}

// expireAll expires every live backlog.
func (all engines) expireAll() []correlate.Change {
	return all.each(0, (*correlate.Engine).ExpireAll)
}

// worthSharing is the number of steps from which engines work at the same
// time; fewer take less time than it takes to start a goroutine.
const worthSharing = 16

func (all engines) each(steps int, fn func(*correlate.Engine) []correlate.Change) []correlate.Change {
	if len(all) == 1 {
		return fn(all[0])
	}
	changes := make([][]correlate.Change, len(all))
	var done sync.WaitGroup
	for i, e := range all {
		if steps < worthSharing {
			changes[i] = fn(e)
		} else {
			done.Go(func() { changes[i] = fn(e) })
		}
	}
	done.Wait()
	merged := slices.Concat(changes...)
	inOrder(merged)
	return merged
}
