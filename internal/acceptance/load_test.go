package acceptance

import (
	"fmt"
	"testing"
	"time"
)

// TestBurstOnDefaultFlags sends more events than the queue holds as fast as NATS
// takes them; each is taken, none is lost.
func TestBurstOnDefaultFlags(t *testing.T) {
	const total = 100_000
	nats := startNATS(t)
	h := newHome(t, configs(t, "", "r1 rel1\nr2 from=:1 to=:1 occ1000000 rel10 timeout=3600"))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{"--metrics-address=127.0.0.1:0"}})
	events := make([]string, total)
	at := time.Now()
	for i := range events {
		events[i] = ev{id: fmt.Sprint("e", i), src: address(i % 1000), at: at}.String()
	}
	begun := time.Now()
	publish(nats, events...)
	sent := time.Since(begun)
	eventually(t, "every event is an alarm-event line", func() bool {
		return countLines(t, h.eventsFile()) >= total || len(n.said("events dropped")) > 0
	})
	took := time.Since(begun)
	t.Logf("%d events: sent in %v, in the file after %v, %.0f events/s", total, sent, took, total/took.Seconds())
	n.stop()
	if got := len(h.alarmEvents()); got != total {
		t.Errorf("%d events were taken, want %d", got, total)
	}
}
