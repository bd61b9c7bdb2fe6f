package acceptance

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

// The phases of an outage of NATS.
const (
	up int32 = iota
	down
	upAgain
)

// A frontend that is there before NATS has its port open, refuses events with
// the time to try again, and takes them without a restart.
func TestT49_FrontendStartedBeforeNATS(t *testing.T) {
	t.Parallel()
	for _, i := range frontends {
		t.Run(i.program, func(t *testing.T) {
			t.Parallel()
			server := natstest.Reserve(t, natstest.Options{})
			n := newHome(t, sampleFiles(t)).start(setup{role: frontendRole, program: i.program, nats: server.URL(), flags: i.flags})
			_, next := n.saysAfter(0, "WARN", "error from message queue, reconnecting")
			a := n.post(theEvent)
			wantAnswer(t, "an event without NATS", a, http.StatusServiceUnavailable, "Events cannot be taken now")
			if a.header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			wantAnswer(t, "what cannot be parsed", n.post("not json"), http.StatusBadRequest, "")
			wantAnswer(t, "/readyz", n.ask(http.MethodGet, "/readyz", ""), http.StatusServiceUnavailable, "")
			wantAnswer(t, "/healthz", n.ask(http.MethodGet, "/healthz", ""), http.StatusOK, "")
			wantAnswer(t, "the configuration", n.ask(http.MethodGet, "/config/assets_scenario.json", ""), http.StatusOK, "{")
			n.saysAfter(next, "WARN", "error from message queue, reconnecting")
			server.Restart()
			n.takesEvents()
			wantAnswer(t, "/readyz with NATS", n.ask(http.MethodGet, "/readyz", ""), http.StatusOK, "")
			published := server.Collect(bus.EventsSubject)
			n.takesPosted(theEvent)
			published.Wait(1)
			n.stop()
		})
	}
}

// A frontend without NATS ends at once.
func TestFrontendEndsWithoutNATS(t *testing.T) {
	t.Parallel()
	n := newHome(t, nil).start(setup{role: frontendRole})
	n.says("WARN", "error from message queue, reconnecting")
	n.address()
	n.stop()
}

// Everything that was answered 200 before a frontend's end is published, once.
func TestFrontendEndsUnderLoad(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	published := server.Collect(bus.EventsSubject)
	n := frontends[0].startFrontend(newHome(t, nil), server.URL(), "--max-eps=0")
	load := startTraffic(t, "http://"+n.address()+"/events", 8, 1)
	load.flows(400)
	n.stop()
	load.ended()
	came := map[string]int{}
	for _, message := range published.All() {
		id, _ := members(t, message)["event_id"].(string)
		came[id]++
	}
	load.wantTaken(came)
}

// outage is a cluster of one frontend and one backend.
type outage struct {
	frontend, backend *node
	load              *traffic
}

func startOutage(t *testing.T, nats string) outage {
	t.Helper()
	o := outage{
		frontend: frontends[0].startFrontend(newHome(t, nil), nats, "--max-eps=0"),
		backend:  newHome(t, configs(t, "", takeAll)).startReady(setup{nats: nats}),
	}
	o.load = startTraffic(t, "http://"+o.frontend.address()+"/events", 6, 1)
	o.load.flows(500)
	return o
}

// comesBack waits until what is posted reaches the backend again. A probe tells
// it: the two reconnect in any order.
func (o *outage) comesBack(t *testing.T) {
	t.Helper()
	for _, n := range []*node{o.frontend, o.backend} {
		n.says("Reconnected to NATS server")
	}
	testkit.Eventually(t, "the backend gets events again", func() bool {
		probe := ev{id: "probe", src: "10.200.0.1"}.String()
		if a := o.frontend.post(probe); a.status != 200 {
			return false
		}
		return slices.ContainsFunc(o.backend.alarmEvents(), func(e alarmEvent) bool { return e.EventID == "probe" })
	})
	o.load.phase.Store(upAgain)
}

// settle waits until the backend has the last events.
func (o *outage) settle(t *testing.T) {
	t.Helper()
	o.load.stop()
	for _, c := range o.load.clients {
		o.backend.takes(c.posted[len(c.posted)-1].id)
	}
	o.frontend.stop()
	o.backend.stop()
}

// check checks the events that were answered 200 against those that the backend
// has. What core NATS does not promise is that events reach a backend that has
// not come back yet, and, if NATS was killed, those that it had just taken: each
// client may miss a part of its events in one piece, around the outage. Nothing
// else may be missing, and nothing that was posted once may come twice.
func (o *outage) check(t *testing.T, killed bool) {
	t.Helper()
	got := times(t, o.backend.eventsFile())
	total, missing, retried := 0, 0, 0
	for _, c := range o.load.clients {
		gaps, gap := 0, false
		for _, p := range c.posted {
			total++
			if p.retried {
				retried++
			}
			count := got[p.id]
			if count > 1 && !p.retried {
				t.Errorf("event %s came %d times", p.id, count)
			}
			if count == 0 {
				missing++
				if !gap {
					gaps++
				}
				if p.begun == upAgain || p.answered == up && !killed {
					t.Errorf("event %s is missing, it was posted in phase %d and answered 200 in phase %d", p.id, p.begun, p.answered)
				}
			}
			gap = count == 0
		}
		if gaps > 1 {
			t.Errorf("client %d misses events in %d places, want one at most", c.number, gaps)
		}
	}
	t.Logf("%d events were answered 200, %d of them after another attempt; %d were lost on the way", total, retried, missing)
}

// NATS is stopped in an orderly way and started again while clients post.
func TestNATSRestartedUnderLoad(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	o := startOutage(t, server.URL())
	o.load.phase.Store(down)
	server.Stop()
	o.load.stalls()
	o.wantRefusal(t)
	server.Restart()
	o.comesBack(t)
	o.load.flows(500)
	o.settle(t)
	o.check(t, false)
}

// NATS is a process and killed while clients post.
func TestNATSKilledUnderLoad(t *testing.T) {
	t.Parallel()
	server := startNATSProcess(t)
	o := startOutage(t, server.url())
	o.load.phase.Store(down)
	server.kill()
	o.load.stalls()
	o.wantRefusal(t)
	server.restart()
	o.comesBack(t)
	o.load.flows(500)
	o.settle(t)
	o.check(t, true)
}

// wantRefusal checks what a frontend answers while NATS is down.
func (o *outage) wantRefusal(t *testing.T) {
	t.Helper()
	a := o.frontend.post(ev{id: "refused"}.String())
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") != "3" || !strings.Contains(a.body, "Events cannot be taken now") {
		t.Errorf("answer %d %q, Retry-After %q", a.status, a.body, a.header.Get("Retry-After"))
	}
	wantAnswer(t, "/readyz", o.frontend.ask(http.MethodGet, "/readyz", ""), http.StatusServiceUnavailable, "")
}

// titled is an event with a title of a length.
func titled(n int) string {
	return strings.Replace(theEvent, `"title":"t"`, `"title":"`+strings.Repeat("t", n)+`"`, 1)
}

// D40: an event that NATS does not take is rejected by itself, with its reason.
func TestEventTooLargeForNATS(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, smallPayloads)
	published := server.Collect(bus.EventsSubject)
	n := frontends[0].startFrontend(newHome(t, nil), server.URL())
	large := titled(3000)
	wantAnswer(t, "a large event", n.post(large), http.StatusRequestEntityTooLarge, "Too large")
	wantAnswer(t, "a whole with it", n.ask(http.MethodPost, "/events?all_or_nothing=true", "["+theEvent+","+large+"]"),
		http.StatusRequestEntityTooLarge, "Too large")
	a := n.post("[" + theEvent + "," + large + "," + theEvent + "]")
	wantAnswer(t, "an array with it", a, http.StatusOK, `{"accepted":2,"rejected":[{"index":1,"reason":"too_large","detail":"a message of `)
	if !strings.HasSuffix(strings.TrimSpace(a.body), `, the limit is 2048"}]}`) {
		t.Errorf("the limit is not named: %s", a.body)
	}
	if got := published.All(); len(got) != 2 {
		t.Errorf("%d messages are published, want 2", len(got))
	}
	n.stop()
}

// Around the limit of NATS nobody loses its neighbours: whatever is let through is
// taken.
func TestEventsAroundTheLimitOfNATS(t *testing.T) {
	t.Parallel()
	const events = 600
	server := natstest.Start(t, smallPayloads)
	published := server.Collect(bus.EventsSubject)
	// The address is that of nobody: spans are made, and lost.
	n := frontends[0].startFrontend(newHome(t, nil), server.URL(), "--otel-tracing-enabled", "--otel-endpoint=http://127.0.0.1:9")
	lines := make([]string, events)
	for i := range lines {
		lines[i] = titled(1200 + i)
	}
	a := n.post(strings.Join(lines, "\n"))
	var report struct {
		Accepted int `json:"accepted"`
		Rejected []struct {
			Index int `json:"index"`
		} `json:"rejected"`
	}
	if err := json.Unmarshal([]byte(a.body), &report); err != nil || a.status != http.StatusOK || len(report.Rejected) == 0 {
		t.Fatalf("answer %d %s", a.status, a.body)
	}
	testkit.Equal(t, report.Rejected[0].Index, report.Accepted) // the larger ones
	all := published.All()
	testkit.Equal(t, len(all), report.Accepted)
	if size := len(all[len(all)-1]); size < 2048-300 {
		t.Errorf("the largest message that is taken has %d bytes", size)
	}
}

// The limit is that of the server of the moment.
func TestTheLimitOfNATSChanges(t *testing.T) {
	t.Parallel()
	limits := []int32{2 << 10, 1 << 20, 2 << 10}
	server := natstest.Start(t, natstest.Options{Configure: func(o *server.Options) { o.MaxPayload = limits[0] }})
	n := frontends[0].startFrontend(newHome(t, nil), server.URL())
	_, next := n.saysAfter(0, "frontend started")
	both := theEvent + "\n" + titled(3000)
	for {
		want := ""
		if limits[0] < 3000 {
			want = `{"accepted":1,`
		}
		wantAnswer(t, "a large event and a small one", n.post(both), http.StatusOK, want)
		if limits = limits[1:]; len(limits) == 0 {
			return
		}
		server.Stop()
		_, next = n.saysAfter(next, "Disconnected from NATS server")
		server.Restart()
		_, next = n.saysAfter(next, "Reconnected to NATS server")
	}
}
