package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dsiem/internal/cli"
	"dsiem/test/testkit"
)

// TestReplayInterrupted ends the context, as a signal does, while a replay waits
// for more of its standard input.
func TestReplayInterrupted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		text string // read before the interruption
	}{
		{"before the first event", ""},
		{"within an event", openingEvents(1000) + openingEvents(1)[:40]},
		{"between two events", openingEvents(2000)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			release := make(chan struct{})
			t.Cleanup(func() { close(release) })
			in := io.MultiReader(strings.NewReader(test.text), readerFunc(func([]byte) (int, error) {
				interrupt()
				<-release // nothing ends a read of a terminal
				return 0, io.EOF
			}))

			out, saved := t.TempDir(), filepath.Join(t.TempDir(), "saved")
			var stdout, stderr bytes.Buffer
			code := cli.Main(ctx, []string{
				"replay", "--config", filepath.Join("testdata", "base", "configs"), "--out", out,
				"--save-backlogs", saved, "--json", "-",
			}, cli.Streams{In: in, Out: &stdout, Err: &stderr})

			if want := "dsiem: interrupted; what was read before has been written\n"; code != 1 || stderr.String() != want {
				t.Errorf("exit code %d, standard error %q, want 1 and %q", code, stderr.String(), want)
			}
			var summary struct {
				Events   struct{ Read, Rejected, Matched int }
				Backlogs struct{ Live, Saved int }
				Lines    struct {
					Alarms      int
					AlarmEvents int `json:"alarm_events"`
				}
			}
			if err := json.Unmarshal(stdout.Bytes(), &summary); err != nil {
				t.Fatalf("standard output: %v\n%s", err, &stdout)
			}
			// How much of the text is read depends on the moment, but what is read is
			// written, and nothing is torn.
			if n := strings.Count(test.text, "\n"); summary.Events.Read > n || summary.Events.Rejected != 0 {
				t.Errorf("%d events read, %d rejected; there are %d", summary.Events.Read, summary.Events.Rejected, n)
			}
			for name, want := range map[string]int{
				"siem_alarms.json": summary.Events.Read, "siem_alarm_events.json": summary.Events.Read,
			} {
				if got := wholeLines(t, filepath.Join(out, name)); got != want {
					t.Errorf("%s has %d lines, want %d", name, got, want)
				}
			}
			if l := summary.Lines; l.Alarms != summary.Events.Read || l.AlarmEvents != summary.Events.Read {
				t.Errorf("the summary counts %d and %d lines of %d events", l.Alarms, l.AlarmEvents, summary.Events.Read)
			}
			if b := summary.Backlogs; b.Live != summary.Events.Read || b.Saved != b.Live {
				t.Errorf("%d live backlogs, %d saved, of %d events", b.Live, b.Saved, summary.Events.Read)
			}
		})
	}
}

// TestReplayInterruptedAtStart ends the context before anything is read.
func TestReplayInterruptedAtStart(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	var stdout, stderr bytes.Buffer
	code := cli.Main(ctx, []string{
		"replay", "--config", filepath.Join("testdata", "base", "configs"), "--out", t.TempDir(),
		filepath.Join("testdata", "base", "events.ndjson"),
	}, cli.Streams{Out: &stdout, Err: &stderr})
	if want := "dsiem: interrupted; what was read before has been written\n"; code != 1 || stderr.String() != want {
		t.Errorf("exit code %d, standard error %q, want 1 and %q", code, stderr.String(), want)
	}
	if want := "events    0 read"; !strings.HasPrefix(stdout.String(), want) {
		t.Errorf("standard output does not start with %q:\n%s", want, &stdout)
	}
}

// TestDemoInterrupted ends the context while the demo waits for its first event.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	screen := testkit.WriterFunc(func(p []byte) (int, error) {
		interrupt() // with the first line it shows
		return len(p), nil
	})
	var stderr bytes.Buffer
	dir := t.TempDir() + "/demo"
	code := cli.Main(ctx, []string{"demo", "--duration", "1h", "--out", dir}, cli.Streams{Out: screen, Err: &stderr})
	if want := "dsiem: interrupted; what was played before is in " + dir + "\n"; code != 1 || stderr.String() != want {
		t.Errorf("exit code %d, standard error %q, want 1 and %q", code, stderr.String(), want)
	}
}

// openingEvents returns n events that open a backlog each, of the risk 2.
func openingEvents(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"event_id":"e%[1]d","timestamp":"2026-01-01T09:00:00Z","plugin_id":1001,"plugin_sid":1,`+
			`"src_ip":"10.0.%[2]d.%[3]d","dst_ip":"10.1.0.1"}`+"\n", i, i/256, i%256)
	}
	return b.String()
}

// wholeLines returns the number of lines of a file, each of which must be JSON.
func wholeLines(t *testing.T, path string) int {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(content) {
		if !json.Valid(line) || line[len(line)-1] != '\n' {
			t.Fatalf("%s: line %d is torn: %s", path, n+1, line)
		}
		n++
	}
	return n
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
