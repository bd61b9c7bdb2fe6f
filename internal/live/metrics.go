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
		Directives: len(c.config.Plans), Late: s.late.Load(),
	}
	if stats := s.engine.Load(); stats != nil {
		counts.Engine = *stats
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
	closed("expired", func(n Counts) uint64 { return n.Expired - n.Engine.Evicted })
	closed("evicted", func(n Counts) uint64 { return n.Engine.Evicted })
	closed("discarded", func(Counts) uint64 { return uint64(discarded) })
	s.Counter("dsiem_backlogs_refused_total", "Events that opened no backlog, or that one did not take, because there was no room.",
		func(n Counts) uint64 { return n.Engine.Refused })
	silent := s.Counters("dsiem_backlogs_without_alarm_total", "Backlogs that completed all stages with a risk of 0, by reason.", "reason")
	silent("no_asset", func(n Counts) uint64 { return n.Engine.WithoutAsset })
	silent("risk", func(n Counts) uint64 { return n.Engine.WithoutRisk })
	lines := s.Counters("dsiem_alarms_written_total", "Alarm lines that were handed to the alarm file, by risk class.", "class")
	lines("low", func(n Counts) uint64 { return n.Alarms[alarm.Low] })
	lines("medium", func(n Counts) uint64 { return n.Alarms[alarm.Medium] })
	lines("high", func(n Counts) uint64 { return n.Alarms[alarm.High] })
	s.Gauge("dsiem_directives_ttl", "Directives that are loaded.", func(n Counts) float64 { return float64(n.Directives) })
	s.Gauge("dsiem_directives_active", "Directives that have backlogs.", func(n Counts) float64 { return float64(n.Engine.Active) })
	s.Gauge("dsiem_backlogs", "Backlogs that are live.", func(n Counts) float64 { return float64(n.Engine.Live) })
	registerTime(s)
	reg.MustRegister(s)
	c.counts.delay = metric.NewHistogram(reg, "dsiem_event_delay_seconds",
		"Time from an event's own time until its arrival.")
	c.counts.step = metric.NewHistogram(reg, "dsiem_step_duration_seconds",
		"Time the engine took for one event; the mean of its batch counts for each.")
	c.counts.latency = metric.NewHistogram(reg, "dsiem_event_latency_seconds",
		"Time from the receipt of an event (rcvd_time) until its alarm lines were handed over.")
}

// registerTime adds what became of events because of their time, order or
// repetition (docs/spec/correlation.md D43).
func registerTime(s *metric.Snapshot[Counts]) {
	adjusted := s.Counters("dsiem_events_adjusted_total", "Events whose time was not taken as it was sent, by reason.", "reason")
	adjusted("future", func(n Counts) uint64 { return n.Engine.Future })
	s.Counter("dsiem_events_without_id_total", "Events that came without an event_id.", func(n Counts) uint64 { return n.WithoutID })
	s.Counter("dsiem_events_late_total", "Events that were more than a minute old when they arrived.", func(n Counts) uint64 { return n.Late })
	swallowed := s.Counters("dsiem_events_swallowed_total", "Events that a rule wanted and that did not count, by reason.", "reason")
	swallowed("repeated", func(n Counts) uint64 { return n.Engine.Repeated })
	swallowed("out_of_order", func(n Counts) uint64 { return n.Engine.OutOfOrder })
	swallowed("outside", func(n Counts) uint64 { return n.Engine.Outside })
	swallowed("known", func(n Counts) uint64 { return n.Engine.Known })
	s.Counter("dsiem_events_looked_back_total", "Events that a backlog was offered after the fact.",
		func(n Counts) uint64 { return n.Engine.LookedBack })
	forgotten := s.Counters("dsiem_events_forgotten_total", "What was forgotten before its time because there was too much, by memory.", "memory")
	forgotten("look_back", func(n Counts) uint64 { return n.Engine.ForgottenEarly })
	forgotten("ended", func(n Counts) uint64 { return n.Engine.ForgottenEnded })
	forgotten("ids", func(n Counts) uint64 { return n.Engine.ForgottenIDs })
	forgotten("findings", func(n Counts) uint64 { return n.Engine.ForgottenHits })
	s.Counter("dsiem_alarm_values_truncated_total", "Events whose address or custom data an alarm does not list.",
		func(n Counts) uint64 { return n.Engine.Truncated })
	s.Gauge("dsiem_remembered_events", "Events that are remembered to look back to.", func(n Counts) float64 { return float64(n.Engine.Remembered) })
	s.Gauge("dsiem_remembered_bytes", "Memory of the events that are remembered to look back to.",
		func(n Counts) float64 { return float64(n.Engine.RememberedBytes) })
	s.Gauge("dsiem_remembered_ended_events", "Events of ended backlogs that are remembered.", func(n Counts) float64 { return float64(n.Engine.Ended) })
}

// Register registers the metrics of the Queue.
func (q *Queue) Register(reg prometheus.Registerer) {
	s := metric.NewSnapshot(q.Len)
	s.Gauge("dsiem_queue_length", "Events that wait for the engine.", func(n int) float64 { return float64(n) })
	s.Gauge("dsiem_queue_capacity", "Events that can wait for the engine.", func(int) float64 { return float64(q.limit) })
	reg.MustRegister(s)
}
