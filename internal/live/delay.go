package live

import (
	"log/slog"
	"strings"
	"time"

	"dsiem/internal/correlate"
	"dsiem/internal/event"
	"dsiem/internal/observe/metric"
)

// What is said of events whose time does not fit that of their arrival
// (docs/spec/correlation.md D28, D43).
const (
	// lateAfter is the age, in seconds, from which an event counts as late, and
	// aheadAfter the lead from which there is a warning.
	lateAfter, aheadAfter = 60, 60
	// aheadEvery is the time between two warnings of a clock that is ahead.
	aheadEvery = 10 * time.Second
	// looksEvery is the time between two looks at what was swallowed, toldEvery the
	// time between two warnings of one kind.
	looksEvery, toldEvery = time.Minute, time.Hour
	// worthTelling is the share of the matched events, as one in so many, from which
	// swallowed ones are worth a warning.
	worthTelling = 100
)

// delays watches the time between an event's own time and its arrival. It belongs to
// the Correlator's goroutine.
type delays struct {
	logger *slog.Logger
	counts *counts
	tally  metric.Tally

	ahead time.Time // of the last warning of a clock that is ahead
	// lateSensor and idlessSensor are the sensors of the first late event, and of the first
	// without an id, since the last look.
	lateSensor, idlessSensor string

	looked time.Time // when it was looked at last
	// crowded is the number of backlogs that had given way or found no room when that was
	// told last.
	crowded     uint64
	crowdedTold time.Time
	// before and matched are the totals of then, and told when each kind was told last.
	before  [kinds]uint64
	matched uint64
	told    [kinds]time.Time
}

// offered looks at an event that is offered at an arrival, in UNIX nanoseconds.
func (d *delays) offered(now time.Time, ev *event.Event, arrival int64) {
	seconds := arrival/int64(time.Second) - ev.Seconds
	switch {
	case seconds <= -aheadAfter:
		if now.Sub(d.ahead) >= aheadEvery {
			d.ahead = now
			d.logger.Warn("the clock of a sensor is ahead, its events count as of now",
				"sensor", ev.Sensor, "ahead", (time.Duration(-seconds) * time.Second).String(), "event_id", ev.ID)
		}
	case seconds > lateAfter:
		d.counts.late.Add(1)
		nameSensor(&d.lateSensor, ev)
	}
	const longest = 1 << 32 // seconds, so that the duration is one
	delay := time.Duration(min(seconds, longest)) * time.Second
	if seconds < longest {
		delay = time.Duration(arrival - (ev.Seconds*int64(time.Second) + int64(ev.Nanos)))
	}
	d.tally.Observe(delay)
}

// withoutID notes an event that came without an id.
func (d *delays) withoutID(ev *event.Event) {
	d.counts.withoutID.Add(1)
	nameSensor(&d.idlessSensor, ev)
}

func nameSensor(to *string, ev *event.Event) {
	if *to == "" {
		*to = strings.Clone(ev.Sensor)
	}
}

// flush hands the delays of a portion to the histogram.
func (d *delays) flush() {
	if d.counts.delay != nil {
		d.counts.delay.Take(&d.tally)
	}
}

// kind is one kind of events that did not count as they came: how many there were, and
// the sensor of one of them, "" if it is not known.
type kind struct {
	name   string
	total  uint64
	sensor string
}

// kinds are those that a warning tells of.
const kinds = 11

// kindsOf returns all kinds.
func (d *delays) kindsOf(s *correlate.Stats, named *correlate.Sensors) [kinds]kind {
	return [kinds]kind{
		{"late", d.counts.late.Load(), d.lateSensor},
		{"future", s.Future, named.Future},
		{"repeated", s.Repeated, named.Repeated},
		{"known", s.Known, named.Known},
		{"out_of_order", s.OutOfOrder, named.OutOfOrder},
		{"outside", s.Outside, named.Outside},
		{"looked_back", s.LookedBack, ""},
		{"forgotten_early", s.ForgottenEarly, ""},
		{"without_id", d.counts.withoutID.Load(), d.idlessSensor},
		{"truncated", s.Truncated, named.Truncated},
		{"refused", s.Refused, named.Refused},
	}
}

// lookCrowd warns of backlogs that had to give way to others, or found no room: at once,
// and then once a minute while it goes on.
func (d *delays) lookCrowd(now time.Time, s *correlate.Stats) {
	if sum := s.Evicted + s.Refused; sum > d.crowded && now.Sub(d.crowdedTold) >= looksEvery {
		d.crowded, d.crowdedTold = sum, now
		d.logger.Warn("there is no room for more backlogs; raise --memory, or shorten timeouts",
			"live", s.Live, "gave_way_total", s.Evicted, "refused_events_total", s.Refused)
	}
}

// look warns, once a minute, of all kinds of events that exceed one in a hundred matched
// ones, of each once an hour. sensors is asked for their sensors.
func (d *delays) look(now time.Time, s correlate.Stats, sensors func() correlate.Sensors) {
	d.lookCrowd(now, &s)
	if now.Sub(d.looked) < looksEvery {
		return
	}
	d.looked = now
	named, sum := sensors(), d.counts.matched.Load()
	matched := sum - d.matched
	d.matched = sum
	var attrs []any
	for i, k := range d.kindsOf(&s, &named) {
		n := k.total - d.before[i]
		d.before[i] = k.total
		if n == 0 || n*worthTelling <= matched || now.Sub(d.told[i]) < toldEvery {
			continue
		}
		d.told[i] = now
		if attrs = append(attrs, k.name, n); k.sensor != "" {
			attrs = append(attrs, k.name+"_sensor", k.sensor)
		}
	}
	d.lateSensor, d.idlessSensor = "", ""
	if len(attrs) > 0 {
		attrs = append([]any{"matched", matched}, append(attrs, "manual", "docs/time.md")...)
		d.logger.Warn("more than one in a hundred events of the last minute did not count as they came", attrs...)
	}
}
