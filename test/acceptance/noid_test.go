package acceptance

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"dsiem/internal/output/rejects"
	"dsiem/test/testkit"
)

// Decision D34 of docs/spec/correlation.md: an event without an id is no other one,
// also if it comes over NATS from a frontend that gives it none.

// givenID is an id that a node has given.
var givenID = regexp.MustCompile(`^[0-9A-Za-z]{16}$`)

// withoutID is an event of a frontend of another generation that has no id, with the
// number that the frontend gave it, if it is not 0. id is what says so, "" for nothing.
func withoutID(sid, number int, id string) string {
	text := strings.Replace(ev{sid: sid, at: time.Now().Truncate(time.Second), received: time.Now().UnixNano()}.String(), `"event_id":"",`, id, 1)
	if number > 0 {
		text = strings.TrimSuffix(text, "}") + fmt.Sprintf(`,"conn_id":%d}`, number)
	}
	return text
}

// fortyFailures is a directive for a login after 40 failures.
const fortyFailures = "r1 rel1\nr2 from=:1 to=:1 occ39 rel5\nr3 sid2 from=:1 to=:1 rel10"

// takesLines waits until a node has written lines of alarm events, and returns the ids
// of the events.
func (n *node) takesLines(count int) (ids []string) {
	n.t.Helper()
	testkit.Eventually(n.t, fmt.Sprintf("%d alarm events are written", count), func() bool { return len(n.alarmEvents()) >= count })
	for _, e := range n.alarmEvents() {
		ids = append(ids, e.EventID)
	}
	return ids
}

// wantGiven checks that ids are different ones that the node gave.
func wantGiven(t *testing.T, ids []string) {
	t.Helper()
	seen := map[string]bool{}
	for _, id := range ids {
		if !givenID.MatchString(id) || seen[id] {
			t.Errorf("an event without an id gets %q, want a new one of 16 letters and digits", id)
		}
		seen[id] = true
	}
}

// 40 failures count 40, whatever says that they have no id: with numbers of a frontend
// or without, in which case their texts are the same.
func TestEventsWithoutIDOverNATS(t *testing.T) {
	t.Parallel()
	for name, number := range map[string]func(i int) int{
		"numbered": func(i int) int { return 1 + i }, "without a number": func(int) int { return 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startNATS(t)
			n := newHome(t, configs(t, "", fortyFailures)).startReady(setup{nats: server.URL(), flags: []string{diagnostics}})
			forms := []string{"", `"event_id":"",`, `"event_id":null,`, `"event_id":{"a":1},`, `"event_id":["e1"],`}
			var events []string
			for i := range 40 {
				events = append(events, withoutID(1, number(i), forms[i%len(forms)]))
			}
			publish(server, append(events, withoutID(2, number(40), ""))...)
			wantGiven(t, n.takesLines(41))
			if got := n.metrics()["dsiem_events_without_id_total"]; got != 41 {
				t.Errorf("%v events without an id are counted, want 41", got)
			}
			n.stop()
			all := n.alarms()
			if last := all[len(all)-1]; last.progress() != "FFF" {
				t.Errorf("the last alarm is %+v", last)
			}
			if exists(filepath.Join(n.logs, rejects.Name)) {
				t.Error("something was rejected")
			}
		})
	}
}

// A message that is delivered again, and with it the number of its frontend, is the
// same event; and for two backends it is the same one, so that their alarms are.
func TestEventsWithoutIDThatComeAgainOverNATS(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	a := newHome(t, configs(t, "", fortyFailures)).startReady(setup{nats: server.URL()})
	b := newHome(t, configs(t, "", fortyFailures)).startReady(setup{nats: server.URL()})
	var events []string
	for i := range 39 {
		events = append(events, withoutID(1, 1+i, ""))
	}
	again := events[len(events)-1]
	publish(server, append(events, again, again)...)
	ids := a.takesLines(41) // also of what comes again (D35 a)
	wantGiven(t, ids[:39])
	if ids[39] != ids[38] || ids[40] != ids[38] {
		t.Errorf("an event that comes again has the ids %q", ids[38:])
	}
	testkit.Equal(t, b.takesLines(41), ids)
	publish(server, withoutID(2, 50, "")) // 40 are not there yet
	publish(server, withoutID(1, 51, ""), withoutID(2, 52, ""))
	testkit.Equal(t, b.takesLines(43), a.takesLines(43))
	a.stop()
	b.stop()
	last := a.alarms()[len(a.alarms())-1]
	if last.progress() != "FFF" || last.ID != b.alarms()[0].ID {
		t.Errorf("the last alarm is %+v, of another backend it is %s", last, b.alarms()[0].ID)
	}
}
