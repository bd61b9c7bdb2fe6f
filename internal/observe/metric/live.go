package metric

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics of the pipeline, which it updates with one call per batch. They move to
// internal/live, which counts them.

// DropReason says why events were lost before they were looked at.
type DropReason int

// The reasons.
const (
	// DropQueueFull is an event that the full queue of the pipeline cost.
	DropQueueFull DropReason = iota
	// DropSlowConsumer is a message that the NATS client threw away, because
	// its own queue was full.
	DropSlowConsumer
	// DropShutdown is an event that was still waiting when the program had to
	// end.
	DropShutdown
)

// EventMetrics counts events on their way in.
type EventMetrics struct {
	outcomes Counters
	drops    Counters
	matched  prometheus.Counter
	latency  *Histogram
}

// NewEventMetrics registers the counters of events. outcomes are the names of
// what can become of an event, in the order of the numbers that Outcome takes
// (those of event.Reason); the last one also counts numbers beyond it.
func NewEventMetrics(reg prometheus.Registerer, outcomes []string) *EventMetrics {
	return &EventMetrics{
		outcomes: NewCounters(reg, "dsiem_events_total",
			"Events that were received and looked at, by outcome.", "outcome", outcomes),
		drops: NewCounters(reg, "dsiem_events_dropped_total",
			"Events that were lost before they were looked at, by reason.", "reason",
			[]string{"queue_full", "slow_consumer", "shutdown"}),
		matched: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "dsiem_events_matched_total", Help: "Events that a backlog took.",
		}),
		latency: NewHistogram(reg, "dsiem_event_latency_seconds",
			"Time from the receipt of an event (rcvd_time) until its alarm lines were handed over."),
	}
}

// Outcome counts n events of an outcome.
func (m *EventMetrics) Outcome(outcome, n int) { m.outcomes.Add(outcome, n) }

// Dropped counts n events that were lost.
func (m *EventMetrics) Dropped(reason DropReason, n int) { m.drops.Add(int(reason), n) }

// Matched counts n events that a backlog took.
func (m *EventMetrics) Matched(n int) { m.matched.Add(float64(n)) }

// Latency counts n events that took d from receipt to alarm line.
func (m *EventMetrics) Latency(d time.Duration, n int) { m.latency.Observe(d, n) }

// RegisterQueue registers the length and the capacity of the queue in front of
// the engine, in events. length is called from any goroutine, and should cost
// no more than len of a channel.
func RegisterQueue(reg prometheus.Registerer, capacity int, length func() int) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dsiem_queue_length", Help: "Events that wait for the engine.",
	}, func() float64 { return float64(length()) })
	promauto.With(reg).NewGauge(prometheus.GaugeOpts{
		Name: "dsiem_queue_capacity", Help: "Events that can wait for the engine.",
	}).Set(float64(capacity))
}

// BacklogOutcome says how a backlog was closed.
type BacklogOutcome int

// The outcomes.
const (
	// BacklogCompleted is one whose last stage was completed.
	BacklogCompleted BacklogOutcome = iota
	// BacklogExpired is one whose stage ran out of time.
	BacklogExpired
	// BacklogDiscarded is one that was given up for another reason, as a saved
	// backlog whose directive is gone.
	BacklogDiscarded
)

// AlarmClass is the risk class of an alarm line.
type AlarmClass int

// The classes.
const (
	AlarmLow AlarmClass = iota
	AlarmMedium
	AlarmHigh
)

// EngineMetrics counts what the engine does.
type EngineMetrics struct {
	step                     *Histogram
	directives, active, live prometheus.Gauge
	opened                   prometheus.Counter
	closed, alarms           Counters
}

// NewEngineMetrics registers the metrics of the engine.
func NewEngineMetrics(reg prometheus.Registerer) *EngineMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		return promauto.With(reg).NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	return &EngineMetrics{
		step: NewHistogram(reg, "dsiem_step_duration_seconds",
			"Time the engine took for one event; the mean of its batch counts for each."),
		directives: gauge("dsiem_directives_ttl", "Directives that are loaded."),
		active:     gauge("dsiem_directives_active", "Directives that have backlogs."),
		live:       gauge("dsiem_backlogs", "Backlogs that are live."),
		opened: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "dsiem_backlogs_opened_total", Help: "Backlogs that were opened.",
		}),
		closed: NewCounters(reg, "dsiem_backlogs_closed_total",
			"Backlogs that were closed, by outcome.", "outcome",
			[]string{"completed", "expired", "discarded"}),
		alarms: NewCounters(reg, "dsiem_alarms_written_total",
			"Alarm lines that were handed to the alarm file, by risk class.", "class",
			[]string{"low", "medium", "high"}),
	}
}

// Step counts n events for which the engine took d altogether.
func (m *EngineMetrics) Step(d time.Duration, n int) {
	if n > 0 {
		m.step.Observe(d/time.Duration(n), n)
	}
}

// Loaded says how many directives are loaded.
func (m *EngineMetrics) Loaded(directives int) { m.directives.Set(float64(directives)) }

// Live says how many backlogs are live, and how many directives have them.
func (m *EngineMetrics) Live(backlogs, directives int) {
	m.live.Set(float64(backlogs))
	m.active.Set(float64(directives))
}

// Opened counts n backlogs that were opened.
func (m *EngineMetrics) Opened(n int) { m.opened.Add(float64(n)) }

// Closed counts n backlogs that were closed.
func (m *EngineMetrics) Closed(outcome BacklogOutcome, n int) { m.closed.Add(int(outcome), n) }

// Alarms counts n alarm lines of a class.
func (m *EngineMetrics) Alarms(class AlarmClass, n int) { m.alarms.Add(int(class), n) }
