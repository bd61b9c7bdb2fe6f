package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/app"
)

// The tests T01 to T12 are the checks of spec/interfaces.md §11, as far as the
// command line decides them: what a node gets, not what it does with it.

func TestT01_HelpListsEveryOption(t *testing.T) {
	t.Parallel()
	for _, p := range []program{dsiem, backend} {
		for _, args := range []string{"serve --help", "serve -h", "help serve", "serve -n b0 -vh"} {
			o := runAs(t, p, strings.Fields(args), nil)
			if o.code != exitDone || o.err != "" || o.options != nil {
				t.Fatalf("%s %s: exit code %d\n%s", p.called, args, o.code, o.err)
			}
			for opt := range options(optionTable(p, &settings{})) {
				if !strings.Contains(o.out, "\n  "+opt.flags()+"\n") {
					t.Errorf("%s %s: %s is missing", p.called, args, opt.flags())
				}
				for _, name := range opt.env {
					if !strings.Contains(o.out, name) {
						t.Errorf("%s %s: %s is missing", p.called, args, name)
					}
				}
			}
			golden(t, filepath.Join("testdata", "serve", "help-"+p.called+".txt"), o.out)
		}
	}
}

func TestT02_NoCommand(t *testing.T) {
	t.Parallel()
	if o := runAs(t, backend, nil, nil); o.code != exitUsage || o.out != "" || !strings.Contains(o.err, "Usage: dsiem-backend <command>") || o.options != nil {
		t.Errorf("dsiem-backend: exit code %d\n%s%s", o.code, o.out, o.err)
	}
	if o := runAs(t, dsiem, nil, nil); o.code != exitDone || o.err != "" || !strings.Contains(o.out, "Usage: dsiem <command>") || o.options != nil {
		t.Errorf("dsiem: exit code %d\n%s%s", o.code, o.out, o.err)
	}
}

func TestT03_NoNode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		p       program
		args    string
		environ []string
	}{
		{backend, "serve", nil},
		{backend, "serve --frontend=http://fe", []string{"DSIEM_NODE="}},
		{dsiem, "serve --mode=cluster-backend --frontend=http://fe", nil},
	} {
		o := runAs(t, tt.p, strings.Fields(tt.args), tt.environ)
		if o.code != exitUsage || o.options != nil || !strings.Contains(o.err, "--node is missing") || !strings.Contains(o.err, "DSIEM_NODE") {
			t.Errorf("%s %s: exit code %d\n%s", tt.p.called, tt.args, o.code, o.err)
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
		if got := effective(o, "max_eps"); o.MaxEPS != 5 || got != int64(5) {
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
		p     program
		args  string
		level slog.Level
		json  bool
	}{
		{backend, "-vv serve", app.LevelTrace, false},
		{backend, "serve -vv", app.LevelTrace, false},
		{backend, "-v serve -v", app.LevelTrace, false},
		{backend, "-v serve", slog.LevelDebug, false},
		{backend, "-j serve", slog.LevelInfo, true},
		{backend, "serve --json", slog.LevelInfo, true},
		{backend, "-vj --trace serve", app.LevelTrace, true},
		{backend, "--verbosity serve", slog.LevelDebug, false},
		{dsiem, "--debug serve", slog.LevelDebug, false},
		{dsiem, "serve --debug", slog.LevelDebug, false},
		{dsiem, "serve --debug --trace", app.LevelTrace, false}, // D67
		{dsiem, "--trace serve -v", app.LevelTrace, false},
		{dsiem, "serve -vvvv", app.LevelTrace, false},
		{dsiem, "serve", slog.LevelInfo, false},
	} {
		o := served(t, tt.p, strings.Fields(tt.args+rest))
		if o.Log.Level != tt.level || o.Log.JSON != tt.json || o.Log.Colour {
			t.Errorf("%s %s: %+v", tt.p.called, tt.args, o.Log)
		}
	}
}

func TestT12_ContainerOfTheOriginal(t *testing.T) {
	t.Parallel()
	environ := []string{
		"DSIEM_MODE=cluster-backend", "DSIEM_NODE=b0", "DSIEM_FRONTEND=http://fe:8080", "DSIEM_MSQ=nats://n:4222",
		"DSIEM_APM=true", "DSIEM_PPROF=true", "DSIEM_PORT=8084", "DSIEM_WEB_ESURL=http://es:9200", "DSIEM_WHATEVER=1",
	}
	for _, p := range []program{dsiem, backend, backendCalled("/dsiem/dsiem")} {
		o := served(t, p, []string{"serve"}, environ...)
		if o.Mode != "cluster-backend" || o.Node != "b0" || o.Frontend != "http://fe:8080" || o.NATS != "nats://n:4222" || !o.PProf {
			t.Errorf("%s: %+v", p.called, o)
		}
		want := []string{
			"WARN setting has no effect setting=DSIEM_PORT reason=only a frontend uses it",
			"WARN setting has no effect setting=DSIEM_APM reason=telemetry is served at --metrics-address",
			"WARN unknown environment variable variable=DSIEM_WHATEVER",
			"WARN setting has no effect setting=pprof reason=there is no --metrics-address",
		}
		if diff := cmp.Diff(want, notes(o)); diff != "" {
			t.Errorf("%s: want -, got +:\n%s", p.called, diff)
		}
	}
}

// TestProgramByName: the name that a program is called by decides what it is.
func TestProgramByName(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]program{
		"dsiem":                       {called: "dsiem"},
		"/dsiem/dsiem":                {called: "dsiem"},
		"/usr/local/bin/dsiem-next":   {called: "dsiem"},
		"./dsiem-backend":             {called: "dsiem-backend", backend: true},
		"dsiem-backend.exe":           {called: "dsiem-backend", backend: true},
		"/opt/dsiem/dsiem-frontend":   {called: "dsiem-frontend"},
		"/opt/dsiem-backend/bin/siem": {called: "dsiem"},
	} {
		if got := programCalled(path); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	for path, want := range map[string]string{"/dsiem/dsiem": "dsiem", "/bin/dsiem-backend": "dsiem-backend", "/bin/x": "dsiem-backend"} {
		if got := backendCalled(path); got.called != want || !got.backend {
			t.Errorf("%s: %+v, want %s", path, got, want)
		}
	}
}

// TestModes: only backends are there.
func TestModes(t *testing.T) {
	t.Parallel()
	const backendFlags = " --node=b0 --frontend=http://fe"
	for _, tt := range []struct {
		p             program
		args, environ string
		code          int
		err           string
	}{
		{dsiem, "serve -m cluster-backend" + backendFlags, "", exitDone, ""},
		{dsiem, "serve --mode=CLUSTER-BACKEND" + backendFlags, "", exitDone, ""},
		{dsiem, "serve" + backendFlags, "DSIEM_MODE=cluster-backend", exitDone, ""},
		{dsiem, "serve", "", exitFailed, "the mode standalone is not available yet; use --mode cluster-backend"},
		{dsiem, "serve -m standalone" + backendFlags, "", exitFailed, "the mode standalone is not available yet"},
		{dsiem, "serve", "DSIEM_MODE=cluster-frontend", exitFailed, "the mode cluster-frontend is not available yet"},
		{dsiem, "serve -m backend", "", exitUsage, `-m: "backend" is not possible; use standalone, cluster-frontend or cluster-backend`},
		{dsiem, "serve", "DSIEM_MODE=backend", exitUsage, `DSIEM_MODE: "backend" is not possible`},
		{backend, "serve --node=b0", "", exitDone, ""},
		{backend, "serve --node=b0 -m cluster-backend", "", exitDone, ""},
		{backend, "serve --node=b0", "DSIEM_MODE=standalone", exitDone, ""},
		{programCalled("dsiem-frontend"), "serve -n fe", "", exitFailed, "dsiem-frontend: a frontend is not available yet"},
	} {
		o := runAs(t, tt.p, strings.Fields(tt.args), []string{tt.environ})
		if o.code != tt.code || !strings.Contains(o.err, tt.err) || (o.options != nil) != (tt.code == exitDone) {
			t.Errorf("%s %s %s: exit code %d, want %d\n%s", tt.environ, tt.p.called, tt.args, o.code, tt.code, o.err)
		}
		if o.options != nil && o.options.Mode != "cluster-backend" {
			t.Errorf("%s %s %s: mode %s", tt.environ, tt.p.called, tt.args, o.options.Mode)
		}
	}
}

// TestShortN: -n is the node, and the hold duration where the original's command
// line is used.
func TestShortN(t *testing.T) {
	t.Parallel()
	environ := []string{"DSIEM_NODE=fromenv", "DSIEM_FRONTEND=http://fe"}
	for _, tt := range []struct {
		p          program
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
		{backendCalled("/dsiem/dsiem"), "serve -n b1", "", "b1", 10 * time.Second},
	} {
		o := served(t, tt.p, strings.Fields(tt.args), append(environ, tt.mode)...)
		if o.Node != tt.node || o.HoldDuration != tt.hold {
			t.Errorf("%s %s: node %s, hold %s", tt.p.called, tt.args, o.Node, o.HoldDuration)
		}
	}
}

// TestFrontend: the seed has a default, the original none; an empty one and a
// file: URL stand for no download.
func TestFrontend(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		p             program
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
			t.Errorf("%s %s: %q, want %q", tt.p.called, tt.args, o.Frontend, tt.want)
		}
	}
	o := runAs(t, dsiem, []string{"serve", "-m", "cluster-backend", "--node=b0"}, nil)
	if o.code != exitUsage || !strings.Contains(o.err, "--frontend is missing") || !strings.Contains(o.err, "DSIEM_FRONTEND") {
		t.Errorf("exit code %d\n%s", o.code, o.err)
	}
}

// TestDirectories: those beside the real file of the program, unless they are
// given.
func TestDirectories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dsiem"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "dsiem-backend")
	if err := os.Symlink(filepath.Join(dir, "dsiem"), link); err != nil {
		t.Skip(err)
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		given, want settings
		fails       bool
	}{
		{want: directories(filepath.Join(dir, "configs"), filepath.Join(dir, "logs"))},
		{given: directories("c", ""), want: directories("c", filepath.Join(dir, "logs"))},
		{given: directories("", "l"), want: directories(filepath.Join(dir, "configs"), "l")},
		{given: directories("c", "l"), want: directories("c", "l"), fails: true},
	} {
		got := tt.given
		if err := got.locate(func() (string, error) {
			if tt.fails {
				return "", errors.New("nobody knows")
			}
			return link, nil
		}); err != nil {
			t.Errorf("%s, %s: %v", tt.given.ConfigDir, tt.given.LogDir, err)
		}
		if got.ConfigDir != tt.want.ConfigDir || got.LogDir != tt.want.LogDir {
			t.Errorf("%s, %s; want %s, %s", got.ConfigDir, got.LogDir, tt.want.ConfigDir, tt.want.LogDir)
		}
	}
	s := &settings{}
	if err := s.locate(func() (string, error) { return "", errors.New("nobody knows") }); err == nil || !strings.Contains(err.Error(), "--config-dir") {
		t.Errorf("error %v, want one that names --config-dir", err)
	}
}

func directories(config, log string) settings {
	return settings{ServeOptions: app.ServeOptions{ConfigDir: config, LogDir: log}}
}

// TestVersion: the name of the program and its version, wherever it is asked
// for.
func TestVersion(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"version", "--version", "-V", "serve --version", "-v --version", "serve -nb0 -V"} {
		for _, p := range []program{dsiem, backend} {
			o := runAs(t, p, strings.Fields(args), nil)
			if o.code != exitDone || o.err != "" || !strings.HasPrefix(o.out, p.called+" ") || strings.Count(o.out, "\n") != 1 {
				t.Errorf("%s %s: exit code %d\n%s%s", p.called, args, o.code, o.out, o.err)
			}
		}
	}
}

// TestHelpOfOthers: help is a command and a flag, for the program and for each
// command.
func TestHelpOfOthers(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"help":            "Usage: dsiem <command>",
		"--help":          "Usage: dsiem <command>",
		"-h":              "Usage: dsiem <command>",
		"--debug -h":      "Usage: dsiem <command>",
		"--help serve":    "Usage: dsiem <command>",
		"help replay":     "Usage: dsiem replay",
		"replay --help":   "Usage: dsiem replay",
		"help completion": "Usage: dsiem completion <shell>",
		"help serve":      "Usage: dsiem serve",
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
		serve: func(context.Context, *app.ServeOptions) error { return errors.New("no directive") },
	}, backend, []string{"serve", "-nb0"})
	if code != exitFailed || out.Len()+errs.Len() > 0 {
		t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
}

// TestSignals: the first signal ends the context, the second the process.
func TestSignals(t *testing.T) {
	t.Parallel()
	for received, want := range map[int]string{0: "", 1: "first ", 2: "first second "} {
		synctest.Test(t, func(t *testing.T) {
			signals, stopped, done := make(chan os.Signal, 2), make(chan struct{}), make(chan struct{})
			got := ""
			go func() {
				defer close(done)
				obey(signals, stopped, func() { got += "first " }, func() { got += "second " })
			}()
			for range received {
				signals <- syscall.SIGTERM
				synctest.Wait()
			}
			close(stopped)
			<-done
			if got != want {
				t.Errorf("%d signals: %q, want %q", received, got, want)
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
		if err := self.Signal(s); err != nil {
			t.Fatal(err)
		}
		if code := <-exited; code != exitFailed {
			t.Errorf("%s: exit code %d", s, code)
		}
		stop()
		if got := errs.String(); got != "second signal, leaving at once\n" {
			t.Errorf("%s: %q", s, got)
		}
	}
}

// TestBackendCommands: dsiem-backend has no commands of dsiem.
func TestBackendCommands(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"demo", "replay", "validate"} {
		if o := runAs(t, backend, []string{command}, nil); o.code != exitUsage {
			t.Errorf("%s: exit code %d", command, o.code)
		}
	}
	if got := fmt.Sprint(runAs(t, backend, []string{"--help"}, nil).out); !strings.Contains(got, "  serve  ") || strings.Contains(got, "replay") {
		t.Errorf("the help is\n%s", got)
	}
}
