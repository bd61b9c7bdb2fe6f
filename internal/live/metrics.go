package live

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/alarm"
	"dsiem/internal/event"
	"dsiem/internal/observe/metric"
)

// Counts returns what has been counted so far. Any goroutine may ask.
func (c *Correlator) Counts() Counts {
	s := &c.counts
	counts := Counts{
		Received: s.received.Load(), Offered: s.offered.Load(), Unwanted: s.unwanted.Load(), Whitelisted: s.whitelisted.Load(),
		WithoutID: s.withoutID.Load(), Matched: s.matched.Load(), Opened: s.opened.Load(), Finished: s.finished.Load(),
		Expired: s.expired.Load(), Busy: time.Duration(s.busy.Load()),
		Directives: len(c.config.Plans), Active: int(s.active.Load()), Live: int(s.live.Load()),
	}
	for i := range s.rejected {
		counts.Rejected[i] = s.rejected[i].Load()
	}
	for i := range s.alarmLines {
		counts.Alarms[i] = s.alarmLines[i].Load()
	}
	return counts
}

// Received returns the number of events that were taken from the Source. Any
// goroutine may ask.
func (c *Correlator) Received() uint64 { return c.counts.received.Load() }

// Register registers the metrics of the Correlator, before Run. discarded are the
// saved backlogs that could not be restored.
func (c *Correlator) Register(reg prometheus.Registerer, discarded int) {
	s := metric.NewSnapshot(c.Counts)
	outcome := s.Counters("dsiem_events_total", "Events that were received and looked at, by outcome.", "outcome")
	for reason := range event.Reasons {
		outcome(event.Reason(reason).String(), func(n Counts) uint64 {
			switch event.Reason(reason) {
			case event.Accepted:
				return n.Offered
			case event.Unwanted:
				return n.Unwanted
			case event.Whitelisted:
				return n.Whitelisted
			default:
				return n.Rejected[reason]
			}
		})
	}
	s.Counter("dsiem_events_matched_total", "Events that a backlog took.", func(n Counts) uint64 { return n.Matched })
	s.Counter("dsiem_backlogs_opened_total", "Backlogs that were opened.", func(n Counts) uint64 { return n.Opened })
	closed := s.Counters("dsiem_backlogs_closed_total", "Backlogs that were closed, by outcome.", "outcome")
	closed("completed", func(n Counts) uint64 { return n.Finished })
	closed("expired", func(n Counts) uint64 { return n.Expired })
	closed("discarded", func(Counts) uint64 { return uint64(discarded) })
	lines := s.Counters("dsiem_alarms_written_total", "Alarm lines that were handed to the alarm file, by risk class.", "class")
	lines("low", func(n Counts) uint64 { return n.Alarms[alarm.Low] })
	lines("medium", func(n Counts) uint64 { return n.Alarms[alarm.Medium] })
	lines("high", func(n Counts) uint64 { return n.Alarms[alarm.High] })
	s.Gauge("dsiem_directives_ttl", "Directives that are loaded.", func(n Counts) float64 { return float64(n.Directives) })
	s.Gauge("dsiem_directives_active", "Directives that have backlogs.", func(n Counts) float64 { return float64(n.Active) })
	s.Gauge("dsiem_backlogs", "Backlogs that are live.", func(n Counts) float64 { return float64(n.Live) })
	reg.MustRegister(s)
	c.counts.step = metric.NewHistogram(reg, "dsiem_step_duration_seconds",
		"Time the engine took for one event; the mean of its batch counts for each.")
	c.counts.latency = metric.NewHistogram(reg, "dsiem_event_latency_seconds",
		"Time from the receipt of an event (rcvd_time) until its alarm lines were handed over.")
}

// Register registers the metrics of the Queue.
func (q *Queue) Register(reg prometheus.Registerer) {
	s := metric.NewSnapshot(q.Len)
	s.Gauge("dsiem_queue_length", "Events that wait for the engine.", func(n int) float64 { return float64(n) })
	s.Gauge("dsiem_queue_capacity", "Events that can wait for the engine.", func(int) float64 { return float64(q.limit) })
	reg.MustRegister(s)
}
