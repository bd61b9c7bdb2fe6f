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
	r.Limits[3].Megabytes = 60.2
	for i := range 2 {
		speed := float64(1+i) * 1000
		r.add(0, &Repetition{Values: map[Measure]float64{EventsPerSecond: 10 * speed}})
		r.add(1, &Repetition{Values: map[Measure]float64{EventsPerSecond: []float64{5, 7}[i] * speed, ReadySeconds: 0.5, ServerCPU: 2}})
		r.add(2, &Repetition{Values: map[Measure]float64{EventsPerSecond: 100, P99: 3}})
	}
	return r
}

const sampleText = `dsiem 1.0, 2026-01-01, Quick 9, linux/amd64, 2 cores, go1.26, medians of 2

What                                                        a second  MB  wanted
decode an event                                            2,000,000
read an event as far as to see that no rule names it       2,000,000
engine alone, no rule names the event                      2,000,000      ≥ 2,000,000 ✓
engine alone, a rule names the event, no backlog takes it  2,000,000  60
the same with --look-back=0                                2,000,000
engine alone, a backlog takes the event                    2,000,000      ≥ 500,000 ✓
the same with --look-back=0                                2,000,000
make and write a line about an event                       2,000,000

Workload                               events/s     of the client  CPU s/M  ready s  wrong  wanted
a NATS client that only counts events    15,000                                          0
nothing matches                           9,500  0.60 (0.50–0.70)     2.00     0.50      0  of the client ≥ 0.80 ✗, ready s ≤ 1.00 ✓

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
	r.Cells[2].Runs[1].Unseen, r.Cells[2].Runs[1].Unexpired = 2, 7
	r.Cells[2].Runs[1].Findings = Findings{Lost: 1, Duplicate: 2, Foreign: 3, WrongStage: 4, WrongRisk: 5, Examples: []string{"event 1 is missing"}}
	r.Cells[1].Runs[0] = &Repetition{Failure: "starting the server: no room"}
	r.complete()
	if r.wrong() != 25 {
		t.Errorf("%d wrong", r.wrong())
	}
	text := r.text()
	for _, want := range []string{
		"busy           100    3.00     24",
		"busy, run 2: 7 backlogs too few or too many that expired\n",
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
	if c.Name != "quiet" || c.Transport != NATS || c.Median[EventsPerSecond] != 9500 || len(c.Runs) != 2 || c.Settings["directives"] != 100. ||
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
	if got := r.table(groupGrowth).rows[1][2]; got != "1.50 (1.00–3.00)" {
		t.Errorf("shown as %q", got)
	}
	if !slices.Equal(r.Cells[1].Missed, []Measure{RelativeCPU}) {
		t.Errorf("missed: %q", r.Cells[1].Missed)
	}
}

// Values below zero have bounds too.
func TestGoals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		goal  Goal
		value float64
		want  bool
	}{
		{Goal{AtMost: 2}, 2, true},
		{Goal{AtMost: 2}, 2.1, false},
		{Goal{AtMost: 2}, -3, true},
		{Goal{AtLeast: 2}, 1.9, false},
		{Goal{AtLeast: 2}, 3, true},
		{Goal{AtLeast: -1, AtMost: 1}, -1.1, false},
		{Goal{AtLeast: -1, AtMost: 1}, -1, true},
		{Goal{AtLeast: -1, AtMost: 1}, 1.1, false},
	} {
		if got := test.goal.reached(test.value); got != test.want {
			t.Errorf("%+v with %v: %v", test.goal, test.value, got)
		}
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

<!-- bench: limits -->
old limits
<!-- bench end -->

<!-- bench: nats -->
old
<!-- bench end -->

<!-- bench: soak -->
<!-- bench end -->

<!-- bench: http -->

| stays |
<!-- bench end -->
The end.
`

// filled returns samplePage after a report has been put into it, twice: the second
// time changes nothing.
func filled(t *testing.T, r *Report) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(name, []byte(samplePage), 0o600); err != nil {
		t.Fatal(err)
	}
	r.complete()
	var pages [2]string
	for i := range pages {
		if err := r.write(&Options{Out: &bytes.Buffer{}, Page: name}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		pages[i] = string(text)
	}
	if diff := cmp.Diff(pages[0], pages[1]); diff != "" {
		t.Errorf("the second time: (-first +second)\n%s", diff)
	}
	return pages[0]
}

// Tables that have results are made anew and say where they are from, all else
// stays.
func TestPageIsFilled(t *testing.T) {
	t.Parallel()
	want := replaceAll(samplePage, "<!-- bench: nats -->\nold\n", `<!-- bench: nats -->

Measured apart: dsiem 1.0, 2026-01-01, Quick 9, linux/amd64, 2 cores, go1.26, medians of 2.

| Workload | events/s | of the client | CPU s/M | ready s | wrong | wanted |
|---|---:|---:|---:|---:|---:|---|
| a NATS client that only counts events | 15,000 |  |  |  | 0 |  |
| nothing matches | 9,500 | 0.60 (0.50–0.70) | 2.00 | 0.50 | 0 | of the client ≥ 0.80 ✗, ready s ≤ 1.00 ✓ |

`)
	if diff := cmp.Diff(want, filled(t, sampleReport())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func replaceAll(text string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(text)
}

// A run of what is too long for the matrix changes its own table only, though
// limits were measured too.
func TestPageOfALongRun(t *testing.T) {
	t.Parallel()
	r := reportOf(LongScenarios())
	want := replaceAll(samplePage, "<!-- bench: soak -->\n", `<!-- bench: soak -->

Measured apart: dsiem 1.0, 2026-01-01, Quick 9, linux/amd64, 2 cores, go1.26.

| Workload | events/s | RSS kB/min | wrong | wanted |
|---|---:|---:|---:|---|
| 5,000 events/s over NATS, default settings, 10 % match, 1 % are abandoned | 5,000 | -251 | 0 | RSS kB/min ≥ -250 ≤ 250 ✗ |

`)
	if diff := cmp.Diff(want, filled(t, r)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A run of the limits alone changes their table only, and says there where it is from.
func TestPageOfTheLimits(t *testing.T) {
	t.Parallel()
	page := filled(t, reportOf(nil))
	_, rest, _ := strings.Cut(page, "<!-- bench: limits -->\n\nMeasured apart: dsiem 1.0, 2026-01-01, Quick 9, linux/amd64, 2 cores, go1.26.\n\n")
	table, after, _ := strings.Cut(rest, "<!-- bench end -->")
	if n := strings.Count(table, "\n| "); n != len(limits()) || !strings.Contains(after, "old") || strings.Contains(page, "old limits") {
		t.Errorf("%d rows in\n%s", n, page)
	}
}

// reportOf is a report of cells and limits with the same values for all.
func reportOf(cells []Cell) *Report {
	r := newReport("1.0", cells, true)
	r.Machine = Machine{GoVersion: "go1.26", System: "linux/amd64", Processor: "Quick 9", Cores: 2}
	r.Started = noon
	for i := range cells {
		r.add(i, &Repetition{Values: map[Measure]float64{EventsPerSecond: 5000, MemoryGrowth: -251}})
	}
	return r
}

// A run of the whole matrix says once where all of it is from, but for what is
// not in it.
func TestPageOfTheMatrix(t *testing.T) {
	t.Parallel()
	matrix := filled(t, reportOf(Scenarios()))
	for text, want := range map[string]int{
		"<!-- bench: where -->\n\ndsiem 1.0, 2026-01-01": 1, "dsiem 1.0": 1, "old": 0, "stays": 0, "| decode an event | 0 |": 1,
		"<!-- bench: soak -->\n<!-- bench end -->": 1, "0 % match, 24,000 directives": 1,
	} {
		if got := strings.Count(matrix, text); got != want {
			t.Errorf("%q is there %d times, not %d, in\n%s", text, got, want, matrix)
		}
	}
	all := filled(t, reportOf(slices.Concat(Scenarios(), LongScenarios())))
	if got := strings.Count(all, "Measured apart: dsiem 1.0"); got != 1 || !strings.Contains(all, "<!-- bench: soak -->\n\nMeasured apart") {
		t.Errorf("the long table does not say where it is from:\n%s", all)
	}
}

// What would take rows from a table is refused before anything is measured.
func TestPagesThatWouldLoseRows(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(name, []byte(samplePage), 0o600); err != nil {
		t.Fatal(err)
	}
	chosen := func(names ...string) []Cell {
		cells, err := Choose(names)
		if err != nil {
			t.Fatal(err)
		}
		return cells
	}
	for _, test := range []struct {
		cells   []Cell
		limited bool
		want    string
	}{
		{chosen("soak"), false, ""},
		{chosen("soak", "http", "http-array"), true, ""},
		{chosen("flood"), false, ""}, // the page has no table of it
		{[]Cell{{Name: "own", group: groupOther}}, false, ""},
		{append(speedScenarios(), subscriberCell(&Cell{})), true, ""},
		{append(growthScenarios(), subscriberCell(&Cell{})), true, ""},
		{speedScenarios(), false, `page.md: the table "nats" would lose its first row: measure the limits as well`},
		{chosen("nats-0", "nats-1", "soak"), true, `the table "nats" would lose rows: measure nats-0-many, nats-1-many, nats-near, nats-50, nats-50-two as well`},
		{chosen("http-array"), true, `the table "http" would lose rows: measure http as well`},
	} {
		err := checkPage(name, test.cells, test.limited)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: error %v, want %q", test.cells, err, test.want)
		}
	}
	err := Run(t.Context(), &Options{Cells: chosen("http"), Page: name})
	if err == nil || !strings.Contains(err.Error(), "would lose rows") {
		t.Errorf("error %v", err)
	}
}

func TestPagesThatCannotBeFilled(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "page.md")
	for page, want := range map[string]string{
		"<!-- bench: nats -->\n":                                `the place "nats" has no end`,
		"<!-- bench: nats -->\n<!-- bench: nats -->\n":          `the place "nats" has no end`,
		"<!-- bench: b -->\n<!-- bench end -->\n":               `there is no table "b"`,
		"text\n<!-- bench end -->\n":                            "a place ends that has not begun",
		"<!-- bench: nats -->\n<!-- bench end -->\nall is well": "",
	} {
		got, err := fillPage(page, nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || err == nil && got != page {
			t.Errorf("%q: %q, error %v; want %q", page, got, err, want)
		}
		if err := os.WriteFile(name, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := checkPage(name, nil, false); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v; want %q", page, err, want)
		}
	}
	r := sampleReport()
	if err := r.write(&Options{Out: &bytes.Buffer{}, Page: filepath.Join(t.TempDir(), "none.md")}); err == nil {
		t.Error("no error without a page")
	}
	if err := checkPage(filepath.Join(t.TempDir(), "none.md"), nil, false); err == nil {
		t.Error("no error without a page")
	}
}
