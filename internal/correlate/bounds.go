package correlate

import (
	"math"

	"dsiem/internal/correlate/backlogs"
	"dsiem/internal/correlate/memory"
)

// bounds are how much an engine keeps and does at most, where no option says so
// (D32, D33, D35, D37, D38). Only beyond them may the number of engines change a
// result.
type bounds struct {
	// group is the number of live backlogs of one directive, source address and key,
	// directive that of one directive, and live that of all; bytes is what all of them
	// take, by estimate, directiveBytes those of one directive.
	group, directive, live, bytes, directiveBytes int
	// considered is the number of the newest events of a stage and key that a backlog
	// looks back to, and offered of those that a look-back offers to a stage.
	considered, offered int
	// remembered is the number of events to look back to, and rememberedBytes their
	// size, which leaves room for what is not counted: blocks that are not full.
	remembered, rememberedBytes int
	// ended is the number of events of ended backlogs that are remembered.
	ended int
	// customData is the number of custom data values of an alarm in all, and listed
	// the size in bytes that its addresses and custom data have in a line.
	customData, listed int
	// ids is the number of event ids that a completed stage keeps, and of other things
	// that a stage keeps beside those it counts.
	ids int
}

func specified() bounds {
	return bounds{
		group: 1000, directive: math.MaxInt, live: math.MaxInt, bytes: math.MaxInt, directiveBytes: math.MaxInt, considered: 100, offered: 100, remembered: 250_000, rememberedBytes: 63 << 20,
		ended: 1_000_000, customData: 10_000, listed: 192 << 10, ids: 10_000,
	}
}

// The parts of an engine's memory, each as one in so many (docs/spec/interfaces.md §5.8).
const (
	lookBackPart, endedPart = 4, 8
	// directivePart is that of the live backlogs that one directive may have.
	directivePart = 2
)

// within returns the bounds of an engine that may take so many bytes.
func (b bounds) within(memoryBytes int64) bounds {
	if memoryBytes <= 0 {
		return b
	}
	whole := int(memoryBytes)
	b.rememberedBytes = min(b.rememberedBytes, whole/lookBackPart)
	b.ended = min(b.ended, whole/endedPart/memory.EndedBytes)
	b.bytes = whole - b.rememberedBytes - b.ended*memory.EndedBytes
	b.live = max(1, b.bytes/backlogs.BacklogBytes)
	b.directive, b.directiveBytes = max(1, b.live/directivePart), b.bytes/directivePart
	return b
}

// bound sets the bounds of a new engine.
func (e *Engine) bound(b bounds) {
	e.bounds = b
	e.store.Limits = backlogs.Limits{Values: e.opts.MaxAlarmValues, CustomData: b.customData, Listed: b.listed}
	e.memory = memory.Recent{Seconds: e.opts.LookBack, Most: b.remembered, MostBytes: b.rememberedBytes}
	e.ended = memory.Ended{Seconds: e.opts.Remember, Most: b.ended, Salt: e.keys.Salt}
}
