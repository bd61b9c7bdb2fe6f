package enrich

import (
	"slices"
	"strings"
	"time"

	"dsiem/internal/alarm"
)

// Outbox keeps the order of alarm lines while some of them wait for their
// look-ups (D9). Its owner is the goroutine that writes alarm lines: it adds
// every line, and writes the lines that the methods return, at once and in
// their order. Time is an argument; nothing here reads a clock or blocks.
//
//   - A line that waits is due when its result is there or its wait is over,
//     and then has what Follow tells was found so far;
//     lines of the same alarm behind it wait for it, lines of other alarms do
//     not.
//   - What was found for a line is in it and in all later lines of its alarm.
//   - A result that comes after its line was written, and adds something, gives
//     one more line: the last one written with the findings. If another line of
//     the alarm is held, that one carries them instead.
type Outbox struct {
	wait  time.Duration
	limit int

	now     time.Time
	alarms  map[string]*thread
	tickets map[Ticket]*outLine
	last    Ticket
	held    int
	// due holds the lines that wait, and some that did, in order of deadline.
	due []*outLine
}

// Ticket names a line that waits for a result. The zero Ticket names none.
type Ticket uint64

// thread is what is known of one alarm.
type thread struct {
	id    string
	found Result
	// written is the last line written, kept while results may come.
	written *alarm.Alarm
	held    []*outLine
	open    int // tickets
	over    bool
}

// outLine is a line that waits for its turn, or that had a ticket.
type outLine struct {
	thread   *thread
	alarm    *alarm.Alarm
	deadline time.Time
	waits    bool
	soFar    func() Result // nil, or what was found while it waits
	result   Result
	written  bool
}

// OutboxOptions configure an Outbox.
type OutboxOptions struct {
	// Wait is the longest time that a line is held. At 0 every line is written
	// at once.
	Wait time.Duration
	// Limit is the number of lines that may be held, 10,000 by default. Beyond
	// it the oldest are written without waiting longer.
	Limit int
}

// NewOutbox returns an empty Outbox.
func NewOutbox(o OutboxOptions) *Outbox {
	if o.Limit <= 0 {
		o.Limit = 10_000
	}
	return &Outbox{wait: o.Wait, limit: o.Limit, alarms: map[string]*thread{}, tickets: map[Ticket]*outLine{}}
}

// Add takes the next line of an alarm and returns the lines to write. With
// lookup set the line waits for the result that will come with the ticket;
// otherwise the ticket is 0. The line must not be changed any more.
func (o *Outbox) Add(now time.Time, line *alarm.Alarm, lookup bool) (Ticket, []*alarm.Alarm) {
	o.turn(now)
	t := o.alarms[line.ID]
	if t == nil {
		t = &thread{id: strings.Clone(line.ID)} // which may be a part of a larger text
		o.alarms[t.id] = t
	}
	t.over = false
	l := &outLine{thread: t, alarm: line, deadline: o.now.Add(o.wait), waits: lookup}
	t.held = append(t.held, l)
	o.held++
	var ticket Ticket
	if lookup {
		o.last++
		ticket = o.last
		o.tickets[ticket] = l
		t.open++
		o.due = append(o.due, l)
	}
	out := o.release(nil, t)
	for o.held > o.limit {
		out = o.releaseFirst(out)
	}
	return ticket, out
}

// Follow lets a line that waits get what was found so far, should it be written
// without its result. The function must not call the Outbox.
func (o *Outbox) Follow(ticket Ticket, soFar func() Result) {
	if l := o.tickets[ticket]; l != nil && l.waits {
		l.soFar = soFar
	}
}

// Resolve takes the result of a line and returns the lines to write. A ticket
// that is not known, or known no more, is ignored.
func (o *Outbox) Resolve(now time.Time, ticket Ticket, result Result) []*alarm.Alarm {
	o.turn(now)
	l := o.tickets[ticket]
	if l == nil {
		return nil
	}
	delete(o.tickets, ticket)
	t := l.thread
	t.open--
	var out []*alarm.Alarm
	if l.written {
		t.found.merge(&result)
		if more, adds := result.AddTo(t.written); adds && len(t.held) == 0 {
			t.written = more
			out = append(out, more)
		}
	}
	l.result, l.waits, l.soFar = result, false, nil
	return o.release(out, t)
}

// Tick returns the lines whose wait is over.
func (o *Outbox) Tick(now time.Time) []*alarm.Alarm {
	o.turn(now)
	var out []*alarm.Alarm
	for len(o.due) > 0 && !o.due[0].deadline.After(o.now) {
		out = o.releaseFirst(out)
	}
	return out
}

// End says that an alarm will have no more lines, so that its findings can be
// forgotten once all its results are there. Findings of alarms that never end
// are kept for good.
func (o *Outbox) End(alarmID string) {
	if t := o.alarms[alarmID]; t != nil {
		t.over = true
		o.tidy(t)
	}
}

// Flush returns all lines that are held, in order of their deadlines, and
// forgets everything: results that come later are ignored.
func (o *Outbox) Flush() []*alarm.Alarm {
	var out []*alarm.Alarm
	for o.held > 0 {
		out = o.releaseFirst(out)
	}
	clear(o.alarms)
	clear(o.tickets)
	o.due = nil
	return out
}

// turn lets the clock pass. It never goes back, so that deadlines stay in order.
func (o *Outbox) turn(now time.Time) {
	if now.After(o.now) {
		o.now = now
	}
}

// releaseFirst ends the wait of the line that waits longest, and appends what
// that makes ready.
func (o *Outbox) releaseFirst(out []*alarm.Alarm) []*alarm.Alarm {
	if len(o.due) == 0 {
		return out
	}
	l := o.due[0]
	o.due[0] = nil
	o.due = o.due[1:]
	if l.written { // its thread may be gone
		return out
	}
	l.giveUp()
	return o.release(out, l.thread)
}

// giveUp ends the wait of a line.
func (l *outLine) giveUp() {
	if l.soFar != nil {
		l.result = l.soFar()
	}
	l.waits, l.soFar = false, nil
}

// release appends the lines of an alarm that wait for nothing.
func (o *Outbox) release(out []*alarm.Alarm, t *thread) []*alarm.Alarm {
	ready := 0
	for _, l := range t.held {
		if l.waits && l.deadline.After(o.now) {
			break
		}
		if l.waits {
			l.giveUp()
		}
		ready++
		l.written = true
		t.found.merge(&l.result)
		t.written, _ = t.found.AddTo(l.alarm)
		out = append(out, t.written)
	}
	o.held -= ready
	t.held = slices.Delete(t.held, 0, ready)
	o.tidy(t)
	return out
}

// tidy drops what is not needed any more of an alarm.
func (o *Outbox) tidy(t *thread) {
	if t.open > 0 {
		return
	}
	t.written = nil
	if len(t.held) == 0 && (t.over || t.found.empty()) {
		delete(o.alarms, t.id)
	}
}
