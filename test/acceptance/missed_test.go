package acceptance

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dsiem/internal/bus"
	"dsiem/internal/event"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

// Decision D44 of docs/spec/correlation.md: what is lost between a frontend and a
// backend is seen.

const missedName = "dsiem_events_missed_total"

// missedFrom is the metric of what did not come from a frontend.
func missedFrom(frontend string) string { return missedName + `{frontend="` + frontend + `"}` }

// wantMissed waits until a backend has counted what did not come.
func (n *node) wantMissed(frontend string, want float64) {
	n.t.Helper()
	testkit.Eventually(n.t, fmt.Sprintf("%v events of %s are missed", want, frontend), func() bool {
		return n.metrics()[missedFrom(frontend)] == want
	})
}

// numbered is an event as a frontend publishes it.
func numbered(t *testing.T, frontend string, number uint64) []byte {
	t.Helper()
	var e event.Event
	text := ev{id: fmt.Sprintf("%s-%d", frontend, number), received: time.Now().UnixNano()}.String()
	if rej := event.Decode([]byte(text), &e); rej != nil {
		t.Fatal(rej)
	}
	return event.AppendOrigin(nil, event.AppendMessage(nil, &e, event.Carrier{}), event.FrontendID(frontend, "1"), number)
}

// wantNothingMissed checks that a backend misses nothing of what was published so
// far: of a gap that comes now it says so when all earlier ones are due.
func (n *node) wantNothingMissed(t *testing.T, nats string) {
	t.Helper()
	client := connectNATS(t, nats)
	for _, number := range []uint64{1, 3} {
		testkit.Check(t, client.Publish(bus.EventsSubject, numbered(t, "probe", number)))
	}
	testkit.Check(t, client.Flush())
	n.wantMissed("probe", 1)
	if got := n.metrics().sum(missedName) - 1; got != 0 {
		t.Errorf("%v events are missed", got)
	}
	for _, line := range n.said("events missed") {
		if !strings.Contains(line, `frontend="probe"`) {
			t.Errorf("the log says %s", line)
		}
	}
}

// A backend whose connection is away misses what a frontend publishes meanwhile.
func TestMissedWhileTheConnectionIsAway(t *testing.T) {
	t.Parallel()
	const lost = 37
	server := startNATS(t)
	link := natstest.NewLink(t, server.Address())
	frontend := frontends[0].startFrontend(newHome(t, nil), server.URL())
	// Another backend, which misses nothing.
	complete := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL(), flags: []string{diagnostics}})
	backend := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: link.URL(), flags: []string{diagnostics}})
	frontend.takesPosted(ev{id: "before"}.String())
	backend.takes("before")
	if got, there := backend.metrics()[missedFrom("dsiem-frontend-1")]; !there || got != 0 {
		t.Errorf("the metric is %v, there: %t, want 0", got, there)
	}
	link.Down()
	backend.says("Disconnected from NATS server")
	for i := range lost {
		frontend.takesPosted(ev{id: fmt.Sprint("lost", i)}.String())
	}
	link.Up()
	backend.says("Reconnected to NATS server")
	server.WaitForSubscribers(bus.EventsSubject, 2)
	frontend.takesPosted(ev{id: "after"}.String())
	backend.takes("after")
	backend.wantMissed("dsiem-frontend-1", lost)
	backend.says("WARN", "events missed", `frontend="dsiem-frontend-1"`, fmt.Sprintf("missed=%d missed_total=%d", lost, lost))
	complete.takes("after")
	complete.wantNothingMissed(t, server.URL())
	if got := backend.said("events missed"); len(got) != 1 {
		t.Errorf("%d warnings, want one: %q", len(got), got)
	}
}

// A backend whose connection is away finds out what it missed although no event
// follows, also if it had got none at all before. Who comes later has missed nothing.
func TestMissedAndNothingFollows(t *testing.T) {
	t.Parallel()
	const lost = 37
	server := startNATS(t)
	takers := configs(t, "", takeAll)
	standalone := startStandalone(t, takeAll, "--nats-listen=127.0.0.1:0", "--node=standalone")
	for _, c := range []struct {
		name, frontend string
		from           *node
		address        string
	}{
		{"a frontend", "dsiem-frontend-1", frontends[0].startFrontend(newHome(t, nil), server.URL()), server.Address()},
		{"a standalone node", "standalone", standalone, standalone.queueAddress()},
	} {
		t.Run(c.name, func(t *testing.T) {
			link := natstest.NewLink(t, c.address)
			backend := newHome(t, takers).startReady(setup{nats: link.URL(), flags: []string{diagnostics}})
			testkit.Eventually(t, "the frontend has said that it has published nothing", func() bool {
				_, there := backend.metrics()[missedFrom(c.frontend)]
				return there
			})
			link.Down()
			backend.says("Disconnected from NATS server")
			for i := range lost {
				c.from.takesPosted(ev{id: fmt.Sprint("lost", i)}.String())
			}
			link.Up()
			backend.wantMissed(c.frontend, lost)
			backend.says("WARN", "events missed", `frontend="`+c.frontend+`"`, fmt.Sprintf("missed=%d missed_total=%d", lost, lost))

			late := newHome(t, takers).startReady(setup{nats: "nats://" + c.address, flags: []string{diagnostics}})
			testkit.Eventually(t, "the frontend has said what its last number is", func() bool {
				_, there := late.metrics()[missedFrom(c.frontend)]
				return there
			})
			late.wantNothingMissed(t, "nats://"+c.address)
			if got := backend.said("events missed", `frontend="`+c.frontend+`"`); len(got) != 1 {
				t.Errorf("%d warnings, want one: %q", len(got), got)
			}
		})
	}
}

// What a frontend publishes for backends of other generations is events only.
func TestLastNumbersAreNoEvents(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	events, numbers := server.Collect(bus.EventsSubject), server.Collect(bus.NumbersSubject)
	frontend := frontends[0].startFrontend(newHome(t, nil), server.URL())
	frontend.takesPosted(ev{id: "e1"}.String())
	testkit.Eventually(t, "the number of the event is said", func() bool {
		return strings.Contains(strings.Join(numbers.All(), "\n"), `"conn_id":1,`)
	})
	frontend.stop()
	all := events.All()
	if len(all) != 1 || !strings.Contains(all[0], `"event_id":"e1"`) {
		t.Errorf("messages on %s: %q", bus.EventsSubject, all)
	}
	for _, text := range numbers.All() {
		if !strings.HasPrefix(text, `{"frontend_id":"dsiem-frontend-1/`) {
			t.Errorf("on %s is %s", bus.NumbersSubject, text)
		}
	}
}

// A standalone node that others publish to sees a gap, too; and a message of
// another generation is none.
func TestMissedByAStandaloneNode(t *testing.T) {
	t.Parallel()
	n := startStandalone(t, takeAll, "--nats-listen=127.0.0.1:0", diagnostics)
	client := connectNATS(t, "nats://"+n.queueAddress())
	send := func(text []byte) { testkit.Check(t, client.Publish(bus.EventsSubject, text)) }
	for _, number := range []uint64{100, 101, 105} {
		send(numbered(t, "other-frontend", number))
		send([]byte(messageOfOriginal))
		send([]byte(messageOfSuccessor))
	}
	testkit.Check(t, client.Flush())
	n.takes("other-frontend-105")
	n.wantMissed("other-frontend", 3)
	n.says("WARN", "events missed", `frontend="other-frontend"`, "missed=3")
}

// Requests at the same time, refused ones, and a connection to NATS that the
// frontend loses again and again leave no gap.
func TestNothingIsMissed(t *testing.T) {
	t.Parallel()
	const senders, wanted = 8, 600
	server := startNATS(t)
	link := natstest.NewLink(t, server.Address())
	frontend := frontends[0].startFrontend(newHome(t, nil), link.URL(), "--max-eps=0", "--max-body=100KiB")
	backend := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL(), flags: []string{diagnostics}})
	url := "http://" + frontend.address() + "/events"

	var answers [600]atomic.Int64 // by status
	var done sync.WaitGroup
	for sender := range senders {
		done.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for request := 0; answers[200].Load() < wanted; request++ {
				<-tick.C
				good := ev{id: fmt.Sprintf("s%d-%d", sender, request), src: address(1 + sender)}.String()
				body := strings.Repeat(good+"\n", 1+request%5)
				switch request % 7 {
				case 1:
					body = "[" + good + ","
				case 2:
					body = `{"event_id":"x"}`
				case 3:
					body = strings.Repeat(good+"\n", 1000)
				}
				a, err := tryURL(t, transport, http.MethodPost, url, body)
				if err != nil {
					t.Error(err)
					return
				}
				answers[a.status].Add(1)
			}
		})
	}
	for next, cuts := 0, 0; cuts < 2; cuts++ {
		taken := answers[200].Load()
		testkit.Eventually(t, "requests are taken", func() bool { return answers[200].Load() >= taken+wanted/4 })
		link.Down()
		refused := answers[503].Load()
		testkit.Eventually(t, "requests are refused", func() bool { return answers[503].Load() >= refused+2*senders })
		link.Up()
		_, next = frontend.saysAfter(next, "Reconnected to NATS server")
	}
	done.Wait()
	for _, status := range []int{200, 400, 413, 418, 503} {
		if answers[status].Load() == 0 {
			t.Errorf("no request was answered %d", status)
		}
		t.Logf("%d requests were answered %d", answers[status].Load(), status)
	}
	frontend.takesPosted(ev{id: "last"}.String())
	backend.takes("last")
	backend.wantNothingMissed(t, server.URL())
}

// A node whose own queue is full refuses before it publishes, so that other
// backends miss nothing.
func TestNothingIsMissedIfAQueueIsFull(t *testing.T) {
	t.Parallel()
	n := startStandalone(t, takeAll, "--nats-listen=127.0.0.1:0", "--max-queue=1", "--max-eps=0")
	remote := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: "nats://" + n.queueAddress(), flags: []string{"--node=remote", diagnostics}})
	url := "http://" + n.address() + "/events"
	var taken, refused atomic.Int64
	var done sync.WaitGroup
	for sender := range 8 {
		done.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			for request := range 20 {
				events := make([]string, 300)
				for i := range events {
					events[i] = ev{id: fmt.Sprintf("s%d-%d-%d", sender, request, i), src: address(1 + sender)}.String()
				}
				a, err := tryURL(t, transport, http.MethodPost, url, strings.Join(events, "\n"))
				switch {
				case err != nil:
					t.Error(err)
					return
				case a.status == http.StatusOK:
					taken.Add(1)
				case a.status == http.StatusServiceUnavailable:
					refused.Add(1)
				default:
					t.Errorf("answer %d %q", a.status, a.body)
				}
			}
		})
	}
	done.Wait()
	t.Logf("%d requests taken, %d refused", taken.Load(), refused.Load())
	if taken.Load() == 0 || refused.Load() == 0 {
		t.Error("some requests must be taken, and some refused")
	}
	testkit.Eventually(t, "the last event is taken", func() bool { return n.post(ev{id: "last"}.String()).status == http.StatusOK })
	remote.takes("last")
	remote.wantNothingMissed(t, "nats://"+n.queueAddress())
}
