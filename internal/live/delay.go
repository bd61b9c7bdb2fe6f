package live

import (
	"log/slog"
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

	ahead      time.Time // of the last warning of a clock that is ahead
	lateSensor string    // of the last late event

	looked time.Time
	before swallowed
	told   [swallowedKinds]time.Time
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
		d.lateSensor = ev.Sensor
	}
	const longest = 1 << 32 // seconds, so that the duration is one
	delay := time.Duration(min(seconds, longest)) * time.Second
	if seconds < longest {
		delay = time.Duration(arrival - (ev.Seconds*int64(time.Second) + int64(ev.Nanos)))
	}
	d.tally.Observe(delay)
}

// flush hands the delays of a portion to the histogram.
func (d *delays) flush() {
	if d.counts.delay != nil {
		d.counts.delay.Take(&d.tally)
	}
}

// The kinds of swallowed events.
const (
	repeated = iota
	outOfOrder
	outside
	known
	late
	future
	swallowedKinds
)

// swallowed are totals by kind, and that of matched events.
type swallowed struct {
	kinds   [swallowedKinds]uint64
	matched uint64
}

func swallowedKind(kind int) string {
	return [swallowedKinds]string{"repeated", "out_of_order", "outside", "known", "late", "future"}[kind]
}

// look warns, once a minute, of kinds of events that exceed one in a hundred matched
// ones.
func (d *delays) look(now time.Time, s correlate.Stats) {
	if now.Sub(d.looked) < looksEvery {
		return
	}
	d.looked = now
	sums := swallowed{matched: d.counts.matched.Load()}
	sums.kinds = [swallowedKinds]uint64{s.Repeated, s.OutOfOrder, s.Outside, s.Known, d.counts.late.Load(), s.Future}
	matched := sums.matched - d.before.matched
	for kind := range sums.kinds {
		n := sums.kinds[kind] - d.before.kinds[kind]
		if n == 0 || n*worthTelling <= matched || now.Sub(d.told[kind]) < toldEvery {
			continue
		}
		d.told[kind] = now
		attrs := []any{"kind", swallowedKind(kind), "events", n, "matched", matched, "manual", "docs/time.md"}
		if sensor := d.sensor(kind); sensor != "" {
			attrs = append(attrs, "sensor", sensor)
		}
		d.logger.Warn("more than one in a hundred events of the last minute did not count as they came", attrs...)
	}
	d.before = sums
}

// sensor names a sensor that sent events of a kind.
func (d *delays) sensor(kind int) string {
	if kind == late {
		return d.lateSensor
	}
	return ""
}
