package live

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate"
	"dsiem/test/testkit"
)

// updated is a change of an alarm of directive 7.
func updated(stage, riskBefore, risk int, before, class alarm.Class, completed bool) correlate.Change {
	return correlate.Change{
		Kind: correlate.Updated, Directive: 7, AlarmID: "a", Stage: stage, Before: before, RiskBefore: riskBefore, Lookup: completed,
		Alarm: &alarm.Alarm{ID: "a", Title: `A "title"`, Risk: risk, Class: class},
	}
}

// At the usual level the log has a line about each alarm that is new or has another
// stage, risk or class, and none about anything else; the references' lines are below.
func TestTheLogTellsOfAlarms(t *testing.T) {
	t.Parallel()
	opened := correlate.Change{Kind: correlate.Opened, Directive: 7, AlarmID: "a", Stage: 1, EventID: "e1"}
	const id = ` directive.id=7 backlog.id=a`
	for name, c := range map[string]struct {
		change correlate.Change
		info   []string
		debug  []string
	}{
		"opened": {opened, nil, []string{`level=DEBUG msg="new backlog created"` + id + ` event.id=e1`}},
		"accepted": {
			correlate.Change{Kind: correlate.Accepted, Directive: 7, AlarmID: "a", Stage: 2, EventID: "e2"},
			nil,
			[]string{`level=DEBUG msg="event taken"` + id + ` event.id=e2 stage=2`},
		},
		"advanced": {
			correlate.Change{Kind: correlate.Advanced, Directive: 7, AlarmID: "a", Stage: 2},
			nil,
			[]string{`level=DEBUG msg="stage increased to 2"` + id},
		},
		"new alarm": {
			updated(2, 0, 3, alarm.Unclassified, alarm.Medium, true),
			[]string{`level=INFO msg="alarm changed" alarm_id=a title="A \"title\"" risk=3 class=Medium stage=2 directive=7`},
			[]string{`level=DEBUG msg="risk changed from 0 to 3"` + id},
		},
		"next stage": {
			updated(3, 3, 3, alarm.Medium, alarm.Medium, true),
			[]string{`level=INFO msg="alarm changed" alarm_id=a title="A \"title\"" risk=3 class=Medium stage=3 directive=7`},
			nil,
		},
		"higher risk in a stage": {
			updated(3, 3, 8, alarm.Medium, alarm.High, false),
			[]string{`level=INFO msg="alarm changed" alarm_id=a title="A \"title\"" risk=8 class=High stage=3 directive=7`},
			[]string{`level=DEBUG msg="risk changed from 3 to 8"` + id},
		},
		"another line of the same": {updated(3, 8, 8, alarm.High, alarm.High, false), nil, nil},
		"finished": {
			correlate.Change{Kind: correlate.Finished, Directive: 7, AlarmID: "a", Stage: 3},
			nil,
			[]string{
				`level=DEBUG msg="reached max stage and occurrence, deleting backlog"` + id,
				`level=DEBUG msg="exited running state"` + id,
			},
		},
		"expired": {
			correlate.Change{Kind: correlate.Expired, Directive: 7, AlarmID: "a", Stage: 2},
			nil,
			[]string{`level=DEBUG msg="backlog expired"` + id + ` stage=2`, `level=DEBUG msg="exited running state"` + id},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for level, want := range map[slog.Level][]string{
				slog.LevelInfo: c.info, slog.LevelDebug: slices.Concat(c.info, c.debug), slog.LevelWarn: nil,
			} {
				book := new(testkit.Logbook)
				e := newEmitter(&Options{Logger: book.LoggerFrom(level)}, nil, &counts{})
				e.log(time.Unix(0, 0), &c.change)
				testkit.Equal(t, book.Take(), want)
			}
		})
	}
}
