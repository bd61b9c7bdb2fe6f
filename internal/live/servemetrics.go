package live

import (
	"sync/atomic"

	"dsiem/internal/alarm"
	"dsiem/internal/event"
)

// Stats are the counters of a running backend; any goroutine may read
// them.
type Stats struct {
	Received, Offered, Whitelisted, withoutID atomic.Uint64
	Unwanted                                  atomic.Uint64
	Rejected                                  [event.Reasons]atomic.Uint64
	Matched                                   atomic.Uint64
	Opened, Finished, Expired                 atomic.Uint64
	AlarmLines                                [alarm.High + 1]atomic.Uint64
	Busy                                      atomic.Int64 // nanoseconds in the engines, for all offered events
	Live, Active                              atomic.Int64
	// Abandoned are events that were still waiting when the backend had to end.
	Abandoned atomic.Uint64
}

// Alarms returns the number of alarm lines.
func (s *Stats) Alarms() uint64 {
	n := uint64(0)
	for i := range s.AlarmLines {
		n += s.AlarmLines[i].Load()
	}
	return n
}
