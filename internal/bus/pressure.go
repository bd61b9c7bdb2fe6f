package bus

import "time"

// Signal is what a backend has to publish after a step of Pressure.
type Signal uint8

const (
	// NoSignal is nothing to publish.
	NoSignal Signal = iota
	// Overloaded is true on the overload subject.
	Overloaded
	// Relieved is false on the overload subject.
	Relieved
)

// Pressure decides when a backend signals overload to the frontends: when
// events that it evaluates were received too long ago (docs/spec/interfaces.md
// §4.6). It reads no clock; the times that one value is given must not go back.
// One goroutine owns it, except for Late.
type Pressure struct {
	maxDelay, hold time.Duration

	overloaded bool
	last       time.Time // when there was pressure
	sent       time.Time // when Overloaded was returned
}

// NewPressure returns a rule for which an event is late when it was received
// more than maxDelay ago (0 or less: never), and which holds the overload for
// the time hold after the last late event.
func NewPressure(maxDelay, hold time.Duration) *Pressure {
	return &Pressure{maxDelay: maxDelay, hold: max(hold, 0)}
}

// Late reports whether an event is late: one that a frontend received at
// receivedAt, in nanoseconds since the Unix epoch (an event's rcvd_time). A
// time of 0 or less is unknown and never late (D30). Late may be called from
// any goroutine.
func (p *Pressure) Late(now time.Time, receivedAt int64) bool {
	return p.maxDelay > 0 && receivedAt > 0 && now.Sub(time.Unix(0, receivedAt)) > p.maxDelay
}

// Observe notes an event that the backend evaluates. The first late one, and
// then the first of each half hold time, asks for the signal Overloaded, so
// that frontends that came later, or heard another backend's relief, know.
func (p *Pressure) Observe(now time.Time, receivedAt int64) Signal {
	if !p.Late(now, receivedAt) {
		return NoSignal
	}
	p.last = now
	if p.overloaded && now.Sub(p.sent) < p.hold/2 {
		return NoSignal
	}
	p.overloaded = true
	p.sent = now
	return Overloaded
}

// Tick asks for the signal Relieved once when there has been no late event for
// the hold time. Call it often.
func (p *Pressure) Tick(now time.Time) Signal {
	if !p.overloaded || now.Sub(p.last) < p.hold {
		return NoSignal
	}
	p.overloaded = false
	return Relieved
}

// Overloaded reports whether the last signal was Overloaded.
func (p *Pressure) Overloaded() bool { return p.overloaded }
