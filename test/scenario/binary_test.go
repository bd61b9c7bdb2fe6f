package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dsiem/test/testkit/programs"
)

// TestScenariosThroughBinary plays every scenario through dsiem replay, with one
// shard and with three; the output must be what the scenario wants, and the same
// byte for byte.
func TestScenariosThroughBinary(t *testing.T) {
	t.Parallel()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	bin := programs.Path(t, "dsiem")
	help, err := exec.CommandContext(t.Context(), bin, "replay", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if s.ByArrival() {
				t.Skip("a replay of a file has no arrivals")
			}
			if flag := s.unknownFlag(help); flag != "" {
				t.Skipf("dsiem replay has no flag %s", flag)
			}
			var first []*Result
			for _, shards := range []int{1, 3} {
				results := playBinary(t, bin, s, shards)
				if first == nil {
					first = results
				}
				compareShards(t, first, results, shards)
			}
		})
	}
}

// unknownFlag returns a flag of the scenario that the program's help does not name.
func (s *Scenario) unknownFlag(help []byte) string {
	for _, run := range s.Runs {
		for _, arg := range run.Args {
			if flag, _, _ := strings.Cut(arg, "="); !bytes.Contains(help, []byte(flag)) {
				return flag
			}
		}
	}
	return ""
}

func TestMain(m *testing.M) { os.Exit(programs.Run(m)) }

// playBinary plays all runs of a scenario with a number of shards and checks
// each.
func playBinary(t *testing.T, bin string, s *Scenario, shards int) []*Result {
	t.Helper()
	saved := filepath.Join(t.TempDir(), "backlogs")
	if err := os.Mkdir(saved, 0o750); err != nil {
		t.Fatal(err)
	}
	checker := s.NewChecker()
	results := make([]*Result, 0, len(s.Runs))
	for _, run := range s.Runs {
		if err := run.EditSaved(saved); err != nil {
			t.Fatal(err)
		}
		res := runBinary(t, bin, run, saved, shards)
		if err := checker.Check(run, res); err != nil {
			t.Errorf("shards %d:\n%v", shards, err)
		}
		results = append(results, res)
	}
	return results
}

// runBinary runs dsiem replay once in a new folder.
func runBinary(t *testing.T, bin string, run *Run, saved string, shards int) *Result {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	configs := filepath.Join(dir, "configs")
	if err := os.Mkdir(configs, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, content := range run.Config {
		write("configs/"+name, content)
	}
	events := write(eventsFile, run.Events)
	out := filepath.Join(dir, "out")

	live := filepath.Join(dir, "live")
	args := []string{"replay", "--json", "--config", configs, "--out", out, fmt.Sprintf("--shards=%d", shards)}
	args = append(args, run.Args...)
	if run.Options.LoadBacklogs {
		args = append(args, "--load-backlogs", saved)
	}
	if run.Options.SaveBacklogs {
		live = saved
	}
	args = append(args, "--save-backlogs", live, events)

	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	res := &Result{ExitCode: exitCode(t, cmd.Run())}
	res.Console = append([]byte{}, stderr.Bytes()...)
	if res.ExitCode == 0 {
		res.Rejected = readRejected(t, stdout.Bytes())
	}
	res.AlarmEvents = readFile(t, filepath.Join(out, "siem_alarm_events.json"))
	res.Alarms = readFile(t, filepath.Join(out, "siem_alarms.json"))
	res.Live, res.Saved = readDir(t, live), readDir(t, saved)
	return res
}

// readRejected returns the rejected events of a replay's summary.
func readRejected(t *testing.T, summary []byte) map[string]int {
	t.Helper()
	var doc struct {
		Rejected map[string]int `json:"rejected"`
	}
	if err := json.Unmarshal(summary, &doc); err != nil || doc.Rejected == nil {
		t.Fatalf("the summary names no rejected events (%v):\n%s", err, summary)
	}
	return doc.Rejected
}

// exitCode returns the exit code in the error of exec.Cmd.Run.
func exitCode(t *testing.T, err error) int {
	t.Helper()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatalf("run dsiem: %v", err)
	}
	return 0
}

// readFile returns a file's contents; a missing file is empty.
func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return data
}

// readDir returns the files of a folder; a missing folder is empty.
func readDir(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		files[e.Name()] = readFile(t, filepath.Join(dir, e.Name()))
	}
	return files
}

// compareShards compares the outputs of two plays run by run.
func compareShards(t *testing.T, want, got []*Result, shards int) {
	t.Helper()
	for i := range want {
		if !bytes.Equal(want[i].AlarmEvents, got[i].AlarmEvents) {
			t.Errorf("run %d: siem_alarm_events.json with %d shards differs:\n%s\ninstead of\n%s",
				i+1, shards, got[i].AlarmEvents, want[i].AlarmEvents)
		}
		if !bytes.Equal(want[i].Alarms, got[i].Alarms) {
			t.Errorf("run %d: siem_alarms.json with %d shards differs:\n%s\ninstead of\n%s",
				i+1, shards, got[i].Alarms, want[i].Alarms)
		}
	}
}
