package replay

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/test/testkit"
)

func TestWriteProgress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		p    progress
		want string
	}{
		{"at the start", progress{total: 1000}, "0 events, 0 matched, 0/s"},
		{
			"of a pipe",
			progress{events: 12_345, matched: 67, read: 5_000_000, took: 10 * time.Second},
			"12,345 events, 67 matched, 1,234/s",
		},
		{
			"half of a file",
			progress{events: 3_000_000, matched: 1, read: 500, total: 1000, took: 10 * time.Second},
			" 50 %  3,000,000 events, 1 matched, 300,000/s, 10s left",
		},
		{
			"nearly done",
			progress{events: 10, read: 999, total: 1000, took: 10 * time.Second},
			"100 %  10 events, 0 matched, 1/s, 0s left",
		},
		{
			"a long file",
			progress{events: 10, read: 1, total: 1000, took: 10 * time.Second},
			"  0 %  10 events, 0 matched, 1/s, 2h46m30s left",
		},
		{
			"a file that grows",
			progress{events: 10, read: 2000, total: 1000, took: 10 * time.Second},
			"100 %  10 events, 0 matched, 1/s, 0s left",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			writeProgress(&b, test.p)
			if got, want := b.String(), "\r"+test.want+"\x1b[K"; got != want {
				t.Errorf("it writes %q, want %q", got, want)
			}
		})
	}
}

// terminalWriter shows what a terminal of one line would: it knows how to return to
// the start of a line and to clear the rest of it. Lines that are left scroll up.
type terminalWriter struct {
	scrolled []string
	line     string
}

func (w *terminalWriter) Write(p []byte) (int, error) {
	text := strings.ReplaceAll(string(p), "\x1b[K", "")
	for part := range strings.SplitAfterSeq(text, "\n") {
		if i := strings.LastIndex(part, "\r"); i >= 0 {
			w.line, part = "", part[i+1:] // what follows is written or cleared to the end
		}
		w.line += part
		if whole, ok := strings.CutSuffix(w.line, "\n"); ok {
			w.scrolled, w.line = append(w.scrolled, whole), ""
		}
	}
	return len(p), nil
}

// TestProgressLine shares a terminal between progress and diagnostics: no line is
// torn, and nothing is left of progress at the end.
func TestProgressLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		screen := &terminalWriter{}
		r := newTestReplay(t, nil)
		r.options.Progress, r.options.Diagnostics = screen, screen
		stop := r.watchProgress(time.Now())
		r.summary.add(batchCounts{read: 1000})
		r.summary.matched.Add(10)
		testkit.Pass(progressEvery)
		if want := "1,000 events, 10 matched, 2,000/s"; screen.line != want {
			t.Errorf("the line is %q, want %q", screen.line, want)
		}
		fmt.Fprintln(r.diagnostics, "x:1: event rejected")
		if screen.line != "" {
			t.Errorf("the line is %q beside diagnostics", screen.line)
		}
		r.summary.add(batchCounts{read: 1000})
		testkit.Pass(progressEvery)
		if want := "2,000 events, 10 matched, 2,000/s"; screen.line != want {
			t.Errorf("the line is %q, want %q", screen.line, want)
		}
		stop()
		if screen.line != "" {
			t.Errorf("the line is %q at the end", screen.line)
		}
		fmt.Fprintln(r.diagnostics, "x:2: event rejected")
		if got := strings.Join(screen.scrolled, "|"); got != "x:1: event rejected|x:2: event rejected" {
			t.Errorf("what is left is %q", got)
		}
	})
}

func TestNoProgressLine(t *testing.T) {
	t.Parallel()
	r := newTestReplay(t, nil)
	r.options.Diagnostics = io.Discard
	r.watchProgress(time.Now())() // it must not write to nil
}
