package replay

import (
	"math"

	"dsiem/internal/correlate/shard"
	"dsiem/internal/event"
)

// Times are UNIX nanoseconds.
const perSecond = 1_000_000_000

// timeOf returns an event's time. What 64 bits of nanoseconds do not hold is as
// early or late as they can say.
func timeOf(ev *event.Event) int64 {
	const last = math.MaxInt64 / perSecond
	switch {
	case ev.Seconds > last || ev.Seconds == last && int64(ev.Nanos) > math.MaxInt64%perSecond:
		return math.MaxInt64
	case ev.Seconds < -last:
		return math.MinInt64
	}
	return ev.Seconds*perSecond + int64(ev.Nanos)
}

// secondOf returns the whole second of a time, floored.
func secondOf(t int64) int64 {
	second := t / perSecond
	if second*perSecond > t {
		second--
	}
	return second
}

// ahead returns t - clock, or as much as a duration can say.
func ahead(t, clock int64) int64 {
	d := t - clock
	if (t >= clock) != (d >= 0) {
		if t >= clock {
			return math.MaxInt64
		}
		return math.MinInt64
	}
	return d
}

// stepAt is the one place where the replay clock meets the engines: an event is
// offered to them when the clock stands at a time. Nothing happens in the future
// (D28): an event that is dated later happens then.
func stepAt(clock int64, ev *event.Event) shard.Step {
	second := secondOf(clock)
	if timeOf(ev) > clock {
		ev.Seconds, ev.Nanos = second, int32(clock-second*perSecond) //nolint:gosec // less than a second
	}
	return shard.Step{Now: second, Event: ev}
}
