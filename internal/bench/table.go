package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// table is one table of a report. The first column is left-aligned, the others
// hold numbers.
type table struct {
	name   string
	header []string
	rows   [][]string
}

// column is a measure as a table shows it.
type column struct {
	title   string
	measure Measure
	show    func(float64) string
}

// columns returns the columns of a group of cells that may have values.
func columns(group string) []column {
	speed := column{"events/s", EventsPerSecond, thousands}
	serverCPU := column{"CPU s/M", ServerCPU, fixed(2)}
	driverCPU := column{"CPU s/M of the driver", DriverCPU, fixed(2)}
	peak := column{"peak MB", PeakMemory, megabytes}
	weight := column{"heap B/backlog", BacklogBytes, fixed(0)}
	refused := column{"refused", Refused, thousands}
	gc := column{"GC %", GCShare, percent}
	costs := []column{serverCPU, {"allocs/event", Allocations, fixed(1)}, peak}
	delays := []column{{"p50 ms", P50, fixed(2)}, {"p99 ms", P99, fixed(2)}, {"p99.9 ms", P999, fixed(2)}, {"longest ms", LongestDelay, fixed(2)}}
	join := slices.Concat[[]column]
	switch group {
	case groupSpeed:
		return join([]column{speed, {"of the client", OfSubscriber, fixed(2)}}, costs, []column{
			gc, {"CPU s/M of NATS", QueueCPU, fixed(2)}, driverCPU, {"ready s", ReadySeconds, fixed(2)}, {"ready MB", ReadyMemory, megabytes},
		})
	case groupGrowth:
		return []column{serverCPU, {"of the first", RelativeCPU, fixed(2)}, gc, speed, weight, peak}
	case groupHTTP:
		return join([]column{speed, refused}, costs, []column{driverCPU})
	case groupSoak:
		return join([]column{
			speed,
			{"RSS kB/min", MemoryGrowth, fixed(0)},
			{"heap kB/min", HeapGrowth, fixed(0)},
			{"first MB", FirstMemory, megabytes},
			{"last MB", LastMemory, megabytes},
			peak,
		}, delays, []column{serverCPU, gc, {"expired", Expired, thousands}})
	case groupRestart:
		return []column{
			{"saved MB", SavedBytes, megabytes},
			{"running MB", PeakMemory, megabytes},
			{"stop MB", StopMemory, megabytes},
			{"start MB", AgainMemory, megabytes},
			{"of running", OfRunning, fixed(2)},
			{"stop s", StopSeconds, fixed(1)},
			{"start s", AgainSeconds, fixed(1)},
		}
	case groupStress:
		return join([]column{speed}, delays, costs, []column{gc})
	case groupOther:
		return join([]column{speed}, delays, costs, []column{
			gc, refused, driverCPU, weight,
			{"RSS kB/min", MemoryGrowth, fixed(0)},
			{"heap kB/min", HeapGrowth, fixed(0)},
			{"expired", Expired, thousands},
		})
	}
	return join([]column{speed}, delays, costs)
}

// tables returns the tables of a report: that of the limits, and one for each
// group of cells. Those without results have no rows.
func (r *Report) tables() []table {
	limits := table{name: limitsPlace, header: []string{"What", "a second", "MB", "wanted"}}
	for _, l := range r.Limits {
		wanted, held := "", ""
		if l.Megabytes > 0 {
			held = fmt.Sprintf("%.0f", l.Megabytes)
		}
		if l.Goal > 0 {
			wanted = verdict("≥ "+thousands(l.Goal), l.Median >= l.Goal)
		}
		limits.rows = append(limits.rows, []string{l.About, thousands(l.Median), held, wanted})
	}
	groups := groups()
	all := append(make([]table, 0, 1+len(groups)), limits)
	for _, group := range groups {
		all = append(all, r.table(group))
	}
	return all
}

func verdict(goal string, reached bool) string {
	if reached {
		return goal + " ✓"
	}
	return goal + " ✗"
}

// table returns the table of a group. Columns for which no cell has a value are
// left out.
func (r *Report) table(group string) table {
	t := table{name: group, header: []string{"Workload"}}
	var used []column
	for _, col := range columns(group) {
		for i := range r.Cells {
			if _, ok := r.Cells[i].Median[col.measure]; ok && r.Cells[i].group == group {
				used = append(used, col)
				t.header = append(t.header, col.title)
				break
			}
		}
	}
	t.header = append(t.header, "wrong", "wanted")
	for i := range r.Cells {
		c := &r.Cells[i]
		if c.group != group {
			continue
		}
		const others = 3 // columns that all tables have
		row := append(make([]string, 0, len(used)+others), cmp.Or(c.About, c.Name))
		for _, col := range used {
			row = append(row, c.shown(col))
		}
		t.rows = append(t.rows, append(row, strconv.FormatUint(c.wrong(), decimal), c.wanted()))
	}
	return t
}

// shown returns the median of a column's measure as a table shows it, "" if there
// is none, and for some measures the least and the greatest value.
func (r *Result) shown(col column) string {
	value, ok := r.Median[col.measure]
	if !ok {
		return ""
	}
	text := col.show(value)
	if all := r.values(col.measure); col.measure.spreads() && len(all) > 1 {
		text += " (" + col.show(slices.Min(all)) + "–" + col.show(slices.Max(all)) + ")"
	}
	return text
}

// wanted returns the goals of a cell and which are reached.
func (r *Result) wanted() string {
	var all []string
	for _, g := range r.Goals {
		value, ok := r.Median[g.Measure]
		if !ok {
			continue
		}
		title, show := g.Measure.shown(r.group)
		goal := title
		if g.AtLeast != 0 {
			goal += " ≥ " + show(g.AtLeast)
		}
		if g.AtMost != 0 {
			goal += " ≤ " + show(g.AtMost)
		}
		all = append(all, verdict(goal, g.reached(value)))
	}
	return strings.Join(all, ", ")
}

// shown returns the title of a measure in a group, and how its values look.
func (m Measure) shown(group string) (title string, show func(float64) string) {
	for _, col := range columns(group) {
		if col.measure == m {
			return col.title, col.show
		}
	}
	return string(m), fixed(2)
}

// aligned returns a table for a terminal.
func (t *table) aligned() string {
	all := append([][]string{t.header}, t.rows...)
	widths := make([]int, len(t.header))
	for _, row := range all {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range all {
		line := ""
		for i, cell := range row {
			blanks := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch {
			case i == 0:
				line = cell + blanks
			case i == len(row)-1: // goals, which are texts
				line += "  " + cell
			default:
				line += "  " + blanks + cell
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// markdown returns a table for a page.
func (t *table) markdown() string {
	var b strings.Builder
	b.WriteString("| " + strings.Join(t.header, " | ") + " |\n|---|" + strings.Repeat("---:|", len(t.header)-2) + "---|\n")
	for _, row := range t.rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	return b.String()
}

// thousands shows a number without fraction, with commas.
func thousands(value float64) string {
	text := strconv.FormatFloat(math.Round(value), 'f', 0, 64)
	const group = 3
	for i := len(text) - group; i > 0; i -= group {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// fixed shows a number with so many digits behind the point.
func fixed(digits int) func(float64) string {
	return func(value float64) string { return strconv.FormatFloat(value, 'f', digits, 64) }
}

// percent shows a share.
func percent(share float64) string { return fixed(1)(share * 100) }

// megabytes shows a number of bytes.
func megabytes(bytes float64) string { return fmt.Sprintf("%.0f", bytes/1e6) }
