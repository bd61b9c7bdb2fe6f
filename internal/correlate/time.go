package correlate

import "math"

// perSecond is the number of nanoseconds in a second.
const perSecond = 1_000_000_000

// secondsOf returns the whole second of a time in nanoseconds.
func secondsOf(ns int64) int64 {
	s := ns / perSecond
	if ns < s*perSecond {
		s--
	}
	return s
}

// nanosOf returns the beginning of a second in nanoseconds, or an end of time.
func nanosOf(seconds int64) int64 {
	const last = math.MaxInt64 / perSecond
	switch {
	case seconds > last:
		return math.MaxInt64
	case seconds < -last:
		return math.MinInt64
	}
	return seconds * perSecond
}
