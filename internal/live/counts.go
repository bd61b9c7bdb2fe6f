package live

import (
	"sync/atomic"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate"
	"dsiem/internal/event"
	"dsiem/internal/observe/metric"
)

// counts are the counters of a Correlator; any goroutine may read them.
type counts struct {
	received, offered, whitelisted, withoutID atomic.Uint64
	unwanted                                  atomic.Uint64
	rejected                                  [event.Reasons]atomic.Uint64
	matched                                   atomic.Uint64
	opened, finished, expired                 atomic.Uint64
	alarmLines                                [alarm.High + 1]atomic.Uint64
	busy                                      atomic.Int64 // nanoseconds in the engines, for all offered events
	late                                      atomic.Uint64
	engine                                    atomic.Pointer[correlate.Stats] // as of the last look

	step, latency, delay *metric.Histogram // nil before Register
}

// changes counts what changed.
func (c *counts) changes(changes []correlate.Change) {
	lastStep := uint64(0)
	for i := range changes {
		switch change := &changes[i]; change.Kind {
		case correlate.Accepted:
			if change.Order.Step != lastStep {
				lastStep = change.Order.Step
				c.matched.Add(1)
			}
		case correlate.Opened:
			c.opened.Add(1)
		case correlate.Finished:
			c.finished.Add(1)
		case correlate.Expired:
			c.expired.Add(1)
		case correlate.Advanced, correlate.Updated:
		}
	}
}

// stepped counts the time that the engines took for events.
func (c *counts) stepped(took time.Duration, events int) {
	c.busy.Add(int64(took))
	if c.step != nil && events > 0 {
		c.step.Observe(took/time.Duration(events), events)
	}
}

// Counts is what a Correlator has counted by a moment. All but Directives
// and some of Engine only grow.
type Counts struct {
	// Received are all events that were taken from the Source, Offered those that
	// the engines got, Unwanted those that no rule names, Whitelisted those of
	// sources to be ignored, WithoutID those of Offered that have no event_id, and
	// Rejected those that are none, by reason.
	Received, Offered, Unwanted, Whitelisted, WithoutID uint64
	Rejected                                            [event.Reasons]uint64
	// Matched are the events that a backlog took. Opened, Finished and Expired are
	// backlogs, Alarms the alarm lines by class.
	Matched, Opened, Finished, Expired uint64
	Alarms                             [alarm.High + 1]uint64
	// Late are those of Offered that were more than a minute old at their arrival.
	Late uint64
	// Busy is the time that the engines took for all offered events.
	Busy time.Duration
	// Directives are loaded, Engine is what the engines have counted.
	Directives int
	Engine     correlate.Stats
}

// AlarmLines returns the number of alarm lines of all classes.
func (c Counts) AlarmLines() uint64 {
	n := uint64(0)
	for _, lines := range c.Alarms {
		n += lines
	}
	return n
}
