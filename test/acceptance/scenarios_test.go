package acceptance

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dsiem/test/scenario"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

// The scenarios are written for the clock of a replay, which events turn. Here
// they are played with that of a live backend, which the times turn at which
// frontends have taken the events: these are the events' own, moved so that the last
// one is of now.

// needReplay are scenarios that cannot be played with the clock of the machine,
// and why.
var needReplay = map[string]string{
	"p06-expired-while-down":              "at a stop the clock is that of the machine; see TestP06",
	"t11-asset-removed":                   "at a stop the clock is that of the machine",
	"x01-deadline":                        "when nothing waits the clock is that of the machine",
	"x02-opening-event-after-its-backlog": "its first source is forgotten after an hour that nobody waits",
	"50-late-events":                      "its clock is that of events in the past, and when nothing waits it is that of the machine",
	"c01-timestamps-accepted":             "it is about the texts of timestamps, which cannot be moved",
	"c01-timestamps-rejected":             "it is about the texts of timestamps, which cannot be moved",
	"c01-timestamps-years":                "it is about the texts of timestamps, which cannot be moved",
}

// TestScenarios plays every scenario of the engine through a backend with two
// shards, NATS and real files. Among them are P1 to P5, P7, P10 and P11.
func TestScenarios(t *testing.T) {
	t.Parallel()
	all, err := scenario.All()
	testkit.Check(t, err)
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if why, ok := needReplay[s.Name]; ok {
				t.Skip(why)
			}
			if s.ByArrival() {
				t.Skip("it states when events arrive")
			}
			playScenario(t, s)
		})
	}
}

// playScenario plays all runs of a scenario and checks each.
func playScenario(t *testing.T, s *scenario.Scenario) {
	t.Helper()
	server := startNATS(t)
	h := newHome(t, nil)
	shift := time.Now().Truncate(time.Second).Sub(lastEvent(s))
	checker := s.NewChecker()
	for _, run := range s.Runs {
		testkit.Check(t, os.MkdirAll(h.backlogs(), 0o750))
		testkit.Check(t, run.EditSaved(h.backlogs()))
		if err := butForTheClock(checker.Check(run, playRun(t, h, server, run, shift))); err != nil {
			t.Errorf("run %d:\n%v", run.Number, err)
		}
	}
}

// playRun plays a run with events moved by a time, and returns what it left
// behind, moved back.
func playRun(t *testing.T, h *home, server *natstest.Server, run *scenario.Run, shift time.Duration) *scenario.Result {
	t.Helper()
	for _, name := range []string{h.alarmsFile(), h.eventsFile()} {
		testkit.Check(t, os.RemoveAll(name))
	}
	h.configure(run.Config)
	n := h.start(setup{nats: server.URL(), flags: append([]string{"--shards=2"}, run.Args...)})
	if !run.StartupError() {
		n.takesEvents()
		var events []string
		for line := range strings.Lines(string(run.Events)) {
			events = append(events, moved(strings.TrimSuffix(line, "\n"), shift))
		}
		publish(server, events...)
		n.signal(15)
	}
	code := n.Exit(t, testkit.Patience)
	all := contents(t, h.logs)
	res := &scenario.Result{
		ExitCode:    code,
		Console:     []byte(strings.ReplaceAll(n.Log.String()+n.err.String(), `\"`, `"`)), // values in log lines are quoted
		AlarmEvents: all[eventsName],
		Alarms:      movedBack(all[alarmsName], shift),
		Live:        map[string][]byte{},
		Given:       func(id string) bool { return givenID.MatchString(id) && !bytes.Contains(run.Events, []byte(id)) },
	}
	if code == 1 && bytes.Contains(res.Console, []byte("reading med_risk_min and med_risk_max")) {
		res.ExitCode = 2 // that of replay; T9 wants 1 of serve
	}
	for name, content := range contents(t, h.backlogs()) {
		if filepath.Ext(name) == ".json" {
			res.Live[name] = movedBack(content, shift)
		}
	}
	return res
}

var (
	timestamps = regexp.MustCompile(`"timestamp":"([^"]*)"`)
	clockTimes = regexp.MustCompile(`("(?:start_time|end_time|created_time|update_time|saved_arrival)": ?)([1-9][0-9]*)`)
)

// lastEvent is the time of the latest event of a scenario.
func lastEvent(s *scenario.Scenario) time.Time {
	last := scenario.Base()
	for _, run := range s.Runs {
		for _, match := range timestamps.FindAllSubmatch(run.Events, -1) {
			if at, err := time.Parse(time.RFC3339Nano, string(match[1])); err == nil && at.After(last) {
				last = at
			}
		}
	}
	return last.Truncate(time.Second)
}

// moved returns an event with another time, if its time can be understood, at which
// a frontend has taken it.
func moved(event string, by time.Duration) string {
	return timestamps.ReplaceAllStringFunc(event, func(match string) string {
		at, err := time.Parse(time.RFC3339Nano, timestamps.FindStringSubmatch(match)[1])
		if err != nil {
			return match
		}
		at = at.Add(by)
		return `"timestamp":"` + at.Format(time.RFC3339Nano) + `","rcvd_time":` + strconv.FormatInt(at.UnixNano(), 10)
	})
}

// movedBack returns alarms with the times of the scenario.
func movedBack(alarms []byte, by time.Duration) []byte {
	return clockTimes.ReplaceAllFunc(alarms, func(match []byte) []byte {
		parts := clockTimes.FindSubmatch(match)
		at, err := strconv.ParseInt(string(parts[2]), 10, 64)
		if err != nil {
			return match
		}
		return strconv.AppendInt(parts[1], at-int64(by/time.Second), 10)
	})
}

// butForTheClock leaves out what a scenario wants of the two times that a server
// takes from its own clock, where a replay takes them from events.
func butForTheClock(err error) error {
	all, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var rest []error
	for _, one := range all.Unwrap() {
		if text := one.Error(); !strings.Contains(text, "created_time") && !strings.Contains(text, "update_time") {
			rest = append(rest, one)
		}
	}
	return errors.Join(rest...)
}

// The checks P1 to P5 and P7 are scenarios; P6 is of the clock of the machine.
func TestP01_SavedAndLoaded(t *testing.T)   { t.Parallel(); playNamed(t, "p01-save-and-load") }
func TestP02_DirectiveRenamed(t *testing.T) { t.Parallel(); playNamed(t, "p02-directive-renamed") }
func TestP03_RuleChanged(t *testing.T)      { t.Parallel(); playNamed(t, "p03-rule-changed") }
func TestP04_BrokenFile(t *testing.T)       { t.Parallel(); playNamed(t, "p04-broken-file") }
func TestP05_OneBadBacklog(t *testing.T)    { t.Parallel(); playNamed(t, "p05-one-bad-backlog") }
func TestP07_FinishedBacklog(t *testing.T)  { t.Parallel(); playNamed(t, "p07-finished-backlog") }

func playNamed(t *testing.T, name string) {
	t.Helper()
	all, err := scenario.All()
	testkit.Check(t, err)
	for _, s := range all {
		if s.Name == name {
			if s.ByArrival() {
				t.Skip("it states when events arrive")
			}
			playScenario(t, s)
			return
		}
	}
	t.Fatalf("there is no scenario %s", name)
}

// A saved backlog whose stage expired while the backend was down writes its last
// alarm line right after the start.
func TestP06_ExpiredWhileDown(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	h, id := withBacklog(t, server)
	before := h.alarms()
	content, err := os.ReadFile(h.saved("1.json"))
	testkit.Check(t, err)
	const hour = time.Hour + 10*time.Minute // the stage has ten minutes
	testkit.Check(t, os.WriteFile(h.saved("1.json"), movedBack(content, hour), 0o600))
	n := h.startReady(setup{nats: server.URL(), flags: []string{"-v"}})
	n.says("backlog expired")
	n.stop()
	after := h.alarms()
	if len(after) != len(before)+1 {
		t.Fatalf("%d alarm lines, want one more than %d", len(after), len(before))
	}
	last := after[len(after)-1]
	if last.ID != id || last.progress() != "FT-" || last.Risk != 4 || last.Updated != before[0].Updated-int64(hour/time.Second) {
		t.Errorf("the last alarm is %+v", last)
	}
	// What ended is remembered (D35 b), no backlog is.
	if got := names(t, h.backlogs()); !slices.Equal(got, []string{"complete", "remembered.events"}) {
		t.Errorf("left behind: %q", got)
	}
}
