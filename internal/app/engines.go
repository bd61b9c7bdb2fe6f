package app

import (
	"iter"
	"math"
	"runtime"
	"sync"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/event"
)

// step is an event offered to the engines at a time.
type step struct {
	now   int64
	event *event.Event
}

// engines are the shards of one configuration: every directive belongs to one
// of them. They have one owner, who uses them all at a time.
type engines struct {
	shards []*correlate.Engine
	// changes has what each shard did last, merged all of it in order.
	changes [][]correlate.Change
	merged  []correlate.Change
}

// shardCount returns the number of engines for one that was asked for, by default
// one for every two cores: the others read, decode and write. Each engine looks at
// every event, so that on two cores a second one costs more than it helps.
func shardCount(asked int) int {
	if asked > 0 {
		return asked
	}
	return max(1, runtime.GOMAXPROCS(0)/2)
}

// newEngines spreads directives over count engines.
func newEngines(plans []correlate.Planned, assets *asset.Table, opts EngineOptions, count int) *engines {
	all := &engines{shards: make([]*correlate.Engine, count), changes: make([][]correlate.Change, count)}
	for i := range all.shards {
		all.shards[i] = correlate.New(correlate.Shard(plans, i, count), assets, opts)
	}
	return all
}

// of returns the engine that has a directive.
func (all *engines) of(directive uint64) *correlate.Engine {
	return all.shards[correlate.ShardOf(directive, len(all.shards))]
}

// wants says which identities any engine wants events of.
func (all *engines) wants(ids []event.Identity, wanted []bool) {
	clear(wanted)
	for _, e := range all.shards {
		e.Wants(ids, wanted)
	}
}

// restore gives a saved backlog to the engine of its directive.
func (all *engines) restore(directive uint64, s *alarm.Saved) error {
	return all.of(directive).Restore(directive, s)
}

// snapshots are lists of the backlogs that lived at a time, of each engine.
type snapshots []*correlate.Snapshot

// snapshot lists the live backlogs.
func (all *engines) snapshot() snapshots {
	lists := make(snapshots, len(all.shards))
	for i, e := range all.shards {
		lists[i] = e.Snapshot()
	}
	return lists
}

// saved returns the saved form of the backlogs, those of one directive one after
// the other. It first takes the time to sort them, and leaves the engines alone
// until the first is asked for. See correlate.Snapshot for what may happen between
// two elements.
func (s snapshots) saved() iter.Seq2[uint64, alarm.Saved] {
	for _, one := range s {
		one.Sort()
	}
	return func(yield func(uint64, alarm.Saved) bool) {
		for _, one := range s {
			for id, saved := range one.All() {
				if !yield(id, saved) {
					return
				}
			}
		}
	}
}

// saved returns the saved form of all live backlogs.
func (all *engines) saved() iter.Seq2[uint64, alarm.Saved] { return all.snapshot().saved() }

// stats sums up the counters of all engines.
func (all *engines) stats() correlate.Stats {
	var stats correlate.Stats
	for _, e := range all.shards {
		stats.Add(e.Stats())
	}
	return stats
}

// step lets all engines take the steps and merges what changed into the order
// of a single engine. The slice is valid until the next call.
func (all *engines) step(steps []step) []correlate.Change {
	if len(steps) == 0 {
		return nil
	}
	return all.each(steps, 0)
}

// expire lets the time be now (UNIX seconds) and expires what is due, one second
// after the other: alarms of backlogs that are due together are held together, and
// after hours without a server that may be all there are. What changed is
// valid until the next element.
func (all *engines) expire(now int64) iter.Seq[[]correlate.Change] {
	return func(yield func([]correlate.Change) bool) {
		for at, due := all.due(); due && at <= now; at, due = all.due() {
			if !yield(all.each(nil, at)) {
				return
			}
		}
		all.each(nil, now) // nothing is due; it lets go of what changed before
	}
}

// flush writes the alarm lines that are due.
func (all *engines) flush() []correlate.Change {
	for i, e := range all.shards {
		all.changes[i] = append(forget(all.changes[i]), e.Flush()...)
	}
	all.merged = merge(forget(all.merged), all.changes)
	return all.merged
}

// expireAll expires every live backlog, as expire does.
func (all *engines) expireAll() iter.Seq[[]correlate.Change] { return all.expire(math.MaxInt64) }

// due returns the first time at which something expires, false if nothing can.
func (all *engines) due() (first int64, due bool) {
	for _, e := range all.shards {
		at, some := e.Due()
		if at != math.MaxInt64 {
			at /= int64(time.Second)
		}
		if some && (!due || at < first) {
			first, due = at, true
		}
	}
	return first, due
}

// worthSharing is the number of steps from which engines work at the same
// time; fewer take less time than it takes to start a goroutine.
const worthSharing = 16

// each lets all engines take steps or, if there are none, expire what is due at a
// time. A few steps that change nothing allocate nothing.
func (all *engines) each(steps []step, now int64) []correlate.Change {
	if len(steps) < worthSharing {
		for i := range all.shards {
			all.play(i, steps, now)
		}
	} else {
		all.share(steps)
	}
	if len(all.shards) == 1 {
		return all.changes[0]
	}
	all.merged = merge(forget(all.merged), all.changes)
	return all.merged
}

// share lets all engines take steps at the same time.
func (all *engines) share(steps []step) {
	var done sync.WaitGroup
	last := len(all.shards) - 1
	for i := range last {
		done.Go(func() { all.play(i, steps, 0) })
	}
	all.play(last, steps, 0)
	done.Wait()
}

// play lets engine i take steps or, if there are none, expire what is due.
func (all *engines) play(i int, steps []step, now int64) {
	e, changes := all.shards[i], forget(all.changes[i])
	if len(steps) == 0 {
		changes = append(changes, e.Expire(endOf(now))...)
	}
	for j := range steps {
		changes = append(changes, e.Step(endOf(steps[j].now), steps[j].event)...)
	}
	all.changes[i] = changes
}

// endOf returns the last nanosecond of a second, so that no event of it is ahead.
func endOf(second int64) int64 {
	switch {
	case second == math.MaxInt64:
		return second
	case second >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64 - 1
	}
	return second*int64(time.Second) + int64(time.Second) - 1
}

// keptChanges is the number of changes for which there is room from one step to
// the next.
const keptChanges = 8 * chunkSize

// forget empties a list of changes, so that it holds on to nothing, and gives it
// back if a burst has made it large.
func forget(changes []correlate.Change) []correlate.Change {
	if cap(changes) > keptChanges {
		return nil
	}
	clear(changes)
	return changes[:0]
}

// merge appends the changes of lists, each of which is in order, in order. What is
// equal comes in the order of the lists.
func merge(merged []correlate.Change, lists [][]correlate.Change) []correlate.Change {
	var heads [mostHeads]int
	next := heads[:]
	if len(lists) > mostHeads {
		next = make([]int, len(lists))
	}
	for {
		first := -1
		for i, list := range lists {
			if next[i] < len(list) && (first < 0 || list[next[i]].Order.Compare(lists[first][next[first]].Order) < 0) {
				first = i
			}
		}
		if first < 0 {
			return merged
		}
		merged = append(merged, lists[first][next[first]])
		next[first]++
	}
}

// mostHeads is the number of lists up to which merge needs no memory of its own.
const mostHeads = 16
