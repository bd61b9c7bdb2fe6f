package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dsiem/test/testkit"
)

// A backend that was killed while it was overloaded takes the overload back
// when it starts again: frontends would stay throttled for ever.
func TestOverloadOfAKilledBackendEnds(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	signals := overloadSignals(t, server)
	next := func() string {
		message, err := signals.NextMsg(testkit.Patience)
		testkit.Check(t, err)
		return string(message.Data)
	}
	h := newHome(t, configs(t, "", takeAll))
	flags := setup{nats: server.URL(), flags: []string{"--max-delay=1", "--hold-duration=600", "--checkpoint=1"}}
	n := h.startReady(flags)
	testkit.Eventually(t, "a checkpoint", func() bool { return exists(filepath.Join(h.backlogs(), "checkpoint")) })
	publish(server, ev{id: "e1", received: time.Now().Add(-10 * time.Second).UnixNano()}.String())
	if got := next(); got != "true" {
		t.Fatalf("the first signal is %q, want true", got)
	}
	n.kill()
	n = h.startReady(flags)
	if got := next(); got != "false" {
		t.Fatalf("the signal after the restart is %q, want false", got)
	}
	n.stop()
	// After a stop in order there is nothing to take back.
	n = h.startReady(flags)
	n.stop()
	testkit.Check(t, signals.Unsubscribe())
	if left, _, err := signals.Pending(); err == nil && left > 0 {
		t.Errorf("%d signals after a stop in order", left)
	}
}

// Events that were answered 200, and that a stop has no time for, are played by
// the next start. The node is slow on purpose.
func TestEventsThatWaitAtTheEndArePlayedLater(t *testing.T) {
	t.Parallel()
	h := newHome(t, configs(t, "", takeAll))
	slow := setup{role: standaloneRole, flags: []string{"--max-eps=0", "--max-queue=0", "--debug"}, env: []string{"GOMAXPROCS=1"}}
	n := h.startReady(slow)
	const requests, size = 30, 5000
	for r := range requests {
		var body strings.Builder
		for i := range size {
			body.WriteString(ev{id: fmt.Sprintf("r%d-%d", r, i)}.String())
			body.WriteByte('\n')
		}
		n.wantTaken200(n.post(body.String()))
	}
	n.stop()
	played := countLines(t, h.eventsFile())
	waiting := countLines(t, filepath.Join(h.backlogs(), "waiting_events.ndjson"))
	t.Logf("%d events were played before the end, %d waited", played, waiting)
	if played+waiting != requests*size {
		t.Errorf("%d events were played and %d wait, want %d together", played, waiting, requests*size)
	}
	n = h.startReady(setup{role: standaloneRole})
	testkit.Eventually(t, "all events are played", func() bool { return countLines(t, h.eventsFile()) == requests*size })
	n.stop()
	for id, times := range times(t, h.eventsFile()) {
		if times != 1 {
			t.Fatalf("event %s is there %d times", id, times)
		}
	}
	if exists(filepath.Join(h.backlogs(), "waiting_events.ndjson")) {
		t.Error("events still wait")
	}
}

// The events of the last run stay on disk until they have been played, with
// checkpoints and without.
func TestPlayedEventsAreForgotten(t *testing.T) {
	t.Parallel()
	for _, checkpoint := range []string{"0", "1"} {
		t.Run("checkpoint="+checkpoint, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, configs(t, "", takeAll))
			testkit.Check(t, os.MkdirAll(h.backlogs(), 0o750))
			file := filepath.Join(h.backlogs(), "waiting_events.ndjson")
			testkit.Check(t, os.WriteFile(file, []byte(ev{id: "e1"}.String()+"\n"+ev{id: "e2"}.String()+"\n"), 0o640))
			n := h.startReady(setup{role: standaloneRole, flags: []string{"--checkpoint=" + checkpoint}})
			n.takes("e2")
			testkit.Eventually(t, "the played events are forgotten", func() bool { return !exists(file) })
			n.kill()
			if got := h.alarmEvents(); len(got) != 2 || got[0].EventID != "e1" {
				t.Errorf("the lines are %v", got)
			}
		})
	}
}

// A line of the events of the last run that no event can have does not stop the
// start: it is counted, the others are played, and the file is kept aside.
func TestAWaitingEventThatIsTooLongIsPassedOver(t *testing.T) {
	t.Parallel()
	h := newHome(t, configs(t, "", takeAll))
	testkit.Check(t, os.MkdirAll(h.backlogs(), 0o750))
	file := filepath.Join(h.backlogs(), "waiting_events.ndjson")
	content := ev{id: "e1"}.String() + "\n" + strings.Repeat("x", 5<<20) + "\n" + ev{id: "e2"}.String() + "\n"
	testkit.Check(t, os.WriteFile(file, []byte(content), 0o640))
	n := h.startReady(setup{role: standaloneRole, flags: []string{"--checkpoint=1", diagnostics}})
	n.takes("e2")
	n.says("ERROR", "events that waited are lost", "events=1")
	if got := n.metrics()[`dsiem_events_dropped_total{reason="shutdown"}`]; got != 1 {
		t.Errorf("%v events are counted as lost, want 1", got)
	}
	testkit.Eventually(t, "the played events are forgotten", func() bool { return !exists(file) })
	n.says("WARN", "damaged saved file kept aside", file+".damaged-")
	n.stop()
	if got := h.alarmEvents(); len(got) != 2 || got[0].EventID != "e1" {
		t.Errorf("the lines are %v", got)
	}
}

// Two nodes must not write into one log directory.
func TestOneNodePerLogDirectory(t *testing.T) {
	t.Parallel()
	h := newHome(t, configs(t, "", takeAll))
	first := h.startReady(setup{role: standaloneRole})
	second := h.start(setup{role: standaloneRole})
	second.says("ERROR", "another node is using the log directory")
	second.exit(1)
	first.takesPosted(ev{id: "e1"}.String())
	first.takes("e1")
	first.kill()
	h.startReady(setup{role: standaloneRole}).stop() // the lock goes with the process
}
