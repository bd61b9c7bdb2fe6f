package acceptance

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

// The tests of this file measure, so they have the machine for themselves: they
// are not parallel, and come before those that are.

// scaled returns a number of events or backlogs, less in -short.
func scaled(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// rate says how fast something was.
func rate(n int, took time.Duration) string {
	return fmt.Sprintf("%.2f s, %.0f events/s", took.Seconds(), float64(n)/took.Seconds())
}

// A burst that is larger than the queue, as fast as NATS takes it: each event is
// taken, none is lost.
func TestBurstOnDefaultFlags(t *testing.T) {
	total := scaled(100_000)
	nats := startNATS(t)
	h := newHome(t, configs(t, "", takeAll))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{diagnostics}})
	events := make([]string, total)
	at := time.Now()
	for i := range events {
		events[i] = ev{id: fmt.Sprint("e", i), src: address(i % 1000), at: at}.String()
	}
	begun := time.Now()
	publish(nats, events...)
	sent := time.Since(begun)
	testkit.Eventually(t, "every event is looked at", func() bool { return n.metrics().seen() >= float64(total) })
	testkit.Eventually(t, "every event is in the file", func() bool {
		return countLines(t, h.eventsFile()) >= total || n.metrics().sum("dsiem_events_dropped_total") > 0
	})
	t.Logf("burst of %d events: sent in %s, in the file after %s", total, rate(total, sent), rate(total, time.Since(begun)))
	n.stop()
	ids := eventIDs(t, h.eventsFile())
	slices.Sort(ids)
	if distinct := len(slices.Compact(ids)); len(ids) != total || distinct != total {
		t.Errorf("%d lines of %d events, want %d", len(ids), distinct, total)
	}
}

// The seed opens two files for each backlog.
func TestFewOpenFilesForManyBacklogs(t *testing.T) {
	const backlogs = 120
	nats := startNATS(t)
	h := newHome(t, configs(t, "", takeAll))
	n := h.startReady(setup{nats: nats.URL(), shell: "ulimit -n 128"})
	events := make([]string, 2*backlogs)
	for i := range events {
		events[i] = ev{id: fmt.Sprint(i), src: address(i % backlogs)}.String()
	}
	publish(nats, events...)
	n.takes(fmt.Sprint(2*backlogs - 1))
	n.stop()
	if got := len(h.alarmEvents()); got != 2*backlogs {
		t.Errorf("%d alarm-event lines, want %d", got, 2*backlogs)
	}
	if got := len(h.savedBacklogs("1.json")); got != backlogs {
		t.Errorf("%d saved backlogs, want %d", got, backlogs)
	}
}

// Live backlogs fit into little memory, are saved in no time, and loaded again.
func TestManyLiveBacklogs(t *testing.T) {
	backlogs := scaled(100_000)
	nats := startNATS(t)
	h := newHome(t, configs(t, "", "directive id=1\n"+takeAll+"\ndirective id=2\n"+takeAll))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{diagnostics}})
	events := make([]string, backlogs/2) // each opens one of both directives
	for i := range events {
		events[i] = ev{id: fmt.Sprint("event-", i), src: address(i), from: i % 60_000, port: 80}.String()
	}
	begun := time.Now()
	publish(nats, events...)
	live := func() bool { return n.metrics()["dsiem_backlogs"] == float64(backlogs) }
	testkit.Eventually(t, "all backlogs live", live)
	opened := time.Since(begun)
	now, most := memory(t, n)
	took := n.stop()
	t.Logf("%d live backlogs, opened in %.2f s: %d MB resident, at most %d MB, SIGTERM to exit %.2f s",
		backlogs, opened.Seconds(), now, most, took.Seconds())
	if most > 200 && !*raceChildren {
		t.Errorf("up to %d MB resident, want at most 200", most)
	}
	if took > 10*time.Second { // 2 s on a machine that does nothing else
		t.Errorf("the end took %v", took)
	}
	begun = time.Now()
	n = h.startReady(setup{nats: nats.URL(), flags: []string{diagnostics}})
	loaded := time.Since(begun)
	testkit.Eventually(t, "all backlogs live again", live)
	n.hasLoaded("1.json")
	now, most = memory(t, n)
	took = n.stop()
	t.Logf("after a restart, ready in %.2f s: %d MB resident, at most %d MB, SIGTERM to exit %.2f s",
		loaded.Seconds(), now, most, took.Seconds())
	if now > 200 && !*raceChildren { // reading the files takes more, for a moment
		t.Errorf("%d MB resident after a restart, want at most 200", now)
	}
	if got := countSaved(t, h.saved("1.json")) + countSaved(t, h.saved("2.json")); got != backlogs {
		t.Errorf("%d saved backlogs, want %d", got, backlogs)
	}
}

// countSaved counts the backlogs of a large file.
func countSaved(t *testing.T, name string) int {
	t.Helper()
	content, err := os.ReadFile(name)
	testkit.Check(t, err)
	return bytes.Count(content, []byte(`"alarm_id":`))
}

// A flood that the queue cannot hold, on a backend that gets no time for a
// moment: what is lost is counted and told, nothing stalls, and events are taken
// again at once.
func TestT51_FloodAtASmallQueue(t *testing.T) {
	total := scaled(200_000)
	nats := startNATS(t)
	h := newHome(t, configs(t, "", takeAll))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{diagnostics, "--max_queue=1000"}})
	events := make([]string, total)
	at := time.Now()
	for i := range events {
		events[i] = ev{id: fmt.Sprint(i), src: address(i % 100), at: at}.String()
	}
	testkit.Pause(t, n.Cmd.Process)
	publish(nats, events...)
	begun := time.Now()
	testkit.Resume(t, n.Cmd.Process)
	total += n.probe(nats)
	after := time.Since(begun)
	testkit.Eventually(t, "every event is counted", func() bool { return n.metrics().seen() == float64(total) })
	all := time.Since(begun)
	m := n.metrics()
	dropped := int(m.sum("dsiem_events_dropped_total"))
	t.Logf("flood of %d events: %d dropped, the next event taken after %v, all counted after %v", total, dropped, after, all)
	if after > 5*time.Second { // 1 s on a machine that does nothing else
		t.Errorf("the next event was taken after %v", after)
	}
	if dropped == 0 {
		t.Fatal("nothing was dropped: the flood is too small to test anything")
	}
	t.Parallel() // from here on it only waits
	_, next := n.saysAfter(0, "watchdog report")
	n.saysAfter(next, "watchdog report", fmt.Sprintf("events_rcvd=%d", total), fmt.Sprintf("dropped=%d", dropped))
	n.saysAfter(next, "WARN", "dsiem_backend::watchdog: events dropped", fmt.Sprintf("dropped=%d", dropped))
	n.stop()
	if got := len(eventIDs(t, h.eventsFile())); got != total-dropped {
		t.Errorf("%d events were taken, %d dropped; want %d together", got, dropped, total)
	}
}

// probe sends events, one at a time, until one is taken, and returns their
// number.
func (n *node) probe(server *natstest.Server) int {
	n.t.Helper()
	sent := 0
	testkit.Eventually(n.t, "an event is taken", func() bool {
		publish(server, ev{id: fmt.Sprint("probe-", sent), src: fmt.Sprintf("10.255.%d.%d", sent/200, sent%200)}.String())
		sent++
		content, err := os.ReadFile(n.eventsFile())
		testkit.Check(n.t, err)
		return bytes.Contains(content, []byte(`"event_id":"probe-`))
	})
	return sent
}

var sources = regexp.MustCompile(`"src_ips":\["([^"]*)"\]`)

// Events of one flow keep their order through decoders and shards: each of many
// interleaved flows goes through all stages, whatever its place in the stream.
func TestOrderOfInterleavedFlows(t *testing.T) {
	flows := scaled(10_000)
	nats := startNATS(t)
	stages := "r1 rel1\nr2 sid2 from=:1 rel5\nr3 sid3 from=:1 rel10\n"
	h := newHome(t, configs(t, "", "directive id=1\n"+stages+"directive id=2\n"+stages))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{"--shards=2", diagnostics}})
	random := rand.New(rand.NewPCG(1, 2))
	var events []string
	reached := make([]int, flows)
	waiting := random.Perm(flows)
	at := time.Now()
	for len(waiting) > 0 {
		i := random.IntN(min(len(waiting), 500))
		flow := waiting[i]
		reached[flow]++
		events = append(events, ev{id: fmt.Sprint(flow, "-", reached[flow]), sid: reached[flow], src: address(flow), at: at}.String())
		if reached[flow] == 3 {
			waiting[i] = waiting[len(waiting)-1]
			waiting = waiting[:len(waiting)-1]
		}
	}
	publish(nats, events...)
	testkit.Eventually(t, "every event is looked at", func() bool { return n.metrics().seen() == float64(len(events)) })
	n.stop()
	finished := map[string]int{}
	content, err := os.ReadFile(h.alarmsFile())
	testkit.Check(t, err)
	for line := range bytes.Lines(content) {
		if bytes.Count(line, []byte(`"status":"finished"`)) == 3 {
			finished[string(sources.FindSubmatch(line)[1])]++
		}
	}
	for flow := range flows {
		if finished[address(flow)] != 2 {
			t.Fatalf("flow %s has %d finished alarms, want one of each directive", address(flow), finished[address(flow)])
		}
	}
	if got := len(eventIDs(t, h.eventsFile())); got != 2*3*flows || strings.Contains(n.Log.Tail(), "dropped") {
		t.Errorf("%d alarm-event lines, want %d", got, 2*3*flows)
	}
}
