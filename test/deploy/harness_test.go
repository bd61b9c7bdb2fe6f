//go:build unix

package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"dsiem/test/testkit"
	"dsiem/test/testkit/curl"
	"dsiem/test/testkit/programs"
)

// repository is the top directory, as seen from this one.
const repository = "../.."

// stubVariable makes this test binary a program that records its call in the
// file that the variable names.
const stubVariable = "DEPLOYTEST_RECORD"

func TestMain(m *testing.M) {
	if curl.Called() {
		os.Exit(curl.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	if file := os.Getenv(stubVariable); file != "" {
		os.Exit(record(file))
	}
	os.Exit(programs.Run(m))
}

// call is what a recording program was called with.
type call struct {
	Program string // the last part of its path
	Args    []string
	Env     map[string]string
	PID     int
}

func record(file string) int {
	c := call{Program: filepath.Base(os.Args[0]), Args: os.Args[1:], Env: map[string]string{}, PID: os.Getpid()}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		c.Env[name] = value
	}
	text, err := json.Marshal(c)
	if err == nil {
		err = os.WriteFile(file, text, 0o666)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// shells returns the command lines of the shells that the script must run in.
func shells(t *testing.T) [][]string {
	t.Helper()
	var found [][]string
	for _, shell := range [][]string{{"sh"}, {"dash"}, {"busybox", "sh"}} {
		if _, err := exec.LookPath(shell[0]); err == nil {
			found = append(found, shell)
		}
	}
	if len(found) == 0 {
		t.Fatal("there is no shell")
	}
	return found
}

// inEveryShell runs a test with each shell.
func inEveryShell(t *testing.T, test func(t *testing.T, shell []string)) {
	t.Helper()
	for _, shell := range shells(t) {
		t.Run(shell[0], func(t *testing.T) {
			t.Parallel()
			test(t, shell)
		})
	}
}

// container is a temporary directory that looks like /dsiem in the image, with
// recording programs.
type container struct {
	t     *testing.T
	shell []string
	root  string
	// bin precedes PATH. The id in it says uid, and that there is a user dsiem if
	// known is set.
	bin   string
	uid   string
	known bool
	// user is the uid to run the script as, if not 0.
	user uint32
}

func newContainer(t *testing.T, shell []string) *container {
	t.Helper()
	dir := t.TempDir()
	// Another user must get there, too.
	testkit.Check(t, os.Chmod(filepath.Dir(dir), 0o755))
	c := &container{t: t, shell: shell, root: filepath.Join(dir, "dsiem"), bin: filepath.Join(dir, "bin"), uid: "10001"}
	for _, name := range []string{"", "configs", "logs", "configs-dist", "web/dist/assets/config"} {
		testkit.Check(t, os.MkdirAll(filepath.Join(c.root, name), 0o755))
	}
	testkit.Check(t, os.Mkdir(c.bin, 0o755))
	c.write("entrypoint.sh", 0o755, readFile(t, repository+"/deploy/docker/entrypoint.sh"))
	c.write("configs-dist/assets_a.json", 0o644, `{"assets":[]}`)
	c.write("configs-dist/directives_a.json", 0o644, `{"directives":[]}`)
	self, err := os.Executable()
	testkit.Check(t, err)
	for _, name := range []string{"dsiem", "dsiem-backend", "dsiem-frontend"} {
		testkit.Check(t, os.Symlink(self, filepath.Join(c.root, name)))
	}
	c.command("id", `if [ "$*" = -u ]; then echo "$FAKE_UID"; elif [ -n "$FAKE_KNOWN" ]; then echo 10001; else exit 1; fi`)
	return c
}

// install puts the real program in the place of the recording one, with the links
// to it that the image has.
func (c *container) install() {
	c.t.Helper()
	testkit.Check(c.t, os.Remove(c.path("dsiem")))
	// No symbolic link: the program looks beside itself.
	testkit.Check(c.t, os.Link(programs.Path(c.t, "dsiem"), c.path("dsiem")))
	for _, name := range []string{"dsiem-backend", "dsiem-frontend"} {
		testkit.Check(c.t, os.Remove(c.path(name)))
		testkit.Check(c.t, os.Symlink("dsiem", c.path(name)))
	}
}

func (c *container) write(name string, mode os.FileMode, text string) {
	c.t.Helper()
	testkit.Check(c.t, os.WriteFile(filepath.Join(c.root, name), []byte(text), mode))
	testkit.Check(c.t, os.Chmod(filepath.Join(c.root, name), mode))
}

// command puts a command into the PATH of the script.
func (c *container) command(name, script string) {
	c.t.Helper()
	testkit.Check(c.t, os.WriteFile(filepath.Join(c.bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
}

// path returns the path of a file.
func (c *container) path(name string) string { return filepath.Join(c.root, name) }

// files returns the contents of the files in a directory by name.
func (c *container) files(dir string) map[string]string {
	c.t.Helper()
	entries, err := os.ReadDir(c.path(dir))
	testkit.Check(c.t, err)
	found := map[string]string{}
	for _, e := range entries {
		found[e.Name()] = readFile(c.t, c.path(filepath.Join(dir, e.Name())))
	}
	return found
}

// outcome is what became of a run of the script.
type outcome struct {
	call           *call // nil if no recording program was called
	stdout, stderr string
	code, pid      int
}

// start runs the script to its end. The environment has nothing else in it than
// what is given and what the harness needs.
func (c *container) start(env map[string]string, args ...string) outcome {
	c.t.Helper()
	cmd, recorded := c.cmd(env, args...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, isExit := errors.AsType[*exec.ExitError](err); err != nil && !isExit {
		c.t.Fatal(err)
	}
	o := outcome{stdout: stdout.String(), stderr: stderr.String(), code: cmd.ProcessState.ExitCode(), pid: cmd.Process.Pid}
	if text, err := os.ReadFile(recorded); err == nil {
		o.call = &call{}
		testkit.Check(c.t, json.Unmarshal(text, o.call))
		testkit.Check(c.t, os.Remove(recorded))
	}
	return o
}

// cmd returns the command that runs the script, and the file in which the
// recording programs write.
func (c *container) cmd(env map[string]string, args ...string) (cmd *exec.Cmd, recorded string) {
	c.t.Helper()
	// Everybody may write there, as in /tmp.
	dir := filepath.Join(filepath.Dir(c.root), "recorded")
	testkit.Check(c.t, os.MkdirAll(dir, 0o755))
	testkit.Check(c.t, os.Chmod(dir, 0o777))
	recorded = filepath.Join(dir, "call")
	line := slices.Concat(c.shell, []string{c.path("entrypoint.sh")}, args)
	cmd = testkit.Command(c.t, line[0], line[1:]...)
	cmd.Env = []string{
		"PATH=" + c.bin + string(os.PathListSeparator) + os.Getenv("PATH"),
		stubVariable + "=" + recorded, "FAKE_UID=" + c.uid,
		// With the race detector the recording programs would sleep for a second at their end.
		"GORACE=atexit_sleep_ms=0",
	}
	if c.known {
		cmd.Env = append(cmd.Env, "FAKE_KNOWN=yes")
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		cmd.Env = append(cmd.Env, name+"="+env[name])
	}
	if c.user != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.user, Gid: c.user}}
	}
	return cmd, recorded
}

// wantCall checks which program was called, and with which arguments.
func (o outcome) wantCall(t *testing.T, program string, args ...string) {
	t.Helper()
	switch {
	case o.call == nil:
		t.Fatalf("no program was called, exit code %d\n%s", o.code, o.stderr)
	case o.call.Program != program || !slices.Equal(o.call.Args, args):
		t.Errorf("called %s %q, want %s %q", o.call.Program, o.call.Args, program, args)
	}
}

// wantSaid checks that the script has said something, and only if it should.
func (o outcome) wantSaid(t *testing.T, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(o.stderr, part) {
			t.Errorf("it does not say %q:\n%s", part, o.stderr)
		}
	}
	if len(parts) == 0 && o.stderr != "" {
		t.Errorf("it says:\n%s", o.stderr)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	testkit.Check(t, err)
	return string(text)
}

func writeFile(name, text string) error { return os.WriteFile(name, []byte(text), 0o644) }
