package bench

import (
	"fmt"
	"os"
	"strings"
)

// The lines of a page between which a table is.
const (
	pageBegin = "<!-- bench: "
	pageClose = " -->"
	pageEnd   = "<!-- bench end -->"
	// wherePlace is the name of the place for what was measured where.
	wherePlace = "where"
)

// writePage makes the tables of a page anew. Those without results stay.
func (r *Report) writePage(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	made := map[string]string{wherePlace: r.where() + ".\n"}
	known := map[string]bool{wherePlace: true}
	for _, t := range r.tables() {
		known[t.name] = true
		if len(t.rows) > 0 {
			made[t.name] = t.markdown()
		}
	}
	page, err := fillPage(string(text), made, known)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := os.WriteFile(name, []byte(page), 0o644); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// fillPage puts texts in the places of a page that have their names.
func fillPage(page string, made map[string]string, known map[string]bool) (string, error) {
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
		case begins && closed && !known[place]:
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
