package docs

import (
	"os/exec"
	"path"
	"strconv"
	"strings"
	"testing"
)

// place is where docs/ARCHITECTURE.md puts a package.
type place struct{ floor, row int }

// readPlaces returns the places in tables of packages, without those of packages
// that have no floor.
func readPlaces(t *testing.T, tables []*table) map[string]place {
	t.Helper()
	places := map[string]place{}
	for _, table := range tables {
		for i, row := range table.rows {
			floor, err := strconv.Atoi(row[1])
			if err != nil && row[1] != "" {
				t.Errorf("%s: floor %q", row[0], row[1])
			}
			for name := range strings.SplitSeq(row[0], ", ") {
				if err == nil {
					places[plain(name)] = place{floor: floor, row: i}
				}
			}
		}
	}
	return places
}

// sideBySide is the floor whose packages do not import each other.
const sideBySide = 2

// flaw returns why a package must not import another, or "": it is the dependency
// rule of docs/ARCHITECTURE.md.
func flaw(places map[string]place, from, to string) string {
	a, known := places[from]
	b, found := places[to]
	switch program := strings.HasPrefix(from, "cmd/"); {
	case strings.HasPrefix(from, "test/"):
		return ""
	case !known || !found:
		return "one of them has no floor in docs/ARCHITECTURE.md"
	case program && from == "cmd/dsiem-bench" && to != "internal/bench":
		return "it calls only internal/bench"
	case program && from != "cmd/dsiem-bench" && to != "internal/cli":
		return "it calls only internal/cli"
	case b.floor > a.floor:
		return "which is on a higher floor"
	case a.floor == b.floor && a.floor == sideBySide && path.Dir(from) != to:
		return "which is beside it: let a higher floor connect them"
	case a.floor == b.floor && a.floor != sideBySide && b.row > a.row:
		return "which stands below it in the table"
	}
	return ""
}

// TestFloors checks the dependency rule for everything that is imported, but by
// tests.
func TestFloors(t *testing.T) {
	t.Parallel()
	places := readPlaces(t, tablesOf(t, "Package"))
	list := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		names := strings.Fields(line)
		for _, name := range names[1:] {
			from, to := strings.TrimPrefix(names[0], "dsiem/"), strings.TrimPrefix(name, "dsiem/")
			if why := flaw(places, from, to); to != name && why != "" {
				t.Errorf("%s imports %s, %s", from, to, why)
			}
		}
	}
}

func TestFlaw(t *testing.T) {
	t.Parallel()
	places := readPlaces(t, []*table{{rows: [][]string{
		{"`internal/event`", "0"},
		{"internal/alarm", "0"},
		{"internal/correlate", "1"},
		{"internal/watch", "1"},
		{"internal/input", "2"},
		{"internal/input/file", "2"},
		{"internal/web/auth", "2"},
		{"internal/live", "3"},
		{"internal/node", "3"},
		{"internal/cli", "4"},
		{"internal/bench", "4"},
		{"cmd/dsiem", "5"},
		{"cmd/dsiem-bench", "5"},
		{"test/testkit", ""},
	}}})
	for _, tt := range []struct{ from, to, why string }{
		{"internal/node", "internal/event", ""},
		{"internal/node", "internal/live", ""},
		{"internal/live", "internal/node", "below"},
		{"internal/alarm", "internal/event", ""},
		{"internal/event", "internal/alarm", "below"},
		{"internal/correlate", "internal/watch", "below"},
		{"internal/alarm", "internal/correlate", "higher"},
		{"internal/web/auth", "internal/watch", ""},
		{"internal/web/auth", "internal/input", "beside"},
		{"internal/web/auth", "internal/live", "higher"},
		{"internal/input/file", "internal/input", ""},
		{"internal/input", "internal/input/file", "beside"},
		{"internal/cli", "internal/bench", "below"},
		{"cmd/dsiem", "internal/cli", ""},
		{"cmd/dsiem", "internal/node", "only internal/cli"},
		{"cmd/dsiem-bench", "internal/bench", ""},
		{"cmd/dsiem-bench", "internal/cli", "only internal/bench"},
		{"internal/live", "test/testkit", "no floor"},
		{"internal/live", "internal/new", "no floor"},
		{"internal/new", "internal/event", "no floor"},
		{"test/scenario", "internal/node", ""},
	} {
		if got := flaw(places, tt.from, tt.to); (got == "") != (tt.why == "") || !strings.Contains(got, tt.why) {
			t.Errorf("%s imports %s: %q, want %q", tt.from, tt.to, got, tt.why)
		}
	}
}
