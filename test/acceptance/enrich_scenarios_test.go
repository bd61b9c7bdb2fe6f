package acceptance

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dsiem/test/testkit"
)

// patientLines lets lines wait for their look-ups as long as these take, so
// that no test depends on how fast a source answers.
const patientLines = "--enrich-wait=30s"

// fourLookups is the directive of E1; the others are shorter. Each stage has its
// look-ups.
const (
	twoLookups   = "r1 rel10\nr2 sid2 from=:1 to=:1 rel10"
	threeLookups = "r1 rel10\nr2 sid2 to=:1 rel10\nr3 sid3 to=:1 rel10"
	fourLookups  = twoLookups + "\nr3 sid3 from=:1 to=:1 rel10\nr4 sid4 from=:1 to=:1 rel10"
)

const noVulnerability = "no vulnerability found\n"

// badHost is the answer of Wise for an address it knows, and the finding.
const (
	badHost      = `[{field: "foo.bar", len: 20, value: "Bad Host"},{field: "id", len: 4, value: "abc"}]`
	badHostFound = "Wise 8.8.8.8 foo.bar: Bad Host"
)

func TestE01_FindingsInEveryLine(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	nessus := startService(t, replies{
		"/?ip=10.0.0.2&port=80":   {body: `[{"cve":"CVE-1","risk":"High","name":"A"},{"cve":"","risk":"Critical","name":"B"},{"cve":"X","risk":"Low","name":"C"}]`},
		"/?ip=10.0.0.1&port=1000": {body: noVulnerability},
	}, nil)
	h := newHome(t, withSources(t, configs(t, "", fourLookups), nesd("Nessus", nessus)))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{patientLines}})
	const found = " Nesd 10.0.0.2:80 High - A (CVE-1) | Nesd 10.0.0.2:80 Critical - B"
	// The first two at once: the second line waits behind the first one.
	publish(nats, ev{id: "e1", from: 1000, port: 80}.String(), ev{id: "e2", sid: 2, from: 1000, port: 80}.String())
	n.wantLines("e1 4/F---"+found, "e1 4/FF--"+found)
	publish(nats, ev{id: "e3", sid: 3, from: 1000, port: 80}.String())
	n.wantLines("e1 4/F---"+found, "e1 4/FF--"+found, "e1 4/FFF-"+found)
	publish(nats, ev{id: "e4", sid: 4, from: 1000, port: 80}.String())
	n.finished("e1 4/F---"+found, "e1 4/FF--"+found, "e1 4/FFF-"+found, "e1 4/FFFF"+found)
	n.wantTaken("1 e1: e1", "2 e1: e2", "3 e1: e3", "4 e1: e4")
	nessus.wantAsked(map[string]int{"/?ip=10.0.0.2&port=80": 1, "/?ip=10.0.0.1&port=1000": 1})
}

// threeSources plays the events of E2, one after the other.
func threeSources(t *testing.T, list *service, flags ...string) {
	t.Helper()
	nats := startNATS(t)
	h := newHome(t, withSources(t, configs(t, "", threeLookups), wise("Wise", list)))
	n := h.startReady(setup{nats: nats.URL(), flags: append(flags, patientLines)})
	want := []string{"e1 4/F-- " + badHostFound, "e1 4/FF- " + badHostFound, "e1 4/FFF " + badHostFound}
	for i, src := range []string{"8.8.8.8", "1.2.3.4", "9.9.9.9"} {
		publish(nats, ev{id: []string{"e1", "e2", "e3"}[i], sid: i + 1, src: src}.String())
		n.wantLines(want[:i+1]...)
	}
	n.finished(want...)
}

func TestE02_OneTermFails(t *testing.T) {
	t.Parallel()
	list := startService(t, replies{"/ip/8.8.8.8": {body: badHost}, "/ip/9.9.9.9": {body: "[]"}}, nil)
	threeSources(t, list)
	// The failed one is asked again; the private address never.
	list.wantAsked(map[string]int{"/ip/8.8.8.8": 1, "/ip/1.2.3.4": 2, "/ip/9.9.9.9": 1})
}

func TestE03_PrivateAddresses(t *testing.T) {
	t.Parallel()
	list := startService(t, replies{"/ip/8.8.8.8": {body: badHost}, "/ip/9.9.9.9": {body: "[]"}, "/ip/10.0.0.2": {body: "[]"}}, nil)
	threeSources(t, list, "--intel-private-ip")
	list.wantAsked(map[string]int{"/ip/8.8.8.8": 1, "/ip/1.2.3.4": 2, "/ip/9.9.9.9": 1, "/ip/10.0.0.2": 1})
}

func TestE04_KeysInTheText(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	list := startService(t, replies{"/ip/8.8.8.8": {body: `[{field: "foo.bar", len: 25, value: "Bad Host, see field: x"}]`}}, nil)
	h := newHome(t, withSources(t, configs(t, "", twoLookups), wise("Wise", list)))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{patientLines}})
	publish(nats, ev{id: "e1", src: "8.8.8.8"}.String(), ev{id: "e2", sid: 2, src: "8.8.8.8"}.String())
	const found = " Wise 8.8.8.8 foo.bar: Bad Host, see field: x"
	n.finished("e1 4/F-"+found, "e1 4/FF"+found)
	list.wantAsked(map[string]int{"/ip/8.8.8.8": 1})
}

func TestE05_SwitchedOff(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	list := startService(t, replies{"/ip/8.8.8.8": {body: badHost}}, nil)
	nessus := startService(t, replies{"/?ip=10.0.0.2&port=80": {body: `[{"risk":"High","name":"A"}]`}}, nil)
	control := startService(t, replies{"/?ip=10.0.0.2&port=80": {body: `[{"risk":"High","name":"B"}]`}}, nil)

	h := newHome(t, withSources(t, configs(t, "", "r1 rel10\nr2 sid2 to=:1"),
		off(wise("Wise", list)), off(nesd("Nessus", nessus)), nesd("Control", control)))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{patientLines}})
	publish(nats, ev{id: "e1", src: "8.8.8.8", port: 80}.String())
	n.finished("e1 4/F- Nesd 10.0.0.2:80 High - B")

	// Without any source that is on lines do not wait.
	h = newHome(t, withSources(t, configs(t, "", "r1 rel10\nr2 sid2 to=:1"), off(wise("Wise", list)), off(nesd("Nessus", nessus))))
	n = h.startReady(setup{nats: nats.URL(), flags: []string{"--enrich-wait=10m"}})
	publish(nats, ev{id: "e1", src: "8.8.8.8", port: 80}.String())
	n.finished("e1 4/F-")

	list.wantAsked(map[string]int{})
	nessus.wantAsked(map[string]int{})
	control.wantAsked(map[string]int{"/?ip=10.0.0.2&port=80": 1})
}

// The source answers only when the test has seen every event in its backlog.
func TestE06_SlowSourceDelaysNoCorrelation(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	gate := make(chan struct{})
	list := startService(t, replies{"/ip/8.8.8.1": {body: badHost}, "/ip/8.8.8.2": {body: badHost}, "/ip/8.8.8.3": {body: badHost}}, gate)
	h := newHome(t, withSources(t, configs(t, "", "r1 rel10\nr2 from=:1 occ50"), wise("Wise", list)))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{patientLines}})
	publish(nats, ev{id: "a1", src: "8.8.8.1"}.String())
	list.isAsked("/ip/8.8.8.1")
	publish(nats, ev{id: "a2", src: "8.8.8.1"}.String(), ev{id: "b1", src: "8.8.8.2"}.String(),
		ev{id: "a3", src: "8.8.8.1"}.String(), ev{id: "c1", src: "8.8.8.3"}.String())
	n.wantTaken("1 a1: a1", "2 a1: a2", "1 b1: b1", "2 a1: a3", "1 c1: c1")
	list.isAsked("/ip/8.8.8.1", "/ip/8.8.8.2", "/ip/8.8.8.3") // side by side
	n.wantLines()
	close(gate)
	// Lines of different alarms are in the order of the answers.
	testkit.Eventually(t, "three alarm lines", func() bool { return countLines(t, h.alarmsFile()) >= 3 })
	n.stop()
	got := h.enrichedLines()
	slices.Sort(got)
	want := []string{"a1 4/F- Wise 8.8.8.1 foo.bar: Bad Host", "b1 4/F- Wise 8.8.8.2 foo.bar: Bad Host", "c1 4/F- Wise 8.8.8.3 foo.bar: Bad Host"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alarm lines, -want +got:\n%s", diff)
	}
	list.wantAsked(map[string]int{"/ip/8.8.8.1": 1, "/ip/8.8.8.2": 1, "/ip/8.8.8.3": 1})
}

// lookupBudget is how long look-ups may take; lines are written long before.
const lookupBudget = 10 * time.Second

func TestE07_SourceNeverAnswers(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	list := startService(t, nil, make(chan struct{}))
	h := newHome(t, withSources(t, configs(t, "", twoLookups), wise("Wise", list)))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{"--enrich-wait=200ms"}})
	begun := time.Now()
	publish(nats, ev{id: "e1", src: "8.8.8.8"}.String())
	n.wantLines("e1 4/F-")
	if took := time.Since(begun); took < 200*time.Millisecond || took >= lookupBudget {
		t.Errorf("the line was written after %v", took)
	}
	list.isAsked("/ip/8.8.8.8")
	publish(nats, ev{id: "e2", sid: 2, src: "8.8.8.8"}.String(), ev{id: "e3", src: "8.8.4.4"}.String())
	n.wantTaken("1 e1: e1", "2 e1: e2", "1 e3: e3")
	n.wantLines("e1 4/F-", "e1 4/FF", "e3 4/F-")
	n.finished("e1 4/F-", "e1 4/FF", "e3 4/F-")
	list.wantAsked(map[string]int{"/ip/8.8.8.8": 1, "/ip/8.8.4.4": 1})
}

// An answer that comes after the line was written gives one more line (D9).
func TestE07_LateAnswer(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	gate := make(chan struct{})
	list := startService(t, replies{"/ip/8.8.8.8": {body: badHost}, "/ip/9.9.9.9": {body: "[]"}}, gate)
	h := newHome(t, withSources(t, configs(t, "", twoLookups), wise("Wise", list)))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{"--enrich-wait=200ms", diagnostics}})
	// Both wait for one request; the first alarm has ended when it is answered.
	publish(nats, ev{id: "e1", src: "8.8.8.8"}.String(), ev{id: "e2", sid: 2, src: "8.8.8.8"}.String())
	n.wantLines("e1 4/F-", "e1 4/FF")
	publish(nats, ev{id: "e3", src: "9.9.9.9"}.String())
	n.wantLines("e1 4/F-", "e1 4/FF", "e3 4/F-")
	close(gate)
	n.wantLines("e1 4/F-", "e1 4/FF", "e3 4/F-", "e1 4/FF "+badHostFound)
	testkit.Eventually(t, "the late line is counted", func() bool { return n.metrics().sum("dsiem_alarms_written_total") == 4 })
	n.finished("e1 4/F-", "e1 4/FF", "e3 4/F-", "e1 4/FF "+badHostFound)
	list.wantAsked(map[string]int{"/ip/8.8.8.8": 1, "/ip/9.9.9.9": 1})
}

// A source that hangs takes nothing away from what another one has answered
// (§9.4: the line has whatever the look-ups returned).
func TestE07_OtherSourceAnswers(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	gate := make(chan struct{})
	list := startService(t, replies{"/ip/8.8.8.8": {body: badHost}}, gate)
	nessus := startService(t, replies{"/?ip=10.0.0.2&port=80": {body: `[{"risk":"High","name":"A"}]`}}, nil)
	h := newHome(t, withSources(t, configs(t, "", "r1 rel10\nr2 sid2 to=:1 rel10"), wise("Wise", list), nesd("Nessus", nessus)))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{"--enrich-wait=2s"}})
	publish(nats, ev{id: "e1", src: "8.8.8.8", port: 80}.String())
	const found = "Nesd 10.0.0.2:80 High - A"
	n.wantLines("e1 4/F- " + found)
	close(gate)
	n.wantLines("e1 4/F- "+found, "e1 4/F- "+badHostFound+" | "+found)
	publish(nats, ev{id: "e2", sid: 2, src: "8.8.8.8", port: 80}.String())
	n.finished("e1 4/F- "+found, "e1 4/F- "+badHostFound+" | "+found, "e1 4/FF "+badHostFound+" | "+found)
	list.wantAsked(map[string]int{"/ip/8.8.8.8": 1})
	nessus.wantAsked(map[string]int{"/?ip=10.0.0.2&port=80": 1})
}

func TestE08_TwoSources(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	one := startService(t, replies{"/?ip=10.0.0.2&port=80": {body: `[{"risk":"High","name":"A"},{"risk":"High","name":"B"}]`}}, nil)
	two := startService(t, replies{"/?ip=10.0.0.2&port=80": {body: `[{"risk":"High","name":"B"},{"risk":"Medium","name":"C"}]`}}, nil)
	h := newHome(t, withSources(t, configs(t, "", "r1 rel10\nr2 sid2 to=:1 rel10"), nesd("One", one), nesd("Two", two)))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{patientLines}})
	publish(nats, ev{id: "e1", port: 80}.String(), ev{id: "e2", sid: 2, port: 80}.String())
	const found = " Nesd 10.0.0.2:80 High - A | Nesd 10.0.0.2:80 High - B | Nesd 10.0.0.2:80 Medium - C"
	n.finished("e1 4/F-"+found, "e1 4/FF"+found)
	one.wantAsked(map[string]int{"/?ip=10.0.0.2&port=80": 1})
	two.wantAsked(map[string]int{"/?ip=10.0.0.2&port=80": 1})
}

func TestE09_AnswersWithoutFinding(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	const nothing, teapot, broken, garbled = "10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14"
	uri := func(dst string) string { return "/?ip=" + dst + "&port=80" }
	nessus := startService(t, replies{
		uri(nothing): {body: noVulnerability},
		uri(teapot):  {status: http.StatusTeapot, body: "bad ip or port"},
		uri(broken):  {status: http.StatusInternalServerError, body: `[{"risk":"High","name":"A"}]`},
		uri(garbled): {body: `[{"risk":"High","name":"A"`},
	}, nil)
	h := newHome(t, withSources(t, configs(t, "", threeLookups), nesd("Nessus", nessus)))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{patientLines}})
	// One after the other: look-ups under way at the same time would be shared.
	var want []string
	for stage := range 3 {
		for _, dst := range []string{nothing, teapot, broken, garbled} {
			id := dst
			if stage > 0 { // an id that a lower stage has is swallowed (D35 a)
				id = fmt.Sprint(dst, "-", stage)
			}
			publish(nats, ev{id: id, sid: stage + 1, dst: dst, port: 80}.String())
			want = append(want, dst+" 4/"+[]string{"F--", "FF-", "FFF"}[stage])
			n.wantLines(want...)
		}
	}
	n.finished(want...)
	nessus.wantAsked(map[string]int{uri(nothing): 1, uri(teapot): 1, uri(broken): 3, uri(garbled): 3})
}

func TestE10_Pairs(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	want, answers := map[string]int{}, replies{}
	for _, ip := range []string{"10.0.0.5", "10.0.0.7"} {
		for _, port := range []string{"5555", "80", "443"} {
			want["/?ip="+ip+"&port="+port] = 1
			answers["/?ip="+ip+"&port="+port] = reply{body: noVulnerability}
		}
	}
	nessus := startService(t, answers, nil)
	h := newHome(t, withSources(t, configs(t, "",
		`r1 rel10`+"\n"+`r2 sid2 "from=10.0.0.5,!10.0.0.6, 10.0.0.7,10.1.0.0/16" "port_from=80, 443"`), nesd("Nessus", nessus)))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{patientLines}})
	publish(nats, ev{id: "e1", from: 5555, port: 22}.String())
	n.finished("e1 4/F-")
	nessus.wantAsked(want)
}

// Nothing known is remembered as well as something, also for other alarms.
func TestE11_KnownTermsAreNotAskedAgain(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	list := startService(t, replies{"/ip/8.8.8.8": {body: badHost}, "/ip/9.9.9.9": {body: "[]"}}, nil)
	h := newHome(t, withSources(t, configs(t, "", "r1 rel10\nr2 sid2 from=:1 to=:1 rel10\nr3 sid3 from=:1 to=:1"), wise("Wise", list)))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{patientLines}})
	var want []string
	for _, e := range []struct {
		ev
		line string
	}{
		{ev{id: "a1", src: "8.8.8.8"}, "a1 4/F-- " + badHostFound},
		{ev{id: "a2", src: "8.8.8.8", sid: 2}, "a1 4/FF- " + badHostFound},
		{ev{id: "b1", src: "9.9.9.9"}, "b1 4/F--"},
		{ev{id: "b2", src: "9.9.9.9", sid: 2}, "b1 4/FF-"},
		{ev{id: "c1", src: "8.8.8.8", dst: "10.0.0.3"}, "c1 4/F-- " + badHostFound},
	} {
		publish(nats, e.String())
		want = append(want, e.line)
		n.wantLines(want...)
	}
	n.finished(want...)
	list.wantAsked(map[string]int{"/ip/8.8.8.8": 1, "/ip/9.9.9.9": 1})
}

// --cache is the life of an answer: afterwards another alarm asks again.
func TestE11_CacheLifetime(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	list := startService(t, replies{"/ip/8.8.8.8": {body: "[]"}}, nil)
	h := newHome(t, withSources(t, configs(t, "", "r1 rel10\nr2 sid2 to=:1"), wise("Wise", list)))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{patientLines, "--cache=300ms"}})
	i := 0
	testkit.Eventually(t, "the second request", func() bool {
		i++
		publish(nats, ev{id: "e" + address(i), src: "8.8.8.8", dst: address(i)}.String())
		testkit.Eventually(t, "the next line", func() bool { return countLines(t, h.alarmsFile()) >= i })
		return list.asked()["/ip/8.8.8.8"] >= 2
	})
	n.stop()
}

// An event of an earlier stage brings a new port, and the expiry too: neither
// is a reason to ask.
func TestE12_NoRequestWithoutProgress(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	list := startService(t, replies{"/ip/8.8.8.8": {body: badHost}}, nil)
	nessus := startService(t, replies{"/?ip=10.0.0.2&port=80": {body: `[{"risk":"High","name":"A"}]`}}, nil)
	h := newHome(t, withSources(t, configs(t, "", "directive always-active\nr1 rel10\nr2 sid2 to=10.0.0.2 occ2 timeout=1"),
		wise("Wise", list), nesd("Nessus", nessus)))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{patientLines, "--min-alarm-lifetime=0"}})
	publish(nats, ev{id: "e1", src: "8.8.8.8", port: 80}.String())
	const found = badHostFound + " | Nesd 10.0.0.2:80 High - A"
	n.wantLines("e1 4/F- " + found)
	publish(nats, ev{id: "e2", src: "8.8.8.8", port: 443}.String(),
		ev{id: "e3", sid: 2, src: "8.8.8.8", port: 444}.String())
	n.finished("e1 4/F- "+found, "e1 4/F- "+found, "e1 4/FT "+found)
	n.wantTaken("1 e1: e1", "1 e1: e2", "2 e1: e3")
	list.wantAsked(map[string]int{"/ip/8.8.8.8": 1})
	nessus.wantAsked(map[string]int{"/?ip=10.0.0.2&port=80": 1})
}
