package acceptance

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"dsiem/test/testkit"
)

// A node whose container has 512 MiB. Its budget is three quarters of that.
const (
	containerMB = 512
	smallBudget = "--memory=384MiB"
)

// attacked is a small node that somebody attacks while others are attacked, too.
type attacked struct {
	*node
	stories int
}

// attackedDirectives are three: one for the attacks that must be found, one that is
// always active, and one that anybody can open backlogs of.
const attackedDirectives = `
directive id=1
r1 rel10
r2 sid2 from=:1 rel10 timeout=3600
r3 sid3 from=:1 rel10 timeout=3600
directive id=2 always-active
r1 sid11 rel10
r2 sid12 from=:1 occ1000000 rel10 timeout=3600
directive id=3
r1 sid21 rel0
r2 sid22 from=:1 occ1000000 rel1 timeout=3600
directive id=4
r1 sid31 rel10
r2 sid32 from=:1 occ1000000 rel10 timeout=3600 sticky=CUSTOM_DATA1`

// TestAttacksOnASmallNode lets a node of 512 MiB survive one attack after another: it
// needs no more memory than it has, says what it could not do, finds the attack of
// another sender during each, and starts again after each.
func TestAttacksOnASmallNode(t *testing.T) {
	list := startService(t, replies{"/ip/" + wellKnown: {body: manyFindings()}}, nil)
	h := newHome(t, withSources(t, configs(t, "", attackedDirectives), wise("Wise", list)))
	a := &attacked{}
	start := func() {
		a.node = h.startReady(setup{role: standaloneRole, flags: []string{smallBudget, "--max-eps=0", diagnostics}})
	}
	start()
	for _, attack := range []struct {
		name string
		do   func(t *testing.T, a *attacked)
	}{
		{"large custom data", largeCustomData},
		{"one alarm that grows", alarmThatGrows},
		{"large bodies at a time", largeBodies},
		{"headers without end", headersWithoutEnd},
		{"findings without end", findingsWithoutEnd},
		{"alarms that grow for ever", alarmsThatGrow},
		{"backlogs without end", backlogsWithoutEnd}, // last, because each start loads what is left
	} {
		before := a.begins()
		attack.do(t, a)
		a.ends(before)
		_, most := memory(t, a.node)
		took := a.stop()
		start()
		_, again := memory(t, a.node)
		t.Logf("%s: at most %d MB, SIGTERM to exit %v, at most %d MB at the next start", attack.name, most, took, again)
		if max(most, again) > containerMB && !*raceChildren {
			t.Errorf("%s: at most %d MB, and %d MB at the next start; want at most %d", attack.name, most, again, containerMB)
		}
	}
	a.stop()
}

// begins sends the first stage of another sender's attack, and returns its number.
func (a *attacked) begins() int {
	a.t.Helper()
	a.stories++
	a.takesPosted(a.event(a.stories, 1))
	return a.stories
}

// ends sends the other stages of an attack, whose alarm is complete then.
func (a *attacked) ends(story int) {
	a.t.Helper()
	last := a.event(story, 3)
	testkit.Eventually(a.t, "events are taken again", func() bool { return a.post(a.event(story, 2)).status == http.StatusOK })
	a.takesPosted(last)
	a.takes(fmt.Sprintf("story-%d-3", story))
	testkit.Eventually(a.t, "the alarm is complete", func() bool {
		content, err := os.ReadFile(a.alarmsFile())
		testkit.Check(a.t, err)
		for line := range bytes.Lines(content) {
			if bytes.Contains(line, []byte(storySource(story))) && bytes.Count(line, []byte(`"status":"finished"`)) == 3 {
				return true
			}
		}
		return false
	})
}

func storySource(story int) string { return fmt.Sprintf("10.255.255.%d", story) }

func (a *attacked) event(story, stage int) string {
	return ev{id: fmt.Sprintf("story-%d-%d", story, stage), src: storySource(story), sid: stage}.String()
}

// packed is a body of JSON lines in gzip.
func packed(t testing.TB, events []string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for _, event := range events {
		_, err := fmt.Fprintln(w, event)
		testkit.Check(t, err)
	}
	testkit.Check(t, w.Close())
	return b.String()
}

// floods posts bodies of events until all are taken.
func (a *attacked) floods(n, together int, event func(i int) string) {
	a.t.Helper()
	for from := 0; from < n; from += together {
		events := make([]string, 0, together)
		for i := from; i < min(n, from+together); i++ {
			events = append(events, event(i))
		}
		body := packed(a.t, events)
		testkit.Eventually(a.t, "a body is taken", func() bool {
			answer := a.ask(http.MethodPost, "/events", body, "Content-Encoding: gzip")
			if answer.status != http.StatusOK && answer.status != http.StatusServiceUnavailable {
				a.t.Fatalf("a body is answered %d %s", answer.status, answer.body)
			}
			return answer.status == http.StatusOK
		})
	}
}

// withData gives an event custom data.
func withData(event, data string) string {
	return strings.TrimSuffix(event, "}") + `,"custom_label1":"data","custom_data1":"` + data + `"}`
}

// largeCustomData are events of 300 kB that compress well.
func largeCustomData(_ *testing.T, a *attacked) {
	a.floods(scaled(2332), 30, func(i int) string {
		return withData(ev{id: fmt.Sprint("large-", i), sid: 21, src: address(i)}.String(), fmt.Sprint(i, strings.Repeat("x", 300<<10)))
	})
}

// backlogsWithoutEnd opens far more backlogs than there is room for.
func backlogsWithoutEnd(t *testing.T, a *attacked) {
	backlogs := scaled(150_000)
	const each = 30_000 // of so many sources, by destination
	a.floods(backlogs, 10_000, func(i int) string {
		return ev{id: fmt.Sprint("flood-", i), sid: 21, src: address(i % each), dst: address(1<<20 + i/each)}.String()
	})
	testkit.Eventually(t, "all events are looked at", func() bool { return a.metrics().seen() > float64(backlogs) }) // and one of the story
	m := a.metrics()
	live, evicted := m["dsiem_backlogs"], m[`dsiem_backlogs_closed_total{outcome="evicted"}`]
	t.Logf("%d backlogs were opened: %.0f live, %.0f gave way", backlogs, live, evicted)
	if !testing.Short() && (evicted == 0 || int(live) > backlogs*3/4) {
		t.Errorf("%.0f backlogs live and %.0f gave way of %d", live, evicted, backlogs)
	}
}

// alarmThatGrows sends an always-active alarm one value after the other.
func alarmThatGrows(t *testing.T, a *attacked) {
	info, err := os.Stat(a.alarmsFile())
	testkit.Check(t, err)
	before := info.Size()
	a.floods(scaled(20_000), 1000, func(i int) string {
		return withData(ev{id: fmt.Sprint("grows-", i), sid: 11 + min(i, 1), src: "10.9.9.9"}.String(), fmt.Sprint("value-", i, strings.Repeat("y", 40)))
	})
	info, err = os.Stat(a.alarmsFile())
	testkit.Check(t, err)
	const most = 20 << 20
	if grown := info.Size() - before; grown > most {
		t.Errorf("the alarm file has grown by %d bytes, want at most %d", grown, most)
	}
}

// alarmsThatGrow lets alarms count values of 4 kB for ever.
func alarmsThatGrow(t *testing.T, a *attacked) {
	const alarms = 20
	a.floods(scaled(40_000), 1200, func(i int) string {
		e := ev{id: fmt.Sprint("more-", i), sid: 31 + min(i/alarms, 1), src: fmt.Sprint("10.8.8.", i%alarms)}
		return withData(e.String(), fmt.Sprint("v", i, strings.Repeat("z", 4000)))
	})
	testkit.Eventually(t, "events are refused", func() bool { return a.metrics()["dsiem_backlogs_refused_total"] > 0 })
}

// headersWithoutEnd opens connections that send as many header lines as a node takes,
// and then nothing.
func headersWithoutEnd(t *testing.T, a *attacked) {
	var header strings.Builder
	header.WriteString("POST /events HTTP/1.1\r\nHost: x\r\n")
	for i := 0; header.Len() < 11<<10; i++ {
		fmt.Fprintf(&header, "X%d: b\r\n", i)
	}
	connections := scaled(3000)
	for range connections {
		c, err := net.Dial("tcp", a.address())
		testkit.Check(t, err)
		defer c.Close()
		_, err = c.Write([]byte(header.String()))
		testkit.Check(t, err)
	}
	testkit.Eventually(t, "connections wait for their end", func() bool { return a.metrics()["dsiem_http_connections"] > 100 })
}

// wellKnown is an address about which a service has found far too much.
const wellKnown = "8.8.8.8"

const foundInAll = 15_000

func manyFindings() string {
	findings := make([]string, foundInAll)
	for i := range findings {
		findings[i] = fmt.Sprintf(`{"field":"id","len":%d,"value":"finding %d"}`, len("finding ")+5, 10_000+i)
	}
	return "[" + strings.Join(findings, ",") + "]"
}

// findingsWithoutEnd lets look-ups find far too much about an alarm.
func findingsWithoutEnd(t *testing.T, a *attacked) {
	a.takesPosted(ev{id: "wellKnown", src: wellKnown}.String())
	testkit.Eventually(t, "the alarm has findings", func() bool {
		content, err := os.ReadFile(a.alarmsFile())
		testkit.Check(t, err)
		return bytes.Contains(content, []byte(`"finding `)) || bytes.Contains(content, []byte(`: finding `))
	})
	const kept = 1000
	if got := a.metrics()[`dsiem_events_forgotten_total{memory="findings"}`]; got < foundInAll-2*kept {
		t.Errorf("%.0f findings are left out of %d", got, foundInAll)
	}
}

// largeBodies are as many large bodies as clients can send at a time.
func largeBodies(t *testing.T, a *attacked) {
	events := make([]string, 40_000)
	for i := range events {
		events[i] = ev{id: fmt.Sprint("body-", i), sid: 99}.String()
	}
	body := packed(t, events)
	var senders sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]int{}
	for range 60 {
		senders.Go(func() {
			answer, err := tryURL(t, http.DefaultTransport, http.MethodPost, "http://"+a.address()+"/events", body, "Content-Encoding: gzip")
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				answers[answer.status]++
			}
		})
	}
	senders.Wait()
	t.Logf("answers: %v", answers)
	if answers[http.StatusOK] == 0 || answers[http.StatusOK]+answers[http.StatusServiceUnavailable] != 60 {
		t.Errorf("answers %v, want 200 and 503 only", answers)
	}
}
