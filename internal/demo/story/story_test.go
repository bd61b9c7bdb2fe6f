package story

import (
	"cmp"
	"io/fs"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"dsiem/internal/event"
	"dsiem/internal/sample"
)

// morning is when the story starts in most tests.
func morning() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

func TestConfigsAreAConfigurationDirectory(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(sample.Files(), "*")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"assets_demo.json", "directives_demo.json"}; !slices.Equal(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
}

func TestConfigsLoadWithoutAnyProblem(t *testing.T) {
	t.Parallel()
	c := sampleConfig(t)
	if len(c.directives) != 6 || c.assets.Len() != 13 {
		t.Errorf("%d directives and %d assets, want 6 and 13", len(c.directives), c.assets.Len())
	}
}

func TestSameSeedTellsSameStory(t *testing.T) {
	t.Parallel()
	first := Tell(morning(), 7)
	if !slices.Equal(first, Tell(morning(), 7)) {
		t.Error("two stories with one seed differ")
	}
	ids := map[string]bool{}
	for _, ev := range first {
		ids[ev.ID] = true
	}
	for _, ev := range Tell(morning(), 8) {
		if ids[ev.ID] {
			t.Fatalf("id %s is in the stories of two seeds", ev.ID)
		}
	}
}

func TestStoryIsInOrderAndFillsItsLength(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{0, 1, math.MaxUint64} {
		events := Tell(morning(), seed)
		if n := len(events); n < 1500 || n > 3000 {
			t.Errorf("seed %d: %d events", seed, n)
		}
		ids, fractions := map[string]bool{}, map[int32]bool{}
		before := morning()
		for i := range events {
			at := timeOf(&events[i])
			if pause := at.Sub(before); pause < 0 || pause > 5*time.Second {
				t.Errorf("seed %d: event %d comes %v after the one before", seed, i, pause)
			}
			before = at
			ids[events[i].ID] = true
			fractions[events[i].Nanos] = true
		}
		if rest := morning().Add(Length).Sub(before); rest < 0 || rest > 5*time.Second {
			t.Errorf("seed %d: the last event comes %v before the end", seed, rest)
		}
		if len(ids) != len(events) || len(fractions) < len(events)/2 {
			t.Errorf("seed %d: %d ids and %d fractions of a second in %d events", seed, len(ids), len(fractions), len(events))
		}
	}
}

func timeOf(ev *event.Event) time.Time { return time.Unix(ev.Seconds, int64(ev.Nanos)) }

func TestEveryEventSurvivesItsJSON(t *testing.T) {
	t.Parallel()
	for _, ev := range Tell(morning().Add(123456789), 3) {
		text := event.AppendJSON(nil, &ev)
		var got event.Event
		if rej := event.Decode(text, &got); rej != nil {
			t.Fatalf("rejected: %v\n%s", rej, text)
		}
		if got != ev {
			t.Fatalf("got  %+v\nwant %+v", got, ev)
		}
	}
}

func TestEveryEventSaysWhatAnAnalystAsks(t *testing.T) {
	t.Parallel()
	for _, ev := range Tell(morning(), 4) {
		if ev.Title == "" || ev.Sensor == "" || ev.Sensor == unknownHost {
			t.Errorf("title %q, sensor %q", ev.Title, ev.Sensor)
		}
		if !ev.HasPlugin() && !ev.HasTaxonomy() {
			t.Errorf("%q has no identity", ev.Title)
		}
		for i, content := range ev.CustomData {
			if (content == "") != (ev.CustomLabel[i] == "") {
				t.Errorf("%q: custom data %q has label %q", ev.Title, content, ev.CustomLabel[i])
			}
		}
	}
}

// TestOutsideIsDocumentationOnly makes sure that the story names nobody's
// real address.
func TestOutsideIsDocumentationOnly(t *testing.T) {
	t.Parallel()
	ranges := []netip.Prefix{
		netip.MustParsePrefix("10.20.0.0/16"),
		netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("2001:db8::/32"),
	}
	for _, ev := range Tell(morning(), 5) {
		for _, addr := range []netip.Addr{ev.SrcIP, ev.DstIP} {
			if !slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(addr) }) {
				t.Errorf("%v is in no range for documentation", addr)
			}
		}
	}
}

func TestActsAreShortAndInOrder(t *testing.T) {
	t.Parallel()
	acts := Acts()
	if !slices.IsSortedFunc(acts, func(a, b Act) int { return cmp.Compare(a.At, b.At) }) {
		t.Error("the acts are not in order")
	}
	for _, a := range acts {
		if a.At < 0 || a.At >= Length || len(a.Text) > 100 || strings.HasSuffix(a.Text, ".") {
			t.Errorf("%v %q", a.At, a.Text)
		}
	}
}
