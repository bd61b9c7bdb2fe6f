package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"dsiem/test/testkit"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/config"
	"dsiem/internal/correlate"
	"dsiem/internal/demo/story"
	"dsiem/internal/event"
	"dsiem/internal/input"
	"dsiem/internal/input/file"
	"dsiem/internal/sample"
)

// line returns an event as text, with a newline.
func line(id string, seconds int64, sid int, source string) string {
	at := time.Unix(seconds, 0).UTC().Format(time.RFC3339)
	return fmt.Sprintf(`{"event_id":%q,"timestamp":%q,"plugin_id":1,"plugin_sid":%d,"src_ip":%q,"dst_ip":"10.0.0.1"}`+"\n",
		id, at, sid, source)
}

// replayText replays a text and returns the summary and the diagnostics.
func replayText(t *testing.T, text string, change func(*Options)) (*Summary, string, error) {
	t.Helper()
	var diagnostics bytes.Buffer
	o := &Options{
		Config: testkit.ScanConfig(), Inputs: []string{file.Stdin}, Stdin: strings.NewReader(text),
		Out: t.TempDir(), Diagnostics: &diagnostics,
	}
	if change != nil {
		change(o)
	}
	s, err := Run(t.Context(), o)
	return s, diagnostics.String(), err
}

func TestReplaySummary(t *testing.T) {
	t.Parallel()
	text := line("e1", 100, 1, "10.0.0.2") + // opens
		line("e2", 101, 1, "10.9.9.9") + // whitelisted
		"nonsense\n" +
		line("", 110, 3, "10.0.0.2") + // no directive wants it
		line("e5", 90, 2, "10.0.0.2") + // older than the first
		line("e1", 111, 1, "10.0.0.2") + // known
		line("e6", 112, 1, "10.0.0.3") + // opens
		line("e7", 120, 2, "10.0.0.2") + // finishes the first
		line("e8", 300, 1, "10.0.0.4") // the second has expired; opens
	s, diagnostics, err := replayText(t, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantEvents := EventCounts{
		Read: 9, Rejected: 1, Whitelisted: 1, Offered: 7, Matched: 4,
		WithoutID: 1, Outside: 1, Known: 1,
	}
	if diff := cmp.Diff(wantEvents, s.Events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(BacklogCounts{Opened: 3, Finished: 1, Expired: 1, Live: 1}, s.Backlogs); diff != "" {
		t.Errorf("backlogs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"High": 1, "Medium": 0, "Low": 2}, s.Alarms); diff != "" {
		t.Errorf("alarms (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(LineCounts{Alarms: 5, AlarmEvents: 4}, s.Lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"bad_json": 1}, s.Rejected); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
	if want := "stdin:3: event rejected: bad_json: not an object\n"; diagnostics != want {
		t.Errorf("diagnostics are %q, want %q", diagnostics, want)
	}
	if !s.Started() {
		t.Error("the replay has not started")
	}
}

// TestReplayDoesNotDependOnBatches plays the demo's story in batches of several
// sizes, on several numbers of shards.
func TestReplayDoesNotDependOnBatches(t *testing.T) {
	t.Parallel()
	var text []byte
	story := story.Tell(time.Unix(1_700_000_000, 0), 1)
	for i := range story {
		text = append(event.AppendJSON(text, &story[i]), '\n')
	}
	replayed := func(batch, shards int) (files string) {
		out := t.TempDir()
		_, err := Run(t.Context(), &Options{
			Config: sample.Files(), Inputs: []string{file.Stdin}, Stdin: bytes.NewReader(text),
			Out: out, Diagnostics: io.Discard, BatchSize: batch, Shards: shards, ExpireAll: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		return contents(t, out)
	}
	want := replayed(0, 1)
	if n := strings.Count(want, "\n"); n < 100 {
		t.Fatalf("the story gives %d lines only", n)
	}
	for _, batch := range []int{1, 3, 100, 10_000} {
		for _, shards := range []int{1, 3} {
			if got := replayed(batch, shards); got != want {
				t.Errorf("batches of %d on %d shards give other files", batch, shards)
			}
		}
	}
}

// contents returns what is in both output files.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var all []byte
	for _, name := range []string{"siem_alarms.json", "siem_alarm_events.json"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	return string(all)
}

func TestReplayRefuses(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	for _, test := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{
			"engine options", func(o *Options) { o.Engine.MedRiskMin, o.Engine.MedRiskMax = 8, 3 },
			"medium risk from 8 to 3 is not possible; use at least 2 and at most 9, the first below the second",
		},
		{
			"a format", func(o *Options) { o.Format = "cef" },
			`unknown event format "cef", want normalized or suricata-eve`,
		},
		{
			"a configuration that is not there", func(o *Options) {
				o.Config, o.ConfigName = os.DirFS(filepath.Join(o.Out, "nowhere")), "nowhere"
			},
			"reading the configuration directory nowhere: no such file or directory; " +
				"correct the name, or make the directory and put assets_*.json and directives_*.json into it",
		},
		{
			"a configuration with errors", func(o *Options) { o.Config = fstest.MapFS{} },
			"the configuration has errors: 2 problems",
		},
		{
			"diagnostics that cannot be written", func(o *Options) {
				o.Config, o.Diagnostics = fstest.MapFS{}, testkit.WriterFunc(func([]byte) (int, error) { return 0, broken })
			},
			"writing diagnostics: broken pipe",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out string
			s, _, err := replayText(t, line("e1", 100, 1, "10.0.0.2"), func(o *Options) {
				out = filepath.Join(o.Out, "out")
				test.change(o)
				o.Out = out
			})
			if err == nil || err.Error() != test.want {
				t.Errorf("the error is %v, want %s", err, test.want)
			}
			if s != nil {
				t.Error("there is a summary")
			}
			if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the output directory is there: %v", err)
			}
		})
	}
}

// TestReplayStopsWhenItCannotWrite fills the disk while the input goes on for ever.
func TestReplayStopsWhenItCannotWrite(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full")
	}
	for name, rest := range map[string]func([]byte) (int, error){
		"input without end": func(p []byte) (int, error) { return copy(p, line("e1", 100, 1, "10.0.0.2")), nil },
		"input that waits": func([]byte) (int, error) {
			select {} // as a terminal does
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out string
			s, _, err := replayText(t, "", func(o *Options) {
				out, o.Append, o.BatchSize = o.Out, true, 1
				if err := os.Symlink("/dev/full", filepath.Join(out, "siem_alarm_events.json")); err != nil {
					t.Fatal(err)
				}
				// The first record is judged by the next thousand, of which more than half are
				// enough (D30), so that one alone would wait.
				first := strings.NewReader(strings.Repeat(line("e0", 100, 1, "10.0.0.2"), lookAhead/2+2))
				o.Stdin = io.MultiReader(first, readerFunc(rest))
			})
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), filepath.Join(out, "siem_alarm_events.json")) {
				t.Errorf("the error is %v, want that of a full disk, with the file", err)
			}
			if s == nil || s.Events.Matched == 0 {
				t.Errorf("the summary is %+v", s)
			}
		})
	}
}

// TestReplayShowsFirstRejections shows three of each reason, then says so.
func TestReplayShowsFirstRejections(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 6 {
		fmt.Fprintf(&text, "nonsense\n{\"number\":%d}\n", i)
	}
	s, diagnostics, err := replayText(t, text.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `stdin:1: event rejected: bad_json: not an object
stdin:2: event rejected: bad_timestamp: timestamp: missing
stdin:3: event rejected: bad_json: not an object
stdin:4: event rejected: bad_timestamp: timestamp: missing
stdin:5: event rejected: bad_json: not an object
stdin:6: event rejected: bad_timestamp: timestamp: missing
stdin:7: more events rejected as bad_json are only counted
stdin:8: more events rejected as bad_timestamp are only counted
`
	if diff := cmp.Diff(want, diagnostics); diff != "" {
		t.Errorf("diagnostics (-want +got):\n%s", diff)
	}
	if s.Events.Rejected != 12 || s.Rejected["bad_json"] != 6 || s.Rejected["bad_timestamp"] != 6 {
		t.Errorf("rejected are %d: %v", s.Events.Rejected, s.Rejected)
	}
}

// TestReplaySaysWhereOnItsLineARecordIs: a line may have many records, in an array or
// one behind the other.
func TestReplaySaysWhereOnItsLineARecordIs(t *testing.T) {
	t.Parallel()
	good := strings.TrimSuffix(line("e", 100, 1, "10.0.0.2"), "\n")
	const missing = "event rejected: bad_timestamp: timestamp: missing"
	for _, test := range []struct{ name, text, want string }{
		{
			"an array on one line", "[" + good + ", {}," + good + ",7]",
			fmt.Sprintf("stdin:1:%d: %s (element 2 of its array, counted from 1)\nstdin:1:%d: event rejected: bad_json: not an object (element 4 of its array, counted from 1)\n",
				len(good)+4, missing, 2*len(good)+8),
		},
		{"the first of all", "[{}]", "stdin:1:2: " + missing + " (element 1 of its array, counted from 1)\n"},
		{"an array on many lines", "[\n  {},\n  " + good + "\n]", "stdin:2: " + missing + "\n"},
		{"two on the second line", "[\n  " + good + ", {}\n]", fmt.Sprintf("stdin:2:%d: %s (element 2 of its array, counted from 1)\n", len(good)+5, missing)},
		{"a second array", "[" + good + "]\n[ {} ]", "stdin:2:3: " + missing + " (element 1 of its array, counted from 1)\n"},
		{"no array", good + "{}\n{}", fmt.Sprintf("stdin:1:%d: %s\nstdin:2: %s\n", len(good)+1, missing, missing)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, diagnostics, err := replayText(t, test.text, nil)
			if diff := cmp.Diff(test.want, diagnostics); diff != "" || err != nil {
				t.Errorf("%v, diagnostics (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestReplayCountsRestoredAlarms restores an alarm that was published as Low: it
// counts when this replay publishes it, as what it is then.
func TestReplayCountsRestoredAlarms(t *testing.T) {
	t.Parallel()
	saved := t.TempDir()
	opened := line("e1", 100, 1, "10.0.0.2") + line("e2", 100, 1, "10.0.0.3")
	if _, _, err := replayText(t, opened, func(o *Options) { o.SaveBacklogs = saved }); err != nil {
		t.Fatal(err)
	}
	s, _, err := replayText(t, line("e3", 110, 2, "10.0.0.2"), func(o *Options) { o.LoadBacklogs = saved })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"High": 1, "Medium": 0, "Low": 0}, s.Alarms); diff != "" {
		t.Errorf("alarms (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(BacklogCounts{Loaded: 2, Finished: 1, Live: 1}, s.Backlogs); diff != "" {
		t.Errorf("backlogs (-want +got):\n%s", diff)
	}
}

// TestReplayKeepsDamagedBacklogsAside loads a file that is cut off, with and without
// writing the live backlogs to the same place: it is still there under another name.
func TestReplayKeepsDamagedBacklogsAside(t *testing.T) {
	t.Parallel()
	for _, inPlace := range []bool{false, true} {
		saved := t.TempDir()
		if _, _, err := replayText(t, line("e1", 100, 1, "10.0.0.2"), func(o *Options) { o.SaveBacklogs = saved }); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(saved, "*.json"))
		if err != nil || len(files) != 1 {
			t.Fatalf("saved %q, %v", files, err)
		}
		content, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		damaged := strings.TrimRight(string(content), "]\n") + ",\n{"
		if err := os.WriteFile(files[0], []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		_, messages, err := replayText(t, line("e3", 110, 1, "10.0.0.3"), func(o *Options) {
			o.LoadBacklogs = saved
			if inPlace {
				o.SaveBacklogs = saved
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		kept, _ := filepath.Glob(files[0] + ".damaged-*")
		if len(kept) != 1 || !strings.Contains(messages, files[0]+": kept aside as "+kept[0]+"\n") {
			t.Fatalf("kept aside are %q, messages:\n%s", kept, messages)
		}
		if got, err := os.ReadFile(kept[0]); err != nil || string(got) != damaged {
			t.Errorf("kept aside is %q, %v", got, err)
		}
		if _, err := os.Stat(files[0]); (err == nil) != inPlace {
			t.Errorf("the file itself: %v", err)
		}
	}
}

// TestPipelineKeepsTheOrder gives single records of very different length to many
// decoders: they are played in the order of the input.
func TestPipelineKeepsTheOrder(t *testing.T) {
	t.Parallel()
	const n = 1500
	var text strings.Builder
	for i := range n {
		if i%3 == 0 {
			text.WriteString(strings.Repeat("x", i%700) + "\n")
			continue
		}
		text.WriteString(strings.TrimSuffix(line(strconv.Itoa(i), 100+int64(i%7), 1, "10.0.0.2"), "}\n"))
		fmt.Fprintf(&text, ",\"title\":%q}\n", strings.Repeat("y", (i*37)%4000))
	}
	var order, rejected []int // jumps look ahead (D30), so each in its own order
	read := 0
	r := newTestReplay(t, strings.NewReader(text.String()))
	p := r.pipeline
	p.decoders, p.batchSize = 8, 1
	p.rejected = func(rec input.Record, _ *event.Rejection) { rejected = append(rejected, rec.Line-1) }
	p.played = func(changes []correlate.Change, counts batchCounts) error {
		for i := range changes {
			if c := &changes[i]; c.Kind == correlate.Accepted {
				id, err := strconv.Atoi(c.EventID)
				if err != nil {
					t.Error(err)
				}
				order = append(order, id)
			}
		}
		read += counts.read
		return nil
	}
	if err := p.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Blank lines are no records: record 0 of the text is one.
	var want, wantRejected []int
	for i := range n {
		switch {
		case i%3 != 0:
			want = append(want, i)
		case i%700 != 0:
			wantRejected = append(wantRejected, i)
		}
	}
	if read != len(want)+len(wantRejected) {
		t.Errorf("%d records are counted, want %d", read, len(want)+len(wantRejected))
	}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantRejected, rejected); diff != "" {
		t.Errorf("order of rejections (-want +got):\n%s", diff)
	}
}

// TestLeapsOfTimeHoldLittle lets many backlogs be due at once, at any place of a
// portion: they end second by second, and not all of them are held together.
func TestLeapsOfTimeHoldLittle(t *testing.T) {
	t.Parallel()
	const backlogs, each, week = 2000, 10, 7 * 24 * 3600
	for _, events := range []int{0, 1, portion - 1} { // of nobody, before the leap
		var text strings.Builder
		for i := range backlogs {
			text.WriteString(line(strconv.Itoa(i), int64(i/each), 1, fmt.Sprintf("10.1.%d.%d", i/250, i%250)))
		}
		for i := range (portion-backlogs%portion)%portion + events {
			text.WriteString(line("x"+strconv.Itoa(i), backlogs/each, 9, "10.0.0.2"))
		}
		text.WriteString(line("late", week, 9, "10.0.0.2"))
		r := newTestReplay(t, strings.NewReader(text.String()))
		p := r.pipeline
		most, ended := 0, 0
		p.rejected = func(input.Record, *event.Rejection) {}
		p.played = func(changes []correlate.Change, _ batchCounts) error {
			most = max(most, len(changes))
			for i := range changes {
				if changes[i].Kind == correlate.Expired {
					ended++
				}
			}
			return nil
		}
		if err := p.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if limit := 6 * portion; most > limit || ended != backlogs {
			t.Errorf("%d events before the leap: %d backlogs ended, %d changes were held together, want %d and at most %d", events, ended, most, backlogs, limit)
		}
	}
}

// TestPipelineStops lets the consumer of a batch fail, with several batches behind
// it and an input that goes on.
func TestPipelineStops(t *testing.T) {
	t.Parallel()
	failed := errors.New("no space left")
	for _, at := range []int{1, 5} {
		t.Run(fmt.Sprint("batch ", at), func(t *testing.T) {
			t.Parallel()
			ctx, stopReading := context.WithCancel(t.Context())
			defer stopReading()
			in := readerFunc(func(p []byte) (int, error) { return copy(p, "nonsense\n"), nil })
			r := newTestReplay(t, in)
			p := r.pipeline
			p.batchSize, p.stopReading = 2, stopReading
			p.rejected = func(input.Record, *event.Rejection) {}
			batches := 0
			p.played = func([]correlate.Change, batchCounts) error {
				if batches++; batches == at {
					return failed
				}
				return nil
			}
			if err := p.run(ctx); !errors.Is(err, failed) {
				t.Errorf("the error is %v, want %v", err, failed)
			}
			if batches != at {
				t.Errorf("%d batches were played, want none after batch %d", batches, at)
			}
		})
	}
}

// TestPipelinePlaysWhatItHasRead breaks the input after some records.
func TestPipelinePlaysWhatItHasRead(t *testing.T) {
	t.Parallel()
	broken := errors.New("input/output error")
	in := io.MultiReader(strings.NewReader(strings.Repeat("nonsense\n", 1000)), readerFunc(func([]byte) (int, error) { return 0, broken }))
	r := newTestReplay(t, in)
	p := r.pipeline
	p.batchSize = 7
	p.rejected = func(input.Record, *event.Rejection) {}
	read := 0
	p.played = func(_ []correlate.Change, counts batchCounts) error {
		read += counts.read
		return nil
	}
	if err := p.run(t.Context()); !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "stdin: ") {
		t.Errorf("the error is %v, want that of the input, with its name", err)
	}
	if read != 1000 {
		t.Errorf("%d records were played, want 1000", read)
	}
}

// newTestReplay returns a replay of standard input without files.
func newTestReplay(t testing.TB, in io.Reader) *replay {
	t.Helper()
	c, err := config.Load(testkit.ScanConfig(), "")
	if err != nil || len(c.Report.Problems) > 0 {
		t.Fatal(err, c.Report.Problems)
	}
	r := &replay{
		options:       &Options{Shards: 1, Inputs: []string{file.Stdin}},
		configuration: c, summary: newSummary(), diagnostics: io.Discard,
	}
	r.pipeline = r.newPipeline()
	r.pipeline.stdin, r.pipeline.stopReading = in, func() {} // it is read to its end
	return r
}

// TestReplayClock plays events in and out of order. Before D30 the clock had whole
// seconds (D14); it is the largest time so far as before.
func TestReplayClock(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i, at := range []int64{150, 140, 150, 200, 300, 299, 300, 301} {
		text.WriteString(line(strconv.Itoa(i), at, 9, "10.0.0.2"))
	}
	r := newTestReplay(t, strings.NewReader(text.String()))
	p := r.pipeline
	var got []int64
	p.played = func(_ []correlate.Change, counts batchCounts) error {
		for i := range p.steps {
			if counts.offered > 0 {
				got = append(got, p.steps[i].Now/perSecond)
			}
		}
		return nil
	}
	testkit.Check(t, p.run(t.Context()))
	testkit.Equal(t, got, []int64{150, 150, 150, 200, 300, 300, 300, 301})
}

func TestInterruptible(t *testing.T) {
	t.Parallel()
	if interruptible(t.Context(), nil) != nil {
		t.Error("there is a reader of nothing")
	}
	got, err := io.ReadAll(interruptible(t.Context(), strings.NewReader("text")))
	if string(got) != "text" || err != nil {
		t.Errorf("it reads %q, %v", got, err)
	}
	broken := errors.New("broken")
	_, err = io.ReadAll(interruptible(t.Context(), readerFunc(func([]byte) (int, error) { return 0, broken })))
	if !errors.Is(err, broken) {
		t.Errorf("the error is %v, want that of the reader", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := readerFunc(func([]byte) (int, error) {
		cancel()
		select {}
	})
	if _, err = io.ReadAll(interruptible(ctx, waiting)); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v after an interruption", err)
	}
}
