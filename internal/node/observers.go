package node

import (
	"log/slog"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate"
	"dsiem/internal/event"
	"dsiem/internal/live"
	"dsiem/internal/observe/otel"
	"dsiem/internal/text"
	"dsiem/internal/web/status"
)

// rejections logs and keeps texts that are no events.
type rejections struct {
	live.Silent

	logger *slog.Logger
	keep   func(record []byte, reason, detail string)
}

// Rejected implements live.Observer.
func (r rejections) Rejected(data []byte, why *event.Rejection) {
	r.logger.Error("cannot parse event from message queue, skipping it",
		"reason", why.Reason.String(), "error", why.Error(), "event", text.Clip(string(data), 200))
	r.keep(data, why.Reason.String(), why.What())
}

// recentAlarms remembers the last alarms for the status page.
type recentAlarms struct {
	live.Silent

	recent *status.Recent
}

// Written implements live.Observer.
func (r recentAlarms) Written(now time.Time, b *alarm.Batch) {
	for _, a := range b.Alarms {
		r.recent.Add(status.Alarm{Time: now, ID: a.ID, Title: a.Title, Risk: a.Risk, Class: a.Class.String()})
	}
}

// traces records what became of events.
type traces struct {
	live.Silent

	tracer *otel.Tracer
}

// Played implements live.Observer.
func (t traces) Played(p *live.Played) {
	matched := map[string][]otel.Match{}
	for i := range p.Changes {
		if c := &p.Changes[i]; c.Kind == correlate.Accepted {
			matched[c.EventID] = append(matched[c.EventID], otel.Match{Directive: c.Directive, Backlog: c.AlarmID})
		}
	}
	for i := range p.Steps {
		id := p.Steps[i].Event.ID
		t.tracer.Handle(p.Carriers[i], id, p.Received, p.Done, matched[id])
	}
}
