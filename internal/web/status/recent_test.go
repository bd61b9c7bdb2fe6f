package status_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"dsiem/internal/web/status"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// ids returns the alarms as id and risk, the newest first.
func ids(r *status.Recent) []string {
	listed := []string{}
	for _, a := range r.List() {
		listed = append(listed, a.ID+" "+strconv.Itoa(a.Risk))
	}
	return listed
}

func TestRecentHasTheNewestAlarmsFirst(t *testing.T) {
	t.Parallel()
	r := status.NewRecent(3)
	if got := r.List(); got == nil || len(got) != 0 {
		t.Errorf("before the first alarm: %#v", got)
	}
	for _, step := range []struct {
		id   string
		risk int
		want []string
	}{
		{"a", 1, []string{"a 1"}},
		{"a", 2, []string{"a 2"}}, // an update
		{"b", 3, []string{"b 3", "a 2"}},
		{"c", 4, []string{"c 4", "b 3", "a 2"}},
		{"b", 5, []string{"b 5", "c 4", "a 2"}}, // from the middle
		{"a", 6, []string{"a 6", "b 5", "c 4"}}, // from the end
		{"d", 7, []string{"d 7", "a 6", "b 5"}}, // c was the oldest
		{"c", 8, []string{"c 8", "d 7", "a 6"}},
		{"", 9, []string{" 9", "c 8", "d 7"}},
		{"", 10, []string{" 10", " 9", "c 8"}}, // no id, no earlier state
	} {
		r.Add(status.Alarm{ID: step.id, Risk: step.risk})
		if diff := cmp.Diff(step.want, ids(r)); diff != "" {
			t.Errorf("after %s %d (-want +got):\n%s", step.id, step.risk, diff)
		}
	}
}

func TestRecentListBelongsToTheCaller(t *testing.T) {
	t.Parallel()
	r := status.NewRecent(0)
	for i := range status.ShownAlarms + 5 {
		r.Add(status.Alarm{ID: strconv.Itoa(i)})
	}
	got := r.List()
	if len(got) != status.ShownAlarms || got[0].ID != "24" || got[19].ID != "5" {
		t.Fatalf("%d alarms: %v", len(got), got)
	}
	got[0].ID = "changed"
	_ = append(got, status.Alarm{ID: "more"})
	if again := r.List(); again[0].ID != "24" || len(again) != status.ShownAlarms {
		t.Errorf("a caller's change is in the next list: %v", again)
	}
}

// A Recent equals a list of all alarms, read from its end.
func TestRecentEqualsTheWholeHistory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 6).Draw(t, "size")
		r := status.NewRecent(size)
		var history []status.Alarm
		for i := range rapid.IntRange(0, 40).Draw(t, "alarms") {
			a := status.Alarm{ID: rapid.StringMatching("[a-h]").Draw(t, "id"), Risk: i}
			history = append(history, a)
			r.Add(a)
		}
		want, seen := []status.Alarm{}, map[string]bool{}
		for i := len(history) - 1; i >= 0 && len(want) < size; i-- {
			if a := history[i]; !seen[a.ID] {
				seen[a.ID] = true
				want = append(want, a)
			}
		}
		if diff := cmp.Diff(want, r.List()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestRecentIsReadWhileItIsWritten(t *testing.T) {
	t.Parallel()
	r := status.NewRecent(8)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				seen := map[string]bool{}
				for _, a := range r.List() {
					if seen[a.ID] || a.Title != "title of "+a.ID {
						t.Errorf("torn or double: %+v", a)
						return
					}
					seen[a.ID] = true
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range 10_000 {
		id := strconv.Itoa(i % 13)
		r.Add(status.Alarm{ID: id, Title: "title of " + id, Risk: i})
	}
	close(done)
	readers.Wait()
	if got := r.List(); len(got) != 8 || got[0].Risk != 9_999 {
		t.Errorf("%v", got)
	}
}

func TestAddingAnAlarmCostsNoAllocation(t *testing.T) {
	r, now := status.NewRecent(0), time.Now()
	alarms := many(100, now)
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		r.Add(alarms[i%len(alarms)])
		i++
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// many returns alarms with ids like those of the engine.
func many(n int, now time.Time) []status.Alarm {
	alarms := make([]status.Alarm, n)
	for i := range alarms {
		alarms[i] = status.Alarm{
			Time: now, ID: "aB3dE6gH9jK2mN" + strconv.Itoa(10+i%90), Title: "Ping flood (10.0.0.1 to 10.0.0.2)", Risk: 5, Class: "Medium",
		}
	}
	return alarms
}

func BenchmarkRecentAdd(b *testing.B) {
	for name, distinct := range map[string]int{"same": 1, "known": status.ShownAlarms, "new": 90} {
		b.Run(name, func(b *testing.B) {
			r := status.NewRecent(0)
			alarms := many(distinct, time.Now())
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r.Add(alarms[i%distinct])
			}
		})
	}
}
