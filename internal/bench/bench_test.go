package bench_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dsiem/internal/bench"
	"dsiem/test/testkit"

	"github.com/go-json-experiment/json"
)

// run measures cells with the program that this test is too, and returns the report.
func run(t *testing.T, o bench.Options) (bench.Report, error) {
	t.Helper()
	var out, progress bytes.Buffer
	o.Self, o.Server, o.JSON, o.Out, o.Progress = self(t), self(t), true, &out, &progress
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	err := bench.Run(t.Context(), &o)
	var r bench.Report
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("%v in\n%s", err, out.Bytes())
		}
	}
	if t.Failed() {
		t.Log(progress.String())
	}
	return r, err
}

// quick returns the small cell of a transport.
func quick(t *testing.T, transport bench.Transport) bench.Cell {
	t.Helper()
	for _, c := range bench.QuickScenarios() {
		if c.Transport == transport {
			return c
		}
	}
	t.Fatalf("there is no small cell for %s", transport)
	return bench.Cell{}
}

// The real program does all it has to over each transport, and is measured.
func TestEachTransport(t *testing.T) {
	t.Parallel()
	for _, transport := range bench.Transports() {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r, err := run(t, bench.Options{Cells: []bench.Cell{quick(t, transport)}, Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			c := r.Cells[0]
			if len(c.Runs) != 1 || c.Runs[0].Sent < 4000 || c.Runs[0].Failure != "" || c.Median[bench.EventsPerSecond] <= 0 {
				t.Errorf("%+v, %+v", c, c.Runs[0])
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// With a rate there are latencies, with many backlogs their weight, and with a
// time for them there are limits.
func TestMeasures(t *testing.T) {
	t.Parallel()
	paced := quick(t, bench.NATS)
	paced.Name, paced.Rate = "paced", 20_000
	heavy := quick(t, bench.HTTPArray)
	heavy.Name, heavy.Workload.Live, heavy.Workload.Addresses, heavy.Weigh = "heavy", 2000, 1000, true
	full := quick(t, bench.NATS)
	full.Flood = true
	r, err := run(t, bench.Options{Cells: []bench.Cell{paced, heavy, full}, LimitTime: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		cell     int
		measures []bench.Measure
	}{
		{0, []bench.Measure{bench.EventsPerSecond}},
		{1, []bench.Measure{bench.P50, bench.P99, bench.P999, bench.LongestDelay, bench.Allocations, bench.ReadySeconds}},
		{2, []bench.Measure{bench.BacklogBytes, bench.AllocatedBytes}},
		{3, []bench.Measure{bench.OfSubscriber}},
	} {
		c := r.Cells[test.cell]
		for _, m := range test.measures {
			if c.Median[m] <= 0 || len(c.Runs) != 1 || c.Runs[0].Values[m] <= 0 {
				t.Errorf("%s: no %s in %v", c.Name, m, c.Median)
			}
		}
	}
	if r.Cells[0].Transport != bench.Subscriber || len(r.Limits) == 0 {
		t.Fatalf("first cell %+v, %d limits", r.Cells[0].Cell, len(r.Limits))
	}
	for _, l := range r.Limits {
		if len(l.PerSecond) != 1 || l.Median <= 0 {
			t.Errorf("limit %+v", l)
		}
	}
}

// Events that warm the server up are checked and do not count, what is abandoned
// expires, and memory is looked at.
func TestMeasuresOverTime(t *testing.T) {
	t.Parallel()
	c := quick(t, bench.NATS)
	c.Workload.Abandoned, c.Workload.Timeout, c.Workload.Addresses = 0.1, time.Second, 10_000
	c.Rate, c.WarmUp, c.Trend = 8000, 100*time.Millisecond, 20*time.Millisecond
	r, err := run(t, bench.Options{Cells: []bench.Cell{c}})
	if err != nil {
		t.Fatal(err)
	}
	one := r.Cells[0].Runs[0]
	if without := uint64(4000 + 32 + 16); one.Sent <= without { // a few more than wanted are sent in any case
		t.Errorf("%d events, of which none were for the warm-up", one.Sent)
	}
	if share := one.Values[bench.Expired] / float64(one.Sent); share < 0.08 || share > 0.12 {
		t.Errorf("a share of %v expired", share)
	}
	if len(one.Memory) < 2 || one.Memory[0].Resident == 0 || one.Values[bench.FirstMemory] == 0 {
		t.Errorf("memory %v, values %v", one.Memory, one.Values)
	}
	if growth, ok := one.Values[bench.MemoryGrowth]; !ok || r.Cells[0].Median[bench.MemoryGrowth] != growth {
		t.Errorf("values %v", one.Values)
	}
	if r.Cells[0].Settings["warm_up_seconds"] != 0.1 || r.Cells[0].Settings["timeout_seconds"] != 1. {
		t.Errorf("settings %v", r.Cells[0].Settings)
	}
}

// A server with many backlogs of one directive stops, starts again in little more memory
// than it had, however large the file is that it reads then, and goes on with them.
func TestRestart(t *testing.T) {
	t.Parallel()
	c := quick(t, bench.NATS)
	c.Name, c.Restart, c.Events, c.Flags = "restart", true, 20_000, []string{"--checkpoint=1"}
	c.Workload = bench.Workload{Directives: 1, Match: 0.3, Live: 30_000}
	r, err := run(t, bench.Options{Cells: []bench.Cell{c}})
	if err != nil {
		t.Fatal(err)
	}
	v := r.Cells[0].Runs[0].Values
	for _, m := range []bench.Measure{bench.StopSeconds, bench.StopMemory, bench.SavedBytes, bench.AgainSeconds, bench.AgainMemory} {
		if v[m] <= 0 {
			t.Errorf("no %s in %v", m, v)
		}
	}
	if v[bench.OfRunning] > 1.3 || v[bench.SavedBytes] < 50e6 {
		t.Errorf("%.2f of the memory before, %.0f bytes saved: %v", v[bench.OfRunning], v[bench.SavedBytes], v)
	}
	t.Logf("%.0f MB running, %.0f MB of the start, %.0f MB saved", v[bench.PeakMemory]/1e6, v[bench.AgainMemory]/1e6, v[bench.SavedBytes]/1e6)
	c.Transport = bench.HTTP
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "starts again") {
		t.Errorf("over HTTP: %v", err)
	}
}

// Each repetition measures all cells, every second one in the opposite order.
func TestOrderOfRepetitions(t *testing.T) {
	t.Parallel()
	first, second := quick(t, bench.Replay), quick(t, bench.Replay)
	first.Name, second.Name = "first", "second"
	var progress, out bytes.Buffer
	err := bench.Run(t.Context(), &bench.Options{
		Cells: []bench.Cell{first, second}, Repeat: 3, Self: self(t), Server: self(t), Dir: t.TempDir(), Out: &out, Progress: &progress,
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(progress.String()) {
		got = append(got, strings.Join(strings.Fields(line)[:2], " "))
	}
	if want := []string{"1/3 first", "1/3 second", "2/3 second", "2/3 first", "3/3 first", "3/3 second"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A server that does something wrong is found out, over each transport.
func TestServerThatIsWrong(t *testing.T) {
	t.Parallel()
	r, err := run(t, bench.Options{
		Cells:       []bench.Cell{quick(t, bench.NATS), quick(t, bench.Replay)},
		ServerFlags: []string{"--med-risk-min=5", "--med-risk-max=9"},
	})
	if !errors.Is(err, bench.ErrWrong) {
		t.Fatalf("error %v", err)
	}
	for _, c := range r.Cells {
		f := c.Runs[0].Findings
		if f.WrongRisk == 0 || f.Total() != f.WrongRisk || len(f.Examples) == 0 {
			t.Errorf("%s: %+v", c.Name, f)
		}
	}
}

// Events that the server drops are found out by its counters and in its files.
func TestServerThatDrops(t *testing.T) {
	t.Parallel()
	c := quick(t, bench.NATS)
	c.Flood, c.Events = true, 20_000
	r, err := run(t, bench.Options{Cells: []bench.Cell{c}, ServerFlags: []string{"--max-queue=1"}})
	if !errors.Is(err, bench.ErrWrong) {
		t.Fatalf("error %v", err)
	}
	if one := r.Cells[0].Runs[0]; one.Unseen == 0 || one.Findings.Lost == 0 {
		t.Errorf("%+v", one)
	}
}

// A program that fails is a failure of its cell, and the others are measured.
func TestServerThatFails(t *testing.T) {
	t.Parallel()
	bad, good := quick(t, bench.NATS), quick(t, bench.Replay)
	r, err := run(t, bench.Options{Cells: []bench.Cell{bad, good}, ServerFlags: []string{"--save-backlogs="}})
	if !errors.Is(err, bench.ErrWrong) {
		t.Fatalf("error %v", err)
	}
	if failure := r.Cells[0].Runs[0].Failure; !strings.Contains(failure, "starting the server: it has ended: exit status 2") ||
		!strings.Contains(failure, "save-backlogs") {
		t.Errorf("failure %q", failure)
	}
	if failure := r.Cells[1].Runs[0].Failure; failure != "" {
		t.Errorf("failure %q", failure)
	}
}

func TestInterruptedRun(t *testing.T) {
	t.Parallel()
	c := quick(t, bench.NATS)
	c.Events, c.Duration = 0, time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	progress := testkit.WriterFunc(func([]byte) (int, error) {
		cancel() // the first line comes with the first limit
		return 0, nil
	})
	var out bytes.Buffer
	err := bench.Run(ctx, &bench.Options{
		Cells: []bench.Cell{c}, Self: self(t), Server: self(t), LimitTime: time.Millisecond,
		Dir: t.TempDir(), Out: &out, Progress: progress,
	})
	if !errors.Is(err, context.Canceled) || out.Len() > 0 {
		t.Errorf("error %v, output %q", err, out.String())
	}
}

// Files are kept if that is wanted, and never mixed with those of another run.
func TestFilesAreKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := bench.Options{Cells: []bench.Cell{quick(t, bench.Replay)}, Dir: dir, Keep: true, Repeat: 2}
	r, err := run(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Cells[0].Runs) != 2 {
		t.Errorf("%d runs", len(r.Cells[0].Runs))
	}
	for _, name := range []string{"configs/assets_bench.json", "logs/siem_alarms.json", "logs/siem_alarm_events.json", "events.ndjson"} {
		if info, err := os.Stat(filepath.Join(dir, "quick-replay-2", name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err = run(t, o)
	if !errors.Is(err, bench.ErrWrong) || !strings.Contains(r.Cells[0].Runs[0].Failure, "is not empty") {
		t.Errorf("a second run: error %v, %+v", err, r.Cells)
	}
}

func TestRunsThatCannotBe(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		options bench.Options
		want    string
	}{
		{bench.Options{}, "there is nothing to measure"},
		{bench.Options{Cells: []bench.Cell{{Name: "x", Workload: bench.Workload{Match: 2}}}}, "x: the shares"},
		{bench.Options{Cells: bench.QuickScenarios(), Dir: file}, "making the directory"},
	} {
		if err := bench.Run(t.Context(), &test.options); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want one with %q", err, test.want)
		}
	}
}

func TestCellsThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		cell bench.Cell
		want string
	}{
		{bench.Cell{Transport: bench.HTTP, Connections: -1}, "-1 connections are not possible"},
		{bench.Cell{Transport: bench.HTTPArray, Batch: -1}, "-1 events in an array are not possible"},
		{bench.Cell{Transport: bench.NATS, Rate: -1}, "-1 events a second are not possible"},
		{bench.Cell{Transport: bench.NATS, Duration: -1}, "a duration must not be negative"},
		{bench.Cell{Transport: bench.NATS, WarmUp: -1}, "must not be negative, nor a warm-up"},
		{bench.Cell{Transport: bench.NATS, Trend: -1}, "nor the time between two looks"},
		{bench.Cell{Transport: bench.Replay, Rate: 1}, "a replay has no rate"},
		{bench.Cell{Transport: bench.Replay, WarmUp: 1}, "no warm-up"},
		{bench.Cell{Transport: bench.Replay, Trend: 1}, "no trend"},
		{bench.Cell{Transport: bench.Replay, Workload: bench.Workload{Abandoned: 0.1}}, "no time in which what is abandoned could expire"},
		{bench.Cell{Transport: bench.Replay, Events: 1 << 60}, "are too many"},
		{bench.Cell{Transport: "pigeon"}, `there is no transport "pigeon"`},
	} {
		if err := test.cell.Check(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want one with %q", test.cell, err, test.want)
		}
	}
}

// The matrix has the names that are asked for, each once, and every cell of it
// can be measured.
func TestScenarios(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, c := range slices.Concat(bench.Scenarios(), bench.LongScenarios(), bench.QuickScenarios()) {
		if names[c.Name] || c.Name == "" || c.About == "" {
			t.Errorf("scenario %+v", c)
		}
		names[c.Name] = true
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	cells, err := bench.Choose([]string{"soak", "http", "flood", "nats-1", "http"})
	if err != nil || len(cells) != 4 || cells[0].Name != "nats-1" || cells[2].Name != "flood" || cells[3].Name != "soak" {
		t.Errorf("%+v, %v", cells, err)
	}
	if _, err := bench.Choose([]string{"http", "none"}); err == nil || !strings.Contains(err.Error(), `there is no scenario "none"; there are nats-0,`) {
		t.Errorf("error %v", err)
	}
}
