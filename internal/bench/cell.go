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
	// the message queue, this driver and this machine can do at most.
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
	// Connections and Batch are for HTTP: the number of connections, and that of
	// events in an array.
	Connections int `json:"-"`
	Batch       int `json:"-"`
	// Flood publishes over NATS without a look at how far the server is.
	Flood bool `json:"-"`
	// Defaults leaves all settings of the server as they are that do not say where
	// something is. Otherwise it keeps no state on disk, and has no limit of rate.
	Defaults bool `json:"-"`
	// Weigh looks at the server's heap before and after the live backlogs are
	// opened. It is set if they are so many that the heap says what one takes up.
	Weigh bool `json:"-"`
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
	case c.Transport == Replay && c.Rate > 0:
		return errors.New("a replay has no rate")
	case c.Rate < 0 || math.IsNaN(c.Rate) || c.Rate > maxRate:
		return fmt.Errorf("%v events a second are not possible; use up to %.0f, or 0 for as many as the server takes", c.Rate, float64(maxRate))
	case c.Duration < 0:
		return errors.New("a duration must not be negative")
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

// Goal is a bound of a measure's median.
type Goal struct {
	Measure Measure `json:"measure"`
	// AtLeast and AtMost are the bounds, 0 for none.
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
}

// reached reports whether a value is within the bound.
func (g Goal) reached(value float64) bool {
	return value >= g.AtLeast && (g.AtMost == 0 || value <= g.AtMost)
}

// Measure is one number of a run, by its name in JSON.
type Measure string

// The measures.
const (
	EventsPerSecond Measure = "events_per_second"
	// OfSubscriber is EventsPerSecond as a share of that of a NATS client that only
	// counts events, measured in the same repetition.
	OfSubscriber Measure = "of_subscriber"
	// ServerCPU, DriverCPU and QueueCPU are seconds of CPU time for a million
	// events: of the server, of this program and of the NATS server.
	ServerCPU Measure = "server_cpu_seconds_per_million"
	DriverCPU Measure = "driver_cpu_seconds_per_million"
	QueueCPU  Measure = "queue_cpu_seconds_per_million"
	// RelativeCPU is ServerCPU as a share of that of the first cell of its table.
	RelativeCPU Measure = "relative_cpu"
	// PeakMemory is the most resident memory of the server, in bytes.
	PeakMemory Measure = "peak_rss_bytes"
	// ReadySeconds is the time from the start of the server until it takes events,
	// ReadyMemory its resident memory then, in bytes.
	ReadySeconds Measure = "ready_seconds"
	ReadyMemory  Measure = "ready_rss_bytes"
	// BacklogBytes is by how much the heap grew for each live backlog.
	BacklogBytes Measure = "heap_bytes_per_backlog"
	// Allocations and AllocatedBytes are those of the server for each event.
	Allocations    Measure = "allocations_per_event"
	AllocatedBytes Measure = "allocated_bytes_per_event"
	// P50, P99 and P999 are quantiles of the time from when an event was due until
	// its line could be read, in milliseconds; LongestDelay is the longest.
	P50          Measure = "latency_p50_ms"
	P99          Measure = "latency_p99_ms"
	P999         Measure = "latency_p999_ms"
	LongestDelay Measure = "latency_max_ms"
	// Refused is the number of times that the server refused an event for lack of
	// room; it was sent again.
	Refused Measure = "refused"
)

// Repetition is the result of one repetition of a cell.
type Repetition struct {
	// Sent is the number of events, those included that opened the live backlogs.
	Sent uint64 `json:"sent"`
	// Values are the measures; those that a cell has not are not there.
	Values map[Measure]float64 `json:"values"`
	// Findings is what was wrong with the alarm files.
	Findings Findings `json:"findings"`
	// Unseen is the number of events that the server did not look at, by its own
	// counters.
	Unseen uint64 `json:"unseen"`
	// Failure says why there is no result, "" if there is one.
	Failure string `json:"failure,omitempty"`
}

// wrong returns the number of things that must not be.
func (r *Repetition) wrong() uint64 {
	wrong := r.Findings.Total() + r.Unseen
	if r.Failure != "" {
		wrong++
	}
	return wrong
}
