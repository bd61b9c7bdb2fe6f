package options

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"dsiem/internal/node"
)

// System is what the settings of a node depend on besides the arguments.
type System struct {
	Environ []string // NAME=value
	// Executable returns the path of the running program. Its directory holds
	// configs, logs and web/dist, unless they are elsewhere (docs/spec/interfaces.md
	// §7.1). Directory returns the working directory.
	Executable, Directory func() (string, error)
	// Terminal says that the log goes to one.
	Terminal bool
}

// Serve reads the arguments and the environment of serve. If a flag asks for
// something else, Help or Version, there are no options. Out and Version of the
// options are left to the caller.
func (p Program) Serve(args []string, system *System) (o *node.Options, asked string, err error) {
	s := &settings{}
	groups := optionTable(p, s)
	line, err := newFlagIndex(p, groups).parse(args)
	switch {
	case err != nil:
		return nil, "", p.usage(err.Error())
	case line.stop != nil:
		return nil, line.stop.name, nil
	case len(line.words) > 1:
		return nil, "", p.usage(fmt.Sprintf("unexpected argument %q; serve has flags only", line.words[1]))
	}
	r := resolve(groups, line, newEnvironment(system.Environ))
	if len(r.problems) > 0 {
		return nil, "", p.usage(strings.Join(r.problems, "\n"))
	}
	o, err = s.serveOptions(p, r, system)
	return o, "", err
}

// usage returns the error for a command line of serve that makes no sense.
func (p Program) usage(problem string) error {
	return UsageError(problem + "\n" + p.serveUsage() + "\nRun " + p.Called + " serve --help to see all flags.")
}

// serveUsage is the shape of the command line of serve.
func (p Program) serveUsage() string {
	if p.Mode != "" {
		return "Usage: " + p.Called + " serve --node=NAME [flags]"
	}
	return "Usage: " + p.Called + " serve [flags]\n" +
		"       " + p.Called + " serve --mode=" + node.ModeFrontend + " --node=NAME [flags]\n" +
		"       " + p.Called + " serve --mode=" + node.ModeBackend + " --node=NAME --frontend=URL [flags]"
}

// serveOptions checks what no single option can, and completes the options of
// the node.
func (s *settings) serveOptions(p Program, r *resolved, system *System) (*node.Options, error) {
	o := &s.Options
	o.Engine.MinAlarmLifetime = int64(s.lifetime / time.Second)
	if r.mode&engineModes != 0 {
		o.Engine.OrderTolerance, o.Engine.LookBack, o.Engine.Remember = Seconds(s.tolerance), Seconds(s.lookBack), Seconds(s.remember)
	}
	o.Engine.LiteralTitles = r.mode&engineModes != 0 && !s.expandTitles
	if r.mode == standaloneMode {
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
	if err := s.locate(r, system); err != nil {
		return nil, err
	}
	o.ConfigDirBy = r.source("config-dir")
	env := newEnvironment(system.Environ)
	o.Log.Level = s.level()
	o.Log.Colour = system.Terminal && env["NO_COLOR"] == "" && env["TERM"] != "dumb"
	o.Effective, o.Notes = r.effective(), r.notes
	return o, nil
}

// check returns an error for settings that do not fit together or are missing.
func (s *settings) check(p Program, r *resolved) error {
	switch {
	case s.Node == "":
		return p.usage("--node is missing: this node needs a name; use --node=NAME or DSIEM_NODE=NAME")
	case r.mode == backendMode && p.Mode == "" && !r.given("frontend"):
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
	if r.mode&intakeModes != 0 && s.MaxEPS > 0 && s.MinEPS > s.MaxEPS { // 0 is no limit; the original's words, §1.3
		return fmt.Errorf("Incorrect EPS setting: minEPS must be <= than maxEPS: --min-eps is %d, --max-eps is %d", //nolint:staticcheck // the original's words
			s.MinEPS, s.MaxEPS)
	}
	if r.mode&engineModes == 0 {
		return nil
	}
	err := s.Engine.Check()
	if err == nil && s.Engine.MedRiskMin == 0 { // stands for the default in the engine's options only
		err = errors.New("medium risk from 0 is not possible; use at least 2")
	}
	if err != nil { // the seed's words, docs/spec/interfaces.md §6.3
		return fmt.Errorf("error reading med_risk_min and med_risk_max: %w", err)
	}
	return nil
}

// warnOfUseless warns of settings that do nothing without another one.
func (s *settings) warnOfUseless(r *resolved) {
	useless := func(name, reason string) {
		r.note(slog.LevelWarn, "setting has no effect", slog.String("setting", name), slog.String("reason", reason))
	}
	if s.PProf && s.MetricsAddress == "" && r.mode == backendMode {
		useless("pprof", "there is no --metrics-address")
	}
	if s.Listen.CertFile != "" && s.Listen.URL == "" {
		useless("nats-listen-cert", "there is no --nats-listen")
	}
	if r.given("otel-endpoint") && !s.Tracing.Traces && !s.Tracing.Metrics {
		useless("otel-endpoint", "there is neither --otel-tracing-enabled nor --otel-metrics-enabled")
	}
}
