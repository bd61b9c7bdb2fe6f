package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate"
	"dsiem/internal/event"
	"dsiem/internal/input"
	"dsiem/test/testkit"
)

// fullSummary is a summary with something everywhere, complete after two seconds.
func fullSummary() *Summary {
	s := newSummary()
	s.AlarmsFile, s.AlarmEventsFile = "out/siem_alarms.json", "out/siem_alarm_events.json"
	s.add(batchCounts{read: 1_000_000, skipped: [input.Skips]int{input.NoAlert: 1000}, whitelisted: 20, offered: 998_000, withoutID: 3, repaired: 4, future: 5, late: 2000, lagging: 1000})
	s.add(batchCounts{read: 234_567, skipped: [input.Skips]int{input.NoAlert: 1, input.NoAddresses: 2}, whitelisted: 1, offered: 234_560})
	for range 3 {
		s.reject(event.BadJSON)
	}
	s.reject(event.TooLarge)
	for i := range 4 {
		s.Future = append(s.Future, FutureEvent{"a.ndjson", i + 1, int64(7200 + i*3*24*3600)})
	}
	for have := range uint64(3) {
		w := correlate.Waiting{Directive: 102, Stage: 2, Recorded: 1 + have, Wanted: 5}
		s.unfinished.add(w, live)
		w.Recorded = 3
		s.unfinished.add(w, timedOut)
	}
	s.unfinished.add(correlate.Waiting{Directive: 7, Stage: 3, Wanted: 1}, timedOut)
	s.Advice = append(s.Advice, "try this", "or that")
	s.matched.Add(1500)
	s.Events.Repeated, s.Events.OutOfOrder, s.Events.Known = 1, 2000, 3
	s.Backlogs = BacklogCounts{Loaded: 1, Discarded: 2, Opened: 1200, Finished: 100, Expired: 1000, Live: 101, Saved: 101}
	s.Lines = LineCounts{Alarms: 1, AlarmEvents: 1500}
	s.alarm(alarm.Unclassified, alarm.Low)
	s.alarm(alarm.Unclassified, alarm.Low)
	s.alarm(alarm.Low, alarm.High)
	s.alarm(alarm.High, alarm.High)
	s.alarm(alarm.Unclassified, alarm.Medium)
	s.gravest.accepted(&correlate.Change{AlarmID: "x"})
	s.gravest.updated(published("x", 8, alarm.High))
	s.gravest.ended(&correlate.Change{AlarmID: "x"}, StateComplete)
	s.gravest.updated(published("y", 3, alarm.Medium))
	s.complete(2 * time.Second)
	return s
}

func TestSummaryText(t *testing.T) {
	t.Parallel()
	empty := newSummary()
	empty.AlarmsFile, empty.AlarmEventsFile = "a", "e"
	empty.NoAlarms = append(empty.NoAlarms, "no event matched a directive")
	empty.complete(0)
	for _, test := range []struct {
		name string
		s    *Summary
		want string
	}{
		{"full", fullSummary(), `events    1,234,567 read, 1,232,560 offered, 1,500 matched
          1,001 skipped, not alerts
          2 skipped, no addresses
          21 dropped, from whitelisted addresses
          3 without an event_id, which got one
          4 with bytes that are not UTF-8, replaced by U+FFFD
          5 dated ahead of the events around them, and taken for their time: a.ndjson:1 by 2h0m0s, a.ndjson:2 by 3 days, a.ndjson:3 by 6 days, ...
          2,000 more than a minute older than an event before them
          matches not counted: 1 repeated, 2,000 out of order, 0 outside, 3 known
rejected  4: 1 too_large, 3 bad_json
restored  1 saved backlog, 2 discarded
backlogs  1,200 opened, 100 finished, 1,000 expired, 101 live
ended     directive 7, stage 3: 1 timed out with 0 of 1
          directive 102, stage 2: 3 timed out with 3 of 5
          directive 102, stage 2: 3 live with 1 to 3 of 5
saved     101 backlogs
alarms    3: 1 High, 1 Medium, 1 Low
advice    try this
          or that
written   out/siem_alarms.json (1 line)
          out/siem_alarm_events.json (1,500 lines)
time      2.00 s, 617,283 events/s

class   risk  events  stages  state      alarm
High       8       1    1/2   complete   Attack x
Medium     3       0    1/2   open       Attack y
and 1 more
`},
		{"empty", empty, `events    0 read, 0 offered, 0 matched
backlogs  0 opened, 0 finished, 0 expired, 0 live
alarms    0: 0 High, 0 Medium, 0 Low
          no event matched a directive
written   a (0 lines)
          e (0 lines)
time      0.00 s, 0 events/s
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if err := test.s.WriteText(&b); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, b.String()); diff != "" {
				t.Errorf("summary (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSummaryJSON(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := fullSummary().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(b.String(), "}\n") {
		t.Error("it does not end with a newline")
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"events": map[string]any{
			"read": 1_234_567.0, "rejected": 4.0, "skipped": 1003.0, "no_addresses": 2.0, "whitelisted": 21.0, "offered": 1_232_560.0,
			"matched": 1500.0, "without_id": 3.0, "repaired_encoding": 4.0, "repeated": 1.0, "out_of_order": 2000.0, "outside": 0.0, "looked_back": 0.0, "forgotten": 0.0, "truncated": 0.0, "known": 3.0,
			"future": 5.0, "late": 2000.0, "lagging": 1000.0,
		},
		"rejected": map[string]any{"too_large": 1.0, "bad_json": 3.0},
		"backlogs": map[string]any{
			"loaded": 1.0, "discarded": 2.0, "opened": 1200.0, "finished": 100.0, "expired": 1000.0, "live": 101.0, "saved": 101.0,
		},
		"alarms":      map[string]any{"High": 1.0, "Medium": 1.0, "Low": 1.0},
		"more_alarms": 1.0,
		"gravest_alarms": []any{
			map[string]any{"alarm_id": "x", "title": "Attack x", "risk": 8.0, "risk_class": "High", "events": 1.0, "stages_finished": 1.0, "stages": 2.0, "state": "complete"},
			map[string]any{"alarm_id": "y", "title": "Attack y", "risk": 3.0, "risk_class": "Medium", "events": 0.0, "stages_finished": 1.0, "stages": 2.0, "state": "open"},
		},
		"lines":       map[string]any{"alarms": 1.0, "alarm_events": 1500.0},
		"alarms_file": "out/siem_alarms.json", "alarm_events_file": "out/siem_alarm_events.json",
		"no_alarms": []any{},
		"unfinished": []any{
			map[string]any{"directive": 7.0, "stage": 3.0, "why": "timed out", "backlogs": 1.0, "least": 0.0, "most": 0.0, "wanted": 1.0},
			map[string]any{"directive": 102.0, "stage": 2.0, "why": "timed out", "backlogs": 3.0, "least": 3.0, "most": 3.0, "wanted": 5.0},
			map[string]any{"directive": 102.0, "stage": 2.0, "why": "live", "backlogs": 3.0, "least": 1.0, "most": 3.0, "wanted": 5.0},
		},
		"future": []any{
			map[string]any{"file": "a.ndjson", "line": 1.0, "seconds_ahead": 7200.0},
			map[string]any{"file": "a.ndjson", "line": 2.0, "seconds_ahead": 266400.0},
			map[string]any{"file": "a.ndjson", "line": 3.0, "seconds_ahead": 525600.0},
			map[string]any{"file": "a.ndjson", "line": 4.0, "seconds_ahead": 784800.0},
		},
		"advice":  []any{"try this", "or that"},
		"seconds": 2.0, "events_per_second": 617_283.5,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

func TestSummaryCannotBeWritten(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	w := testkit.WriterFunc(func([]byte) (int, error) { return 0, broken })
	s := fullSummary()
	for name, write := range map[string]error{"text": s.WriteText(w), "JSON": s.WriteJSON(w)} {
		if !errors.Is(write, broken) {
			t.Errorf("%s: the error is %v, want %v", name, write, broken)
		}
	}
}

// TestSummaryHasEveryReason has a name for every reason, so that none is lost.
func TestSummaryHasEveryReason(t *testing.T) {
	t.Parallel()
	s := newSummary()
	for reason := event.Accepted + 1; reason < event.Reasons; reason++ {
		for want := 1; want <= 2; want++ {
			if got := s.reject(reason); got != want {
				t.Errorf("%s was counted %d times, want %d", reason, got, want)
			}
		}
	}
	s.complete(time.Second)
	if got, want := len(s.Rejected), event.Reasons-1; got != want {
		t.Errorf("%d reasons have a name, want %d: %v", got, want, slices.Sorted(maps.Keys(s.Rejected)))
	}
	for reason, n := range s.Rejected {
		if n != 2 {
			t.Errorf("%s: %d, want 2", reason, n)
		}
	}
	if s.Events.Rejected != 2*(event.Reasons-1) {
		t.Errorf("%d rejected", s.Events.Rejected)
	}
}

// Of many kinds of unfinished backlogs people see those of most backlogs.
func TestManyUnfinished(t *testing.T) {
	t.Parallel()
	u := unfinished{}
	for directive := range uint64(13) {
		for range directive + 1 {
			u.add(correlate.Waiting{Directive: directive + 1, Stage: 2, Wanted: 2}, timedOut)
		}
	}
	lines := unfinishedLines(u.all())
	testkit.Equal(t, len(lines), shownUnfinished+1)
	testkit.Equal(t, lines[0], "directive 13, stage 2: 13 timed out with 0 of 2")
	testkit.Equal(t, lines[shownUnfinished], "and at 3 stages more; --json names all")
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	const sort = "2 events are more than 60 seconds older than one before them: try --sort"
	const newestFirst = "most events are dated ahead of those that follow, as in a log with the newest first: try --sort and a --max-jump as long as the log"
	for _, test := range []struct {
		name   string
		events EventCounts
		sorted bool
		want   []string
	}{
		{"nothing", EventCounts{}, false, []string{}},
		{"one in a hundred", EventCounts{Offered: 200, Lagging: 2}, false, []string{}},
		{"more than one in a hundred", EventCounts{Offered: 199, Lagging: 2}, false, []string{sort}},
		{"sorted already", EventCounts{Offered: 199, Lagging: 2}, true, []string{}},
		{"half is ahead", EventCounts{Offered: 10, Future: 5}, false, []string{}},
		{"newest first", EventCounts{Offered: 9, Future: 5}, true, []string{newestFirst}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			testkit.Equal(t, advice(&test.events, &Options{Sort: test.sorted}), test.want)
		})
	}
}
