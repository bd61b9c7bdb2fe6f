package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"dsiem/internal/bus"
	"dsiem/internal/correlate"
	"dsiem/internal/telemetry"
	"dsiem/internal/tracing"
)

// The time that the parts of a stop may take; together they stay below the
// grace of the references' containers (spec/interfaces.md §5.6).
const (
	drainTime = time.Second
	closeTime = 2 * time.Second
)

// Serve runs a node until ctx ends, then stops in order: HTTP, message queue,
// event queue, look-ups, state, files. It returns nil after an orderly stop, and
// when ctx ends before the start is complete.
func Serve(ctx context.Context, o *ServeOptions) error {
	limited := newServeLog(o)
	defer func() { _ = limited.Flush(context.WithoutCancel(ctx), time.Now()) }()
	n := newNode(o, limited)
	err := n.serve(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		n.logger.Info("termination signal received during the start")
		return nil
	default:
		n.logger.Error("error " + err.Error()) //nolint:sloglint // the references' text: error {context}: {err}
	}
	return err
}

func newServeLog(o *ServeOptions) *telemetry.Limited {
	root := telemetry.DefaultRoot
	switch o.Mode {
	case ModeStandalone:
		root = "dsiem"
	case ModeFrontend:
		root = "dsiem_frontend"
	}
	handler := telemetry.NewHandler(o.Out, telemetry.LogOptions{JSON: o.Log.JSON, Level: o.Log.Level, Colour: o.Log.Colour, Root: root})
	// Problems of files are told one by one, whatever they have in common, and
	// so are attempts to reach others, which are seconds apart.
	return telemetry.NewLimited(handler, telemetry.LimitOptions{Keys: []string{"reason", "source", "problem", "place", "attempt"}})
}

// node is one run of Serve: a backend, a frontend, or both.
type node struct {
	options  *ServeOptions
	logger   *slog.Logger
	limited  *telemetry.Limited // what logger writes to
	stats    *serveStats
	registry *prometheus.Registry
	tracer   *tracing.Tracer // nil if there is nothing to trace
	conn     connection
	// now is the clock, started the time of the start.
	now     func() time.Time
	started time.Time
	// listening, if not nil, is told where the HTTP service is.
	listening func(url string)
	// watched and played, if not nil, are told what changed, and that events have
	// been played, on the dispatcher's goroutine.
	watched func(now int64, changes []correlate.Change)
	played  func()

	backend     *backend    // nil in a frontend
	frontend    *frontend   // nil in a backend
	queueServer *bus.Server // the message queue of a standalone node
}

func newNode(o *ServeOptions, limited *telemetry.Limited) *node {
	n := &node{
		options: o, logger: slog.New(limited), limited: limited,
		stats: &serveStats{}, registry: prometheus.NewRegistry(), now: time.Now, started: time.Now(),
	}
	if o.Mode != ModeBackend {
		n.frontend = newFrontend(n)
	}
	if o.Mode != ModeFrontend {
		n.backend = newBackend(n)
	}
	return n
}

func (n *node) target(name string) *slog.Logger { return telemetry.WithTarget(n.logger, name) }

func (n *node) standalone() bool { return n.backend != nil && n.frontend != nil }

// serve prepares the node's parts and runs them.
func (n *node) serve(ctx context.Context) error {
	n.logBegin(ctx)
	telemetry.RegisterProcess(n.registry, n.options.Version, "")
	tracer, err := tracing.New(ctx, n.tracingOptions())
	if err != nil {
		return fmt.Errorf("reading the address for traces: %w", err)
	}
	n.tracer = tracer
	if n.frontend != nil {
		defer n.frontend.close()
	}
	if err := n.prepare(ctx); err != nil {
		return errors.Join(err, n.abandon(context.WithoutCancel(ctx)))
	}
	return n.run(ctx)
}

// prepare does everything that can fail before the parts run.
func (n *node) prepare(ctx context.Context) error {
	if n.frontend != nil {
		if err := n.frontend.prepare(ctx); err != nil {
			return err
		}
	}
	if n.backend != nil {
		if err := n.backend.prepare(ctx); err != nil {
			return err
		}
	}
	if n.standalone() {
		return n.startServer() //nolint:contextcheck // it ends by close
	}
	return nil
}

// logBegin logs the settings, and whatever was noticed before there was a log.
func (n *node) logBegin(ctx context.Context) {
	o := n.options
	attrs := []any{"version", o.Version, "node", o.Node}
	switch o.Mode {
	case ModeBackend:
		n.logger.Info(fmt.Sprintf("starting dsiem backend server with frontend %s and message queue %s", //nolint:sloglint // the references' text
			WithoutCredentials(o.Frontend), WithoutCredentials(o.NATS)), attrs...)
	default:
		n.logger.Info(fmt.Sprintf("Starting dsiem %s in %s mode.", o.Version, o.Mode), attrs...) //nolint:sloglint // the references' text
	}
	n.logger.LogAttrs(ctx, slog.LevelInfo, "effective configuration", o.Effective...)
	for _, note := range o.Notes {
		n.logger.LogAttrs(ctx, note.Level, note.Message, note.Attrs...) //nolint:sloglint // texts of the command line
	}
}

// startServer starts the message queue of a standalone node.
func (n *node) startServer() error {
	o := n.options.Listen
	server, err := bus.StartServer(bus.ServerOptions{
		Listen: o.URL, CertFile: o.CertFile, KeyFile: o.KeyFile, CAFile: o.CAFile, Logger: n.target("nats"),
	})
	if err != nil {
		return fmt.Errorf("starting the message queue: %w", err)
	}
	n.queueServer = server
	return nil
}

// run starts all parts and, when a signal comes or one of them ends, stops them
// in order.
func (n *node) run(signalled context.Context) error {
	ctx, stop := context.WithCancel(signalled)
	defer stop()
	unhurried := context.WithoutCancel(ctx)
	diagnostics, err := n.listen(ctx)
	if err != nil {
		return errors.Join(err, n.abandon(unhurried))
	}
	var outer, link, web part
	if n.backend != nil {
		n.backend.start(ctx)
	}
	// Whatever ends the intake ends the node.
	link.start(unhurried, func(ctx context.Context) error {
		defer stop()
		return n.link(ctx)
	})
	if n.frontend != nil {
		web.start(ctx, func(ctx context.Context) error {
			defer stop()
			return n.frontend.run(ctx)
		})
	}
	outer.start(ctx, func(ctx context.Context) error {
		defer stop()
		return n.beside(ctx, diagnostics)
	})
	<-ctx.Done()
	if signalled.Err() != nil {
		n.logger.Info("termination signal received, shutting down ...")
	} else {
		n.logger.Warn("a part of the node has ended, shutting down ...")
	}
	errs := []error{web.end(), link.end(), outer.end()}
	if n.backend != nil {
		errs = append(errs, n.backend.end(unhurried))
	}
	return errors.Join(append(errs, n.close(unhurried))...)
}

// link talks to the message queue until ctx ends.
func (n *node) link(ctx context.Context) error {
	if n.backend != nil {
		return n.backend.takeEvents(ctx)
	}
	return n.frontend.follow(ctx)
}

// beside runs what neither takes nor plays events.
func (n *node) beside(ctx context.Context, diagnostics *telemetry.Server) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.watch(ctx) })
	group.Go(func() error { return collectLessOften(ctx) })
	if n.backend != nil {
		group.Go(func() error { return n.backend.keepState(ctx) })
	}
	if diagnostics != nil {
		group.Go(func() error { return diagnostics.Run(ctx) })
	}
	if n.queueServer != nil && n.options.Listen.CertFile != "" {
		group.Go(func() error { return n.reloadCertificate(ctx) })
	}
	return group.Wait()
}

// reloadEvery is the time after which a new certificate of the message queue is
// used at the latest.
const reloadEvery = time.Minute

// reloadCertificate lets the message queue use its certificate files as they
// are, until ctx ends.
func (n *node) reloadCertificate(ctx context.Context) error {
	ticker := time.NewTicker(reloadEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := n.queueServer.Reload(); err != nil {
				n.target("nats").Warn("certificate of the message queue not read again, the earlier one stays", "error", err)
			}
		}
	}
}

// connect connects to the message queue, trying until ctx ends.
func (n *node) connect(ctx context.Context, role string) (*bus.Conn, error) {
	o := n.options
	conn, err := bus.Connect(ctx, bus.Options{
		URL: o.NATS, Name: role + " " + o.Node, Server: n.queueServer, NoEcho: n.queueServer != nil,
		CredsFile: o.NATSCreds, NKeyFile: o.NATSNKey, CAFile: o.NATSCA, CertFile: o.NATSCert, KeyFile: o.NATSKey,
		Logger: n.target("worker"),
	})
	if err != nil {
		return nil, err
	}
	n.conn.set(conn)
	return conn, nil
}

// abandon ends a node whose parts were never started.
func (n *node) abandon(ctx context.Context) error {
	var err error
	if n.backend != nil && n.backend.writer != nil {
		err = n.backend.writer.Close(ctx)
	}
	return errors.Join(err, n.close(ctx))
}

// close ends the connections to others, when nothing uses them any more.
func (n *node) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
	var errs []error
	if n.backend != nil && n.backend.lock != nil {
		defer n.backend.lock.Close()
	}
	if conn := n.conn.get(); conn != nil {
		errs = append(errs, conn.Close(ctx))
	}
	if n.queueServer != nil {
		errs = append(errs, n.queueServer.Close(ctx))
	}
	if err := n.tracer.Shutdown(ctx); err != nil {
		n.logger.Warn("last traces not delivered", "error", err)
	}
	return errors.Join(errs...)
}
