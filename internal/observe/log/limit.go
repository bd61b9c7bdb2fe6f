package log

import (
	"cmp"
	"sync"
	"time"
)

// usualInterval is the time between two lines of one kind.
const usualInterval = 10 * time.Second

// Limit keeps a line that anybody may cause from filling the log, and counts
// the times it was left out. Use one for each kind of line. The zero value lets
// through one line per ten seconds. Time is an argument. A Limit is safe for
// concurrent use.
//
// Limited does this for a whole log; a Limit is for lines that differ in what
// they say, that say how many were left out in words of their own, or that cost
// something to make.
type Limit struct {
	// Burst lines are let through at once, and as many in any interval of
	// length Per on the average; 0 is one.
	Burst int
	// Per is the length of the interval; 0 is 10 s.
	Per time.Duration

	mu      sync.Mutex
	used    time.Time // until when the lines let through use up their share
	leftOut uint64
}

// Allow reports whether the line may be written now. If not, it counts.
func (l *Limit) Allow(now time.Time) bool {
	burst := max(l.Burst, 1)
	share := cmp.Or(l.Per, usualInterval) / time.Duration(burst)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.used.Before(now) {
		l.used = now
	}
	if l.used.Sub(now) > share*time.Duration(burst-1) {
		l.leftOut++
		return false
	}
	l.used = l.used.Add(share)
	return true
}

// LeftOut returns how often Allow said no since the last call.
func (l *Limit) LeftOut() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.leftOut
	l.leftOut = 0
	return n
}
