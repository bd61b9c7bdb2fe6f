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
	"slices"
	"strings"
	"time"

	"dsiem/internal/node"
)

// process is what a program takes from the process it runs in.
type process struct {
	Streams
	environ []string // NAME=value
	// executable returns the path of the running program. Its directory holds
	// configs, logs and web/dist, unless they are elsewhere (spec/interfaces.md
	// §7.1). directory returns the working directory.
	executable, directory func() (string, error)
	// serve runs a node until the context ends. It logs why it failed.
	serve func(context.Context, *node.Options) error
	// exit ends the process at once, on a second signal.
	exit func(code int)
}

func thisProcess(streams Streams) *process {
	return &process{
		Streams: streams, environ: os.Environ(), executable: os.Executable, directory: os.Getwd,
		serve: node.Serve, exit: os.Exit,
	}
}

// The names that decide what a program is.
const (
	nameDsiem    = "dsiem"
	nameBackend  = "dsiem-backend"
	nameFrontend = "dsiem-frontend"
)

// programCalled returns what a program is: dsiem-backend and dsiem-frontend are
// that by their names, whatever they were built as. Any other name leaves a
// program what it was built as (spec/interfaces.md §1.6, binary names): in the
// seed's container dsiem-backend is called dsiem, and so are its messages.
func programCalled(path string, built program) program {
	switch strings.TrimSuffix(filepath.Base(path), ".exe") {
	case nameBackend:
		return program{called: nameBackend, mode: node.ModeBackend}
	case nameFrontend:
		return program{called: nameFrontend, mode: node.ModeFrontend}
	case nameDsiem:
		built.called = nameDsiem
	}
	return built
}

// Main runs dsiem, or what the program's name says instead, and returns its exit
// code.
func Main(ctx context.Context, args []string, streams Streams) int {
	built := program{called: nameDsiem}
	return run(ctx, thisProcess(streams), programCalled(os.Args[0], built), args)
}

// MainBackend runs dsiem-backend, which has the seed's command line, and returns
// its exit code.
func MainBackend(ctx context.Context, args []string, streams Streams) int {
	built := program{called: nameBackend, mode: node.ModeBackend}
	return run(ctx, thisProcess(streams), programCalled(os.Args[0], built), args)
}

// MainFrontend runs dsiem-frontend, which has the command line of dsiem-rs's
// frontend, and returns its exit code.
func MainFrontend(ctx context.Context, args []string, streams Streams) int {
	built := program{called: nameFrontend, mode: node.ModeFrontend}
	return run(ctx, thisProcess(streams), programCalled(os.Args[0], built), args)
}

// run finds the command. serve and healthcheck have a parser of their own, the
// other commands are left to kong.
func run(ctx context.Context, proc *process, p program, args []string) int {
	known := slices.Concat(optionTable(p, &settings{}), healthcheckTable(p, &healthcheck{}))
	line := newFlagIndex(p, known).untilCommand(args)
	switch {
	case len(line.words) > 0 && line.words[0] == "serve":
		return exitCode(proc.runServe(ctx, p, args), p, proc.Streams)
	case len(line.words) > 0 && line.words[0] == "healthcheck":
		return exitCode(proc.runHealthcheck(ctx, p, args), p, proc.Streams)
	case len(line.words) > 0 && line.words[0] == "help" && args[0] == "help":
		return run(ctx, proc, p, append(args[1:len(args):len(args)], "--help"))
	case len(line.words) == 0 && line.stop != nil && line.stop.name == "version":
		return exitCode(versionCommand{}.Run(p, proc.Streams), p, proc.Streams)
	case len(line.words) == 0 && line.stop != nil: // --help
		return runOthers(ctx, p, []string{"--help"}, proc.Streams)
	case len(args) == 0 && p.mode != "": // as for the seed, spec/interfaces.md §11 T2
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
		return serveHelp(p, groups).write(proc.Out, p)
	case len(line.words) > 1:
		return p.usage(fmt.Sprintf("unexpected argument %q; serve has flags only", line.words[1]))
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
	if p.mode != "" {
		return "Usage: " + p.called + " serve --node=NAME [flags]"
	}
	return "Usage: " + p.called + " serve [flags]\n" +
		"       " + p.called + " serve --mode=" + node.ModeFrontend + " --node=NAME [flags]\n" +
		"       " + p.called + " serve --mode=" + node.ModeBackend + " --node=NAME --frontend=URL [flags]"
}

// serveOptions checks what no single option can, and completes the options of
// the node.
func (s *settings) serveOptions(p program, r *resolved, proc *process) (*node.Options, error) {
	o := &s.Options
	o.Engine.MinAlarmLifetime = int64(s.lifetime / time.Second)
	o.Engine.LiteralTitles = r.role&engineRoles != 0 && !s.expandTitles
	if r.role == standaloneRole {
		o.Node = cmp.Or(o.Node, defaultNode)
	}
	if err := s.check(p, r); err != nil {
		return nil, err
	}
	o.Engine.Status, o.Engine.Tag = o.Statuses[0], o.Tags[0]
	if o.MaxQueue == 0 && o.Mode != node.ModeFrontend {
		o.MaxQueue = unlimitedQueue
	}
	if o.CacheDuration == 0 {
		o.CacheDuration = defaultCache
	}
	if !o.ReloadBacklogs {
		o.Checkpoint = 0
	}
	s.warnOfUseless(r)
	if err := s.locate(r, proc); err != nil {
		return nil, err
	}
	env := newEnvironment(proc.environ)
	o.Log.Level = s.level()
	o.Log.Colour = coloured(proc.Out, env)
	o.Out = proc.Out
	o.Version = node.Version(debug.ReadBuildInfo)
	o.Effective, o.Notes = r.effective(), r.notes
	return o, nil
}

// check returns an error for settings that do not fit together or are missing.
func (s *settings) check(p program, r *resolved) error {
	switch {
	case s.Node == "":
		return p.usage("--node is missing: this node needs a name; use --node=NAME or DSIEM_NODE=NAME")
	case r.role == backendRole && p.mode == "" && !r.given("frontend"):
		return p.usage("--frontend is missing: a " + node.ModeBackend + " downloads its configuration; use --frontend=URL or DSIEM_FRONTEND=URL," +
			" or --frontend=file: for the files that are there")
	case s.Listen.CAFile != "" && s.Listen.CertFile == "":
		return p.usage("--nats-listen-ca needs --nats-listen-cert and --nats-listen-key")
	}
	for _, pair := range []struct{ cert, key, option string }{
		{s.NATSCert, s.NATSKey, "nats"},
		{s.HTTP.CertFile, s.HTTP.KeyFile, "tls"},
		{s.Listen.CertFile, s.Listen.KeyFile, "nats-listen"},
	} {
		if (pair.cert == "") != (pair.key == "") {
			return p.usage(fmt.Sprintf("--%[1]s-cert and --%[1]s-key belong together; use both or none", pair.option))
		}
	}
	if r.role&intakeRoles != 0 && s.MaxEPS > 0 && s.MinEPS > s.MaxEPS { // 0 is no limit; the original's words, §1.3
		return fmt.Errorf("Incorrect EPS setting: minEPS must be <= than maxEPS: --min-eps is %d, --max-eps is %d", //nolint:staticcheck // the original's words
			s.MinEPS, s.MaxEPS)
	}
	if r.role&engineRoles == 0 {
		return nil
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

// warnOfUseless warns of settings that do nothing without another one.
func (s *settings) warnOfUseless(r *resolved) {
	useless := func(name, reason string) {
		r.note(slog.LevelWarn, "setting has no effect", slog.String("setting", name), slog.String("reason", reason))
	}
	if s.PProf && s.MetricsAddress == "" && r.role == backendRole {
		useless("pprof", "there is no --metrics-address")
	}
	if s.Listen.CertFile != "" && s.Listen.URL == "" {
		useless("nats-listen-cert", "there is no --nats-listen")
	}
	if r.given("otel-endpoint") && !s.Tracing.Traces && !s.Tracing.Metrics {
		useless("otel-endpoint", "there is neither --otel-tracing-enabled nor --otel-metrics-enabled")
	}
}

// level is the lowest level to log: the most that is asked for counts.
func (s *settings) level() slog.Level {
	switch {
	case s.trace || s.verbosity > 1:
		return node.LevelTrace
	case s.debug || s.verbosity == 1:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}
