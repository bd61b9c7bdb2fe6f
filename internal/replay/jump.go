package replay

// lookAhead is the number of records of an input that a jump of its time is judged
// by (D30).
const lookAhead = 1000

// confirmed judges a jump of an input's time to t by the records that follow, of
// which next returns the times, false at the end: more than half of the next
// thousand, or of those there are, must be dated no more than maxJump before it. If
// none follows, nothing speaks against it. It asks for no more than it needs.
func confirmed(t, maxJump int64, next func() (int64, bool)) bool {
	earliest := t - maxJump
	with, against := 0, 0
	for with+against < lookAhead {
		follows, ok := next()
		switch {
		case !ok:
			return with > against || with+against == 0
		case follows >= earliest:
			with++
		default:
			against++
		}
		if with > lookAhead/2 || against >= lookAhead/2 {
			break
		}
	}
	return with > against
}

// jumps reports whether a time is so far ahead of an input's clock that it must be
// confirmed.
func jumps(t, clock, maxJump int64) bool { return t-clock > maxJump }

// lead judges the start of an input. An input has no clock before its first
// confirmed record, so each record before that one has to be confirmed, and those
// that are not get its time. at returns the time of record i of the input, false at
// its end. lead returns the place of the first confirmed record and its time;
// ok is false if it is not among the first most records.
func lead(maxJump int64, most int, at func(i int) (int64, bool)) (first int, t int64, ok bool) {
	for ; first < most; first++ {
		if t, ok = at(first); !ok {
			return first, 0, false
		}
		i := first
		if confirmed(t, maxJump, func() (int64, bool) { i++; return at(i) }) {
			return first, t, true
		}
	}
	return first, 0, false
}
