package watchdog_test

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"dsiem/internal/observe/log"
	"dsiem/internal/observe/watchdog"

	"github.com/google/go-cmp/cmp"
)

func TestReportCountsSinceThePreviousOne(t *testing.T) {
	start := time.Unix(1000, 0)
	w := watchdog.New(start)
	for i, tt := range []struct {
		after  time.Duration
		totals watchdog.Totals
		want   watchdog.Report
	}{
		{ // the first one is made at the start
			totals: watchdog.Totals{Directives: 3},
			want:   watchdog.Report{Directives: 3},
		},
		{
			after: 10 * time.Second,
			totals: watchdog.Totals{
				Received: 1234, Matched: 30, Dropped: 4, TimedOut: 1, Processed: 1230, Busy: 7 * time.Millisecond,
				QueueLength: 12, Directives: 3, ActiveDirectives: 2, Backlogs: 5,
			},
			want: watchdog.Report{
				EPS: 123.4, AvgProcTimeMS: 0.006, Received: 1234, Matched: 30, Dropped: 4, TimedOut: 1,
				QueueLength: 12, Directives: 3, ActiveDirectives: 2, Backlogs: 5,
			},
		},
		{ // the mean of the rate is since the start, that of the time is not
			after:  30 * time.Second,
			totals: watchdog.Totals{Received: 1235, Matched: 30, Dropped: 4, TimedOut: 1, Processed: 1231, Busy: 9 * time.Millisecond},
			want:   watchdog.Report{EPS: 41.17, AvgProcTimeMS: 2, Received: 1},
		},
		{
			after:  40 * time.Second,
			totals: watchdog.Totals{Received: 1235, Matched: 30, Dropped: 4, TimedOut: 1, Processed: 1231, Busy: 9 * time.Millisecond},
			want:   watchdog.Report{EPS: 30.88},
		},
	} {
		if diff := cmp.Diff(tt.want, w.Report(start.Add(tt.after), tt.totals)); diff != "" {
			t.Errorf("report %d (-want +got):\n%s", i, diff)
		}
	}
}

// The field names of both generations (docs/spec/interfaces.md §5.3, check 57).
func TestT57_WatchdogReport(t *testing.T) {
	var out bytes.Buffer
	logger := log.WithTarget(slog.New(log.NewHandler(&out, log.Options{})), "watchdog")
	lines := func(r watchdog.Report, maxEPS int) []string {
		out.Reset()
		r.Log(t.Context(), logger, maxEPS)
		text := regexp.MustCompile(`(?m)^\S+Z `).ReplaceAllString(out.String(), "")
		return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	}
	r := watchdog.Report{
		EPS: 7530.67, AvgProcTimeMS: 0.006, Received: 45495, Matched: 755,
		Directives: 23691, ActiveDirectives: 42, Backlogs: 43,
	}
	want := []string{` INFO dsiem_backend::watchdog: watchdog report eps=7530.67 queue_length=0 avg_proc_time_ms=0.006` +
		` ttl_directives=23691 active_directives=42 directives_ttl=23691 directives_active=42` +
		` events_rcvd=45495 events_matched=755 backlogs=43 backlogs_timedout=0`}
	if diff := cmp.Diff(want, lines(r, 1)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	r = watchdog.Report{AvgProcTimeMS: 1.5, QueueLength: 7, Dropped: 3}
	want = []string{
		` INFO dsiem_backend::watchdog: watchdog report eps=0.0 queue_length=7 avg_proc_time_ms=1.5` +
			` ttl_directives=0 active_directives=0 directives_ttl=0 directives_active=0` +
			` events_rcvd=0 events_matched=0 backlogs=0 backlogs_timedout=0 dropped=3`,
		` WARN dsiem_backend::watchdog: avg. processing time maybe too long to sustain the target 1000 event/sec (or 1.000 ms/event) avg_proc_time_ms=1.5`,
		` WARN dsiem_backend::watchdog: events dropped dropped=3 queue_length=7`,
	}
	if diff := cmp.Diff(want, lines(r, 1000)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	logger = slog.New(slog.DiscardHandler)
	r.Log(t.Context(), logger, 1000)
}

// D38: the budget of more than 1000 events per second is not 0.
func TestTooSlow(t *testing.T) {
	slow := watchdog.Report{AvgProcTimeMS: 0.2, QueueLength: 1}
	for _, tt := range []struct {
		r      watchdog.Report
		maxEPS int
		want   bool
	}{
		{slow, 5000, false},
		{slow, 5001, true},
		{slow, 0, false},
		{slow, -1, false},
		{watchdog.Report{AvgProcTimeMS: 0.2}, 10_000, false}, // nobody waits
	} {
		if got := tt.r.TooSlow(tt.maxEPS); (got != "") != tt.want {
			t.Errorf("%v at %d: %q", tt.r, tt.maxEPS, got)
		}
	}
}
