//go:build unix

package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/test/testkit"
)

// backendEnv is what every backend has.
func backendEnv(more ...string) map[string]string {
	env := map[string]string{
		"DSIEM_MODE": "cluster-backend", "DSIEM_NODE": "b0", "DSIEM_FRONTEND": "http://fe:8080", "DSIEM_MSQ": "nats://n:4222",
	}
	for i := 0; i < len(more); i += 2 {
		env[more[i]] = more[i+1]
	}
	return env
}

func TestTheProgramIsChosenByTheMode(t *testing.T) {
	t.Parallel()
	const metrics = "127.0.0.1:9618"
	for name, c := range map[string]struct {
		env                    map[string]string
		program, mode, metrics string
		says                   string
	}{
		"nothing is set": {nil, "dsiem", "standalone", "", ""},
		"standalone":     {map[string]string{"DSIEM_MODE": "standalone"}, "dsiem", "standalone", "", ""},
		"frontend": {
			map[string]string{"DSIEM_MODE": "cluster-frontend", "DSIEM_NODE": "f"}, "dsiem-frontend", "cluster-frontend", "", "",
		},
		"backend": {backendEnv(), "dsiem-backend", "cluster-backend", metrics, ""},
		"T12: settings of other generations": {
			backendEnv("DSIEM_APM", "true", "DSIEM_PPROF", "true", "DSIEM_PORT", "8084"), "dsiem-backend", "cluster-backend", metrics, "",
		},
		"blanks and capitals do not count": {
			map[string]string{"DSIEM_MODE": " Cluster-Frontend\n"}, "dsiem-frontend", "cluster-frontend", "", "",
		},
		"the seed's image, which knows no mode": {
			map[string]string{"DSIEM_NODE": "b0", "DSIEM_FRONTEND": "http://fe:8080"},
			"dsiem-backend", "cluster-backend", metrics,
			"this node is a cluster-backend, because DSIEM_FRONTEND is set and DSIEM_MODE is not",
		},
		"an empty mode is none":              {map[string]string{"DSIEM_MODE": "", "DSIEM_FRONTEND": ""}, "dsiem", "standalone", "", ""},
		"dsiem refuses what is no mode":      {map[string]string{"DSIEM_MODE": "backend"}, "dsiem", "backend", "", ""},
		"an address of the user stays":       {backendEnv("DSIEM_METRICS_ADDRESS", "0.0.0.0:9000"), "dsiem-backend", "cluster-backend", "0.0.0.0:9000", ""},
		"an address by its other name stays": {backendEnv("DSIEM_METRICSADDRESS", ":9000"), "dsiem-backend", "cluster-backend", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEveryShell(t, func(t *testing.T, shell []string) {
				t.Helper()
				box := newContainer(t, shell)
				box.write("configs/a.json", 0o644, "{}")
				o := box.start(c.env)
				o.wantCall(t, c.program, "serve")
				if got := o.call.Env["DSIEM_MODE"]; got != c.mode {
					t.Errorf("DSIEM_MODE is %q, want %q", got, c.mode)
				}
				if got := o.call.Env["DSIEM_METRICS_ADDRESS"]; got != c.metrics {
					t.Errorf("DSIEM_METRICS_ADDRESS is %q, want %q", got, c.metrics)
				}
				if c.says == "" {
					o.wantSaid(t)
				} else {
					o.wantSaid(t, c.says)
				}
				for name, value := range c.env {
					if name != "DSIEM_MODE" && o.call.Env[name] != value {
						t.Errorf("%s is %q, want %q", name, o.call.Env[name], value)
					}
				}
			})
		})
	}
}

func TestArgumentsReachTheProgram(t *testing.T) {
	t.Parallel()
	odd := []string{"--tags=a b,c", "", "$(touch x)", "two\nlines", `"`, "*"}
	for name, c := range map[string]struct {
		env     map[string]string
		args    []string
		program string
		want    []string
	}{
		"flags":                    {backendEnv(), odd, "dsiem-backend", append([]string{"serve"}, odd...)},
		"serve and flags":          {backendEnv(), append([]string{"serve"}, odd...), "dsiem-backend", append([]string{"serve"}, odd...)},
		"help":                     {nil, []string{"--help"}, "dsiem", []string{"serve", "--help"}},
		"a command":                {nil, []string{"validate", "--config", "/dsiem/configs"}, "dsiem", []string{"validate", "--config", "/dsiem/configs"}},
		"a command in a backend":   {backendEnv(), []string{"version"}, "dsiem", []string{"version"}},
		"a program":                {nil, []string{"dsiem-backend", "serve", "-n", "x"}, "dsiem-backend", []string{"serve", "-n", "x"}},
		"a program alone":          {nil, []string{"dsiem-frontend"}, "dsiem-frontend", nil},
		"the original's program":   {backendEnv(), []string{"dsiem", "serve"}, "dsiem", []string{"serve"}},
		"the health check":         {backendEnv(), []string{"healthcheck"}, "dsiem", []string{"healthcheck"}},
		"the health check's flags": {nil, []string{"healthcheck", "--json"}, "dsiem", []string{"healthcheck", "--json"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEveryShell(t, func(t *testing.T, shell []string) {
				t.Helper()
				box := newContainer(t, shell)
				box.write("configs/a.json", 0o644, "{}")
				o := box.start(c.env, c.args...)
				o.wantCall(t, c.program, c.want...)
				o.wantSaid(t)
				if o.stdout != "" {
					t.Errorf("printed %q", o.stdout)
				}
			})
		})
	}
}

func TestOtherCommandsRunAsTheyAre(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		o := newContainer(t, shell).start(nil, "sh", "-c", `printf '%s|' "$@"; exit 7`, "x", "a b", "c")
		if o.stdout != "a b|c|" || o.code != 7 || o.call != nil {
			t.Errorf("printed %q, exit code %d, called %v", o.stdout, o.code, o.call)
		}
	})
}

// The health check of the image asks the address at which the node serves, which
// the script has chosen.
func TestTheHealthCheckKnowsWhatTheNodeIs(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		env := map[string]string{"DSIEM_NODE": "b0", "DSIEM_FRONTEND": "http://fe:8080", "DSIEM_WEB_ESURL": "http://e:9200"}
		serve, health := box.start(env), box.start(env, "healthcheck")
		for _, name := range []string{"DSIEM_MODE", "DSIEM_METRICS_ADDRESS"} {
			if got, want := health.call.Env[name], serve.call.Env[name]; got != want || got == "" {
				t.Errorf("%s is %q for the health check and %q for the node", name, got, want)
			}
		}
		health.wantSaid(t)
	})
}

// A health check runs every few seconds: it changes nothing.
func TestTheHealthCheckPreparesNothing(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		box.start(map[string]string{"DSIEM_WEB_ESURL": "http://e:9200"}, "healthcheck").wantCall(t, "dsiem", "healthcheck")
		if n := len(box.files("configs")) + len(box.files("web/dist/assets/config")); n != 0 {
			t.Errorf("the health check wrote %d files", n)
		}
	})
}

// Signals of the container's engine must reach the program.
func TestTheScriptBecomesTheProgram(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		for _, args := range [][]string{nil, {"healthcheck"}, {"validate"}, {"dsiem", "serve"}} {
			if o := box.start(nil, args...); o.call == nil || o.call.PID != o.pid {
				t.Errorf("%q: the script was process %d, the program is %+v", args, o.pid, o.call)
			}
		}
	})
}

// nobody is a user that owns nothing here.
const nobody = 65534

// unprivileged makes the script run as a user to whom the directories do not
// belong. Only root can do that; for another user it takes away the permission.
func (c *container) unprivileged(dirs ...string) {
	c.t.Helper()
	if os.Getuid() == 0 {
		c.user = nobody
		// The test binary itself is in a directory that is not for everybody.
		self, err := os.Executable()
		testkit.Check(c.t, err)
		c.write("recorder", 0o755, readFile(c.t, self))
		for _, name := range []string{"dsiem", "dsiem-backend", "dsiem-frontend"} {
			testkit.Check(c.t, os.Remove(c.path(name)))
			testkit.Check(c.t, os.Symlink("recorder", c.path(name)))
		}
		return
	}
	for _, dir := range dirs {
		testkit.Check(c.t, os.Chmod(c.path(dir), 0o555))
		c.t.Cleanup(func() { _ = os.Chmod(c.path(dir), 0o755) })
	}
}

func TestVolumesThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		box.unprivileged("configs", "logs", "web/dist/assets/config")
		o := box.start(map[string]string{"DSIEM_WEB_ESURL": "http://a:9200"})
		o.wantCall(t, "dsiem", "serve")
		for dir, consequence := range map[string]string{
			"configs": "so it gets no sample configuration", "logs": "so no alarm can be written",
			"web/dist/assets/config": "so the web UI is not told where Elasticsearch is",
		} {
			o.wantSaid(t, "WARN dsiem_entrypoint: cannot write to "+box.path(dir)+": it belongs to uid ", " and this is uid 10001, "+consequence)
			if n := len(box.files(dir)); n != 0 {
				t.Errorf("%s has %d files", dir, n)
			}
		}
	})
}

// Configurations are often mounted read-only. That is nothing to complain about.
func TestReadOnlyConfigurations(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		box.write("configs/assets_mine.json", 0o644, "{}")
		box.unprivileged("configs")
		testkit.Check(t, os.Chmod(box.path("logs"), 0o777))
		o := box.start(nil)
		o.wantCall(t, "dsiem", "serve")
		o.wantSaid(t)
	})
}

func TestDirectoriesThatCannotBeMade(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		box.write("file", 0o644, "")
		o := box.start(map[string]string{"DSIEM_LOG_DIR": box.path("file/logs"), "DSIEM_CONFIG_DIR": box.path("file/configs")})
		o.wantCall(t, "dsiem", "serve")
		o.wantSaid(t, "cannot make "+box.path("file/logs")+" as uid 10001", "cannot make "+box.path("file/configs"))
	})
}

// A copy that fails in the middle leaves nothing behind: half of a configuration
// would never be completed.
func TestAVolumeIsNotHalfSeeded(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		box.write("configs-dist/directives_a.json", 0o000, "")
		box.unprivileged()
		for _, dir := range []string{"configs", "logs"} {
			testkit.Check(t, os.Chmod(box.path(dir), 0o777))
		}
		o := box.start(nil)
		o.wantCall(t, "dsiem", "serve")
		o.wantSaid(t, "WARN dsiem_entrypoint: cannot copy the sample configuration")
		if got := box.files("configs"); len(got) != 0 {
			t.Errorf("configs has %v", got)
		}
	})
}

var (
	textLine = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z  ?(INFO|WARN) dsiem_entrypoint: .+$`)
	jsonTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`)
)

// The lines have the form of the programs' log, so that one reader understands both.
func TestTheLogHasOneForm(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		for _, value := range []string{"", "false", "true", "1", "YES"} {
			box := newContainer(t, shell)
			o := box.start(map[string]string{"DSIEM_JSON": value, "DSIEM_LOG_DIR": "/dev/null/\"\\\n"})
			if value == "" || value == "false" {
				if line, _, _ := strings.Cut(o.stderr, "\n"); !textLine.MatchString(line) {
					t.Errorf("DSIEM_JSON=%s: %q", value, line)
				}
				continue
			}
			lines := strings.Split(strings.TrimSpace(o.stderr), "\n")
			if len(lines) != 2 {
				t.Fatalf("%d lines: %s", len(lines), o.stderr)
			}
			for _, line := range lines {
				var parsed struct {
					Timestamp, Level, Target string
					Fields                   struct{ Message string }
				}
				if err := json.Unmarshal([]byte(line), &parsed); err != nil {
					t.Fatalf("%v: %s", err, line)
				}
				if !jsonTime.MatchString(parsed.Timestamp) || parsed.Target != "dsiem_entrypoint" || parsed.Fields.Message == "" || parsed.Level == "" {
					t.Errorf("DSIEM_JSON=%s: %s", value, line)
				}
			}
		}
	})
}

// The volumes of the references' images belong to root. Started as root, the
// script hands them over and goes on as the user of the image.
func TestStartedAsRoot(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		box.uid, box.known = "0", true
		box.command("find", `echo "$1"`)
		box.command("chown", `echo "$@" >>"`+box.path("chown")+`"`)
		box.command("setuidgid", `[ "$1" = dsiem ] || exit 9; shift; FAKE_UID=10001 exec "$@"`)
		o := box.start(nil, "serve", "--json", "a b")
		o.wantCall(t, "dsiem", "serve", "--json", "a b")
		if o.call.PID != o.pid {
			t.Errorf("the script was process %d, the program is %d", o.pid, o.call.PID)
		}
		var want strings.Builder
		for _, dir := range []string{"configs", "logs", "web/dist/assets/config"} {
			want.WriteString("-Rh dsiem:dsiem " + box.path(dir) + "\n")
			o.wantSaid(t, "giving "+box.path(dir)+" to uid 10001")
		}
		if diff := cmp.Diff(want.String(), readFile(t, box.path("chown"))); diff != "" {
			t.Errorf("chown: want - got +:\n%s", diff)
		}
	})
}

// Commands other than serve run as who has started them: a configuration that
// only root can read can be validated.
func TestCommandsStayRoot(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		box.uid, box.known = "0", true
		for _, name := range []string{"chown", "setuidgid"} {
			box.command(name, `echo "$@" >>"`+box.path("used")+`"; exit 1`)
		}
		box.start(nil, "validate", "--config", "/x").wantCall(t, "dsiem", "validate", "--config", "/x")
		box.start(nil, "healthcheck").wantCall(t, "dsiem", "healthcheck")
		if _, err := os.Stat(box.path("used")); err == nil {
			t.Errorf("it used %s", readFile(t, box.path("used")))
		}
	})
}

// A container without the right to change users runs as what it was started as.
func TestStartedAsRootWithoutCapabilities(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		box.uid, box.known = "0", true
		box.command("setuidgid", `exit 111`)
		o := box.start(nil)
		o.wantCall(t, "dsiem", "serve")
		o.wantSaid(t, "WARN dsiem_entrypoint: cannot become uid 10001, going on as root")
	})
}

// The script is found by a link, too.
func TestTheScriptMayBeCalledFromAnywhere(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		for _, path := range []string{"entrypoint.sh", "./entrypoint.sh", "../dsiem/entrypoint.sh"} {
			cmd, recorded := box.cmd(nil)
			cmd.Args[len(cmd.Args)-1], cmd.Dir = path, box.root
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", path, err, out)
			}
			if _, err := os.Stat(recorded); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			testkit.Check(t, os.RemoveAll(filepath.Dir(recorded)))
		}
	})
}
