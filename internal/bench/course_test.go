package bench

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func coursePlan(t fataler) *plan {
	t.Helper()
	p, err := newPlan(Workload{Match: 0.1, Live: 7}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCourseOfEventsAtFullSpeed(t *testing.T) {
	t.Parallel()
	p := coursePlan(t)
	c := newCourse(p, 7, 64, time.Hour, 0, noon)
	for _, want := range []uint64{burst, 70 - 64, 0} { // the 70th event behind the first seven matches
		events, wait := c.next(noon, burst)
		if events != want || wait != 0 {
			t.Fatalf("%d events, wait %v; want %d at once", events, wait, want)
		}
		c.sent += events
	}
	if p.part(c.sent-1).kind != matched {
		t.Errorf("the last event, %d, does not match", c.sent-1)
	}
}

func TestCourseOfADuration(t *testing.T) {
	t.Parallel()
	c := newCourse(coursePlan(t), 7, 0, time.Second, 0, noon)
	if events, _ := c.next(noon, burst); events != burst {
		t.Fatalf("%d events", events)
	}
	c.sent += burst
	if events, _ := c.next(noon.Add(999*time.Millisecond), burst); events != burst {
		t.Fatalf("%d events before the time is up", events)
	}
	if events, _ := c.next(noon.Add(time.Second), burst); events != 70-64 {
		t.Errorf("%d events when the time is up, want those up to the next that matches", events)
	}
}

func TestCourseWithARate(t *testing.T) {
	t.Parallel()
	c := newCourse(coursePlan(t), 7, 1000, 0, 100, noon)
	for _, test := range []struct {
		after  time.Duration
		events uint64
		wait   time.Duration
	}{
		{-time.Second, 0, time.Second},
		{0, 1, 0},
		{9 * time.Millisecond, 0, time.Millisecond},
		{10*time.Millisecond - 1, 0, leastWait},
		{35 * time.Millisecond, 3, 0},
		{time.Minute, burst, 0},
	} {
		events, wait := c.next(noon.Add(test.after), burst)
		if events != test.events || wait != test.wait {
			t.Errorf("after %v: %d events, wait %v; want %d, %v", test.after, events, wait, test.events, test.wait)
		}
		c.sent += events
	}
	if got := c.due(7 + 250); !got.Equal(noon.Add(2500 * time.Millisecond)) {
		t.Errorf("event 250 is due at %v", got)
	}
}

// The end of a course is behind an event that matches, and behind the wanted
// number of events by as little as possible.
func TestCourseEndsBehindAMatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t, 1)
		n := rapid.Uint64Range(1, 10_000).Draw(t, "n")
		end := p.throughMatch(n)
		if p.part(end-1).kind != matched {
			t.Fatalf("event %d does not match", end-1)
		}
		for i := n - 1; i+1 < end; i++ {
			if p.part(i).kind == matched {
				t.Fatalf("the end is %d, though event %d matches", end, i)
			}
		}
	})
}
