// Package shard spreads the directives of one configuration over several
// engines, lets all of them take every event at the same time, and merges what
// changed into the order of a single engine: the number of shards never shows.
//
// A Set owns its engines and belongs to one goroutine at a time; the goroutines
// that it starts end before a call returns. It does no I/O, reads no clock and
// decides nothing about an event: that is up to the engines.
package shard

import (
	"iter"
	"math"
	"runtime"
	"sync"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/correlate/resume"
	"dsiem/internal/event"
)

// Step is an event offered to the engines at a time.
type Step struct {
	Now   int64
	Event *event.Event
}

// Set are the shards of one configuration: every directive belongs to one
// of them. They have one owner, who uses them all at a time.
type Set struct {
	Shards []*correlate.Engine
	// changes has what each shard did last, merged all of it in order.
	changes [][]correlate.Change
	merged  []correlate.Change
}

// Count returns the number of engines for one that was asked for, by default
// one for every two cores: the others read, decode and write. Each engine looks at
// every event, so that on two cores a second one costs more than it helps.
func Count(asked int) int {
	if asked > 0 {
		return asked
	}
	return max(1, runtime.GOMAXPROCS(0)/2)
}

// New spreads directives over count engines, and the memory of opts, too.
func New(plans []correlate.Planned, assets *asset.Table, opts correlate.Options, count int) *Set {
	all := &Set{Shards: make([]*correlate.Engine, count), changes: make([][]correlate.Change, count)}
	opts.Memory /= int64(count)
	for i := range all.Shards {
		all.Shards[i] = correlate.New(Plans(plans, i, count), assets, opts)
	}
	return all
}

// Number returns the number of the shard, of count, that a directive belongs to. Ids
// are mixed, because sites number their directives by patterns.
func Number(directive uint64, count int) int {
	const mixer = 0x9e3779b97f4a7c15
	return int(directive * mixer >> 32 % uint64(count))
}

// Plans returns the plans that belong to shard number of count.
func Plans(plans []correlate.Planned, number, count int) []correlate.Planned {
	var own []correlate.Planned
	for _, p := range plans {
		if Number(p.Plan.ID, count) == number {
			own = append(own, p)
		}
	}
	return own
}

// Of returns the engine that has a directive.
func (all *Set) Of(directive uint64) *correlate.Engine {
	return all.Shards[Number(directive, len(all.Shards))]
}

// Wants says which identities any engine wants events of.
func (all *Set) Wants(ids []event.Identity, wanted []bool) {
	clear(wanted)
	for _, e := range all.Shards {
		e.Wants(ids, wanted)
	}
}

// Restore gives a saved backlog to the engine of its directive.
func (all *Set) Restore(directive uint64, s *alarm.Saved) error {
	return all.Of(directive).Restore(directive, s)
}

// Snapshots are lists of the backlogs that lived at a time, of each engine.
type Snapshots []*correlate.Snapshot

// Snapshot lists the live backlogs.
func (all *Set) Snapshot() Snapshots {
	lists := make(Snapshots, len(all.Shards))
	for i, e := range all.Shards {
		lists[i] = e.Snapshot()
	}
	return lists
}

// Saved returns the saved form of the backlogs, those of one directive one after
// the other. It first takes the time to sort them, and leaves the engines alone
// until the first is asked for. See correlate.Snapshot for what may happen between
// two elements.
func (s Snapshots) Saved() iter.Seq2[uint64, alarm.Saved] {
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

// Saved returns the saved form of all live backlogs.
func (all *Set) Saved() iter.Seq2[uint64, alarm.Saved] {
	lists, ids := all.Snapshot(), map[event.IDHash]string{}
	for i, e := range all.Shards {
		e.AddIDs(ids)
		lists[i].IDs = ids
	}
	return lists.Saved()
}

// Remembered returns what the engines remember beside live backlogs, in parts: those of
// one engine after those of another, so that an event may stand in several. See
// correlate.Engine.Remembered for what may happen between two parts.
func (all *Set) Remembered() iter.Seq[*resume.Remembered] {
	return func(yield func(*resume.Remembered) bool) {
		for _, e := range all.Shards {
			for part := range e.Remembered() {
				if !yield(part) {
					return
				}
			}
		}
	}
}

// RestoreRemembered lets the engines remember what others did, before the first
// step, when the clock is at a time. See correlate.Engine.RestoreRemembered.
func (all *Set) RestoreRemembered(clock int64, r *resume.Remembered) {
	for _, e := range all.Shards {
		e.RestoreRemembered(clock, r)
	}
}

// Stats sums up the counters of all engines.
func (all *Set) Stats() correlate.Stats {
	var stats correlate.Stats
	for _, e := range all.Shards {
		stats.Add(e.Stats())
	}
	return stats
}

// TakeSensors names, for each kind of events that are counted, a sensor of one of them
// since the last call.
func (all *Set) TakeSensors() correlate.Sensors {
	var sensors correlate.Sensors
	for _, e := range all.Shards {
		sensors = sensors.Or(e.TakeSensors())
	}
	return sensors
}

// Waiting returns what the live backlogs wait for, in any order.
func (all *Set) Waiting() iter.Seq[correlate.Waiting] {
	return func(yield func(correlate.Waiting) bool) {
		for _, e := range all.Shards {
			for w := range e.Waiting() {
				if !yield(w) {
					return
				}
			}
		}
	}
}

// Step lets all engines take the steps and merges what changed into the order
// of a single engine. The slice is valid until the next call.
func (all *Set) Step(steps []Step) []correlate.Change {
	if len(steps) == 0 {
		return nil
	}
	return all.each(steps, 0)
}

// Expire lets the time be now (UNIX seconds) and expires what is due, one second
// after the other: alarms of backlogs that are due together are held together, and
// after hours without a server that may be all there are. What changed is
// valid until the next element.
func (all *Set) Expire(now int64) iter.Seq[[]correlate.Change] {
	return func(yield func([]correlate.Change) bool) {
		for at, due := all.due(); due && at <= now; at, due = all.due() {
			if !yield(all.each(nil, at)) {
				return
			}
		}
		all.each(nil, now) // nothing is due; it lets go of what changed before
	}
}

// Flush writes the alarm lines that are due.
func (all *Set) Flush() []correlate.Change {
	for i, e := range all.Shards {
		all.changes[i] = append(forget(all.changes[i]), e.Flush()...)
	}
	if len(all.Shards) == 1 {
		return all.changes[0]
	}
	all.merged = merge(forget(all.merged), all.changes)
	return all.merged
}

// ExpireAll expires every live backlog, as Expire does.
func (all *Set) ExpireAll() iter.Seq[[]correlate.Change] { return all.Expire(math.MaxInt64) }

// due returns the first time at which something expires, false if nothing can.
func (all *Set) due() (first int64, due bool) {
	for _, e := range all.Shards {
		if at, some := e.Due(); some && (!due || at < first) {
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
func (all *Set) each(steps []Step, now int64) []correlate.Change {
	if len(steps) < worthSharing {
		for i := range all.Shards {
			all.play(i, steps, now)
		}
	} else {
		all.share(steps)
	}
	if len(all.Shards) == 1 {
		return all.changes[0]
	}
	all.merged = merge(forget(all.merged), all.changes)
	return all.merged
}

// share lets all engines take steps at the same time.
func (all *Set) share(steps []Step) {
	var done sync.WaitGroup
	last := len(all.Shards) - 1
	for i := range last {
		done.Go(func() { all.play(i, steps, 0) })
	}
	all.play(last, steps, 0)
	done.Wait()
}

// play lets engine i take steps or, if there are none, expire what is due.
func (all *Set) play(i int, steps []Step, now int64) {
	e, changes := all.Shards[i], forget(all.changes[i])
	if len(steps) == 0 {
		changes = append(changes, e.Expire(now)...)
	}
	for j := range steps {
		changes = append(changes, e.Step(steps[j].Now, steps[j].Event)...)
	}
	all.changes[i] = changes
}

// keptChanges is the number of changes for which there is room from one step to
// the next.
const keptChanges = 8 * Portion

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
