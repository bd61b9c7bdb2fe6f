package memory

import "math"

// PerSecond is the number of nanoseconds in a second.
const PerSecond = 1_000_000_000

// SecondsOf returns the whole second of a time in nanoseconds.
func SecondsOf(ns int64) int64 {
	s := ns / PerSecond
	if ns < s*PerSecond {
		s--
	}
	return s
}

// NanosOf returns the beginning of a second in nanoseconds, or an end of time.
func NanosOf(seconds int64) int64 {
	const last = math.MaxInt64 / PerSecond
	switch {
	case seconds > last:
		return math.MaxInt64
	case seconds < -last:
		return math.MinInt64
	}
	return seconds * PerSecond
}
