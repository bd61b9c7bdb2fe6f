package bench

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Transport is the way on which events reach the server.
type Transport string

// The transports.
const (
	// NATS publishes each event; the server is a backend.
	NATS Transport = "nats"
	// HTTP posts each event; the server is a standalone node.
	HTTP Transport = "http"
	// HTTPArray posts events in arrays to a standalone node.
	HTTPArray Transport = "http-array"
	// Replay plays a file.
	Replay Transport = "replay"
	// Subscriber publishes events to a NATS client that only counts them: what
	// NATS, this driver and this machine can do at most.
	Subscriber Transport = "subscriber"
)

// Transports returns the transports that have a server.
func Transports() []Transport { return []Transport{NATS, HTTP, HTTPArray, Replay} }

// Cell is one measurement: a workload, the way it takes, and how much of it.
type Cell struct {
	// Name is what results are called by.
	Name string `json:"name"`
	// About says what it is, for a table.
	About     string    `json:"about,omitempty"`
	Transport Transport `json:"transport"`
	Workload  Workload  `json:"-"`
	// Events is the number of events, without those that open the live backlogs;
	// a few more are sent, so that the last one leaves a trace. If it is 0,
	// Duration is how long events are sent; a replay plays a million then.
	Events   uint64        `json:"-"`
	Duration time.Duration `json:"-"`
	// Rate is the number of events a second, 0 for as many as the server takes.
	// With a rate there are latencies, counted from when an event was due.
	Rate float64 `json:"-"`
	// WarmUp is how long events come in the same way before those that count: a
	// server at full speed takes some seconds until it has found the pace of its
	// garbage collector. What they cost is not measured; they are checked as all
	// others are.
	WarmUp time.Duration `json:"-"`
	// Connections and Batch are for HTTP: the number of connections, and that of
	// events in an array.
	Connections int `json:"-"`
	Batch       int `json:"-"`
	// Flood publishes over NATS without a look at how far the server is.
	Flood bool `json:"-"`
	// Defaults leaves all settings of the server as they are that do not say where
	// something is. Otherwise it keeps no state on disk, and has no limit of rate.
	Defaults bool `json:"-"`
	// Flags are more flags for the server.
	Flags []string `json:"-"`
	// Weigh looks at the server's heap before and after the live backlogs are
	// opened. It is set if they are so many that the heap says what one takes up.
	Weigh bool `json:"-"`
	// Trend is the time between two looks at the server's memory while events come
	// that count, 0 for none: with it is measured how memory changes.
	Trend time.Duration `json:"-"`
	// Restart ends the server in order when the events that count have come, starts it
	// again with what it has saved, and sends some more. It needs Defaults: otherwise
	// nothing is saved.
	Restart bool `json:"-"`
	// Goals are what the medians should be.
	Goals []Goal `json:"-"`
	// group is the table that shows the cell.
	group string
}

// The defaults of a cell.
const (
	defaultDuration     = 5 * time.Second
	defaultReplayEvents = 1_000_000
	defaultConnections  = 16
	defaultBatch        = 500

	// worthWeighing is the number of live backlogs from which all else in the heap
	// hardly counts.
	worthWeighing = 100_000
)

// Check returns an error about a cell that cannot be measured.
func (c Cell) Check() error {
	c = c.withDefaults()
	return c.check()
}

func (c Cell) withDefaults() Cell {
	c.Workload = c.Workload.withDefaults()
	switch {
	case c.Events > 0:
		c.Duration = 0
	case c.Transport == Replay:
		c.Events, c.Duration = defaultReplayEvents, 0
	case c.Duration == 0:
		c.Duration = defaultDuration
	}
	c.Weigh = c.Transport != Replay && (c.Weigh || c.Workload.Live >= worthWeighing)
	c.group = cmp.Or(c.group, groupOther)
	if c.Connections == 0 {
		c.Connections = defaultConnections
	}
	if c.Batch == 0 {
		c.Batch = defaultBatch
	}
	if c.Transport != HTTPArray {
		c.Batch = 1
	}
	return c
}

// check returns what cannot be measured.
func (c *Cell) check() error {
	_, err := newPlan(c.Workload, c.streams())
	switch {
	case err != nil:
		return err
	case c.Transport != Subscriber && !slices.Contains(Transports(), c.Transport):
		return fmt.Errorf("there is no transport %q", c.Transport)
	case c.Transport == Replay && (c.Rate > 0 || c.WarmUp > 0 || c.Trend > 0 || c.Workload.Abandoned > 0):
		return errors.New("a replay has no rate, no warm-up, no trend, and no time in which what is abandoned could expire")
	case c.Restart && (c.Transport != NATS || !c.Defaults):
		return errors.New("a server that starts again is one that gets events over NATS and saves its state, as it does by default")
	case c.Rate < 0 || math.IsNaN(c.Rate) || c.Rate > maxRate:
		return fmt.Errorf("%v events a second are not possible; use up to %.0f, or 0 for as many as the server takes", c.Rate, float64(maxRate))
	case c.Duration < 0 || c.WarmUp < 0 || c.Trend < 0:
		return errors.New("a duration must not be negative, nor a warm-up, nor the time between two looks at memory")
	case c.Events > maxEvents/2:
		return fmt.Errorf("%d events are too many; use at most %d", c.Events, uint64(maxEvents/2))
	case c.Batch < 1 || c.Batch > maxBatch:
		return fmt.Errorf("%d events in an array are not possible; use 1 to %d", c.Batch, maxBatch)
	}
	return nil
}

// The limits of a cell.
const (
	maxRate  = 1e9
	maxBatch = 100_000
)

// streams returns the number of connections.
func (c *Cell) streams() int {
	if c.Transport == HTTP || c.Transport == HTTPArray {
		return c.Connections
	}
	return 1
}
