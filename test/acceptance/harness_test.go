package acceptance

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
	"dsiem/test/testkit/programs"
)

var raceChildren = flag.Bool("race-children", false, "build the programs with the race detector")

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

// atATime is the number of tests that run side by side: most of them wait for
// most of the time.
const atATime = "6"

func runTests(m *testing.M) int {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", atATime); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if os.Getenv(serverVariable) != "" {
		return beServer()
	}
	var flags []string
	if *raceChildren {
		flags = []string{"-race"}
	}
	return programs.Run(m, flags...)
}

// home is what outlives a process: its configuration and its log directory.
type home struct {
	t             testing.TB
	configs, logs string
}

// newHome returns a home with configuration files.
func newHome(t testing.TB, configs files) *home {
	t.Helper()
	dir := t.TempDir()
	h := &home{t: t, configs: filepath.Join(dir, "configs"), logs: filepath.Join(dir, "logs")}
	h.configure(configs)
	return h
}

// files are contents by name.
type files map[string][]byte

// configure replaces all configuration files.
func (h *home) configure(configs files) {
	h.t.Helper()
	testkit.Check(h.t, os.RemoveAll(h.configs))
	testkit.Check(h.t, os.MkdirAll(h.configs, 0o750))
	for name, content := range configs {
		testkit.Check(h.t, os.WriteFile(filepath.Join(h.configs, name), content, 0o600))
	}
}

// The files of a log directory.
const (
	alarmsName = "siem_alarms.json"
	eventsName = "siem_alarm_events.json"
)

func (h *home) alarmsFile() string { return filepath.Join(h.logs, alarmsName) }
func (h *home) eventsFile() string { return filepath.Join(h.logs, eventsName) }
func (h *home) backlogs() string   { return filepath.Join(h.logs, "backlogs") }
func (h *home) saved(name string) string {
	return filepath.Join(h.backlogs(), name)
}

// alarmEvent is a line of siem_alarm_events.json.
type alarmEvent struct {
	AlarmID string `json:"alarm_id"`
	Stage   int    `json:"stage"`
	EventID string `json:"event_id"`
}

// alarmEvents returns the complete lines of siem_alarm_events.json.
func (h *home) alarmEvents() []alarmEvent {
	h.t.Helper()
	return decodeLines[alarmEvent](h.t, h.eventsFile())
}

// eventIDs returns the event ids of the complete lines of a file of alarm
// events. It is for large files.
func eventIDs(t testing.TB, name string) (ids []string) {
	t.Helper()
	content, err := os.ReadFile(name)
	testkit.Check(t, err)
	for line := range strings.Lines(string(content)) {
		_, rest, found := strings.Cut(line, `"event_id":"`)
		id, ended := strings.CutSuffix(rest, "\"}\n")
		if !found || !ended {
			t.Fatalf("%s: line %q", filepath.Base(name), line)
		}
		ids = append(ids, id)
	}
	return ids
}

// alarm is what the tests want to know of a line of siem_alarms.json, or of a
// saved backlog.
type alarm struct {
	ID       string   `json:"alarm_id"`
	Title    string   `json:"title"`
	Status   string   `json:"status"`
	Tag      string   `json:"tag"`
	Created  int64    `json:"created_time"`
	Updated  int64    `json:"update_time"`
	Risk     int      `json:"risk"`
	Class    string   `json:"risk_class"`
	SrcIPs   []string `json:"src_ips"`
	DstIPs   []string `json:"dst_ips"`
	Networks []string `json:"networks"`
	Rules    []struct {
		Stage         int      `json:"stage"`
		Status        string   `json:"status"`
		Timeout       int64    `json:"timeout"`
		StartTime     int64    `json:"start_time"`
		EndTime       int64    `json:"end_time"`
		SavedEventIDs []string `json:"saved_event_ids"`
	} `json:"rules"`
}

// progress is the status of all rules: F finished, T timed out, - neither.
func (a *alarm) progress() string {
	var b strings.Builder
	for _, r := range a.Rules {
		switch r.Status {
		case "finished":
			b.WriteByte('F')
		case "timeout":
			b.WriteByte('T')
		default:
			b.WriteByte('-')
		}
	}
	return b.String()
}

// alarms returns the complete lines of siem_alarms.json.
func (h *home) alarms() []alarm {
	h.t.Helper()
	return decodeLines[alarm](h.t, h.alarmsFile())
}

// savedBacklogs returns the content of a saved file; none if there is none.
func (h *home) savedBacklogs(name string) []alarm {
	h.t.Helper()
	content, err := os.ReadFile(h.saved(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	testkit.Check(h.t, err)
	var list []alarm
	if err := json.Unmarshal(content, &list); err != nil {
		h.t.Fatalf("%s: %v\n%s", name, err, content)
	}
	return list
}

// decodeLines decodes the lines of a file. A last line that is not complete yet
// is left out; a file that does not exist has none.
func decodeLines[T any](t testing.TB, name string) []T {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var all []T
	for line := range bytes.Lines(content) {
		if !bytes.HasSuffix(line, []byte{'\n'}) {
			break
		}
		var one T
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatalf("%s: line %q: %v", filepath.Base(name), line, err)
		}
		all = append(all, one)
	}
	return all
}

// role is what a node does.
type role int

const (
	backendRole role = iota
	frontendRole
	standaloneRole
)

// setup says how to start a process. The zero value is a dsiem-backend without
// a frontend.
type setup struct {
	role    role
	program string // the one for the role if empty
	nats    string // the URL; nothing answers there if empty. Not for standalone nodes
	// flags follow the ones that the harness needs, env is added to an
	// environment that has no DSIEM_ variables.
	flags, env []string
	// defaultFolders leaves configs and logs where they are below the root directory.
	defaultFolders bool
	// shell is put in front of the program, as "ulimit -n 128".
	shell string
}

// node is a running process.
type node struct {
	*home
	*testkit.Process

	role role
	err  testkit.Logbook // what it prints as errors; Log is the rest
}

// command returns the program and the flags that the harness needs.
func (s *setup) command(h *home) (program string, args []string) {
	const anyPort = "--port=0"
	msq, configDir, logDir := "--msq="+cmp.Or(s.nats, "nats://127.0.0.1:1"), "--config-dir="+h.configs, "--log-dir="+h.logs
	if s.defaultFolders {
		configDir, logDir = "--root-dir="+filepath.Dir(h.configs), "--root-dir="+filepath.Dir(h.logs)
	}
	switch s.role {
	case frontendRole:
		program, args = "dsiem-frontend", []string{"serve", "--node=dsiem-frontend-1", msq, configDir, "--address=127.0.0.1", anyPort}
	case standaloneRole:
		program, args = "dsiem", []string{"serve", configDir, logDir, "--address=127.0.0.1", anyPort}
	case backendRole:
		program, args = "dsiem-backend", []string{"serve", "--node=dsiem-backend-1", "--frontend=file:", msq, configDir, logDir}
	}
	return cmp.Or(s.program, program), append(args, s.flags...)
}

// start starts a program in a home.
func (h *home) start(s setup) *node {
	h.t.Helper()
	program, args := s.command(h)
	path := programs.Path(h.t, program)
	cmd := testkit.Command(h.t, path, args...)
	if s.shell != "" {
		cmd = testkit.Command(h.t, "sh", append([]string{"-c", s.shell + ` && exec "$0" "$@"`, path}, args...)...)
	}
	cmd.Env = environment(s.env)
	n := h.run(cmd)
	n.role = s.role
	return n
}

// environment returns an environment that has only these DSIEM_ variables.
func environment(variables []string) (env []string) {
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		env = append(env, name+"="+os.Getenv(name))
	}
	return append(env, variables...)
}

// run starts a process, which is killed at the end of the test if it runs still
// then.
func (h *home) run(cmd *exec.Cmd) *node {
	h.t.Helper()
	n := &node{home: h}
	cmd.Stderr = &n.err
	n.Process = testkit.Start(h.t, cmd)
	return n
}

// startReady starts a node and waits until it takes events.
func (h *home) startReady(s setup) *node {
	h.t.Helper()
	n := h.start(s)
	n.takesEvents()
	return n
}

// takesEvents waits until the start is complete.
func (n *node) takesEvents() {
	n.t.Helper()
	if n.role != frontendRole {
		n.says("backend started")
	} else {
		n.says("frontend started, events are taken")
	}
	if n.role != backendRole {
		n.says(" listening on ")
	}
}

func (n *node) signal(s syscall.Signal) {
	n.t.Helper()
	n.Signal(n.t, s)
}

// exit waits for the end of the process and checks its exit code.
func (n *node) exit(code int) {
	n.t.Helper()
	if got := n.Exit(n.t, testkit.Patience); got != code {
		n.t.Errorf("exit code %d, want %d", got, code)
	}
}

// stop ends the process with SIGTERM and wants exit code 0.
func (n *node) stop() (took time.Duration) {
	n.t.Helper()
	begun := time.Now()
	n.Stop(n.t, testkit.Patience)
	return time.Since(begun)
}

// kill ends the process with SIGKILL.
func (n *node) kill() {
	n.t.Helper()
	n.signal(syscall.SIGKILL)
	n.exit(-1)
}

// says waits for a line of the log that contains all parts, and returns it.
func (n *node) says(parts ...string) string {
	n.t.Helper()
	line, _ := n.saysAfter(0, parts...)
	return line
}

// saysAfter is says for lines from number from on. It also returns the number
// of the line behind.
func (n *node) saysAfter(from int, parts ...string) (line string, next int) {
	n.t.Helper()
	return n.Log.WaitAfter(n.t, from, parts...)
}

// said returns the lines so far that contain all parts.
func (n *node) said(parts ...string) []string { return n.Log.With(parts...) }

// startNATS starts a NATS server.
func startNATS(t testing.TB) *natstest.Server {
	t.Helper()
	return natstest.Start(t, natstest.Options{})
}

// publish sends events and returns when the server has them.
func publish(s *natstest.Server, events ...string) { s.Publish(bus.EventsSubject, events...) }

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// countLines counts the complete lines of a file, which need not exist.
func countLines(t testing.TB, name string) int {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return bytes.Count(content, []byte{'\n'})
}
