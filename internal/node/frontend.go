package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"dsiem/internal/confdist"
	"dsiem/internal/config"
	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
	"dsiem/internal/input/limit"
	"dsiem/internal/observe/otel"
	"dsiem/internal/observe/watchdog"
	"dsiem/internal/web/auth"
	"dsiem/internal/web/cert"
	"dsiem/internal/web/feed"
	"dsiem/internal/web/server"
)

// frontend takes events over HTTP and hands out configuration: the part of a
// node that standalone nodes and frontends have.
type frontend struct {
	*basis
	// to is where events go.
	to            deliverer
	sampleWritten bool // the configuration is the sample that this start wrote

	guard        *auth.Guard        // nil lets everybody do everything
	certificates *cert.Certificates // nil is plain HTTP
	limiter      *limit.Limiter
	intake       *httpin.Handler
	configs      *confdist.Server
	meter        *watchdog.Meter
	feed         *feed.Feed

	listener *server.LimitedListener
	server   *http.Server
}

func newFrontend(c *basis) *frontend {
	f := &frontend{basis: c, meter: &watchdog.Meter{}}
	f.limiter = limit.New(limit.Options{
		Max: c.options.MaxEPS, Min: c.options.MinEPS, Hold: c.options.HoldDuration, Logger: c.target("limiter"),
	})
	return f
}

// prepare does everything that can fail before requests are taken. sample is whether
// a sample configuration is written where there is none.
func (f *frontend) prepare(ctx context.Context, s *stops, sample bool) error {
	o := f.options
	if err := f.provide(sample); err != nil {
		return err
	}
	settings := confdist.Settings{Status: o.Statuses, Tags: o.Tags}
	if err := confdist.WriteSettings(o.ConfigDir, settings); err != nil { // D11
		f.target("config").Warn("settings for the web UI not written, they are served all the same", "error", err)
	}
	if err := f.protect(); err != nil {
		return err
	}
	f.intake = httpin.New(httpin.Options{
		Deliver: f.deliver, Ready: f.takes,
		Limiter: f.limiter, Client: f.guard.Client, Now: f.clock, MaxBody: o.HTTP.MaxBody, Logger: f.target("intake"),
		Rejected: f.rejects.Add, MaxMessage: f.maxMessage(), MaxMemory: f.memory.requests(o.Mode),
	})
	f.configs = confdist.NewServer(confdist.ServerOptions{
		Dir: o.ConfigDir, Writable: o.HTTP.WritableConfig, Check: config.CheckUpload, CheckChange: f.checkChange, Settings: settings,
		MaxFolder: f.memory.share(folderShare), User: auth.User, Logger: f.target("config"),
	})
	f.feed = feed.New(feed.Options{EPS: f.meter.EPS, Logger: f.target("websocket")})
	if err := f.listen(ctx); err != nil {
		return err
	}
	s.push(func(context.Context) error {
		_ = f.listener.Close() // it is closed already, if anybody has served there
		return nil
	})
	f.register()
	return nil
}

// checkChange returns why a configuration file must not be changed: a standalone node
// loads all that is in the directory, a frontend has the files of several backends.
func (f *frontend) checkChange(c confdist.Change) error {
	change := config.Change{Dir: c.Dir, Name: c.Name, Content: c.Content, Delete: c.Delete, PerNode: f.options.Mode == ModeFrontend}
	return change.Check()
}

// provide makes sure that the configuration directory is there. The default folder
// is made where it is needed, and gets a sample configuration if sample is set; one
// that somebody has named is theirs, and if it is missing its name is a mistake.
func (f *frontend) provide(sample bool) error {
	o := f.options
	if o.ConfigDirBy != "" {
		if err := config.Readable(os.DirFS(o.ConfigDir), o.ConfigDir); err != nil {
			return fmt.Errorf("loading the configuration that %s names: %w", o.ConfigDirBy, err)
		}
		return nil
	}
	if !sample {
		return nil
	}
	var err error
	f.sampleWritten, err = writeSample(f.basis)
	return err
}

// traceContext is more than the trace context of a message takes: 55 characters
// twice, and their keys.
const traceContext = 256

// maxMessage returns what returns the size of the largest message that NATS and
// backends take now, nil if there are no others. A trace context takes some of it.
func (f *frontend) maxMessage() func() int {
	if f.options.Mode == ModeStandalone && !f.listens() {
		return nil
	}
	rest := 0
	if f.options.Tracing.Traces {
		rest = traceContext
	}
	return func() int {
		most := event.MaxSize
		if conn := f.conn.Load(); conn != nil {
			most = min(most, conn.MaxPayload())
		}
		return most - rest
	}
}

// protect reads who may do what, and the certificate.
func (f *frontend) protect() error {
	o := &f.options.HTTP
	var err error
	if f.guard, err = auth.Load(o.AuthFile, f.target("access")); err != nil {
		return adviseFile(err, "--auth-file")
	}
	if f.certificates, err = cert.Load(o.CertFile, o.KeyFile, f.target("access")); err != nil {
		return adviseFile(err, "--tls-cert or --tls-key")
	}
	return nil
}

// listen opens the port, so that one that is in use is an error at the start
// (D46, D47). Requests wait until run.
func (f *frontend) listen(ctx context.Context) error {
	o := &f.options.HTTP
	var network net.ListenConfig
	inner, err := network.Listen(ctx, "tcp", net.JoinHostPort(o.Address, strconv.Itoa(o.Port)))
	if err != nil {
		return fmt.Errorf("starting the HTTP server: %w", adviseAddress(err, "--address and --port"))
	}
	most := f.memory.connections(o.MaxConnections)
	if most < o.MaxConnections {
		f.target("http").Info("memory has room for fewer connections than --max-connections", "connections", most)
	}
	f.listener = server.LimitConnections(inner, most)
	return nil
}

// register shows to Prometheus what a frontend counts.
func (f *frontend) register() {
	f.intake.Register(f.registry)
	f.guard.Register(f.registry)
	f.limiter.Register(f.registry)
	f.listener.Register(f.registry)
	f.configs.Register(f.registry)
}

// url is where the node is found.
func (f *frontend) url() string {
	scheme := "http"
	if f.certificates != nil {
		scheme = "https"
	}
	return scheme + "://" + f.listener.Addr().String()
}

// parts returns what serves with a handler, and what goes with it.
func (f *frontend) parts(handler http.Handler) []func(context.Context) error {
	f.server = server.New(handler, f.target("http"))
	if f.certificates != nil {
		f.server.TLSConfig = f.certificates.TLSConfig()
	}
	return []func(context.Context) error{
		f.serve, f.limiter.Run, f.meter.Run, f.feed.Run, f.guard.Run, f.certificates.Run,
	}
}

// serve serves until ctx ends, then lets requests end.
func (f *frontend) serve(ctx context.Context) error {
	served := make(chan error, 1)
	go func() {
		if f.certificates != nil {
			served <- f.server.ServeTLS(f.listener, "", "")
			return
		}
		served <- f.server.Serve(f.listener)
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serving HTTP: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := f.server.Shutdown(grace)
	if err != nil { // whoever is still connected gets no answer and will try again
		f.target("http").Warn("requests cut off by the end", "error", err)
		err = f.server.Close()
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// takes returns why no event can be taken now.
func (f *frontend) takes(ctx context.Context) error {
	if err := f.memory.err(); err != nil {
		return err
	}
	return f.to.ready(ctx)
}

// deliver hands on the events of a request, all of them or none.
func (f *frontend) deliver(ctx context.Context, b *event.Batch) error {
	n := b.Len()
	spans := f.startSpans(b) //nolint:contextcheck // the SDK keeps no more of a context than the trace
	err := f.to.deliver(ctx, b)
	for _, s := range spans {
		s.End(err)
	}
	if err == nil {
		f.meter.Add(n)
	}
	return err
}

// startSpans begins a span for each event of a request and returns them, nil if
// nothing is traced.
func (f *frontend) startSpans(b *event.Batch) []otel.Span {
	if !f.tracer.Tracing() {
		return nil
	}
	spans := make([]otel.Span, len(b.Events))
	b.Carriers = make([]event.Carrier, len(b.Events))
	for i := range b.Events {
		ev := &b.Events[i]
		spans[i] = f.tracer.StartEvent(ev.ID, ev.ConnID, time.Unix(0, ev.ReceivedAt), event.Carrier{})
		b.Carriers[i] = spans[i].Carrier()
	}
	return spans
}

// follow connects a frontend to NATS and takes overload signals until ctx ends.
// begun is called when it does.
func (f *frontend) follow(ctx context.Context, begun func()) error {
	conn, err := f.connect(ctx, "dsiem-frontend", nil)
	if err != nil {
		return err
	}
	if err := conn.SubscribeOverload(ctx, f.limiter.Overload); err != nil {
		return err
	}
	begun()
	f.target("worker").Info("frontend started, events are taken")
	select {
	case <-ctx.Done():
		return nil
	case <-conn.Closed():
		return errClosed
	}
}

// announce says where the node is found and what to do next. started is the line
// that says so.
func (f *frontend) announce(started string) {
	o := f.options
	logger := f.target("http")
	address := f.listener.Addr().String()
	logger.Info(started) //nolint:sloglint // the original's and the successor's texts
	if f.guard == nil && server.Exposed(address) {
		logger.Warn("anybody who reaches this address may send events and read the configuration; "+
			"use --auth-file, or --address=127.0.0.1", "address", address, "writable_config", o.HTTP.WritableConfig)
	}
	if f.certificates == nil && f.guard != nil && server.Exposed(address) {
		logger.Warn("tokens and passwords cross the network unprotected; use --tls-cert and --tls-key", "address", address)
	}
	if f.sampleWritten {
		logNextSteps(f.basis, address, f.certificates != nil, f.guard != nil)
	}
}
