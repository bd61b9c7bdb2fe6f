package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/demo/story"
	"dsiem/internal/event"
	"dsiem/internal/replay"
	"dsiem/test/testkit"
)

func TestCompressed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ at, took, want time.Duration }{
		{0, 20 * time.Second, 0},
		{story.Length / 2, 20 * time.Second, 10 * time.Second},
		{story.Length, 20 * time.Second, 20 * time.Second},
		{story.Length, time.Hour, time.Hour},
		{story.Length / 4, 24 * time.Hour, 6 * time.Hour},
	} {
		if got := compressed(test.at, test.took); got != test.want {
			t.Errorf("%s of a story shown in %s is at %s, want %s", test.at, test.took, got, test.want)
		}
	}
}

// TestTellTakesItsTime tells the whole story on a clock of its own and notes
// when each event is sent: 40 minutes in 20 s are two minutes a second.
func TestTellTakesItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		start := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
		story := story.Tell(start, 1)
		told := 0
		err := tell(t.Context(), &Options{Start: start, Took: 20 * time.Second}, story, make([][]byte, len(story)),
			func(_ context.Context, at time.Time, _ []byte) error {
				told++
				if off := time.Since(began) - at.Sub(start)/120; off.Abs() > time.Millisecond {
					t.Errorf("the event of %s is sent after %s", at, time.Since(began))
				}
				return nil
			})
		if err != nil || told != len(story) {
			t.Errorf("%d of %d events are told, %v", told, len(story), err)
		}
		if took := time.Since(began); took < 19*time.Second || took > 20*time.Second {
			t.Errorf("it took %s, want about 20 s", took)
		}
	})
}

func TestTell(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_700_000_000, 0)
	story := []event.Event{{Seconds: start.Unix()}, {Seconds: start.Unix() + 1200}}
	lines := [][]byte{[]byte("one\n"), []byte("two\n")}
	o := &Options{Start: start, Took: time.Hour}
	listener := func(b *strings.Builder) func(context.Context, time.Time, []byte) error {
		return func(_ context.Context, at time.Time, line []byte) error {
			fmt.Fprintf(b, "%d %s", at.Unix()-start.Unix(), line)
			return nil
		}
	}

	t.Run("fast", func(t *testing.T) {
		t.Parallel()
		fast := *o
		fast.Fast = true
		var b strings.Builder
		if err := tell(t.Context(), &fast, story, lines, listener(&b)); err != nil || b.String() != "0 one\n1200 two\n" {
			t.Errorf("told is %q, %v", &b, err)
		}
	})
	t.Run("interrupted while it waits", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			began := time.Now()
			var b strings.Builder
			if err := tell(ctx, o, story, lines, listener(&b)); !errors.Is(err, context.DeadlineExceeded) || b.String() != "0 one\n" {
				t.Errorf("told is %q, %v", &b, err)
			}
			if took := time.Since(began); took != time.Minute {
				t.Errorf("it took %s", took)
			}
		})
	})
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		gone := errors.New("gone")
		if err := tell(t.Context(), o, story, lines, func(context.Context, time.Time, []byte) error { return gone }); !errors.Is(err, gone) {
			t.Errorf("the error is %v", err)
		}
	})
}

// TestDemoEqualsReplay compares the files of the demo's server, which gets its
// events over HTTP one by one, with those of a replay of the same events.
func TestDemoEqualsReplay(t *testing.T) {
	t.Parallel()
	dir, again := filepath.Join(t.TempDir(), "demo"), t.TempDir()
	o := &Options{Out: dir, Fast: true, Seed: 7, Start: time.Unix(1_700_000_000, 0), Screen: io.Discard}
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	_, err := replay.Run(t.Context(), &replay.Options{
		Config: os.DirFS(filepath.Join(dir, demoConfigs)), Inputs: []string{filepath.Join(dir, demoEvents)},
		Out: again, Diagnostics: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{alarm.AlarmsFile, alarm.EventsFile} {
		live, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		replayed, err := os.ReadFile(filepath.Join(again, name))
		if err != nil {
			t.Fatal(err)
		}
		if len(live) == 0 || !bytes.Equal(live, replayed) {
			t.Errorf("%s: %d bytes from the server, %d from the replay, and they differ", name, len(live), len(replayed))
		}
	}
}

// TestDemoStays keeps serving after the story until its context ends.
func TestDemoStays(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dir := filepath.Join(t.TempDir(), "demo")
	var answer string
	var asked error
	screen := testkit.WriterFunc(func(p []byte) (int, error) {
		if _, rest, ok := strings.Cut(string(p), "goes on serving at "); ok {
			url, _, _ := strings.Cut(rest, " ")
			var response *http.Response
			if response, asked = http.Get(url + "/status"); asked == nil {
				var body []byte
				body, asked = io.ReadAll(response.Body)
				answer = string(body)
				response.Body.Close()
			}
			cancel()
		}
		return len(p), nil
	})
	err := Run(ctx, &Options{Out: dir, Fast: true, Stay: true, Seed: 1, Start: time.Unix(1_700_000_000, 0), Screen: screen})
	if err != nil || asked != nil {
		t.Fatal(err, asked)
	}
	if !strings.Contains(answer, `"role":"standalone"`) || !strings.Contains(answer, "SSH brute force on jump01") {
		t.Errorf("the state is %s", answer)
	}
}

// TestDemoColours paints on a terminal only.
func TestDemoColours(t *testing.T) {
	t.Parallel()
	for _, colour := range []bool{false, true} {
		var b bytes.Buffer
		err := Run(t.Context(), &Options{
			Out: filepath.Join(t.TempDir(), "demo"), Fast: true, Seed: 1, Start: time.Unix(1_700_000_000, 0), Screen: &b, Colour: colour,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"\x1b[" + red + "mHigh  \x1b[0m", "\x1b[" + amber + "mMedium\x1b[0m", "\x1b[" + blue + "mLow   \x1b[0m",
		} {
			if got := strings.Contains(b.String(), want); got != colour {
				t.Errorf("with colours %t: %q is there: %t", colour, want, got)
			}
		}
		if got := strings.Contains(b.String(), "\x1b"); got != colour {
			t.Errorf("with colours %t: there are colours: %t", colour, got)
		}
	}
	p := &presenter{colour: true}
	if got := p.paint(p.classColour(alarm.Unclassified), "text"); got != "\x1b[0mtext\x1b[0m" {
		t.Errorf("an alarm without a class is %q", got)
	}
	if got := p.paint(red, ""); got != "" {
		t.Errorf("nothing is painted as %q", got)
	}
}

func TestDemoCannotShow(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	o := &Options{
		Out: filepath.Join(t.TempDir(), "demo"), Fast: true, Seed: 1, Start: time.Unix(1_700_000_000, 0),
		Screen: testkit.WriterFunc(func([]byte) (int, error) { return 0, broken }),
	}
	if err := Run(t.Context(), o); !errors.Is(err, broken) {
		t.Errorf("the error is %v, want %v", err, broken)
	}
}
