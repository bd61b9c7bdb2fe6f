package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/cli/options"
	"dsiem/internal/node"
	"dsiem/internal/observe/log"
	"dsiem/test/testkit"
	"dsiem/test/testkit/nodetest"

	"github.com/google/go-cmp/cmp"
)

// The tests T01 to T12 are the checks of docs/spec/interfaces.md §11, as far as the
// command line decides them: what a node gets, not what it does with it.

// That each option is in it, package options tests.
func TestT01_HelpListsEveryOption(t *testing.T) {
	t.Parallel()
	for _, p := range everyProgram() {
		for _, args := range []string{"serve --help", "serve -h", "help serve", "serve -n b0 -vh"} {
			o := runAs(t, p, strings.Fields(args), nil)
			if o.code != exitDone || o.err != "" || o.options != nil {
				t.Fatalf("%s %s: exit code %d\n%s", p.Called, args, o.code, o.err)
			}
			testkit.Golden(t, filepath.Join("testdata", "serve", "help-"+p.Called+".txt"), o.out)
		}
	}
}

func TestT02_NoCommand(t *testing.T) {
	t.Parallel()
	for _, p := range []options.Program{frontend, backend, seed} {
		if o := runAs(t, p, nil, nil); o.code != exitUsage || o.out != "" || !strings.Contains(o.err, "Usage: "+p.Called+" <command>") || o.options != nil {
			t.Errorf("%s: exit code %d\n%s%s", p.Called, o.code, o.out, o.err)
		}
	}
	if o := runAs(t, dsiem, nil, nil); o.code != exitDone || o.err != "" || !strings.Contains(o.out, "Usage: dsiem <command>") || o.options != nil {
		t.Errorf("dsiem: exit code %d\n%s%s", o.code, o.out, o.err)
	}
}

func TestT03_NoNode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		p       options.Program
		args    string
		environ []string
	}{
		{backend, "serve", nil},
		{backend, "serve --frontend=http://fe", []string{"DSIEM_NODE="}},
		{dsiem, "serve --mode=cluster-backend --frontend=http://fe", nil},
		{frontend, "serve --msq=nats://n:4222", nil},
		{dsiem, "serve", []string{"DSIEM_MODE=cluster-frontend"}},
	} {
		o := runAs(t, tt.p, strings.Fields(tt.args), tt.environ)
		if o.code != exitUsage || o.options != nil || !strings.Contains(o.err, "--node is missing") || !strings.Contains(o.err, "DSIEM_NODE") {
			t.Errorf("%s %s: exit code %d\n%s", tt.p.Called, tt.args, o.code, o.err)
		}
	}
}

func TestT04_MaxEPS(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ environ, args string }{
		{"MAX_EPS=5", ""},
		{"DSIEM_MAXEPS=5", ""},
		{"DSIEM_MAX_EPS=5", ""},
		{"", "--max_eps 5"},
		{"", "--maxEPS=5"},
		{"", "--max-eps=5"},
		{"", "-e 5"},
	} {
		o := served(t, backend, strings.Fields("serve -n x "+tt.args), tt.environ)
		if got := nodetest.Effective(o, "max_eps"); o.MaxEPS != 5 || got != int64(5) {
			t.Errorf("%s %s: %d, logged as %v", tt.environ, tt.args, o.MaxEPS, got)
		}
	}
}

func TestT05_Debug(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]slog.Level{
		"1": slog.LevelDebug, "true": slog.LevelDebug, "TRUE": slog.LevelDebug, "": slog.LevelInfo, "0": slog.LevelInfo,
	} {
		if o := served(t, backend, []string{"serve", "-nx"}, "DSIEM_DEBUG="+text); o.Log.Level != want {
			t.Errorf("DSIEM_DEBUG=%s: level %s, want %s", text, o.Log.Level, want)
		}
	}
}

func TestT06_ReloadBacklogs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		environ, args string
		want          bool
	}{
		{"", "", true},
		{"DSIEM_RELOAD_BACKLOGS=false", "", false},
		{"DSIEM_RELOADBACKLOGS=no", "", false},
		{"", "--reload-backlogs=false", false},
		{"", "--no-reload-backlogs", false},
		{"DSIEM_RELOAD_BACKLOGS=false", "--reload_backlogs", true},
	} {
		o := served(t, backend, strings.Fields("serve -n x "+tt.args), tt.environ)
		if o.ReloadBacklogs != tt.want || (o.Checkpoint > 0) != tt.want {
			t.Errorf("%s %s: %t, checkpoint %s", tt.environ, tt.args, o.ReloadBacklogs, o.Checkpoint)
		}
	}
}

func TestT07_Status(t *testing.T) {
	t.Parallel()
	o := served(t, backend, []string{"serve", "-nx"}, "DSIEM_STATUS=New,Done")
	if diff := cmp.Diff([]string{"New", "Done"}, o.Statuses); diff != "" || o.Engine.Status != "New" {
		t.Errorf("first %q, all: want -, got +:\n%s", o.Engine.Status, diff)
	}
}

func TestT08_Tags(t *testing.T) {
	t.Parallel()
	o := served(t, backend, []string{"serve", "-nx"}, "DSIEM_TAGS=Identified Threat, Valid Threat")
	if diff := cmp.Diff([]string{"Identified Threat", "Valid Threat"}, o.Tags); diff != "" || o.Engine.Tag != "Identified Threat" {
		t.Errorf("first %q, all: want -, got +:\n%s", o.Engine.Tag, diff)
	}
}

func TestT09_MediumRisk(t *testing.T) {
	t.Parallel()
	for args, ok := range map[string]bool{
		"--med_risk_min 2 --med_risk_max 9": true,
		"--med_risk_min 5":                  true,
		"--med_risk_min 1":                  false,
		"--med_risk_max 10":                 false,
		"--medRiskMin 5 --medRiskMax 5":     false,
		"--med-risk-min 6":                  false,
		"--med_risk_min 8 --med_risk_max 3": false, // D54
		"--med_risk_min 0 --med_risk_max 0": false,
		"--med_risk_min 0":                  false,
	} {
		o := runAs(t, backend, strings.Fields("serve -n x "+args), nil)
		if ok && o.options != nil && o.code == exitDone {
			continue
		}
		const want = "error reading med_risk_min and med_risk_max: medium risk from "
		if ok || o.code != exitFailed || o.options != nil || !strings.Contains(o.err, want) {
			t.Errorf("%s: exit code %d\n%s", args, o.code, o.err)
		}
	}
}

func TestT10_WideNumbers(t *testing.T) {
	t.Parallel()
	o := served(t, backend, []string{"serve", "-nx"},
		"DSIEM_HOLDDURATION=300", "DSIEM_CACHEDURATION=1000", "DSIEM_MAXDELAY=100000", "DSIEM_MINALARMLIFETIME=100000", "DSIEM_MAXEPS=5000000000")
	if o.HoldDuration != 5*time.Minute || o.CacheDuration != 1000*time.Minute || o.MaxDelay != 100000*time.Second ||
		o.Engine.MinAlarmLifetime != 6000000 || o.MaxEPS != 5000000000 {
		t.Errorf("%+v", o)
	}
}

func TestT11_LogFlagsBeforeAndAfterServe(t *testing.T) {
	t.Parallel()
	const rest = " --mode cluster-backend --node x --frontend http://fe"
	for _, tt := range []struct {
		p     options.Program
		args  string
		level slog.Level
		json  bool
	}{
		{backend, "-vv serve", log.LevelTrace, false},
		{backend, "serve -vv", log.LevelTrace, false},
		{backend, "-v serve -v", log.LevelTrace, false},
		{backend, "-v serve", slog.LevelDebug, false},
		{backend, "-j serve", slog.LevelInfo, true},
		{backend, "serve --json", slog.LevelInfo, true},
		{backend, "-vj --trace serve", log.LevelTrace, true},
		{backend, "--verbosity serve", slog.LevelDebug, false},
		{dsiem, "--debug serve", slog.LevelDebug, false},
		{dsiem, "serve --debug", slog.LevelDebug, false},
		{dsiem, "serve --debug --trace", log.LevelTrace, false}, // D67
		{dsiem, "--trace serve -v", log.LevelTrace, false},
		{dsiem, "serve -vvvv", log.LevelTrace, false},
		{dsiem, "serve", slog.LevelInfo, false},
		{dsiem, "serve --log-level=warn", slog.LevelWarn, false},
		{dsiem, "serve --log-level TRACE", log.LevelTrace, false},
		{backend, "serve --log-level=debug", slog.LevelDebug, false},
		{backend, "--log-level=error serve", slog.LevelError, false},
		{dsiem, "serve --log-level=error -v", slog.LevelDebug, false},
		{dsiem, "serve --log-level=error --trace", log.LevelTrace, false},
		{dsiem, "serve --log-level=trace --debug", log.LevelTrace, false},
	} {
		o := served(t, tt.p, strings.Fields(tt.args+rest))
		if o.Log.Level != tt.level || o.Log.JSON != tt.json || o.Log.Colour {
			t.Errorf("%s %s: %+v", tt.p.Called, tt.args, o.Log)
		}
	}
}

func TestT12_ContainerOfTheOriginal(t *testing.T) {
	t.Parallel()
	environ := []string{
		"DSIEM_MODE=cluster-backend", "DSIEM_NODE=b0", "DSIEM_FRONTEND=http://fe:8080", "DSIEM_MSQ=nats://n:4222",
		"DSIEM_APM=true", "DSIEM_PPROF=true", "DSIEM_PORT=8084", "DSIEM_WEB_ESURL=http://es:9200", "DSIEM_WHATEVER=1",
	}
	for _, p := range []options.Program{dsiem, backend, seed} {
		o := served(t, p, []string{"serve"}, environ...)
		if o.Mode != "cluster-backend" || o.Node != "b0" || o.Frontend != "http://fe:8080" || o.NATS != "nats://n:4222" || !o.PProf {
			t.Errorf("%s: %+v", p.Called, o)
		}
		got := nodetest.Notes(o)
		slices.Sort(got)
		want := []string{
			"WARN setting has no effect setting=DSIEM_APM reason=use --otel-tracing-enabled and --otel-metrics-enabled",
			"WARN setting has no effect setting=DSIEM_PORT reason=only the modes standalone and cluster-frontend use it",
			"WARN setting has no effect setting=pprof reason=there is no --metrics-address",
			"WARN unknown environment variable variable=DSIEM_WHATEVER",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: want -, got +:\n%s", p.Called, diff)
		}
	}
}

// TestProgramByName: the name that a program is called by decides what it is.
func TestProgramByName(t *testing.T) {
	t.Parallel()
	for _, built := range everyProgram() {
		for path, want := range map[string]options.Program{
			"dsiem":                       {Called: "dsiem", Mode: built.Mode},
			"/dsiem/dsiem":                {Called: "dsiem", Mode: built.Mode},
			"/usr/local/bin/dsiem-next":   built,
			"/opt/dsiem-backend/bin/siem": built,
			"./dsiem-backend":             backend,
			"dsiem-backend.exe":           backend,
			"/opt/dsiem/dsiem-frontend":   frontend,
		} {
			if got := programCalled(path, built); got != want {
				t.Errorf("%s, called %s: %+v, want %+v", built.Called, path, got, want)
			}
		}
	}
}

// TestModes: the name of the program decides the mode, then the flag, then the
// variable.
func TestModes(t *testing.T) {
	t.Parallel()
	const cluster = " --node=b0 --frontend=http://fe"
	for _, tt := range []struct {
		p             options.Program
		args, environ string
		want          string // of the modes, or of the error
		code          int
	}{
		{dsiem, "serve", "", "standalone", exitDone},
		{dsiem, "serve -m Standalone", "DSIEM_MODE=cluster-backend", "standalone", exitDone},
		{dsiem, "serve -m cluster-backend" + cluster, "", "cluster-backend", exitDone},
		{dsiem, "serve --mode=CLUSTER-BACKEND" + cluster, "", "cluster-backend", exitDone},
		{dsiem, "serve" + cluster, "DSIEM_MODE=cluster-backend", "cluster-backend", exitDone},
		{dsiem, "serve --node=fe", "DSIEM_MODE=cluster-frontend", "cluster-frontend", exitDone},
		{dsiem, "serve --mode cluster-frontend --node fe", "DSIEM_MODE=nonsense", "cluster-frontend", exitDone},
		{dsiem, "serve -m backend", "", `-m: "backend" is not possible; use standalone, cluster-frontend or cluster-backend` +
			" (Incorrect mode configuration: mode must be standalone || cluster-frontend || cluster-backend)\n", exitUsage},
		{dsiem, "serve", "DSIEM_MODE=backend", `DSIEM_MODE: "backend" is not possible`, exitUsage},
		{backend, "serve --node=b0", "", "cluster-backend", exitDone},
		{backend, "serve --node=b0 -m cluster-backend", "", "cluster-backend", exitDone},
		{backend, "serve --node=b0", "DSIEM_MODE=standalone", "cluster-backend", exitDone},
		{backend, "serve --node=b0 --mode=standalone", "", `--mode: "standalone" is not possible; use cluster-backend`, exitUsage},
		{seed, "serve --node=b0", "DSIEM_MODE=cluster-frontend", "cluster-backend", exitDone},
		{frontend, "serve -n fe", "", "cluster-frontend", exitDone},
		{frontend, "serve -n fe -m cluster-frontend", "", "cluster-frontend", exitDone},
		{frontend, "serve -n fe", "DSIEM_MODE=cluster-backend", "cluster-frontend", exitDone},
		{frontend, "serve -n fe -m standalone", "", `-m: "standalone" is not possible; use cluster-frontend`, exitUsage},
	} {
		o := runAs(t, tt.p, strings.Fields(tt.args), []string{tt.environ})
		if o.code != tt.code || (o.options != nil) != (tt.code == exitDone) {
			t.Errorf("%s %s %s: exit code %d, want %d\n%s", tt.environ, tt.p.Called, tt.args, o.code, tt.code, o.err)
		}
		if o.options != nil && o.options.Mode != tt.want || o.options == nil && !strings.Contains(o.err, tt.want) {
			t.Errorf("%s %s %s: %+v, want %s\n%s", tt.environ, tt.p.Called, tt.args, o.options, tt.want, o.err)
		}
	}
}

// TestShortN: -n is the node, and the hold duration where the original's command
// line is used.
func TestShortN(t *testing.T) {
	t.Parallel()
	environ := []string{"DSIEM_NODE=fromenv", "DSIEM_FRONTEND=http://fe"}
	for _, tt := range []struct {
		p          options.Program
		args, mode string
		node       string
		hold       time.Duration
	}{
		{dsiem, "serve -m cluster-backend -n 20", "", "fromenv", 20 * time.Second},
		{dsiem, "serve -n20 --mode=cluster-backend", "", "fromenv", 20 * time.Second},
		{dsiem, "-n=20 serve -vmcluster-backend", "", "fromenv", 20 * time.Second},
		{dsiem, "serve -m cluster-backend -n 20 --node b1", "", "b1", 20 * time.Second},
		{dsiem, "serve -n 20", "DSIEM_MODE=cluster-backend", "20", 10 * time.Second},
		{backend, "serve -m cluster-backend -n 20", "", "20", 10 * time.Second},
		{backend, "serve -n b1", "", "b1", 10 * time.Second},
		{seed, "serve -n b1", "", "b1", 10 * time.Second},
	} {
		o := served(t, tt.p, strings.Fields(tt.args), append(environ, tt.mode)...)
		if o.Node != tt.node || o.HoldDuration != tt.hold {
			t.Errorf("%s %s: node %s, hold %s", tt.p.Called, tt.args, o.Node, o.HoldDuration)
		}
	}
}

// TestFrontend: the seed has a default, the original none; an empty one and a
// file: URL stand for no download.
func TestFrontend(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		p             options.Program
		args, environ string
		want          string
	}{
		{backend, "", "", "http://frontend:8080"},
		{backend, "", "DSIEM_FRONTEND=", "http://frontend:8080"},
		{backend, "-f http://a", "DSIEM_FRONTEND=http://b", "http://a"},
		{backend, "--frontend=", "DSIEM_FRONTEND=http://b", ""},
		{dsiem, "-m cluster-backend", "DSIEM_FRONTEND=file:", "file:"},
		{dsiem, "-m cluster-backend --frontend=", "", ""},
	} {
		o := served(t, tt.p, append([]string{"serve", "--node=b0"}, strings.Fields(tt.args)...), tt.environ)
		if o.Frontend != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.p.Called, tt.args, o.Frontend, tt.want)
		}
	}
	o := runAs(t, dsiem, []string{"serve", "-m", "cluster-backend", "--node=b0"}, nil)
	if o.code != exitUsage || !strings.Contains(o.err, "--frontend is missing") || !strings.Contains(o.err, "DSIEM_FRONTEND") {
		t.Errorf("exit code %d\n%s", o.code, o.err)
	}
}

// TestVersion: the name of the program and its version, wherever it is asked
// for.
func TestVersion(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"version", "--version", "-V", "serve --version", "-v --version", "serve -nb0 -V"} {
		for _, p := range everyProgram() {
			o := runAs(t, p, strings.Fields(args), nil)
			if o.code != exitDone || o.err != "" || !strings.HasPrefix(o.out, p.Called+" ") || strings.Count(o.out, "\n") != 1 {
				t.Errorf("%s %s: exit code %d\n%s%s", p.Called, args, o.code, o.out, o.err)
			}
		}
	}
}

// TestHelpOfOthers: help is a command and a flag, for the program and for each
// command.
func TestHelpOfOthers(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"help":             "Usage: dsiem <command>",
		"--help":           "Usage: dsiem <command>",
		"-h":               "Usage: dsiem <command>",
		"--debug -h":       "Usage: dsiem <command>",
		"--help serve":     "Usage: dsiem <command>",
		"help replay":      "Usage: dsiem replay",
		"replay --help":    "Usage: dsiem replay",
		"help completion":  "Usage: dsiem completion <shell>",
		"help serve":       "Usage: dsiem serve",
		"help secret":      "Usage: dsiem secret",
		"healthcheck -h":   "Usage: dsiem healthcheck",
		"help healthcheck": "Usage: dsiem healthcheck",
	} {
		o := runAs(t, dsiem, strings.Fields(args), nil)
		if o.code != exitDone || o.err != "" || !strings.HasPrefix(o.out, want) {
			t.Errorf("%s: exit code %d\n%s%s", args, o.code, o.out, o.err)
		}
	}
}

// TestFailedNode: a node logs why it failed; the exit code says that it did.
func TestFailedNode(t *testing.T) {
	t.Parallel()
	var out, errs strings.Builder
	code := run(t.Context(), &process{
		Streams: Streams{Out: &out, Err: &errs}, executable: func() (string, error) { return "/x/dsiem", nil },
		serve: func(context.Context, *node.Options) error { return errors.New("no directive") },
	}, backend, []string{"serve", "-nb0"})
	if code != exitFailed || out.Len()+errs.Len() > 0 {
		t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
}

// TestSignals: the first signal ends the context, the second the process.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		after []time.Duration // the signal before
		want  string
	}{
		{nil, ""},
		{[]time.Duration{0}, "first "},
		{[]time.Duration{0, 0, sameSignal / 2}, "first "},
		{[]time.Duration{0, sameSignal}, "first second "},
		{[]time.Duration{0, time.Millisecond, sameSignal}, "first second "},
	} {
		synctest.Test(t, func(t *testing.T) {
			signals, stopped, done := make(chan os.Signal, 2), make(chan struct{}), make(chan struct{})
			got := ""
			go func() {
				defer close(done)
				obey(signals, stopped, func() { got += "first " }, func() { got += "second " })
			}()
			for _, after := range tt.after {
				<-time.After(after)
				signals <- syscall.SIGTERM
				synctest.Wait()
			}
			close(stopped)
			<-done
			if got != tt.want {
				t.Errorf("signals after %v: %q, want %q", tt.after, got, tt.want)
			}
		})
	}
}

// TestRealSignals sends signals to this process, as they come from outside.
func TestRealSignals(t *testing.T) { //nolint:paralleltest // signals are the process's
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		exited := make(chan int, 1)
		var errs strings.Builder
		ctx, stop := untilSignal(t.Context(), &process{Streams: Streams{Err: &errs}, exit: func(code int) { exited <- code }})
		if err := self.Signal(s); err != nil {
			t.Skip(err)
		}
		<-ctx.Done()
		again := time.NewTicker(sameSignal / 2) // until one of them is no longer the first
		for code := -1; code < 0; {
			select {
			case <-again.C:
				if err := self.Signal(s); err != nil {
					t.Fatal(err)
				}
			case code = <-exited:
				if code != exitFailed {
					t.Errorf("%s: exit code %d", s, code)
				}
			}
		}
		again.Stop()
		stop()
		if got := errs.String(); got != "second signal, leaving at once\n" {
			t.Errorf("%s: %q", s, got)
		}
	}
}

// TestCommands: dsiem-frontend and dsiem-backend have those commands of dsiem
// that such a node needs.
func TestCommands(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		p           options.Program
		has, hasNot string
	}{
		{dsiem, "demo replay serve validate secret healthcheck completion version", ""},
		{frontend, "serve secret healthcheck completion version", "demo replay validate"},
		{backend, "serve healthcheck completion version", "demo replay validate secret"},
	} {
		help := runAs(t, tt.p, []string{"--help"}, nil).out
		for command := range strings.FieldsSeq(tt.has) {
			if !strings.Contains(help, "\n  "+command+" ") {
				t.Errorf("%s has no %s:\n%s", tt.p.Called, command, help)
			}
		}
		for command := range strings.FieldsSeq(tt.hasNot) {
			if o := runAs(t, tt.p, []string{command}, nil); o.code != exitUsage || strings.Contains(help, "\n  "+command+" ") {
				t.Errorf("%s has %s: exit code %d\n%s", tt.p.Called, command, o.code, help)
			}
		}
	}
}

func TestTerminals(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if terminal(file) || terminal(&strings.Builder{}) {
		t.Error("what is none is a terminal")
	}
	device, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminal to test with: %v", err)
	}
	defer device.Close()
	if !terminal(device) {
		t.Error("a terminal is none")
	}
}

// TestWrongCommandLine: what makes no sense ends with exit code 2, the usage and
// a proposal.
func TestWrongCommandLine(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"serve --max_esp 5":             "unknown flag --max_esp; did you mean --max-eps?",
		"serve --max-epss=secret":       "unknown flag --max-epss; did you mean --max-eps?",
		"serve --frontent x":            "unknown flag --frontent; did you mean --frontend?",
		"serve --nonsense":              "unknown flag --nonsense\n",
		"serve --no-node":               "unknown flag --no-node",
		"serve --no-help":               "unknown flag --no-help",
		"serve --no-debug=false":        "unknown flag --no-debug",
		"serve -x":                      "unknown flag -x",
		"serve -vx":                     "unknown flag -x",
		"serve -5":                      "unknown flag -5",
		"--nonsense serve":              "unknown flag --nonsense",
		"serve --node":                  "--node needs a value: --node=NAME",
		"serve --node --json":           "--node needs a value: --node=NAME",
		"serve -jn":                     "-n needs a value: -n=NAME",
		"serve b0":                      `unexpected argument "b0"; serve has flags only`,
		"serve -nb0 true":               `unexpected argument "true"`,
		"serve -nb0 -- x":               `unexpected argument "x"`,
		"serve -nb0 --nats-cert=c":      "--nats-cert and --nats-key belong together",
		"serve -nb0 --mode=standalone":  `--mode: "standalone" is not possible; use cluster-backend`,
		"serve -nb0 --config-dir=":      `--config-dir: "" is not possible`,
		"nonsense":                      "unexpected argument nonsense",
		"version extra":                 "unexpected argument extra",
		"completion csh":                `must be one of "bash","zsh","fish"`,
		"--nonsense":                    "unknown flag --nonsense",
		"serve --msq=nats://u:p@h --no": "unknown flag --no",
	} {
		o := runAs(t, backend, strings.Fields(args), nil)
		if o.code != exitUsage || o.out != "" || !strings.HasPrefix(o.err, "dsiem-backend: ") || !strings.Contains(o.err, want) {
			t.Errorf("%s: exit code %d, want 2 and %q\n%s%s", args, o.code, want, o.out, o.err)
		}
		if strings.Contains(o.err, "secret") || strings.Contains(o.err, "u:p") {
			t.Errorf("%s: the error shows a value: %s", args, o.err)
		}
		if strings.HasPrefix(args, "serve") && !strings.Contains(o.err, "Usage: dsiem-backend serve") {
			t.Errorf("%s: the usage is missing:\n%s", args, o.err)
		}
	}
}
