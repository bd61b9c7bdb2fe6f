package enrich

import (
	"strconv"
	"testing"
	"time"

	"dsiem/internal/alarm"
)

// Nothing is kept of alarms without findings, nor of those that ended.
func TestOutboxForgets(t *testing.T) {
	t.Parallel()
	box := NewOutbox(OutboxOptions{Wait: time.Second})
	now := time.Unix(0, 0)
	var tickets []Ticket
	for i := range 100 {
		ticket, _ := box.Add(now, &alarm.Alarm{ID: strconv.Itoa(i)}, i%2 == 0)
		tickets = append(tickets, ticket)
	}
	box.Tick(now.Add(time.Second))
	if len(box.alarms) != 50 || len(box.tickets) != 50 {
		t.Errorf("waiting for results: %d alarms, %d tickets", len(box.alarms), len(box.tickets))
	}
	for i, ticket := range tickets {
		result := Result{}
		if i < 10 {
			result.Vulns = []alarm.Hit{{Provider: "Nesd", Term: "10.0.0.1:22", Result: "High - x"}}
		}
		box.Resolve(now, ticket, result)
	}
	if len(box.alarms) != 5 || len(box.tickets) != 0 || len(box.due) != 0 {
		t.Errorf("with findings: %d alarms, %d tickets, %d due", len(box.alarms), len(box.tickets), len(box.due))
	}
	for _, a := range box.alarms {
		if a.written != nil {
			t.Error("a line is kept for nothing")
		}
	}
	for i := range 100 {
		box.End(strconv.Itoa(i))
	}
	if len(box.alarms) != 0 {
		t.Errorf("ended: %d alarms", len(box.alarms))
	}
}
