package acceptance

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dsiem/test/testkit"
)

// traffic is clients that post events to a node, one request after the other,
// each until it is answered 200, at some hundred requests a second.
type traffic struct {
	t testing.TB
	// phase is what the test says is going on; it starts at 0.
	phase atomic.Int32
	// answered and refused count answers, and so does silent for requests
	// without one.
	answered, refused, silent atomic.Int64

	stopped chan struct{} // closed by end
	end     func()
	done    sync.WaitGroup
	clients []*trafficClient
}

// trafficClient is one of the clients.
type trafficClient struct {
	number int
	posted []posted // in order
	// unanswered are the ids of a request that was not answered.
	unanswered []string
}

// posted is an event that was answered 200.
type posted struct {
	id string
	// begun and answered are the phases in which it was posted for the first
	// time, and taken.
	begun, answered int32
	retried         bool
}

// pace is the time between two requests of a client.
const pace = 2 * time.Millisecond

// startTraffic starts clients that post requests of some events to a URL until
// stop. A client that gets no answer ends.
func startTraffic(t testing.TB, url string, clients, events int) *traffic {
	t.Helper()
	f := &traffic{t: t, stopped: make(chan struct{})}
	for number := range clients {
		c := &trafficClient{number: number}
		f.clients = append(f.clients, c)
		f.done.Go(func() { f.run(c, url, events) })
	}
	f.end = sync.OnceFunc(func() { close(f.stopped) })
	t.Cleanup(f.stop)
	return f
}

// stop ends the clients after the requests that are under way, which are posted
// again and again if they are refused.
func (f *traffic) stop() {
	f.end()
	f.done.Wait()
}

// ended waits for clients that get no answer any more.
func (f *traffic) ended() { f.done.Wait() }

func (f *traffic) run(c *trafficClient, url string, events int) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for request := 0; ; request++ {
		select {
		case <-f.stopped:
			return
		case <-tick.C:
		}
		if !f.send(c, transport, url, request, events, tick.C) {
			return
		}
	}
}

// send posts one request until it is answered 200; it returns false if there is
// no answer.
func (f *traffic) send(c *trafficClient, transport *http.Transport, url string, request, events int, tick <-chan time.Time) bool {
	ids, texts := make([]string, events), make([]string, events)
	for i := range events {
		ids[i] = fmt.Sprintf("c%d-%d", c.number, request*events+i)
		texts[i] = ev{id: ids[i], src: address(1 + c.number)}.String()
	}
	begun, retried := f.phase.Load(), false
	for {
		a, err := tryURL(f.t, transport, http.MethodPost, url, strings.Join(texts, "\n"))
		switch {
		case err != nil:
			f.silent.Add(1)
			c.unanswered = ids
			return false
		case a.status == http.StatusOK:
			f.answered.Add(1)
			answered := f.phase.Load()
			for _, id := range ids {
				c.posted = append(c.posted, posted{id, begun, answered, retried})
			}
			return true
		case a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "":
			f.t.Errorf("answer %d %q, Retry-After %q", a.status, a.body, a.header.Get("Retry-After"))
			return false
		}
		f.refused.Add(1)
		retried = true
		<-tick
	}
}

// flows waits until some more requests have been answered 200.
func (f *traffic) flows(requests int64) {
	f.t.Helper()
	enough := f.answered.Load() + requests
	testkit.Eventually(f.t, "requests are answered", func() bool { return f.answered.Load() >= enough })
}

// stalls waits until every client has been refused.
func (f *traffic) stalls() {
	f.t.Helper()
	enough := f.refused.Load() + 2*int64(len(f.clients))
	testkit.Eventually(f.t, "requests are refused", func() bool { return f.refused.Load() >= enough })
}

// wantTaken checks, with the number of times that each event came, that every
// event that was answered 200 did so once, and none but those and the last ones
// that were not answered.
func (f *traffic) wantTaken(came map[string]int) {
	f.t.Helper()
	total := 0
	for _, c := range f.clients {
		for _, p := range c.posted {
			if came[p.id] != 1 {
				f.t.Errorf("event %s was answered 200 and came %d times", p.id, came[p.id])
			}
			delete(came, p.id)
		}
		for _, id := range c.unanswered {
			delete(came, id)
		}
		total += len(c.posted)
	}
	if len(came) > 0 {
		f.t.Errorf("%d events came that nobody sent", len(came))
	}
	f.t.Logf("%d events were answered 200, %d requests not at all", total, f.silent.Load())
}

// times counts the events of a file by their ids.
func times(t testing.TB, name string) map[string]int {
	t.Helper()
	count := map[string]int{}
	for _, id := range eventIDs(t, name) {
		count[id]++
	}
	return count
}
