package replay

import (
	"dsiem/internal/correlate/shard"
	"dsiem/internal/event"
)

// Times are UNIX nanoseconds, from 0.
const perSecond = 1_000_000_000

// timeOf returns an event's time.
func timeOf(ev *event.Event) int64 { return ev.Seconds*perSecond + int64(ev.Nanos) }

// stepAt is the one place where the replay clock meets the engines: an event is
// offered to them when the clock stands at a time. Nothing happens in the future
// (D28): an event that is dated later happens then.
func stepAt(clock int64, ev *event.Event) shard.Step {
	second := clock / perSecond
	if timeOf(ev) > clock {
		ev.Seconds, ev.Nanos = second, int32(clock%perSecond)
	}
	return shard.Step{Now: second, Event: ev}
}
