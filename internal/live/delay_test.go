package live

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"dsiem/internal/correlate"
	"dsiem/internal/event"
)

// D43: what exceeds one in a hundred matched events in a minute is told in one line, each
// kind once an hour, with a sensor where one is known.
func TestEventsThatDoNotCountAreTold(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var c counts
	start := time.Unix(1_700_000_000, 0)
	handler := slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.MessageKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}})
	d := delays{logger: slog.New(handler), counts: &c, looked: start}
	look := func(after time.Duration, matched uint64, s correlate.Stats, named correlate.Sensors) string {
		t.Helper()
		out.Reset()
		c.matched.Add(matched)
		d.look(start.Add(after), s, func() correlate.Sensors { return named })
		return strings.TrimSuffix(strings.TrimSpace(out.String()), " manual=docs/time.md")
	}
	for range 3 {
		d.offered(start, &event.Event{Seconds: start.Unix() - 100, Sensor: "slow"}, start.UnixNano())
	}
	d.withoutID(&event.Event{Sensor: "nameless"})
	s := correlate.Stats{Repeated: 1, OutOfOrder: 2, Outside: 3, Known: 4, Future: 5, LookedBack: 6, ForgottenEarly: 7, Truncated: 8}
	named := correlate.Sensors{Repeated: "r", OutOfOrder: "o", Outside: "x", Known: "k", Future: "f", Truncated: "t"}
	if got := look(time.Minute-1, 0, s, named); got != "" {
		t.Errorf("before a minute is over: %s", got)
	}
	want := "matched=99 late=3 late_sensor=slow future=5 future_sensor=f repeated=1 repeated_sensor=r known=4 known_sensor=k " +
		"out_of_order=2 out_of_order_sensor=o outside=3 outside_sensor=x looked_back=6 forgotten_early=7 " +
		"without_id=1 without_id_sensor=nameless truncated=8 truncated_sensor=t"
	if got := look(time.Minute, 99, s, named); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	s.Repeated, s.Known = 1000, 1000
	if got := look(2*time.Minute, 100, s, named); got != "" {
		t.Errorf("within the hour: %s", got)
	}
	s.Repeated, s.Known = 1010, 1011
	if got, want := look(62*time.Minute, 1000, s, correlate.Sensors{}), "matched=1000 known=11"; got != want {
		t.Errorf("after an hour: %s, want %s", got, want)
	}
}

// Backlogs that give way, and events that find no room, are told at once, and then once a
// minute while it goes on.
func TestWantOfRoomIsToldAtOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	start := time.Unix(1_700_000_000, 0)
	d := delays{logger: slog.New(slog.NewTextHandler(&out, nil)), counts: &counts{}, looked: start}
	for _, c := range []struct {
		after            time.Duration
		evicted, refused uint64
		told             string
	}{
		{0, 0, 0, ""},
		{time.Second, 1, 0, "gave_way_total=1 refused_events_total=0"},
		{2 * time.Second, 5, 1, ""},
		{time.Minute + time.Second, 5, 1, "gave_way_total=5 refused_events_total=1"},
		{time.Hour, 5, 1, ""},
	} {
		out.Reset()
		d.look(start.Add(c.after), correlate.Stats{Evicted: c.evicted, Refused: c.refused}, func() correlate.Sensors { return correlate.Sensors{} })
		got := strings.Contains(out.String(), "there is no room for more backlogs")
		if got != (c.told != "") || !strings.Contains(out.String(), c.told) {
			t.Errorf("after %s: %q, want %q", c.after, out.String(), c.told)
		}
	}
}
