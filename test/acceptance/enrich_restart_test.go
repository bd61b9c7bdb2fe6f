package acceptance

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dsiem/test/testkit"
)

// Findings are saved with their backlog; a new process asks neither for them
// nor for their terms.
func TestEnrichment_FindingsSurviveARestart(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	list := startService(t, replies{"/ip/8.8.8.8": {body: badHost}}, nil)
	nessus := startService(t, replies{
		"/?ip=10.0.0.2&port=80":  {body: `[{"risk":"High","name":"A"}]`},
		"/?ip=10.0.0.2&port=443": {body: `[{"risk":"Medium","name":"B"}]`},
	}, nil)
	h := newHome(t, withSources(t, configs(t, "", threeLookups), wise("Wise", list), nesd("Nessus", nessus)))
	s := setup{nats: nats.URL(), flags: []string{patientLines}}
	n := h.startReady(s)
	publish(nats, ev{id: "e1", src: "8.8.8.8", port: 80}.String())
	const found = " " + badHostFound + " | Nesd 10.0.0.2:80 High - A"
	n.finished("e1 4/F--" + found)
	if diff := cmp.Diff([]string{"4/F--" + found}, h.savedFindings("1.json")); diff != "" {
		t.Errorf("saved, -want +got:\n%s", diff)
	}

	n = h.startReady(s)
	publish(nats, ev{id: "e2", sid: 2, src: "8.8.8.8", port: 80}.String())
	n.wantLines("e1 4/F--"+found, "e1 4/FF-"+found)
	publish(nats, ev{id: "e3", sid: 3, src: "8.8.8.8", port: 443}.String())
	n.finished("e1 4/F--"+found, "e1 4/FF-"+found, "e1 4/FFF"+found+" | Nesd 10.0.0.2:443 Medium - B")
	list.wantAsked(map[string]int{"/ip/8.8.8.8": 1})
	nessus.wantAsked(map[string]int{"/?ip=10.0.0.2&port=80": 1, "/?ip=10.0.0.2&port=443": 1})
}

// A look-up that is pending at SIGTERM delays neither the end nor the lines,
// which have what is known by then.
func TestEnrichment_PendingAtShutdown(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	gate := make(chan struct{})
	list := startService(t, replies{"/ip/8.8.8.8": {body: badHost}}, gate)
	nessus := startService(t, replies{"/?ip=10.0.0.2&port=80": {body: `[{"risk":"High","name":"A"}]`}}, nil)
	h := newHome(t, withSources(t, configs(t, "", threeLookups), wise("Wise", list), nesd("Nessus", nessus)))
	s := setup{nats: nats.URL(), flags: []string{patientLines, diagnostics}}
	n := h.startReady(s)
	publish(nats, ev{id: "e1", src: "8.8.8.8", port: 80}.String(), ev{id: "e2", sid: 2, src: "8.8.8.8", port: 80}.String())
	n.wantTaken("1 e1: e1", "2 e1: e2")
	list.isAsked("/ip/8.8.8.8")
	testkit.Eventually(t, "the answer of Nesd", func() bool { return slices.Contains(n.lookups(), "Nessus hit 1") })
	n.wantLines()
	if took := n.stop(); took > lookupBudget/2 {
		t.Errorf("the end took %v", took)
	}
	const found = "Nesd 10.0.0.2:80 High - A"
	n.wantLines("e1 4/F-- "+found, "e1 4/FF- "+found)
	if diff := cmp.Diff([]string{"4/FF- " + found}, h.savedFindings("1.json")); diff != "" {
		t.Errorf("saved, -want +got:\n%s", diff)
	}

	close(gate)
	n = h.startReady(s)
	publish(nats, ev{id: "e3", sid: 3, src: "8.8.8.8", port: 80}.String())
	n.finished("e1 4/F-- "+found, "e1 4/FF- "+found, "e1 4/FFF "+badHostFound+" | "+found)
	list.wantAsked(map[string]int{"/ip/8.8.8.8": 2})
	nessus.wantAsked(map[string]int{"/?ip=10.0.0.2&port=80": 1})
}

// The alarm of a line that waits at SIGTERM may have ended: it is not saved, but
// the line is written.
func TestEnrichment_PendingLastLineAtShutdown(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	list := startService(t, nil, make(chan struct{}))
	h := newHome(t, withSources(t, configs(t, "", twoLookups), wise("Wise", list)))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{patientLines}})
	publish(nats, ev{id: "e1", src: "8.8.8.8"}.String(), ev{id: "e2", sid: 2, src: "8.8.8.8"}.String())
	n.wantTaken("1 e1: e1", "2 e1: e2")
	list.isAsked("/ip/8.8.8.8")
	n.stop()
	n.wantLines("e1 4/F-", "e1 4/FF")
	if exists(h.saved("1.json")) {
		t.Error("an alarm that has ended is saved")
	}
}

func TestEnrichment_Metrics(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	list := startService(t, replies{"/ip/8.8.8.8": {body: badHost}, "/ip/9.9.9.9": {body: "[]"}}, nil)
	broken := startService(t, nil, nil)
	nessus := startService(t, replies{
		"/?ip=10.0.0.2&port=80":  {body: `[{"risk":"High","name":"A"}]`},
		"/?ip=8.8.8.8&port=1000": {body: noVulnerability},
		"/?ip=9.9.9.9&port=1000": {body: noVulnerability},
	}, nil)
	h := newHome(t, withSources(t, configs(t, "", twoLookups), wise("Wise", list), wise("Broken", broken), nesd("Nessus", nessus)))
	n := h.startReady(setup{nats: nats.URL(), flags: []string{patientLines, diagnostics}})
	const found = "Nesd 10.0.0.2:80 High - A"
	var want []string
	for _, e := range []struct {
		ev
		line string
	}{
		{ev{id: "e1", src: "8.8.8.8"}, "e1 4/F- " + badHostFound + " | " + found},
		{ev{id: "e2", src: "9.9.9.9"}, "e2 4/F- " + found},
		{ev{id: "e3", src: "9.9.9.9", sid: 2}, "e2 4/FF " + found},
	} {
		e.from, e.port = 1000, 80
		publish(nats, e.String())
		want = append(want, e.line)
		n.wantLines(want...)
	}
	counted := []string{
		"Broken failed 3",
		"Nessus cached 2", // 10.0.0.2:80 for e2, 9.9.9.9:1000 for e3
		"Nessus hit 1", "Nessus miss 2",
		"Wise cached 1", "Wise hit 1", "Wise miss 1",
	}
	if diff := cmp.Diff(counted, n.lookups()); diff != "" {
		t.Errorf("look-ups, -want +got:\n%s", diff)
	}
	n.finished(want...)
	nessus.wantAsked(map[string]int{"/?ip=10.0.0.2&port=80": 1, "/?ip=8.8.8.8&port=1000": 1, "/?ip=9.9.9.9&port=1000": 1})
}

// A source that is down costs no line, and is left alone after some failures.
func TestEnrichment_SourceIsDown(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	list := startService(t, nil, nil)
	h := newHome(t, withSources(t, configs(t, "", "r1 rel10\nr2 sid2 to=:1"), wise("Wise", list)))
	list.Close() // nothing answers there
	n := h.startReady(setup{nats: nats.URL(), flags: []string{"--enrich-wait=10m", diagnostics}})
	const events = 8
	begun := time.Now()
	var want []string
	for i := range events {
		id := "e" + address(i)
		publish(nats, ev{id: id, src: "8.8.8.8", dst: address(i)}.String())
		want = append(want, id+" 4/F-")
		n.wantLines(want...)
	}
	if took := time.Since(begun); took >= lookupBudget {
		t.Errorf("lines waited for a source that is down: %v", took)
	}
	n.says("look-ups fail, leaving the source alone for a while", "Wise")
	if diff := cmp.Diff([]string{"Wise failed 5", "Wise skipped 3"}, n.lookups()); diff != "" {
		t.Errorf("look-ups, -want +got:\n%s", diff)
	}
	n.finished(want...)
}
