package bench

import "time"

// burst is the most events that are made with one look at the clock.
const burst = 64

// leastWait is the least time to wait for an event to be due: then several are.
const leastWait = 250 * time.Microsecond

// course says which events of a stream are sent, and when. It belongs to one
// goroutine.
type course struct {
	plan *plan
	// first is the first event, end the one behind the last, which matches: by its
	// line the end is seen. end is 0 until it is known.
	first, end uint64
	// sent is the event behind the last one that was sent.
	sent uint64
	// start is when the first event is due, until the time after which the end
	// comes, if it is not given in events.
	start, until time.Time
	// interval is the time from one event to the next, in nanoseconds; 0 is none.
	interval float64
}

// newCourse returns a course from event first on for a number of events, or a
// time if that is 0, with a number of events a second, 0 for as many as possible.
func newCourse(p *plan, first, events uint64, lasts time.Duration, rate float64, start time.Time) *course {
	c := &course{plan: p, first: first, sent: first, start: start, until: start.Add(lasts)}
	if events > 0 {
		c.end = p.throughMatch(first + events)
	}
	if rate > 0 {
		c.interval = float64(time.Second) / rate
	}
	return c
}

// throughMatch returns the first end, from n on, behind an event that matches.
func (p *plan) throughMatch(n uint64) uint64 {
	if n <= p.live {
		return n
	}
	before := p.matches(n)
	if before > p.matches(n-1) {
		return n
	}
	return p.live + divideUp((before-p.live+1)*million, p.match)
}

// next returns how many events are due behind those that were sent, at most a
// number, or else how long to wait; both are 0 at the end.
func (c *course) next(now time.Time, most uint64) (events uint64, wait time.Duration) {
	n := c.sent
	if c.end == 0 && (!now.Before(c.until) || n >= maxEvents) {
		c.end = c.plan.throughMatch(n)
	}
	if c.end != 0 {
		most = min(most, c.end-n)
	}
	if c.interval == 0 || most == 0 {
		return most, 0
	}
	due := c.first
	if passed := now.Sub(c.start); passed >= 0 {
		due += uint64(float64(passed)/c.interval) + 1
	}
	if due <= n {
		return 0, max(leastWait, c.due(n).Sub(now))
	}
	return min(most, due-n), 0
}

// due returns when an event has to be sent.
func (c *course) due(n uint64) time.Time {
	return c.start.Add(time.Duration(float64(n-c.first) * c.interval))
}
