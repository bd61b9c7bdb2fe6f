package bench

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// The lines of a page between which a table is.
const (
	pageBegin = "<!-- bench: "
	pageClose = " -->"
	pageEnd   = "<!-- bench end -->"
	// wherePlace is the name of the place for what was measured where, limitsPlace
	// that of the table of limits.
	wherePlace  = "where"
	limitsPlace = "limits"
)

// checkPage returns an error about a page that a run with these cells could not
// fill, or whose tables would lose rows by it: a table is made anew as a whole or
// stays.
func checkPage(name string, cells []Cell, limited bool) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	page := string(text)
	if _, err := fillPage(page, nil); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, group := range groups() {
		measured := namesOf(cells, group)
		if len(measured) == 0 || group == groupOther || !strings.Contains(page, pageBegin+group+pageClose) {
			continue
		}
		missing := slices.DeleteFunc(namesOf(slices.Concat(Scenarios(), LongScenarios()), group), func(name string) bool {
			return slices.Contains(measured, name)
		})
		switch {
		case len(missing) > 0:
			return fmt.Errorf("%s: the table %q would lose rows: measure %s as well, or leave the page alone",
				name, group, strings.Join(missing, ", "))
		case group == groupSpeed && !limited:
			return fmt.Errorf("%s: the table %q would lose its first row: measure the limits as well, or leave the page alone", name, group)
		}
	}
	return nil
}

// namesOf returns the names of the cells of a group, without the limit, which is
// there whenever something is compared with it.
func namesOf(cells []Cell, group string) []string {
	var names []string
	for i := range cells {
		if cells[i].group == group && cells[i].Transport != Subscriber {
			names = append(names, cells[i].Name)
		}
	}
	return names
}

// ofMatrix reports whether a report has the limits and all cells of the matrix.
func (r *Report) ofMatrix() bool {
	measured := map[string]bool{}
	for i := range r.Cells {
		measured[r.Cells[i].Name] = true
	}
	return len(r.Limits) > 0 && !slices.ContainsFunc(Scenarios(), func(c Cell) bool { return !measured[c.Name] })
}

// writePage makes the tables of a page anew. Those without results stay. What was
// measured where is said once for the whole matrix and its limits, and by each
// table that is not of that run.
func (r *Report) writePage(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	page, err := fillPage(string(text), r.places())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := os.WriteFile(name, []byte(page), 0o644); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// places returns the texts for the places of a page that are made anew.
func (r *Report) places() map[string]string {
	made := map[string]string{}
	whole := r.ofMatrix()
	if whole {
		made[wherePlace] = r.where() + ".\n"
	}
	cells := make([]Cell, len(r.Cells))
	for i := range r.Cells {
		cells[i] = r.Cells[i].Cell
	}
	for _, t := range r.tables() {
		switch {
		case len(t.rows) == 0:
		case t.name == limitsPlace && whole:
			made[t.name] = t.markdown()
		case t.name == limitsPlace && len(r.Cells) > 0, t.name != limitsPlace && len(namesOf(cells, t.name)) == 0:
			// limits are measured in every run, and belong to the matrix if it is not theirs
		case whole && len(namesOf(Scenarios(), t.name)) > 0:
			made[t.name] = t.markdown()
		default:
			made[t.name] = "Measured apart: " + r.where() + ".\n\n" + t.markdown()
		}
	}
	return made
}

// fillPage puts texts in the places of a page that have their names.
func fillPage(page string, made map[string]string) (string, error) {
	known := append(groups(), wherePlace, limitsPlace)
	var b strings.Builder
	inside := ""
	for line := range strings.Lines(page) {
		trimmed := strings.TrimSpace(line)
		place, begins := strings.CutPrefix(trimmed, pageBegin)
		place, closed := strings.CutSuffix(place, pageClose)
		switch {
		case trimmed == pageEnd && inside == "":
			return "", fmt.Errorf("a place ends that has not begun: %q", trimmed)
		case trimmed == pageEnd:
			if text, ok := made[inside]; ok {
				b.WriteString("\n" + text + "\n")
			}
			inside = ""
		case begins && closed && inside != "":
			return "", fmt.Errorf("the place %q has no end", inside)
		case begins && closed && !slices.Contains(known, place):
			return "", fmt.Errorf("there is no table %q", place)
		case begins && closed:
			b.WriteString(line)
			inside = place
			continue
		}
		if _, replaced := made[inside]; !replaced {
			b.WriteString(line)
		}
	}
	if inside != "" {
		return "", fmt.Errorf("the place %q has no end", inside)
	}
	return b.String(), nil
}
