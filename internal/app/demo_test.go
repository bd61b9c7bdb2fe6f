package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/demo"
	"dsiem/internal/event"
)

func TestCompressed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ at, took, want time.Duration }{
		{0, 20 * time.Second, 0},
		{demo.Length / 2, 20 * time.Second, 10 * time.Second},
		{demo.Length, 20 * time.Second, 20 * time.Second},
		{demo.Length, time.Hour, time.Hour},
		{demo.Length / 4, 24 * time.Hour, 6 * time.Hour},
	} {
		if got := compressed(test.at, test.took); got != test.want {
			t.Errorf("%s of a story shown in %s is at %s, want %s", test.at, test.took, got, test.want)
		}
	}
}

// TestDemoTakesItsTime plays the whole demo on a clock of its own and notes when
// something is shown.
func TestDemoTakesItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		shown := map[string]time.Duration{}
		screen := writerFunc(func(p []byte) (int, error) {
			for line := range strings.Lines(string(p)) {
				shown[strings.TrimSpace(line)] = time.Since(began)
			}
			return len(p), nil
		})
		start := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
		err := Demo(t.Context(), &DemoOptions{
			Out: filepath.Join(t.TempDir(), "demo"), Seed: 1, Start: start, Took: 20 * time.Second, Screen: screen,
		})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 19*time.Second || took > 20*time.Second {
			t.Errorf("it took %s, want about 20 s", took)
		}
		// 40 minutes in 20 s are two minutes a second.
		for line, want := range map[string]time.Duration{
			"Dsiem demo: a morning in a small company":                                                       0,
			"09:17:40  A guess was right: 198.51.100.23 logs in on jump01 as deploy":                         530 * time.Second / 60,
			"09:18:50  grows     High   risk  8  SSH brute force on jump01 by 198.51.100.23 (4 of 4 stages)": 565 * time.Second / 60,
		} {
			at, ok := shown[line]
			if off := (at - want).Abs(); !ok || off > 50*time.Millisecond {
				t.Errorf("%q is shown after %s (%t), want %s", line, at, ok, want)
			}
		}
	})
}

func TestTell(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_700_000_000, 0)
	story := []event.Event{{Seconds: start.Unix()}, {Seconds: start.Unix() + 1200}}
	lines := [][]byte{[]byte("one\n"), []byte("two\n")}
	o := &DemoOptions{Start: start, Took: time.Hour}

	t.Run("fast", func(t *testing.T) {
		t.Parallel()
		fast := *o
		fast.Fast = true
		var b bytes.Buffer
		if err := tell(t.Context(), &fast, story, lines, &b); err != nil || b.String() != "one\ntwo\n" {
			t.Errorf("told is %q, %v", &b, err)
		}
	})
	t.Run("interrupted while it waits", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			began := time.Now()
			var b bytes.Buffer
			if err := tell(ctx, o, story, lines, &b); !errors.Is(err, context.DeadlineExceeded) || b.String() != "one\n" {
				t.Errorf("told is %q, %v", &b, err)
			}
			if took := time.Since(began); took != time.Minute {
				t.Errorf("it took %s", took)
			}
		})
	})
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		r, w := io.Pipe()
		_ = r.Close()
		if err := tell(t.Context(), o, story, lines, w); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the error is %v", err)
		}
	})
}

// TestDemoColours paints on a terminal only.
func TestDemoColours(t *testing.T) {
	t.Parallel()
	for _, colour := range []bool{false, true} {
		var b bytes.Buffer
		err := Demo(t.Context(), &DemoOptions{
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
	o := &DemoOptions{
		Out: filepath.Join(t.TempDir(), "demo"), Fast: true, Seed: 1, Start: time.Unix(1_700_000_000, 0),
		Screen: writerFunc(func([]byte) (int, error) { return 0, broken }),
	}
	if err := Demo(t.Context(), o); !errors.Is(err, broken) {
		t.Errorf("the error is %v, want %v", err, broken)
	}
}
