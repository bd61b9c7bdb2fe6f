package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"dsiem/internal/app"
)

// process is what a program takes from the process it runs in.
type process struct {
	Streams
	environ []string // NAME=value
	// executable returns the path of the running program. Its directory holds
	// configs and logs, unless they are elsewhere (spec/interfaces.md §7.1).
	executable func() (string, error)
	// serve runs a node until the context ends. It logs why it failed.
	serve func(context.Context, *app.ServeOptions) error
	// exit ends the process at once, on a second signal.
	exit func(code int)
}

func thisProcess(streams Streams) *process {
	return &process{
		Streams: streams, environ: os.Environ(), executable: os.Executable,
		serve: app.Serve, exit: os.Exit,
	}
}

// programCalled returns what a program is by the name it was called by: the
// backend's name makes it a backend, any other name is dsiem's
// (spec/interfaces.md §1.6, binary names).
func programCalled(path string) program {
	name := programName(path)
	if name != "dsiem-backend" && name != "dsiem-frontend" {
		name = "dsiem"
	}
	return program{called: name, backend: name == "dsiem-backend"}
}

// backendCalled is programCalled for a program that is a backend by any name. In
// the seed's container it is called dsiem.
func backendCalled(path string) program {
	name := programName(path)
	if name != "dsiem" {
		name = "dsiem-backend"
	}
	return program{called: name, backend: true}
}

func programName(path string) string { return strings.TrimSuffix(filepath.Base(path), ".exe") }

// Main runs dsiem, or what the program's name says instead, and returns its exit
// code.
func Main(ctx context.Context, args []string, streams Streams) int {
	return run(ctx, thisProcess(streams), programCalled(os.Args[0]), args)
}

// MainBackend runs dsiem-backend, which has the seed's command line, and returns
// its exit code.
func MainBackend(ctx context.Context, args []string, streams Streams) int {
	return run(ctx, thisProcess(streams), backendCalled(os.Args[0]), args)
}

// run finds the command. serve has a parser of its own, the other commands are
// left to kong.
func run(ctx context.Context, proc *process, p program, args []string) int {
	line := newFlagIndex(p, optionTable(p, &settings{})).untilCommand(args)
	switch {
	case len(line.words) > 0 && line.words[0] == "serve":
		return exitCode(proc.runServe(ctx, p, args), p, proc.Streams)
	case len(line.words) > 0 && line.words[0] == "help" && args[0] == "help":
		return run(ctx, proc, p, append(args[1:len(args):len(args)], "--help"))
	case len(line.words) == 0 && line.stop != nil && line.stop.name == "version":
		return exitCode(versionCommand{}.Run(p, proc.Streams), p, proc.Streams)
	case len(line.words) == 0 && line.stop != nil: // --help
		return runOthers(ctx, p, []string{"--help"}, proc.Streams)
	case len(args) == 0 && p.backend: // as for the seed, spec/interfaces.md §11 T2
		_ = runOthers(ctx, p, []string{"--help"}, Streams{In: proc.In, Out: proc.Err, Err: proc.Err})
		return exitUsage
	case len(args) == 0:
		args = []string{"--help"}
	}
	return runOthers(ctx, p, args, proc.Streams)
}

// runServe reads the arguments and the environment of serve and runs a node.
func (proc *process) runServe(ctx context.Context, p program, args []string) error {
	s := &settings{}
	groups := optionTable(p, s)
	line, err := newFlagIndex(p, groups).parse(args)
	switch {
	case err != nil:
		return p.usage(err.Error())
	case line.stop != nil && line.stop.name == "version":
		return versionCommand{}.Run(p, proc.Streams)
	case line.stop != nil:
		return writeServeHelp(proc.Out, p, groups)
	case len(line.words) > 1:
		return p.usage(fmt.Sprintf("unexpected argument %q; serve has flags only", line.words[1]))
	case p.called == "dsiem-frontend":
		return errors.New("a frontend is not available yet")
	}
	r := resolve(groups, line, newEnvironment(proc.environ))
	if len(r.problems) > 0 {
		return p.usage(strings.Join(r.problems, "\n"))
	}
	o, err := s.serveOptions(p, r, proc)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(ctx, proc)
	defer stop()
	if err := proc.serve(ctx, o); err != nil {
		return errReported
	}
	return nil
}

// usage returns the error for a command line of serve that makes no sense.
func (p program) usage(problem string) error {
	return &usageError{problem + "\n" + p.serveUsage() + "\nRun " + p.called + " serve --help to see all flags."}
}

// serveUsage is the shape of the command line of serve.
func (p program) serveUsage() string {
	if p.backend {
		return "Usage: " + p.called + " serve --node=NAME [flags]"
	}
	return "Usage: " + p.called + " serve --mode=" + modeBackend + " --node=NAME --frontend=URL [flags]"
}

// serveOptions checks what no single option can, and completes the options of
// the node.
func (s *settings) serveOptions(p program, r *resolved, proc *process) (*app.ServeOptions, error) {
	o := &s.ServeOptions
	o.Engine.MinAlarmLifetime = int64(s.lifetime / time.Second)
	o.Engine.LiteralTitles = !s.expandTitles
	if err := s.check(p, r); err != nil {
		return nil, err
	}
	o.Engine.Status, o.Engine.Tag = o.Statuses[0], o.Tags[0]
	if o.MaxQueue == 0 {
		o.MaxQueue = unlimitedQueue
	}
	if o.CacheDuration == 0 {
		o.CacheDuration = defaultCache
	}
	if !o.ReloadBacklogs {
		o.Checkpoint = 0
	}
	if o.PProf && o.MetricsAddress == "" {
		r.note(slog.LevelWarn, "setting has no effect",
			slog.String("setting", "pprof"), slog.String("reason", "there is no --metrics-address"))
	}
	if err := s.locate(proc.executable); err != nil {
		return nil, err
	}
	env := newEnvironment(proc.environ)
	o.Log.Level = s.level()
	o.Log.Colour = terminal(proc.Out) && env["NO_COLOR"] == "" && env["TERM"] != "dumb"
	o.Out = proc.Out
	o.Version = app.Version(debug.ReadBuildInfo)
	o.Effective, o.Notes = r.effective(), r.notes
	return o, nil
}

// check returns an error for settings that do not fit together or are missing.
func (s *settings) check(p program, r *resolved) error {
	switch {
	case s.Mode != modeBackend:
		return fmt.Errorf("the mode %s is not available yet; use --mode %s (or DSIEM_MODE=%s)", s.Mode, modeBackend, modeBackend)
	case s.Node == "":
		return p.usage("--node is missing: this node needs a name; use --node=NAME or DSIEM_NODE=NAME")
	case !p.backend && !r.given("frontend"):
		return p.usage("--frontend is missing: a " + modeBackend + " downloads its configuration; use --frontend=URL or DSIEM_FRONTEND=URL," +
			" or --frontend=file: for the files that are there")
	case (s.NATSCert == "") != (s.NATSKey == ""):
		return p.usage("--nats-cert and --nats-key belong together; use both or none")
	}
	err := s.Engine.Check()
	if err == nil && s.Engine.MedRiskMin == 0 { // stands for the default in the engine's options only
		err = errors.New("medium risk from 0 is not possible; use at least 2")
	}
	if err != nil { // the seed's words, spec/interfaces.md §6.3
		return fmt.Errorf("error reading med_risk_min and med_risk_max: %w", err)
	}
	return nil
}

// level is the lowest level to log: the most that is asked for counts.
func (s *settings) level() slog.Level {
	switch {
	case s.trace || s.verbosity > 1:
		return app.LevelTrace
	case s.debug || s.verbosity == 1:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// locate sets the directories that are not set to those beside the program.
// Symbolic links to the program are followed, as Linux does for the references.
func (s *settings) locate(executable func() (string, error)) error {
	if s.ConfigDir != "" && s.LogDir != "" {
		return nil
	}
	path, err := executable()
	if err != nil {
		return fmt.Errorf("looking for the program's directory, use --config-dir and --log-dir: %w", err)
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	root := filepath.Dir(path)
	s.ConfigDir = cmp.Or(s.ConfigDir, filepath.Join(root, "configs"))
	s.LogDir = cmp.Or(s.LogDir, filepath.Join(root, "logs"))
	return nil
}
