package live

import (
	"context"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate"
	"dsiem/internal/correlate/shard"
	"dsiem/internal/event"
)

// Source is where events come from. Its methods are called by the goroutine of
// the Correlator.
type Source interface {
	// Ready has an element when events may wait.
	Ready() <-chan struct{}
	// Take returns the next events, nil if none wait. They belong to the caller
	// until Done or Keep.
	Take() *event.Batch
	// Done takes a batch back whose events have been played.
	Done(b *event.Batch)
	// Keep takes a batch that there was no time for, at the end.
	Keep(b *event.Batch)
}

// Output takes what is to be read by others: the alarm files of a node.
type Output interface {
	// Write takes the lines of a batch, which it does not keep. It may wait, and
	// events then wait in their Source. After an error, also that of ctx, the
	// lines are lost.
	Write(ctx context.Context, b *alarm.Batch) error
}

// Observer wants to know what a Correlator does, without a part in it. Its
// methods are called by the goroutine of the Correlator, which waits for them, and
// keep nothing of what they are given. Silent has them all.
type Observer interface {
	// Rejected is told about a text that is no event.
	Rejected(text []byte, why *event.Rejection)
	// Changed is told what has changed, in order, after it has been handed on.
	Changed(now time.Time, changes []correlate.Change)
	// Played is told what has been played, after Changed.
	Played(p *Played)
	// Written is told what has been given to the Output.
	Written(now time.Time, b *alarm.Batch)
}

// Played is a number of events that were played together.
type Played struct {
	// Received is when they were taken up, Done when the engines were through with
	// them.
	Received, Done time.Time
	// Steps are the events that were offered to the engines. Carriers are their
	// trace contexts, one each, if Options.Traced is set.
	Steps    []shard.Step
	Carriers []event.Carrier
	// Changes is what the engines made of them.
	Changes []correlate.Change
}

// Silent is an Observer of nothing, to be embedded.
type Silent struct{}

var _ Observer = Silent{}

// Rejected does nothing.
func (Silent) Rejected([]byte, *event.Rejection) {}

// Changed does nothing.
func (Silent) Changed(time.Time, []correlate.Change) {}

// Played does nothing.
func (Silent) Played(*Played) {}

// Written does nothing.
func (Silent) Written(time.Time, *alarm.Batch) {}
