package acceptance

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"dsiem/internal/bus"
	"dsiem/internal/output/rejects"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

// takeAll is a directive whose first stage takes the events of new sources and
// whose second one takes all others.
const takeAll = "r1 rel10\nr2 from=:1 to=:1 occ1000000 rel10 timeout=3600"

// takes waits until an event is in the alarm-event file.
func (h *home) takes(id string) {
	h.t.Helper()
	testkit.Eventually(h.t, "event "+id+" is taken", func() bool {
		for _, e := range h.alarmEvents() {
			if e.EventID == id {
				return true
			}
		}
		return false
	})
}

// Every backend gets every event, whichever of the two programs it is.
func TestT43_TwoBackendsGetEveryEvent(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	seed, original := newHome(t, configs(t, "", takeAll)), newHome(t, configs(t, "", takeAll))
	seed.start(setup{nats: server.URL()}).takesEvents()
	original.start(setup{program: "dsiem", nats: server.URL(), flags: []string{"--mode=cluster-backend"}}).takesEvents()
	publish(server, ev{id: "e1"}.String())
	seed.takes("e1")
	original.takes("e1")
}

// The literal messages of docs/spec/interfaces.md §4.2 and §4.3.
const (
	messageOfOriginal  = `{"conn_id":1,"event_id":"e1","timestamp":"2024-01-01T00:00:00Z","title":"t","sensor":"s","plugin_id":1001,"plugin_sid":2100384,"src_ip":"10.0.0.1","src_port":0,"dst_ip":"10.0.0.2","dst_port":0,"protocol":"ICMP","rcvd_time":1795369513089910369}`
	messageOfSuccessor = `{"event_id":"e1","timestamp":"2024-01-01T00:00:00Z","sensor":"s","title":"t","src_ip":"10.0.0.1","dst_ip":"10.0.0.2","plugin_id":1001,"plugin_sid":2100384,"product":"","category":"","subcategory":"","src_port":0,"dst_port":0,"protocol":"ICMP","conn_id":1,"custom_data1":"","custom_label1":"","custom_data2":"","custom_label2":"","custom_data3":"","custom_label3":"","rcvd_time":1711428290978559000,"carrier":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":""}}`
)

// Messages of both generations of frontends do the same. They are years old, so
// their backlogs expire at once.
func TestT44_MessagesOfBothGenerations(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	var outcomes []string
	for _, message := range []string{messageOfOriginal, messageOfSuccessor} {
		h := newHome(t, configs(t, "", "r1 sid2100384 rel10\nr2 sid2100384 from=:1 occ5 rel10"))
		n := h.startReady(setup{nats: server.URL(), flags: []string{"-v"}})
		publish(server, message)
		n.says("backlog expired")
		n.stop()
		events, alarms := h.alarmEvents(), h.alarms()
		if len(events) != 1 || len(alarms) != 2 {
			t.Fatalf("%d alarm-event lines and %d alarm lines, want 1 and 2", len(events), len(alarms))
		}
		outcomes = append(outcomes, events[0].AlarmID+events[0].EventID+alarms[0].progress()+alarms[1].progress())
	}
	if outcomes[0] != outcomes[1] {
		t.Errorf("the messages do not do the same: %q", outcomes)
	}
}

func TestT45_GarbageIsLoggedAndSkipped(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	n := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL()})
	publish(server, "garbage", `{"event_id":"x"}`, ev{id: "e1"}.String())
	n.takes("e1")
	n.stop()
	const message = "cannot parse event from message queue"
	for _, payload := range []string{"garbage", `{\"event_id\":\"x\"}`} {
		if got := n.said("ERROR", message, "skipping it", payload); len(got) != 1 {
			t.Errorf("%s is in %d log lines, want 1", payload, len(got))
		}
	}
	if got := n.said(message); len(got) != 2 {
		t.Errorf("log lines about garbage: %q, want 2", got)
	}
	n.wantKept(keptRecord{"bad_json", `at byte 0: invalid character 'g' at start of value`, "garbage"}, keptRecord{"bad_timestamp", "timestamp: missing", `{"event_id":"x"}`})
}

// D40: what a standalone node rejects is kept in one file, whichever door it came
// through, up to the last one before a stop.
func TestRejectedRecordsOfBothDoorsAreKept(t *testing.T) {
	t.Parallel()
	n := startStandalone(t, takeAll, "--nats-listen=127.0.0.1:0")
	if a := n.post("[]{}"); a.status != http.StatusTeapot {
		t.Errorf("answer %d %s", a.status, a.body)
	}
	client := connectNATS(t, "nats://"+n.queueAddress())
	testkit.Check(t, client.Publish(bus.EventsSubject, []byte("garbage")))
	testkit.Check(t, client.Flush())
	n.stop()
	n.wantKept(keptRecord{"bad_timestamp", "timestamp: missing", "{}"}, keptRecord{"bad_json", `at byte 0: invalid character 'g' at start of value`, "garbage"})
}

// keptRecord is a record that a node has rejected and kept.
type keptRecord struct{ Reason, Detail, Record string }

// wantKept checks which rejected records a node has kept, for its owner alone.
func (h *home) wantKept(want ...keptRecord) {
	h.t.Helper()
	name := filepath.Join(h.logs, rejects.Name)
	testkit.Equal(h.t, decodeLines[keptRecord](h.t, name), want)
	info, err := os.Stat(name)
	testkit.Check(h.t, err)
	if info.Mode() != 0o600 {
		h.t.Errorf("the mode of what is kept is %v", info.Mode())
	}
}

// A flood of garbage costs a few log lines, and does not keep events waiting.
func TestT45_GarbageIsNotLoggedOneByOne(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	n := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL()})
	flood := make([]string, 10_000)
	for i := range flood {
		flood[i] = "garbage"
	}
	publish(server, append(flood, ev{id: "e1"}.String())...)
	n.takes("e1")
	n.stop()
	if got := n.said("cannot parse event from message queue"); len(got) > 10 {
		t.Errorf("%d log lines", len(got))
	}
	// What was held back is told with its number: 10,000 but for the two lines.
	if got := n.said("suppressed=9998"); len(got) != 1 {
		t.Errorf("%d lines tell how many were held back, want 1", len(got))
	}
}

// overloadSignals returns the signals that a client of the server gets.
func overloadSignals(t *testing.T, server *natstest.Server) *nats.Subscription {
	t.Helper()
	sub, err := server.Client().SubscribeSync(bus.OverloadSubject)
	testkit.Check(t, err)
	server.WaitForSubscribers(bus.OverloadSubject, 1)
	return sub
}

func TestT46_OverloadIsSignalledAndTakenBack(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	signals := overloadSignals(t, server)
	n := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL(), flags: []string{"--max_delay=1", "--hold_duration=3"}})
	late := time.Now().Add(-10 * time.Second).UnixNano()
	sent := time.Now()
	publish(server, ev{id: "e1", received: late}.String(), ev{id: "e2", received: late}.String(), ev{id: "e3", received: late}.String())
	next := func() string {
		message, err := signals.NextMsg(testkit.Patience)
		testkit.Check(t, err)
		return string(message.Data)
	}
	if got := next(); got != "true" {
		t.Fatalf("first signal %q, want true", got)
	}
	if got := next(); got != "false" {
		t.Fatalf("second signal %q, want false", got)
	}
	if took := time.Since(sent); took < 3*time.Second {
		t.Errorf("relief after %v, want at least 3 s", took)
	} else {
		t.Logf("relief after %v", took)
	}
	for _, line := range []string{"overload = true signal sent to frontend", "overload = false signal sent to frontend", "backlog is under pressure"} {
		n.says(line)
		if got := n.said(line); len(got) != 1 {
			t.Errorf("%q is logged %d times, want once", line, len(got))
		}
	}
}

// Overload that lasts is told again, for frontends that came later.
func TestT46_OverloadIsRepeatedWhileItLasts(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	signals := overloadSignals(t, server)
	newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL(), flags: []string{"--max-delay=1", "--hold-duration=2"}})
	trues := 0
	for i := 0; trues < 2; i++ {
		publish(server, ev{id: "e" + strings.Repeat("x", i), received: time.Now().Add(-10 * time.Second).UnixNano()}.String())
		message, err := signals.NextMsg(100 * time.Millisecond)
		switch {
		case err == nil && string(message.Data) == "true":
			trues++
		case err == nil:
			t.Fatalf("%q while there is pressure", message.Data)
		case i > 300:
			t.Fatal("the overload is not repeated")
		}
	}
}

func TestT47_UnknownReceiptTimeIsNoOverload(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	signals := overloadSignals(t, server)
	n := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL(), flags: []string{"--max_delay=1", "--hold_duration=3"}})
	absent := strings.Replace(ev{id: "e1"}.String(), `,"rcvd_time":0`, "", 1)
	publish(server, absent, ev{id: "e2"}.String(), ev{id: "e3", received: -5}.String())
	n.takes("e2")
	n.stop() // whatever it had to say is said
	if pending, _, err := signals.Pending(); err != nil || pending > 0 {
		t.Errorf("%d signals (%v)", pending, err)
	}
	if got := n.said("under pressure"); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

func TestT48_NATSStoppedAndRestarted(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	n := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL(), flags: []string{diagnostics}})
	publish(server, ev{id: "before"}.String())
	n.takes("before")
	server.Stop()
	_, next := n.saysAfter(0, "INFO", "Disconnected from NATS server")
	testkit.Eventually(t, "it is not ready", func() bool { return n.get("/readyz") == 503 })
	_, next = n.saysAfter(next, "WARN", "error from message queue, reconnecting")
	server.Restart()
	n.saysAfter(next, "INFO", "Reconnected to NATS server")
	server.WaitForSubscribers(bus.EventsSubject, 1)
	publish(server, ev{id: "after"}.String())
	n.takes("after")
	testkit.Eventually(t, "it is ready again", func() bool { return n.get("/readyz") == 200 })
	n.stop()
}

func TestT49_BackendStartedBeforeNATS(t *testing.T) {
	t.Parallel()
	server := natstest.Reserve(t, natstest.Options{})
	begun := time.Now()
	n := newHome(t, configs(t, "", takeAll)).start(setup{nats: server.URL()})
	_, next := n.saysAfter(0, "WARN", "error from message queue, reconnecting")
	n.saysAfter(next, "WARN", "error from message queue, reconnecting")
	if took := time.Since(begun); took < 2*time.Second {
		t.Errorf("two attempts in %v, want about 3 s between them", took)
	}
	server.Restart()
	n.takesEvents()
	publish(server, ev{id: "e1"}.String())
	n.takes("e1")
	n.stop()
}

func TestT50_ServerListWithCredentials(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Options{User: "u", Password: "secret-p"})
	n := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL() + ",nats://127.0.0.1:1"})
	publish(server, ev{id: "e1"}.String())
	n.takes("e1")
	n.stop()
	if got := n.said("secret-p"); len(got) > 0 {
		t.Errorf("the password is in the log: %q", got)
	}
}

// A backend that stops while overloaded takes its signal back: no other would.
func TestT46_OverloadEndsWithItsBackend(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	signals := overloadSignals(t, server)
	n := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL(), flags: []string{"--max_delay=1", "--hold_duration=600"}})
	publish(server, ev{id: "e1", received: time.Now().Add(-time.Minute).UnixNano()}.String())
	n.says("overload = true signal sent to frontend")
	n.stop()
	for _, want := range []string{"true", "false"} {
		message, err := signals.NextMsg(testkit.Patience)
		testkit.Check(t, err)
		if got := string(message.Data); got != want {
			t.Errorf("signal %q, want %q", got, want)
		}
	}
}
