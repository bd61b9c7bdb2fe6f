package acceptance

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
)

// cluster is a frontend, a NATS server and two backends, each a process.
type cluster struct {
	nats          *natsProcess
	frontend      *node
	first, second *node
	homes         [2]*home
}

// The directives of the two backends.
const (
	firstDirectives  = "directive id=1\nr1 rel10\nr2 sid2 from=:1 to=:1 rel10\nr3 sid9 rel10"
	secondDirectives = "directive id=2\nr1 sid2 rel10\nr2 sid2 occ1000 rel10"
)

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{nats: startNATSProcess(t)}
	offer := files{
		"assets_a.json":           configs(t, "", takeAll)["assets_scenario.json"],
		"directives_first_a.json": directivesFile(t, firstDirectives),
		// Its name begins like that of another node (D02).
		"directives_first0_a.json": directivesFile(t, secondDirectives),
		"directives_second_a.json": directivesFile(t, secondDirectives),
	}
	c.frontend = newHome(t, offer).startReady(setup{role: frontendRole, nats: c.nats.url(), flags: []string{writable, "--max-eps=0", "--hold-duration=2"}})
	c.homes = [2]*home{newHome(t, nil), newHome(t, nil)}
	c.first = c.startBackend(0)
	c.second = c.startBackend(1, "--max-delay=1", "--hold-duration=2")
	return c
}

// startBackend starts the first or the second backend.
func (c *cluster) startBackend(i int, flags ...string) *node {
	c.frontend.t.Helper()
	flags = append(flags, "--node="+[]string{"first", "second"}[i], "--frontend=http://"+c.frontend.address())
	return c.homes[i].startReady(setup{nats: c.nats.url(), flags: flags})
}

// directivesFile returns a file of directives in the notation of scenarios.
func directivesFile(t *testing.T, directives string) []byte {
	t.Helper()
	return configs(t, "", directives)["directives_scenario.json"]
}

// Events that are posted to the frontend are correlated by both backends, each
// by its own directives, which it has from the frontend.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.frontend.takesPosted(ev{id: "e1"}.String(), ev{id: "e2", sid: 2}.String())
	c.frontend.takesPosted(ev{id: "e3", src: "10.0.0.7"}.String())
	c.first.takes("e3")
	c.second.takes("e2")
	wantEvents(t, c.first, "1:e1", "1:e2", "1:e3")
	wantEvents(t, c.second, "2:e2")
	for i, want := range []int{4, 1} { // two stages and a new backlog; one
		n := []*node{c.first, c.second}[i]
		testkit.Eventually(t, "the alarms are written", func() bool { return len(n.alarms()) >= min(want, 3) })
	}

	// A new file is in effect when a backend that it is for is started again.
	upload := c.frontend.ask(http.MethodPost, "/config/directives_first_b.json", string(directivesFile(t, "directive id=3\nr1 sid3 rel10\nr2 sid3 occ1000 rel10")))
	wantAnswer(t, "the upload", upload, http.StatusCreated, "File directives_first_b.json uploaded")
	c.frontend.takesPosted(ev{id: "e4", sid: 3}.String())
	c.first.stop()
	c.first = c.startBackend(0)
	c.frontend.takesPosted(ev{id: "e5", sid: 3}.String(), ev{id: "e6", sid: 9}.String())
	c.first.takes("e6") // with the backlog that was saved
	c.first.takes("e5")
	if !exists(filepath.Join(c.homes[0].configs, "directives_first_b.json")) || exists(filepath.Join(c.homes[1].configs, "directives_first_b.json")) {
		t.Error("the new file is not where it belongs")
	}

	// And what is deleted goes with the next start.
	wantAnswer(t, "the deletion", c.frontend.ask(http.MethodDelete, "/config/directives_first_b.json", ""), http.StatusOK, "")
	c.first.stop()
	c.first = c.startBackend(0)
	if exists(filepath.Join(c.homes[0].configs, "directives_first_b.json")) {
		t.Error("the file that the frontend no longer has is still there")
	}
	for _, n := range []*node{c.first, c.second, c.frontend} {
		n.stop()
	}
	for _, e := range c.first.alarmEvents() {
		if e.EventID == "e4" {
			t.Error("an event was matched by a directive that was not loaded yet")
		}
	}
}

// A backend that falls behind makes the frontend throttle, until it has caught
// up.
func TestClusterOverload(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	late := ev{id: "e1", sid: 2, received: time.Now().Add(-10 * time.Second).UnixNano()}
	publishTo(t, c.nats.url(), late)
	c.second.says("overload = true signal sent to frontend")
	_, next := c.frontend.saysAfter(0, "Received overload status change from false to true from backend")
	c.second.says("overload = false signal sent to frontend")
	c.frontend.saysAfter(next, "Received overload status change from true to false from backend")
	if got := c.first.said("overload"); len(got) > 0 {
		t.Errorf("the other backend says %q", got)
	}
}

// The same for a node that listens for other nodes: its own rate depends on
// them.
func TestStandaloneIsThrottledByARemoteBackend(t *testing.T) {
	t.Parallel()
	own := configs(t, "", takeAll)
	own["directives_second_a.json"] = directivesFile(t, secondDirectives)
	n := newHome(t, own).startReady(setup{role: standaloneRole, flags: []string{"--nats-listen=127.0.0.1:0", "--hold-duration=2"}})
	queue := "nats://" + n.queueAddress()
	remote := newHome(t, nil).startReady(setup{
		nats: queue, flags: []string{"--node=second", "--frontend=http://" + n.address(), "--max-delay=1", "--hold-duration=2"},
	})
	publishTo(t, queue, ev{id: "e1", sid: 2, received: time.Now().Add(-10 * time.Second).UnixNano()})
	remote.says("overload = true signal sent to frontend")
	_, next := n.saysAfter(0, "Received overload status change from false to true from backend")
	remote.says("overload = false signal sent to frontend")
	n.saysAfter(next, "Received overload status change from true to false from backend")
}

// publishTo publishes an event and returns when the server has it.
func publishTo(t *testing.T, url string, event ev) {
	t.Helper()
	client := connectNATS(t, url)
	testkit.Check(t, client.Publish(bus.EventsSubject, []byte(event.String())))
	testkit.Check(t, client.Flush())
}
