package node

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
	"dsiem/internal/live"
	"dsiem/internal/observe/log"
	"dsiem/internal/observe/metric"
	"dsiem/internal/observe/otel"
	"dsiem/internal/web/diagnostics"
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
func Serve(ctx context.Context, o *Options) error {
	limited := NewServeLog(o)
	defer func() { _ = limited.Flush(context.WithoutCancel(ctx), time.Now()) }()
	n := NewNode(o, limited)
	err := n.Serve(ctx)
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

func NewServeLog(o *Options) *log.Limited {
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

// Node is one run of Serve: a backend, a frontend, or both.
type Node struct {
	options  *Options
	logger   *slog.Logger
	limited  *log.Limited // what logger writes to
	Stats    *live.Stats
	registry *prometheus.Registry
	tracer   *otel.Tracer // nil if there is nothing to trace
	conn     connection
	// Now is the clock, started the time of the start.
	Now     func() time.Time
	Started time.Time
	// Listening, if not nil, is told where the HTTP service is.
	Listening func(url string)
	// Watched and played, if not nil, are told what changed, and that events have
	// been played, on the dispatcher's goroutine.
	Watched func(now int64, changes []correlate.Change)
	Played  func()

	Backend     *backend    // nil in a frontend
	frontend    *frontend   // nil in a backend
	queueServer *bus.Server // the message queue of a standalone node
}

func NewNode(o *Options, limited *log.Limited) *Node {
	n := &Node{
		options: o, logger: slog.New(limited), limited: limited,
		Stats: &live.Stats{}, registry: prometheus.NewRegistry(), Now: time.Now, Started: time.Now(),
	}
	if o.Mode != ModeBackend {
		n.frontend = newFrontend(n)
	}
	if o.Mode != ModeFrontend {
		n.Backend = newBackend(n)
	}
	return n
}

func (n *Node) target(name string) *slog.Logger { return log.WithTarget(n.logger, name) }

func (n *Node) standalone() bool { return n.Backend != nil && n.frontend != nil }

// Serve prepares the node's parts and runs them.
func (n *Node) Serve(ctx context.Context) error {
	n.logBegin(ctx)
	metric.RegisterProcess(n.registry, n.options.Version, "")
	tracer, err := otel.New(ctx, n.tracingOptions())
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
func (n *Node) prepare(ctx context.Context) error {
	if n.frontend != nil {
		if err := n.frontend.prepare(ctx); err != nil {
			return err
		}
	}
	if n.Backend != nil {
		if err := n.Backend.prepare(ctx); err != nil {
			return err
		}
	}
	if n.standalone() {
		return n.startServer() //nolint:contextcheck // it ends by close
	}
	return nil
}

// logBegin logs the settings, and whatever was noticed before there was a log.
func (n *Node) logBegin(ctx context.Context) {
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
func (n *Node) startServer() error {
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
func (n *Node) run(signalled context.Context) error {
	ctx, stop := context.WithCancel(signalled)
	defer stop()
	unhurried := context.WithoutCancel(ctx)
	diagnostics, err := n.listen(ctx)
	if err != nil {
		return errors.Join(err, n.abandon(unhurried))
	}
	var outer, link, web Part
	if n.Backend != nil {
		n.Backend.start(ctx)
	}
	// Whatever ends the intake ends the node.
	link.Start(unhurried, func(ctx context.Context) error {
		defer stop()
		return n.link(ctx)
	})
	if n.frontend != nil {
		web.Start(ctx, func(ctx context.Context) error {
			defer stop()
			return n.frontend.run(ctx)
		})
	}
	outer.Start(ctx, func(ctx context.Context) error {
		defer stop()
		return n.beside(ctx, diagnostics)
	})
	<-ctx.Done()
	if signalled.Err() != nil {
		n.logger.Info("termination signal received, shutting down ...")
	} else {
		n.logger.Warn("a part of the node has ended, shutting down ...")
	}
	errs := []error{web.End(), link.End(), outer.End()}
	if n.Backend != nil {
		errs = append(errs, n.Backend.end(unhurried))
	}
	return errors.Join(append(errs, n.close(unhurried))...)
}

// link talks to the message queue until ctx ends.
func (n *Node) link(ctx context.Context) error {
	if n.Backend != nil {
		return n.Backend.takeEvents(ctx)
	}
	return n.frontend.follow(ctx)
}

// beside runs what neither takes nor plays events.
func (n *Node) beside(ctx context.Context, diagnostics *diagnostics.Server) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.watch(ctx) })
	group.Go(func() error { return collectLessOften(ctx) })
	if n.Backend != nil {
		group.Go(func() error { return n.Backend.keepState(ctx) })
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
func (n *Node) reloadCertificate(ctx context.Context) error {
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
func (n *Node) connect(ctx context.Context, role string) (*bus.Conn, error) {
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
func (n *Node) abandon(ctx context.Context) error {
	var err error
	if n.Backend != nil && n.Backend.writer != nil {
		err = n.Backend.writer.Close(ctx)
	}
	return errors.Join(err, n.close(ctx))
}

// close ends the connections to others, when nothing uses them any more.
func (n *Node) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
	var errs []error
	if n.Backend != nil && n.Backend.lock != nil {
		defer n.Backend.lock.Close()
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
