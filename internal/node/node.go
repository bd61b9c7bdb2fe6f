// Package node is a server: a backend, a frontend, or both in one process
// (standalone). It reads the configuration, makes the parts, connects them, starts
// them and stops them in order; what they do is theirs.
//
// A Node belongs to whoever made it; Snapshot and Reload may be called from any
// goroutine while it runs. The package correlates nothing and writes no alarm.
package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/bus"
	"dsiem/internal/config"
	"dsiem/internal/event"
	"dsiem/internal/observe/log"
	"dsiem/internal/observe/metric"
	"dsiem/internal/observe/otel"
	"dsiem/internal/observe/watchdog"
	"dsiem/internal/output/rejects"
	"dsiem/internal/watch"
	"dsiem/internal/web/diagnostics"
	"dsiem/internal/web/server"
	"dsiem/internal/web/status"
)

// Node is one server.
type Node struct {
	*basis
	limited *log.Limited // what logger writes to
	started time.Time

	backend  *backend    // nil in a frontend
	frontend *frontend   // nil in a backend
	nats     *bus.Server // of a standalone node
	stored   *config.Stored
	natsCert *watch.Watch
	stops    stops
	// prepared says that all parts are there.
	prepared atomic.Bool
	ready    chan struct{}
	failed   chan struct{}
	fail     func() // closes failed
}

// startLetters is the number of letters that tell the starts of a frontend apart:
// 60 random bits.
const startLetters = 12

// New returns a node that does nothing yet.
func New(o *Options) *Node {
	clock := o.Clock
	if clock == nil {
		clock = time.Now
	}
	limited := newLog(o)
	n := &Node{
		basis: &basis{
			options: o, logger: slog.New(limited), registry: prometheus.NewRegistry(), clock: clock,
			memory: newMemory(o.Memory),
		},
		limited: limited, started: clock(), stored: config.NewStored(os.DirFS(o.ConfigDir)), ready: make(chan struct{}), failed: make(chan struct{}),
	}
	n.fail = sync.OnceFunc(func() { close(n.failed) })
	overload := func(bool) {} // NATS alone carries it
	if o.Mode != ModeBackend {
		if o.Mode == ModeFrontend || n.listens() {
			n.frontendID = event.FrontendID(o.Node, strings.ToLower(rand.Text()[:startLetters]))
		}
		n.frontend = newFrontend(n.basis)
		overload = n.frontend.limiter.Overload
	}
	if o.Mode != ModeFrontend {
		n.backend = newBackend(n.basis, overload)
	}
	return n
}

func newLog(o *Options) *log.Limited {
	root := log.DefaultRoot
	switch o.Mode {
	case ModeStandalone:
		root = "dsiem"
	case ModeFrontend:
		root = "dsiem_frontend"
	}
	handler := log.NewHandler(o.Out, log.Options{JSON: o.Log.JSON, Level: o.Log.Level, Colour: o.Log.Colour, Root: root})
	// Problems of files are told one by one, whatever they have in common, and
	// so are attempts to reach others, which are seconds apart.
	return log.NewLimited(handler, log.LimitOptions{Keys: []string{"reason", "source", "problem", "place", "attempt"}})
}

// Run runs a node until ctx ends, then stops it. It returns nil after an orderly
// stop, and when ctx ends before the start is complete.
func Run(ctx context.Context, o *Options) error {
	n := New(o)
	err := n.Start(ctx)
	if err == nil {
		select {
		case <-ctx.Done():
			n.logger.Info("termination signal received, shutting down ...")
		case <-n.failed:
			n.logger.Warn("a part of the node has ended, shutting down ...")
		}
		err = n.Stop(context.WithoutCancel(ctx))
	}
	switch {
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		n.logger.Info("termination signal received during the start")
		err = nil
	default:
		n.logger.Error("error " + err.Error()) //nolint:sloglint // the references' text: error {context}: {err}
	}
	_ = n.limited.Flush(context.WithoutCancel(ctx), time.Now()) // a log that cannot be written is no failure of the node
	return err
}

func (n *Node) standalone() bool { return n.backend != nil && n.frontend != nil }

// Start does everything that can fail and then lets the parts run, until Stop.
// When ctx ends before it returns, it gives up. After an error nothing runs.
func (n *Node) Start(ctx context.Context) error {
	err := n.start(ctx)
	if err != nil {
		err = errors.Join(err, n.Stop(context.WithoutCancel(ctx)))
	}
	return err
}

func (n *Node) start(ctx context.Context) error {
	n.logBegin(ctx)
	metric.RegisterProcess(n.registry, n.options.Version, "")
	n.memory.apply(n.target("memory"))
	n.memory.register(n.registry)
	reports := watchdog.New(n.started)
	o := n.options
	tracer, err := otel.New(ctx, otel.Options{
		Traces: o.Tracing.Traces, Metrics: o.Tracing.Metrics, Endpoint: o.Tracing.Endpoint,
		Node: o.Node, Version: o.Version, Mode: o.Mode, Logger: n.target("telemetry"),
		Readings: func() otel.Readings {
			s := n.Snapshot()
			return s.readings(o.Mode, reports.Report(s.At, s.totals(o.Mode)))
		},
	})
	if err != nil {
		return fmt.Errorf("reading the address for traces: %w", err)
	}
	n.tracer = tracer
	n.stops.push(n.disconnect)
	n.rejects = rejects.New(rejects.Options{Dir: o.LogDir, Max: o.RejectedMax, Now: n.clock, Logger: n.target("intake")})
	n.rejects.Register(n.registry)
	n.browsers = server.NewBrowsers(n.options.HostNames, n.target("http"))
	n.browsers.Register(n.registry)
	n.registry.MustRegister(newConfigurationMetrics(n))
	if err := n.listen(ctx); err != nil {
		return err
	}
	if err := n.prepare(ctx); err != nil {
		return err
	}
	n.prepared.Store(true)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	n.run(context.WithoutCancel(ctx))
	return nil
}

// prepare does everything that can fail before the parts run.
func (n *Node) prepare(ctx context.Context) error {
	if n.frontend != nil {
		if err := n.frontend.prepare(ctx, &n.stops, n.standalone()); err != nil {
			return err
		}
		bus.Register(n.registry, n.conn.Load)
		n.frontend.to = newToBus(&n.conn)
	}
	if n.backend != nil {
		if err := n.backend.prepare(ctx, &n.stops); err != nil {
			return err
		}
		registerDrops(n.registry, n.Snapshot)
		bus.RegisterMissed(n.registry, n.conn.Load)
	}
	if !n.standalone() {
		return nil
	}
	queue := toQueue{queue: n.backend.queue, taken: n.backend.ready, written: n.backend.writer.Stuck}
	n.frontend.to = queue
	if n.listens() {
		n.frontend.to = toBoth{toQueue: queue, toBus: newToBus(&n.conn)}
	}
	return n.startNATS() //nolint:contextcheck // it ends by disconnect
}

// startNATS starts the NATS server of a standalone node.
func (n *Node) startNATS() error {
	o := n.options.Listen
	server, err := bus.StartServer(bus.ServerOptions{
		Listen: o.URL, CertFile: o.CertFile, KeyFile: o.KeyFile, CAFile: o.CAFile, Logger: n.target("nats"),
	})
	if err != nil {
		return fmt.Errorf("starting the message queue: %w", err)
	}
	n.nats = server
	if o.CertFile == "" {
		return nil
	}
	n.natsCert = &watch.Watch{
		Files: []string{o.CertFile, o.KeyFile}, Apply: func([][]byte) error { return server.Reload() },
		Reject: func(err error) {
			n.target("nats").Warn("certificate of the message queue not read again, the earlier one stays", "error", err)
		},
	}
	if o.CAFile != "" {
		n.natsCert.Files = append(n.natsCert.Files, o.CAFile)
	}
	if err := n.natsCert.Load(); err != nil {
		n.natsCert.Reject(err)
	}
	return nil
}

// listen starts the diagnostics server, if there is to be one, before anything that
// takes time: probes see that the node is starting.
func (n *Node) listen(ctx context.Context) error {
	if n.options.MetricsAddress == "" {
		return nil
	}
	server, err := diagnostics.Listen(ctx, n.options.MetricsAddress, n.diagnose())
	if err != nil {
		return adviseAddress(err, "--metrics-address")
	}
	n.target("diagnostics").Info("diagnostics server listening", "address", server.Addr().String())
	n.stops.run(context.WithoutCancel(ctx), n.fail, server.Run)
	return nil
}

// run starts all parts, until Stop: what correlates, the link to NATS, and the doors
// with what goes beside it all.
func (n *Node) run(ctx context.Context) {
	n.stops.run(ctx, n.fail, n.rejects.Run) // It ends when nobody rejects anything any more.
	beside := []func(context.Context) error{n.watch, n.collect}
	if n.natsCert != nil {
		beside = append(beside, n.watchNATSCertificate)
	}
	if n.frontend != nil {
		n.frontend.announce(n.listening())
		page := status.Page(func() status.Status {
			p, c := n.Snapshot().page(n.options, n.started), n.configuration()
			p.Configuration = &c
			return p
		})
		handler := server.Routes(routes(n.frontend, page, diagnostics.New(n.diagnose())), n.frontend.guard.Require, n.registry)
		beside = append(beside, n.frontend.parts(n.browsers.Protect(handler))...)
	}
	if n.backend != nil {
		n.backend.run(ctx, &n.stops)
		beside = append(beside, n.backend.keepState)
	}
	n.stops.run(ctx, n.fail, n.link)
	n.stops.run(ctx, n.fail, beside...)
}

// collect keeps the garbage collector at its pace, and the memory in its budget, until
// ctx ends.
func (n *Node) collect(ctx context.Context) error {
	logger := n.target("memory")
	return collectLessOften(ctx, func(live uint64) bool {
		n.memory.look(live, logger)
		return n.memory.short.Load()
	})
}

// listening says where a frontend listens.
func (n *Node) listening() string {
	address := n.frontend.listener.Addr().String()
	if n.standalone() {
		return fmt.Sprintf("Server mode %s listening on %s", n.options.Mode, address) // the original's text
	}
	return fmt.Sprintf("starting dsiem frontend server listening on %s using message queue at %s", // the successor's text
		address, log.Redact(n.options.NATS))
}

// link talks to NATS until ctx ends.
func (n *Node) link(ctx context.Context) error {
	if n.backend == nil {
		return n.frontend.follow(ctx, func() { close(n.ready) })
	}
	go func() {
		select {
		case <-n.backend.correlator.Begun():
			close(n.ready)
		case <-ctx.Done():
		}
	}()
	return n.backend.takeEvents(ctx, n.nats)
}

// watchNATSCertificate lets the NATS server use its certificate files as they are,
// until ctx ends.
func (n *Node) watchNATSCertificate(ctx context.Context) error {
	n.natsCert.Run(ctx, func() {})
	return nil
}

// watch writes the watchdog report until ctx ends.
func (n *Node) watch(ctx context.Context) error {
	logger := n.target("watchdog")
	reports := watchdog.New(time.Now())
	ticker := time.NewTicker(watchdog.Every)
	defer ticker.Stop()
	for {
		now := time.Now()
		s := n.Snapshot()
		report := reports.Report(now, s.totals(n.options.Mode))
		if n.backend != nil {
			report.Log(ctx, logger, n.options.MaxEPS)
		} else {
			s.logFrontend(ctx, logger, report)
		}
		_ = n.limited.Sweep(ctx, now)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Ready is closed when events are taken: the start is complete.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Failed is closed when a part has ended by itself. Stop says why.
func (n *Node) Failed() <-chan struct{} { return n.failed }

// URL returns where a frontend is found, after Start; "" for a backend.
func (n *Node) URL() string {
	if n.frontend == nil {
		return ""
	}
	return n.frontend.url()
}

// Reload looks at once whether the files of rights and certificates have changed,
// instead of within two seconds. What is wrong with them is logged, and what was
// in use stays.
func (n *Node) Reload() {
	if n.frontend != nil {
		n.frontend.guard.Reload()
		n.frontend.certificates.Reload()
	}
	if n.natsCert != nil {
		n.natsCert.Poll()
	}
}

// Stop stops the parts in the order in which events pass them, so that what was
// taken is played, written and saved, and returns why something could not be. Each
// part has a second or two.
func (n *Node) Stop(ctx context.Context) error { return n.stops.stop(ctx) }

// disconnect ends the connections to others, when nothing uses them any more.
func (n *Node) disconnect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
	var errs []error
	if conn := n.conn.Load(); conn != nil {
		errs = append(errs, conn.Close(ctx))
	}
	if n.nats != nil {
		errs = append(errs, n.nats.Close(ctx))
	}
	if err := n.tracer.Shutdown(ctx); err != nil {
		n.logger.Warn("last traces not delivered", "error", err)
	}
	return errors.Join(errs...)
}

// Snapshot returns what the node has counted so far, and its state: nothing while
// the start is not through.
func (n *Node) Snapshot() Snapshot {
	s := Snapshot{At: n.clock(), Connected: n.conn.up() == nil}
	if !n.prepared.Load() {
		return s
	}
	if n.frontend != nil {
		n.frontend.snapshot(&s)
	}
	if n.backend != nil {
		n.backend.snapshot(&s)
	}
	return s
}

// diagnose returns what operators see of the node.
func (n *Node) diagnose() diagnostics.Options {
	variables := &diagnostics.Variables{}
	checks := []diagnostics.Check{
		{Name: "nats", Ready: n.once(n.takesEvents)},
		{Name: "memory", Ready: func(context.Context) error { return n.memory.err() }},
	}
	if n.frontend != nil {
		variables.EPS = func() int64 { return n.Snapshot().EPS }
	}
	if b := n.backend; b != nil {
		variables.Alarms = func() int64 { return int64(n.Snapshot().Correlation.AlarmLines()) }
		variables.Backlogs = func() int64 { return int64(n.Snapshot().Correlation.Engine.Live) }
		checks = append(
			checks,
			diagnostics.Check{Name: "configuration", Ready: b.configured, Note: b.note},
			diagnostics.Check{Name: "alarm_files", Ready: n.once(func(context.Context) error { return b.writer.Err() })},
		)
	}
	return diagnostics.Options{
		Checks: checks, Gatherer: n.registry, Variables: variables, Pprof: n.options.PProf, Logger: n.target("diagnostics"),
		Protect: n.browsers.Protect, Configuration: func() any { return n.configuration() },
	}
}

// errStarting is why nothing is ready while the parts are made.
var errStarting = errors.New("the node is starting")

// once returns a check of parts that are there once all are.
func (n *Node) once(ready func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if !n.prepared.Load() {
			return errStarting
		}
		return ready(ctx)
	}
}

// takesEvents returns why events cannot be taken and handed on; that the queue is
// full for a moment is no reason.
func (n *Node) takesEvents(ctx context.Context) error {
	if n.backend != nil {
		return n.backend.ready(ctx)
	}
	return n.conn.up()
}

// logBegin logs the settings, and whatever was noticed before there was a log.
func (n *Node) logBegin(ctx context.Context) {
	o := n.options
	attrs := []any{"version", o.Version, "node", o.Node}
	switch o.Mode {
	case ModeBackend:
		n.logger.Info(fmt.Sprintf("starting dsiem backend server with frontend %s and message queue %s", //nolint:sloglint // the references' text
			log.Redact(o.Frontend), log.Redact(o.NATS)), attrs...)
	default:
		n.logger.Info(fmt.Sprintf("Starting dsiem %s in %s mode.", o.Version, o.Mode), attrs...) //nolint:sloglint // the references' text
	}
	n.logger.LogAttrs(ctx, slog.LevelInfo, "effective configuration", o.Effective...)
	for _, note := range o.Notes {
		n.logger.LogAttrs(ctx, note.Level, note.Message, note.Attrs...) //nolint:sloglint // texts of the command line
	}
}
