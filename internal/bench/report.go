package bench

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Report is the result of a run of this package.
type Report struct {
	// Version is that of the program, Started when the run began.
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Machine Machine   `json:"machine"`
	Limits  []Limit   `json:"limits"`
	Cells   []Result  `json:"cells"`
}

// Machine is where it was measured.
type Machine struct {
	GoVersion string `json:"go_version"`
	System    string `json:"system"`
	// Processor is its name, "" if it is not known.
	Processor string `json:"processor"`
	// Cores is the number that programs may use.
	Cores int `json:"cores"`
	// Load is what the machine did before the run, as the load of one minute; -1 if
	// it is not known.
	Load float64 `json:"load"`
}

// Limit is the speed of a part of the server alone.
type Limit struct {
	Name  string  `json:"name"`
	About string  `json:"about"`
	Goal  float64 `json:"goal,omitzero"`
	// PerSecond has a value for each repetition, Median is theirs.
	PerSecond []float64 `json:"per_second"`
	Median    float64   `json:"median"`
	// Megabytes is the memory that the part holds in the end, as the last repetition
	// measured it; 0 if that is nothing or not known.
	Megabytes float64 `json:"megabytes,omitzero"`
}

// Result is what came out of a cell.
type Result struct {
	Cell

	Goals []Goal `json:"goals,omitempty"`
	// Settings are what makes the cell what it is.
	Settings map[string]any `json:"settings"`
	Runs     []*Repetition  `json:"runs"`
	// Median has the medians of all measures, Missed the measures whose goals they
	// miss.
	Median map[Measure]float64 `json:"median"`
	Missed []Measure           `json:"missed,omitempty"`
}

func newReport(version string, cells []Cell, limited bool) *Report {
	r := &Report{Version: version, Started: time.Now(), Machine: thisMachine()}
	if limited {
		for _, l := range limits() {
			r.Limits = append(r.Limits, Limit{Name: l.name, About: l.about, Goal: l.goal})
		}
	}
	for i := range cells {
		r.Cells = append(r.Cells, Result{Cell: cells[i], Goals: cells[i].Goals, Settings: cells[i].settings(), Median: map[Measure]float64{}})
	}
	return r
}

// settings returns what makes a cell what it is, by name.
func (c *Cell) settings() map[string]any {
	w := &c.Workload
	return map[string]any{
		"directives": w.Directives, "match": w.Match, "near": w.Near, "live": w.Live, "addresses": w.Addresses,
		"event_size": w.EventSize, "occurrence": w.Occurrence, "seed": w.Seed,
		"abandoned": w.Abandoned, "timeout_seconds": w.Timeout.Seconds(),
		"events": c.Events, "seconds": c.Duration.Seconds(), "rate": c.Rate, "warm_up_seconds": c.WarmUp.Seconds(),
		"connections": c.streams(), "batch": c.Batch, "flood": c.Flood, "defaults": c.Defaults, "flags": c.Flags,
	}
}

// thisMachine describes the machine as far as it is known.
func thisMachine() Machine {
	m := Machine{GoVersion: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.GOMAXPROCS(0), Load: -1}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				m.Processor = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		first, _, _ := strings.Cut(string(text), " ")
		if load, err := strconv.ParseFloat(first, 64); err == nil {
			m.Load = load
		}
	}
	return m
}

// add adds a run of a cell: that of a repetition behind that of the one before.
func (r *Report) add(cell int, run *Repetition) {
	r.Cells[cell].Runs = append(r.Cells[cell].Runs, run)
}

// compare works out the measures that compare a cell with others.
func (r *Report) compare(c *Result) {
	for i := range r.Cells {
		switch other := &r.Cells[i]; {
		case other == c:
		case other.Transport == Subscriber && c.Transport == NATS && c.Rate == 0:
			c.compare(other, OfSubscriber, EventsPerSecond)
		case other.group == groupGrowth && c.group == groupGrowth && other.Name == growthScenarios()[0].Name:
			c.compare(other, RelativeCPU, ServerCPU)
		}
	}
}

// compare works out a measure of each run: another measure as a share of that of
// another cell in the same repetition.
func (r *Result) compare(with *Result, measure, of Measure) {
	for i, run := range r.Runs {
		if base := with.Runs[i].Values[of]; run.Failure == "" && base > 0 {
			run.Values[measure] = run.Values[of] / base
		}
	}
}

// values returns the values that a measure has in the runs that have it.
func (r *Result) values(m Measure) []float64 {
	var all []float64
	for _, run := range r.Runs {
		if value, ok := run.Values[m]; ok {
			all = append(all, value)
		}
	}
	return all
}

// complete works out comparisons and medians, and which goals are missed.
func (r *Report) complete() {
	for i := range r.Limits {
		r.Limits[i].Median = median(r.Limits[i].PerSecond)
	}
	for i := range r.Cells {
		c := &r.Cells[i]
		r.compare(c)
		for _, run := range c.Runs {
			for m := range run.Values {
				c.Median[m] = median(c.values(m))
			}
		}
		for _, g := range c.Goals {
			if value, ok := c.Median[g.Measure]; ok && !g.reached(value) {
				c.Missed = append(c.Missed, g.Measure)
			}
		}
	}
}

// median returns the median of a list, 0 if it is empty.
func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	switch {
	case n == 0:
		return 0
	case n%2 == 0:
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[n/2]
}

// wrong returns the number of findings of all runs.
func (r *Report) wrong() uint64 {
	sum := uint64(0)
	for i := range r.Cells {
		sum += r.Cells[i].wrong()
	}
	return sum
}

func (r *Result) wrong() uint64 {
	sum := uint64(0)
	for _, run := range r.Runs {
		sum += run.wrong()
	}
	return sum
}

// write writes the report in the form that is wanted, and the page.
func (r *Report) write(o *Options) error {
	text := []byte(r.text())
	if o.JSON {
		var err error
		if text, err = json.Marshal(r, jsontext.WithIndent("  "), json.Deterministic(true)); err != nil {
			return fmt.Errorf("writing the results: %w", err)
		}
		text = append(text, '\n')
	}
	if _, err := o.Out.Write(text); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	if o.Page == "" {
		return nil
	}
	return r.writePage(o.Page)
}

// text is the report for a terminal.
func (r *Report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.where())
	for _, t := range r.tables() {
		if len(t.rows) > 0 {
			fmt.Fprintf(&b, "\n%s", t.aligned())
		}
	}
	for i := range r.Cells {
		c := &r.Cells[i]
		for _, m := range c.Missed {
			fmt.Fprintf(&b, "\n%s misses its goal for %s", c.Name, m)
		}
		for j, run := range c.Runs {
			for _, text := range run.told() {
				fmt.Fprintf(&b, "\n%s, run %d: %s", c.Name, j+1, text)
			}
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// told returns what was wrong in a run, in words.
func (r *Repetition) told() []string {
	var all []string
	if r.Failure != "" {
		all = append(all, r.Failure)
	}
	for _, kind := range []struct {
		n    uint64
		what string
	}{
		{r.Unseen, "events that the server did not look at"},
		{r.Unexpired, "backlogs too few or too many that expired"},
		{r.Findings.Lost, "lines lost"},
		{r.Findings.Duplicate, "lines duplicate"},
		{r.Findings.Foreign, "lines foreign"},
		{r.Findings.WrongStage, "lines with a wrong stage"},
		{r.Findings.WrongRisk, "lines with a wrong risk"},
	} {
		if kind.n > 0 {
			all = append(all, fmt.Sprintf("%d %s", kind.n, kind.what))
		}
	}
	return append(all, r.Findings.Examples...)
}

// where says in a line what was measured where.
func (r *Report) where() string {
	m := &r.Machine
	repeated := 0
	for i := range r.Cells {
		repeated = max(repeated, len(r.Cells[i].Runs))
	}
	text := fmt.Sprintf("dsiem %s, %s, %s, %s, %d cores, %s", r.Version, r.Started.UTC().Format(time.DateOnly),
		cmp.Or(m.Processor, "unknown processor"), m.System, m.Cores, m.GoVersion)
	if repeated > 1 {
		text += fmt.Sprintf(", medians of %d", repeated)
	}
	const idle = 0.5
	if m.Load > idle {
		text += fmt.Sprintf("; the machine was busy (load %.1f), so speeds are too low", m.Load)
	}
	return text
}
