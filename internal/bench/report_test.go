package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

// sampleReport is a report of three cells, of which one is a limit, and two
// repetitions.
func sampleReport() *Report {
	cells := []Cell{
		subscriberCell(&Cell{}),
		{
			Name: "quiet", About: "nothing matches", Transport: NATS, group: groupSpeed,
			Goals: []Goal{{Measure: OfSubscriber, AtLeast: 0.8}, {Measure: ReadySeconds, AtMost: 1}},
		},
		{Name: "busy", Transport: NATS, group: groupStress, Rate: 100},
	}
	for i := range cells {
		cells[i] = cells[i].withDefaults()
	}
	r := newReport("1.0", cells, true)
	r.Machine = Machine{GoVersion: "go1.26", System: "linux/amd64", Processor: "Quick 9", Cores: 2}
	r.Started = noon
	for i := range r.Limits {
		r.Limits[i].PerSecond = []float64{1e6, 3e6}
	}
	for i := range 2 {
		speed := float64(1+i) * 1000
		r.add(0, &Repetition{Values: map[Measure]float64{EventsPerSecond: 10 * speed}})
		r.add(1, &Repetition{Values: map[Measure]float64{EventsPerSecond: 6 * speed, ReadySeconds: 0.5, ServerCPU: 2}})
		r.add(2, &Repetition{Values: map[Measure]float64{EventsPerSecond: 100, P99: 3}})
	}
	return r
}

const sampleText = `dsiem 1.0, 2026-01-01, Quick 9, linux/amd64, 2 cores, go1.26, medians of 2

What                                                   a second  wanted
decode an event                                       2,000,000
read an event as far as to see that no rule names it  2,000,000
engine alone, no rule names the event                 2,000,000  ≥ 2,000,000 ✓
engine alone, a backlog takes the event               2,000,000  ≥ 500,000 ✓
make and write a line about an event                  2,000,000

Workload                               events/s  of the client  CPU s/M  ready s  wrong  wanted
a NATS client that only counts events    15,000                                       0
nothing matches                           9,000           0.60     2.00     0.50      0  of the client ≥ 0.80 ✗, ready s ≤ 1.00 ✓

Workload  events/s  p99 ms  wrong  wanted
busy           100    3.00      0

quiet misses its goal for of_subscriber
`

func TestReportAsText(t *testing.T) {
	t.Parallel()
	r := sampleReport()
	r.complete()
	if diff := cmp.Diff(sampleText, r.text()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	r.Machine.Load = 3
	if got := r.where(); !strings.HasSuffix(got, "medians of 2; the machine was busy (load 3.0), so speeds are too low") {
		t.Errorf("%q", got)
	}
}

// Whatever is wrong is told, for each run.
func TestReportTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	r := sampleReport()
	r.Cells[2].Runs[1].Unseen = 2
	r.Cells[2].Runs[1].Findings = Findings{Lost: 1, Duplicate: 2, Foreign: 3, WrongStage: 4, WrongRisk: 5, Examples: []string{"event 1 is missing"}}
	r.Cells[1].Runs[0] = &Repetition{Failure: "starting the server: no room"}
	r.complete()
	if r.wrong() != 18 {
		t.Errorf("%d wrong", r.wrong())
	}
	text := r.text()
	for _, want := range []string{
		"busy           100    3.00     17",
		"busy, run 2: 2 events that the server did not look at\n",
		"busy, run 2: 1 lines lost\n", "busy, run 2: 2 lines duplicate\n", "busy, run 2: 3 lines foreign\n",
		"busy, run 2: 4 lines with a wrong stage\n", "busy, run 2: 5 lines with a wrong risk\n", "busy, run 2: event 1 is missing\n",
		"quiet, run 1: starting the server: no room\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
}

func TestReportAsJSON(t *testing.T) {
	t.Parallel()
	r := sampleReport()
	r.complete()
	var out bytes.Buffer
	if err := r.write(&Options{JSON: true, Out: &out}); err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in\n%s", err, out.Bytes())
	}
	c := got.Cells[1]
	if c.Name != "quiet" || c.Transport != NATS || c.Median[EventsPerSecond] != 9000 || len(c.Runs) != 2 || c.Settings["directives"] != 100. ||
		!slices.Equal(c.Missed, []Measure{OfSubscriber}) || len(c.Goals) != 2 || c.Goals[0].AtLeast != 0.8 {
		t.Errorf("%+v", c)
	}
	if got.Limits[0].Median != 2e6 || got.Machine.Cores != 2 || !got.Started.Equal(noon) {
		t.Errorf("%+v", got)
	}
}

// The cells that grow are compared with the first of them, repetition by
// repetition.
func TestReportComparesCellsThatGrow(t *testing.T) {
	t.Parallel()
	cells := growthScenarios()[:2]
	r := newReport("", cells, false)
	for _, cpu := range [][2]float64{{2, 2}, {4, 6}, {1, 3}} {
		r.add(0, &Repetition{Values: map[Measure]float64{ServerCPU: cpu[0]}})
		r.add(1, &Repetition{Values: map[Measure]float64{ServerCPU: cpu[1]}})
	}
	r.complete()
	if got := r.Cells[1].Median[RelativeCPU]; got != 1.5 {
		t.Errorf("%v of the first, want the median of 1, 1.5 and 3", got)
	}
	if !slices.Equal(r.Cells[1].Missed, []Measure{RelativeCPU}) {
		t.Errorf("missed: %q", r.Cells[1].Missed)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in   []float64
		want float64
	}{
		{nil, 0}, {[]float64{3}, 3}, {[]float64{3, 1}, 2}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(test.in); got != test.want {
			t.Errorf("median of %v is %v, want %v", test.in, got, test.want)
		}
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for in, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 999_999.6: "1,000,000", 1234567: "1,234,567"} {
		if got := thousands(in); got != want {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
}

const samplePage = `# Performance

<!-- bench: where -->
Somewhere.
<!-- bench end -->

<!-- bench: nats -->
old
<!-- bench end -->

<!-- bench: http -->

| stays |
<!-- bench end -->
The end.
`

// Tables that have results are made anew, all else stays.
func TestPageIsFilled(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(name, []byte(samplePage), 0o600); err != nil {
		t.Fatal(err)
	}
	r := sampleReport()
	r.complete()
	for range 2 { // the second time changes nothing
		if err := r.write(&Options{Out: &bytes.Buffer{}, Page: name}); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		const want = `# Performance

<!-- bench: where -->

dsiem 1.0, 2026-01-01, Quick 9, linux/amd64, 2 cores, go1.26, medians of 2.

<!-- bench end -->

<!-- bench: nats -->

| Workload | events/s | of the client | CPU s/M | ready s | wrong | wanted |
|---|---:|---:|---:|---:|---:|---|
| a NATS client that only counts events | 15,000 |  |  |  | 0 |  |
| nothing matches | 9,000 | 0.60 | 2.00 | 0.50 | 0 | of the client ≥ 0.80 ✗, ready s ≤ 1.00 ✓ |

<!-- bench end -->

<!-- bench: http -->

| stays |
<!-- bench end -->
The end.
`
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

func TestPagesThatCannotBeFilled(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"a": true}
	for page, want := range map[string]string{
		"<!-- bench: a -->\n":                             `the place "a" has no end`,
		"<!-- bench: a -->\n<!-- bench: a -->\n":          `the place "a" has no end`,
		"<!-- bench: b -->\n<!-- bench end -->\n":         `there is no table "b"`,
		"text\n<!-- bench end -->\n":                      "a place ends that has not begun",
		"<!-- bench: a -->\n<!-- bench end -->\nall well": "",
	} {
		got, err := fillPage(page, nil, known)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || err == nil && got != page {
			t.Errorf("%q: %q, error %v; want %q", page, got, err, want)
		}
	}
	r := sampleReport()
	if err := r.write(&Options{Out: &bytes.Buffer{}, Page: filepath.Join(t.TempDir(), "none.md")}); err == nil {
		t.Error("no error without a page")
	}
}
