package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// runMain makes the test binary the program itself.
const runMain = "DSIEM_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program returns the program, ready to be started.
func program(t *testing.T, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd = exec.CommandContext(t.Context(), self, args...)
	cmd.Args[0] = "dsiem"
	// Under the race detector the program would sleep a second at its end.
	cmd.Env = append(os.Environ(), runMain+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// exitCode returns how a program ended, -1 if it was by a signal.
func exitCode(t *testing.T, err error) int {
	t.Helper()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

func TestVersion(t *testing.T) {
	t.Parallel()
	cmd, stdout, stderr := program(t, "version")
	if code := exitCode(t, cmd.Run()); code != 0 || stderr.Len() > 0 || !strings.HasPrefix(stdout.String(), "dsiem ") {
		t.Errorf("exit code %d, standard output %q, standard error %q", code, stdout, stderr)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	cmd, stdout, stderr := program(t, "nonsense")
	if code := exitCode(t, cmd.Run()); code != 2 || stdout.Len() > 0 || !strings.Contains(stderr.String(), "nonsense") {
		t.Errorf("exit code %d, standard output %q, standard error %q", code, stdout, stderr)
	}
}

// TestSignal stops a replay that waits for its input. What it has read by then is
// written in whole lines.
func TestSignal(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeConfiguration(t, dir)
			cmd, stdout, stderr := program(t, "replay", "--config", dir, "--out", filepath.Join(dir, "out"), "-")
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			// A pipe takes some of it; when it has taken all of it the program must have
			// read the rest, and so must be beyond its start.
			const n = 4000
			if _, err := fmt.Fprint(stdin, events(n)); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			code := exitCode(t, cmd.Wait())
			if want := "dsiem: interrupted; what was read before has been written\n"; code != 1 || stderr.String() != want {
				t.Errorf("exit code %d, standard error %q, want 1 and %q", code, stderr, want)
			}
			if !strings.Contains(stdout.String(), "\nwritten ") {
				t.Errorf("there is no summary on standard output: %q", stdout)
			}
			for _, name := range []string{"siem_alarms.json", "siem_alarm_events.json"} {
				content, err := os.ReadFile(filepath.Join(dir, "out", name))
				if err != nil {
					t.Fatal(err)
				}
				if len(content) == 0 || !bytes.HasSuffix(content, []byte("}\n")) {
					t.Errorf("%s does not end with a whole line: …%q", name, content[max(0, len(content)-80):])
				}
			}
		})
	}
}

func writeConfiguration(t *testing.T, dir string) {
	t.Helper()
	for name, content := range map[string]string{
		"assets_a.json": `{"assets": [{"name": "a", "cidr": "10.0.0.0/8", "value": 5}]}`,
		"directives_a.json": `{"directives": [{"id": 1, "name": "D", "kingdom": "K", "category": "C", "priority": 5, "rules": [
			{"name": "r1", "stage": 1, "type": "PluginRule", "plugin_id": 1, "plugin_sid": [1], "occurrence": 1, "from": "ANY", "to": "ANY", "reliability": 5},
			{"name": "r2", "stage": 2, "type": "PluginRule", "plugin_id": 1, "plugin_sid": [2], "occurrence": 1, "from": ":1", "to": "ANY", "reliability": 5, "timeout": 60}
		]}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// events returns n events that open and complete one backlog after the other.
func events(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"event_id":"e%d","timestamp":"2026-01-01T09:00:00Z","plugin_id":1,"plugin_sid":%d,"src_ip":"10.0.0.1","dst_ip":"10.0.0.2"}`+"\n", i, 1+i%2)
	}
	return b.String()
}
