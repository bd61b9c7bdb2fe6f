package replay

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate"
)

// GraveAlarm is an alarm as it was published last.
type GraveAlarm struct {
	ID    string `json:"alarm_id"`
	Title string `json:"title"`
	Risk  int    `json:"risk"`
	Class string `json:"risk_class"`
	// Events is the number of events that it took in this run.
	Events int `json:"events"`
	// Finished is the number of its Stages that are complete.
	Finished int `json:"stages_finished"`
	Stages   int `json:"stages"`
	// State is one of the states below.
	State string `json:"state"`

	highest int   // risk
	created int64 // first published
	number  int   // its place among those that came into the table
}

// The states of an alarm's backlog.
const (
	StateOpen     = "open"
	StateComplete = "complete"
	StateTimedOut = "timed out"
)

// AlarmTableHead is the line above those of alarms.
const AlarmTableHead = "class   risk  events  stages  state      alarm"

// Line returns the alarm as a line of a table. class is the class in 6 columns, with
// colours or without.
func (a *GraveAlarm) Line(class string) string {
	title := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, a.Title)
	return fmt.Sprintf("%s %5d %7d %4d/%d   %-9s  %s", class, a.Risk, a.Events, a.Finished, a.Stages, a.State, title)
}

// ClassColumn returns the class in 6 columns.
func (a *GraveAlarm) ClassColumn() string { return fmt.Sprintf("%-6s", a.Class) }

// FinishedStages returns how many stages of an alarm are complete.
func FinishedStages(a *alarm.Alarm) int {
	n := 0
	for i := range a.Rules {
		if a.Rules[i].Status == alarm.Finished {
			n++
		}
	}
	return n
}

// mostGraveAlarms is the number of alarms that the summary names.
const mostGraveAlarms = 20

// gravest holds the alarms whose risk was the highest, so many at most: a replay may
// raise more than memory holds. A risk may fall; an alarm counts with its highest one,
// so that one that has left never has to come back unchanged.
type gravest struct {
	alarms []*GraveAlarm // the gravest first, of equal ones the first that came
	byID   map[string]*GraveAlarm
	// taken counts the events of live backlogs.
	taken  map[string]int
	number int // of alarms that came into the table
}

func newGravest() gravest {
	return gravest{byID: map[string]*GraveAlarm{}, taken: map[string]int{}}
}

func (g *gravest) accepted(c *correlate.Change) { g.taken[c.AlarmID]++ }

// updated takes note of an alarm that was published.
func (g *gravest) updated(c *correlate.Change) {
	a := g.byID[c.AlarmID]
	if a == nil {
		if n := len(g.alarms); n == mostGraveAlarms && c.Alarm.Risk <= g.alarms[n-1].highest {
			return
		}
		g.number++
		a = &GraveAlarm{ID: c.AlarmID, State: StateOpen, highest: -1, created: c.Alarm.Created, number: g.number}
		g.byID[c.AlarmID] = a
		g.alarms = append(g.alarms, a)
	}
	a.Title, a.Risk, a.Class = c.Alarm.Title, c.Alarm.Risk, c.Alarm.Class.String()
	a.Finished, a.Stages = FinishedStages(c.Alarm), len(c.Alarm.Rules)
	if a.Risk <= a.highest {
		return
	}
	a.highest = a.Risk
	slices.SortStableFunc(g.alarms, func(a, b *GraveAlarm) int { return cmp.Compare(b.highest, a.highest) })
	if n := len(g.alarms); n > mostGraveAlarms {
		delete(g.byID, g.alarms[n-1].ID)
		g.alarms = g.alarms[:n-1]
	}
}

// ended takes note of a backlog that is gone.
func (g *gravest) ended(c *correlate.Change, state string) {
	if a := g.byID[c.AlarmID]; a != nil {
		a.Events, a.State = g.taken[c.AlarmID], state
	}
	delete(g.taken, c.AlarmID)
}

// all returns the alarms, the gravest first, and of equal ones that which was published
// first.
func (g *gravest) all() []*GraveAlarm {
	for _, a := range g.alarms {
		if a.State == StateOpen {
			a.Events = g.taken[a.ID]
		}
	}
	all := append([]*GraveAlarm{}, g.alarms...)
	slices.SortFunc(all, func(a, b *GraveAlarm) int {
		return cmp.Or(cmp.Compare(b.Risk, a.Risk), cmp.Compare(a.created, b.created), cmp.Compare(a.number, b.number))
	})
	return all
}
