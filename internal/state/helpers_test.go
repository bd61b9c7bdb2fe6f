package state_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/directive"
	"dsiem/internal/event"
	"dsiem/internal/jsonfile"
	"dsiem/internal/state"
)

// testingT is what tests, benchmarks and properties have in common.
type testingT interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// newEngine returns an engine for the directives of a JSON list.
func newEngine(t testingT, directives string) *correlate.Engine {
	t.Helper()
	return engines(t, directives)()
}

// engines returns a function that makes engines for the directives of a JSON
// list. HOME_NET is 10.0.0.0/8, and a host in it has a name.
func engines(t testingT, directives string) func() *correlate.Engine {
	t.Helper()
	var report jsonfile.Report
	assets := asset.Load([]*jsonfile.File{jsonfile.NewFile("assets_test.json", []byte(`{"assets": [
		{"name": "home", "cidr": "10.0.0.0/8", "value": 5},
		{"name": "db <1>", "cidr": "10.0.0.2/32", "value": 5}]}`))}, &report)
	loaded := directive.Load([]*jsonfile.File{
		jsonfile.NewFile("directives_test.json", []byte(`{"directives": `+directives+`}`)),
	}, &report)
	if err := report.Err(); err != nil {
		t.Fatalf("%v", err)
	}
	plans := correlate.Plans(loaded)
	return func() *correlate.Engine { return correlate.New(plans, assets, correlate.Options{}) }
}

// start is the time of the first event of most tests.
const start = 1_795_371_363

// anEvent returns an event of plugin 1001 that differs from the others in what
// the arguments say.
func anEvent(id string, second int64, sid uint64, dstPort uint16) *event.Event {
	return &event.Event{
		ID: id, Seconds: start + second, PluginID: 1001, PluginSID: sid, SrcPort: 5, DstPort: dstPort,
		SrcIP: netip.MustParseAddr("10.0.0.1"), DstIP: netip.MustParseAddr("10.0.0.2"),
	}
}

// step gives an event to an engine and returns what happened in short: stages
// that took it, and risk and rule states of alarm lines.
func step(e *correlate.Engine, ev *event.Event) string {
	return summary(e.Step(ev.Seconds*1e9, ev))
}

func summary(changes []correlate.Change) string {
	var parts []string
	for i := range changes {
		switch c := &changes[i]; c.Kind {
		case correlate.Opened:
			parts = append(parts, "opened")
		case correlate.Accepted:
			parts = append(parts, fmt.Sprintf("%d[%s]", c.Stage, c.EventID))
		case correlate.Updated:
			state := ""
			for j := range c.Alarm.Rules {
				state += map[alarm.Status]string{
					alarm.Pending: "-", alarm.Finished: "F", alarm.Timeout: "T",
				}[c.Alarm.Rules[j].Status]
			}
			parts = append(parts, fmt.Sprintf("%d/%s", c.Alarm.Risk, state))
		case correlate.Finished:
			parts = append(parts, "finished")
		case correlate.Expired:
			parts = append(parts, "expired")
		default:
		}
	}
	return strings.Join(parts, " ")
}

// published returns the last alarm among changes.
func published(t testingT, changes []correlate.Change) *alarm.Alarm {
	t.Helper()
	for i := range slices.Backward(changes) {
		if changes[i].Kind == correlate.Updated {
			return changes[i].Alarm
		}
	}
	t.Fatalf("no alarm is published: %s", summary(changes))
	return nil
}

// load loads the backlogs of directives into an engine.
func load(t testingT, dir string, e *correlate.Engine, directives ...uint64) *state.Loaded {
	t.Helper()
	loaded, err := state.Load(dir, directives, e.Restore)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return loaded
}

// loadClean is load for files in which everything is good.
func loadClean(t testingT, dir string, e *correlate.Engine, directives ...uint64) {
	t.Helper()
	if loaded := load(t, dir, e, directives...); len(loaded.Problems) > 0 || loaded.Discarded > 0 {
		t.Errorf("%d backlogs discarded: %s", loaded.Discarded, messages(loaded.Problems, dir))
	}
}

// messages returns problems a line each, without the folder.
func messages(problems []jsonfile.Problem, dir string) string {
	var lines []string
	for i := range problems {
		lines = append(lines, strings.TrimPrefix(problems[i].Error(), dir+string(filepath.Separator)))
	}
	return strings.Join(lines, "\n")
}

func save(t testingT, dir string, saved iter.Seq2[uint64, alarm.Saved]) state.Written {
	t.Helper()
	written, err := state.Save(dir, saved)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return written
}

// write writes files, given by name and content in turn, into a new folder.
func write(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// read returns the files of a folder by name.
func read(t testingT, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatalf("%v", err)
	}
	files := map[string]string{}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatalf("%v", err)
		}
		files[e.Name()] = string(content)
	}
	return files
}

// compact returns JSON without blanks.
func compact(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// fixture returns a file of testdata.
func fixture(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// collect loads one directive's file and returns its backlogs as they were
// handed out.
func collect(t testingT, dir string) ([]alarm.Saved, *state.Loaded) {
	t.Helper()
	var all []alarm.Saved
	loaded, err := state.Load(dir, []uint64{1}, func(_ uint64, s *alarm.Saved) error {
		all = append(all, *s)
		return nil
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return all, loaded
}
