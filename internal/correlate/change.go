package correlate

import (
	"cmp"
	"math"

	"dsiem/internal/alarm"
)

// Kind is what happened to a backlog.
type Kind uint8

// The kinds of changes.
const (
	// Opened: an event created a backlog.
	Opened Kind = iota
	// Accepted: a backlog took an event. An alarm-event line is due.
	Accepted
	// Advanced: a backlog went on to its next stage.
	Advanced
	// Updated: an alarm changed. An alarm line is due.
	Updated
	// Finished: a backlog completed its last stage and is gone.
	Finished
	// Expired: a backlog ended before its current stage was complete.
	Expired
)

// Change is one thing that a step did, in the order in which it did it.
type Change struct {
	Kind Kind
	// Directive is the directive's id and AlarmID the backlog's.
	Directive uint64
	AlarmID   string
	// Stage is the number of the stage that took the event (Accepted), or of
	// the current one.
	Stage int
	// EventID is the event's id; Accepted and Opened only.
	EventID string
	// Earlier says that a stage took the event that is not the current one;
	// Accepted only.
	Earlier bool
	// ReceivedAt is the event's receive time in UNIX nanoseconds, 0 if unknown;
	// Accepted only.
	ReceivedAt int64
	// LookedBack says that the event came before and was looked back to (D33);
	// Accepted only. It has no receive time then.
	LookedBack bool
	// Evicted says that the time of the stage was not over: the backlog made room
	// for another one (D32); Expired only.
	Evicted bool
	// Recorded is the number of different events of the stage that was not completed,
	// Wanted that which would have been; Expired only.
	Recorded, Wanted uint64
	// Alarm is the alarm as it is now; Updated only. The receiver may keep it.
	Alarm *alarm.Alarm
	// Before is the alarm's class when it was published last, Unclassified if
	// this is the first time; Updated only.
	Before alarm.Class
	// RiskBefore is the risk before the event; Updated only.
	RiskBefore int
	// Lookup says that the alarm's addresses and ports are due for threat-intel
	// and vulnerability look-ups, the latter with the last non-zero ports;
	// Updated only (§8.5).
	Lookup                   bool
	LastSrcPort, LastDstPort uint16
	// Order is the change's place among the changes of all shards.
	Order Order
}

// Order is a change's place in the output: engines that were given the same
// events and the directives of one configuration, split in any way, merge
// their changes by a stable sort with Compare into what a single engine would
// have given (D14, D15).
type Order struct {
	// Step is the number of the event, from 1.
	Step uint64
	// deadline orders expiries among themselves and before the event's own
	// changes; it is the latest possible for those.
	deadline int64
	// opened is the opening of the expired backlog.
	opened opening
	// directive is the directive's place in load order.
	directive int32
}

// never is a deadline after all others.
const never = math.MaxInt64

// Compare returns -1, 0 or 1 as o comes before, with or after p.
func (o Order) Compare(p Order) int {
	return cmp.Or(
		cmp.Compare(o.Step, p.Step),
		cmp.Compare(o.deadline, p.deadline),
		o.opened.compare(p.opened),
		cmp.Compare(o.directive, p.directive),
	)
}

// opening is when a backlog was opened, in an order that does not depend on
// how directives are split over engines: an event opens at most one backlog of
// a directive, and restored backlogs come before all events, in the order of
// directives and then of the file.
type opening struct {
	// step is the number of the event, or negative for the place among the
	// directive's restored backlogs.
	step      int64
	directive int32
}

// restoredStep is the step of a directive's first restored backlog.
const restoredStep = math.MinInt64

func (o opening) compare(p opening) int {
	if o.step < 0 && p.step < 0 {
		return cmp.Or(cmp.Compare(o.directive, p.directive), cmp.Compare(o.step, p.step))
	}
	return cmp.Or(cmp.Compare(o.step, p.step), cmp.Compare(o.directive, p.directive))
}
