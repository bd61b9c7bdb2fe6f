package replay

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate"
	"dsiem/test/testkit"
)

// published is an alarm line of a backlog.
func published(id string, risk int, class alarm.Class) *correlate.Change {
	return &correlate.Change{Kind: correlate.Updated, AlarmID: id, Alarm: &alarm.Alarm{
		ID: id, Title: "Attack " + id, Risk: risk, Class: class,
		Rules: []alarm.Rule{{Status: alarm.Finished}, {}},
	}}
}

// tableOf returns the table of alarms as a line each: id, risk, events, state.
func tableOf(g *gravest) []string {
	var out []string
	for _, a := range g.all() {
		out = append(out, fmt.Sprintf("%s %d %d %s", a.ID, a.Risk, a.Events, a.State))
	}
	return out
}

// The table has so many alarms at most, those of the highest risk; of equal ones those
// that came first. One that had no room gets in when its risk rises, with all its
// events.
func TestGravestIsBounded(t *testing.T) {
	t.Parallel()
	g := newGravest()
	for i := range 1000 {
		id := fmt.Sprint("a", i)
		g.accepted(&correlate.Change{AlarmID: id})
		g.updated(published(id, 2, alarm.Low))
	}
	g.accepted(&correlate.Change{AlarmID: "a999"})
	g.updated(published("a999", 8, alarm.High))
	want := []string{"a999 8 2 open"}
	for i := range mostGraveAlarms - 1 {
		want = append(want, fmt.Sprintf("a%d 2 1 open", i))
	}
	if diff := cmp.Diff(want, tableOf(&g)); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	for i := range 1000 {
		g.ended(&correlate.Change{AlarmID: fmt.Sprint("a", i)}, StateTimedOut)
	}
	for i := range want {
		want[i] = strings.Replace(want[i], "open", "timed out", 1)
	}
	if diff := cmp.Diff(want, tableOf(&g)); diff != "" {
		t.Errorf("after their end: want -, got +:\n%s", diff)
	}
	testkit.Equal(t, len(g.taken), 0)
	testkit.Equal(t, len(g.byID), mostGraveAlarms)
}

// A risk that falls is shown as it is, and takes no alarm out of the table.
func TestGravestOfRiskThatFalls(t *testing.T) {
	t.Parallel()
	g := newGravest()
	g.updated(published("fell", 8, alarm.High))
	g.updated(published("fell", 1, alarm.Low))
	for i := range 2 * mostGraveAlarms {
		g.updated(published(fmt.Sprint("a", i), 5, alarm.Medium))
	}
	got := tableOf(&g)
	testkit.Equal(t, len(got), mostGraveAlarms)
	testkit.Equal(t, got[0], "a0 5 0 open")
	testkit.Equal(t, got[mostGraveAlarms-1], "fell 1 0 open")
}

// What is in a title cannot break the table.
func TestAlarmLine(t *testing.T) {
	t.Parallel()
	a := &GraveAlarm{Title: "a\nb\x1b[31mc", Risk: 10, Class: "Low", Events: 3, Finished: 1, Stages: 2, State: StateTimedOut}
	testkit.Equal(t, a.Line(a.ClassColumn()), "Low       10       3    1/2   timed out  a b [31mc")
}
