package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"dsiem/internal/bus"
	"dsiem/internal/confdist"
	"dsiem/internal/config"
	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
	"dsiem/internal/input/limit"
	"dsiem/internal/observe/watchdog"
	"dsiem/internal/output/plain"
	"dsiem/internal/web/auth"
	"dsiem/internal/web/cert"
	"dsiem/internal/web/feed"
	"dsiem/internal/web/server"
)

// frontend takes events over HTTP and hands out configuration: the part of a
// node that standalone nodes and frontends have.
type frontend struct {
	*Node
	seeded bool // the configuration is the sample that this start wrote

	guard        *auth.Guard        // nil lets everybody do everything
	certificates *cert.Certificates // nil is plain HTTP
	limiter      *limit.Limiter
	intake       *httpin.Handler
	configs      *confdist.Server
	meter        *watchdog.Meter
	feed         *feed.Feed
	encoders     chan *encoder // those that are not in use

	listener *server.LimitedListener
	server   *http.Server
}

func newFrontend(n *Node) *frontend {
	return &frontend{Node: n, meter: &watchdog.Meter{}, encoders: make(chan *encoder, spareEncoders)}
}

// prepare does everything that can fail before requests are taken.
func (f *frontend) prepare(ctx context.Context) error {
	o := f.options
	if f.standalone() {
		var err error
		if f.seeded, err = f.seed(); err != nil {
			return err
		}
	}
	settings := confdist.Settings{Status: o.Statuses, Tags: o.Tags}
	if err := confdist.WriteSettings(o.ConfigDir, settings); err != nil { // D11
		f.target("config").Warn("settings for the web UI not written, they are served all the same", "error", err)
	}
	if err := f.protect(); err != nil {
		return err
	}
	f.limiter = limit.New(limit.Options{Max: o.MaxEPS, Min: o.MinEPS, Hold: o.HoldDuration, Logger: f.target("limiter")})
	f.intake = httpin.New(httpin.Options{
		Deliver: f.deliver, Ready: f.ready, Limiter: f.limiter, Now: f.Now, MaxBody: o.HTTP.MaxBody,
		Logger: f.target("intake"),
	})
	f.configs = confdist.NewServer(confdist.ServerOptions{
		Dir: o.ConfigDir, Writable: o.HTTP.WritableConfig, Check: config.CheckUpload, Settings: settings,
		User: auth.User, Logger: f.target("config"),
	})
	f.feed = feed.New(feed.Options{EPS: f.meter.EPS, Logger: f.target("websocket")})
	return f.listen(ctx)
}

// protect reads who may do what, and the certificate.
func (f *frontend) protect() error {
	o := &f.options.HTTP
	var err error
	if f.guard, err = auth.Load(o.AuthFile, f.target("access")); err != nil {
		return err
	}
	if f.certificates, err = cert.Load(o.CertFile, o.KeyFile, f.target("access")); err != nil {
		return err
	}
	return nil
}

// listen opens the port, so that one that is in use is an error at the start
// (D46, D47). Requests wait until run.
func (f *frontend) listen(ctx context.Context) error {
	o := &f.options.HTTP
	var config net.ListenConfig
	inner, err := config.Listen(ctx, "tcp", net.JoinHostPort(o.Address, strconv.Itoa(o.Port)))
	if err != nil {
		return fmt.Errorf("starting the HTTP server: %w", err)
	}
	f.listener = server.LimitConnections(inner, o.MaxConnections)
	f.registerMetrics()
	f.server = server.New(server.Routes(f.routes(), f.guard.Require, f.registry), f.target("http"))
	if f.certificates != nil {
		f.server.TLSConfig = f.certificates.TLSConfig()
	}
	return nil
}

// close gives the port back, if nobody serves there.
func (f *frontend) close() {
	if f.listener != nil {
		_ = f.listener.Close() // it may be closed already
	}
}

// url is where the node is found.
func (f *frontend) url() string {
	scheme := "http"
	if f.certificates != nil {
		scheme = "https"
	}
	return scheme + "://" + f.listener.Addr().String()
}

// run serves until ctx ends, then lets requests end.
func (f *frontend) run(ctx context.Context) error {
	f.announce()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.limiter.Run(ctx) })
	group.Go(func() error { return f.meter.Run(ctx) })
	group.Go(func() error { return f.feed.Run(ctx) })
	group.Go(func() error { return f.guard.Run(ctx) })
	group.Go(func() error { return f.certificates.Run(ctx) })
	group.Go(func() error { return f.serveHTTP(ctx) })
	return group.Wait()
}

func (f *frontend) serveHTTP(ctx context.Context) error {
	served := make(chan error, 1)
	go func() {
		if f.certificates != nil {
			served <- f.server.ServeTLS(f.listener, "", "")
			return
		}
		served <- f.server.Serve(f.listener)
	}()
	if f.Listening != nil {
		f.Listening(f.url())
	}
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

// announce says where the node is found and what to do next.
func (f *frontend) announce() {
	o := f.options
	logger := f.target("http")
	address := f.listener.Addr().String()
	if f.standalone() {
		logger.Info(fmt.Sprintf("Server mode %s listening on %s", o.Mode, address)) //nolint:sloglint // the original's text
	} else {
		logger.Info(fmt.Sprintf("starting dsiem frontend server listening on %s using message queue at %s", //nolint:sloglint // the successor's text
			address, WithoutCredentials(o.NATS)))
	}
	if f.guard == nil && server.Exposed(address) {
		logger.Warn("anybody who reaches this address may send events and read the configuration; "+
			"use --auth-file, or --address=127.0.0.1", "address", address, "writable_config", o.HTTP.WritableConfig)
	}
	if f.certificates == nil && f.guard != nil && server.Exposed(address) {
		logger.Warn("tokens and passwords cross the network unprotected; use --tls-cert and --tls-key", "address", address)
	}
	if f.seeded {
		f.logNextSteps()
	}
}

// logNextSteps tells a newcomer what to do with the sample configuration.
func (f *frontend) logNextSteps() {
	logger := f.logger
	_, port, _ := net.SplitHostPort(f.listener.Addr().String())
	base, options := "http://localhost:"+port, ""
	if f.certificates != nil {
		base, options = "https://localhost:"+port, "--insecure "
	}
	if f.guard != nil {
		options += "--oauth2-bearer TOKEN "
	}
	event := fmt.Sprintf(sampleEvent, f.Now().UTC().Format(time.RFC3339))
	logger.Info("next: send an event, as with: curl " + options + "-d '" + event + "' " + base + "/events") //nolint:sloglint // one command to copy
	logger.Info("next: see the alarm", "file", filepath.Join(f.options.LogDir, plain.AlarmsName), "status_page", base+"/")
	logger.Info("next: describe your hosts and attacks, check them with dsiem validate, and restart",
		"directory", f.options.ConfigDir, "manual", "docs/directives.md")
}

// follow connects a frontend to the message queue and takes overload signals
// until ctx ends.
func (f *frontend) follow(ctx context.Context) error {
	conn, err := f.connect(ctx, "dsiem-frontend")
	if err != nil {
		return err
	}
	if err := conn.SubscribeOverload(ctx, f.limiter.Overload); err != nil {
		return err
	}
	f.target("worker").Info("frontend started, events are taken")
	select {
	case <-ctx.Done():
		return nil
	case <-conn.Closed():
		return errors.New("the message queue closed the connection for good")
	}
}

// takesRequests returns why events cannot be handed on, nil if they can.
func (f *frontend) takesRequests(ctx context.Context) error {
	if f.Backend != nil {
		return f.Backend.takesEvents(ctx)
	}
	if conn := f.conn.get(); conn == nil || !conn.Connected() {
		return errors.New("not connected")
	}
	return nil
}

// errQueueFull says that the engines are behind.
var errQueueFull = fmt.Errorf("%w: the event queue is full", httpin.ErrUnavailable)

// ready returns why events cannot be handed on now.
func (f *frontend) ready(ctx context.Context) error {
	if err := f.takesRequests(ctx); err != nil {
		return fmt.Errorf("%w: message queue: %w", httpin.ErrUnavailable, err)
	}
	if f.Backend != nil && !f.Backend.queue.HasRoom() {
		return errQueueFull
	}
	return nil
}

// deliver hands on the events of a request, all of them or none.
func (f *frontend) deliver(ctx context.Context, b *httpin.Batch) error {
	n := len(b.Events)
	spans := f.startSpans(b) //nolint:contextcheck // the SDK keeps no more of a context than the trace
	err := f.handOver(ctx, b)
	endSpans(spans, err)
	if err == nil {
		f.meter.Add(n)
	}
	return err
}

// handOver gives events to those who correlate them: other nodes, this one, or
// both.
func (f *frontend) handOver(ctx context.Context, b *httpin.Batch) error {
	if f.Backend == nil {
		if err := f.publish(ctx, b); err != nil {
			return err
		}
		b.Release()
		return nil
	}
	queue := f.Backend.queue
	if !queue.Reserve(b) {
		return errQueueFull
	}
	if f.queueServer.Addr() != "" {
		if err := f.publish(ctx, b); err != nil {
			queue.Cancel(b)
			return err
		}
	}
	queue.PutBatch(b)
	return nil
}

// encoder holds the messages of one request.
type encoder struct {
	data     []byte
	ends     []int
	payloads [][]byte
}

// spareEncoders is the number of encoders that are kept, and spareEncoder the
// size from which one is not.
const (
	spareEncoders = 64
	spareEncoder  = 1 << 20
)

func (e *encoder) encode(b *httpin.Batch) [][]byte {
	e.data, e.ends, e.payloads = e.data[:0], e.ends[:0], e.payloads[:0]
	for i := range b.Events {
		e.data = event.AppendMessage(e.data, &b.Events[i], b.Carrier(i))
		e.ends = append(e.ends, len(e.data))
	}
	start := 0
	for _, end := range e.ends {
		e.payloads = append(e.payloads, e.data[start:end:end])
		start = end
	}
	return e.payloads
}

// publish sends events to the backends and waits until the message queue has
// them.
func (f *frontend) publish(ctx context.Context, b *httpin.Batch) error {
	var e *encoder
	select {
	case e = <-f.encoders:
	default:
		e = &encoder{}
	}
	payloads := e.encode(b)
	for i := range payloads {
		if len(payloads[i]) > event.MaxSize { // backends would refuse it
			return fmt.Errorf("%w: event %d is a message of %d bytes", httpin.ErrTooLarge, i+1, len(payloads[i]))
		}
	}
	err := f.conn.get().PublishEvents(ctx, payloads)
	if cap(e.data) <= spareEncoder {
		select {
		case f.encoders <- e:
		default:
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bus.ErrTooLarge):
		return fmt.Errorf("%w: %w", httpin.ErrTooLarge, err)
	}
	return fmt.Errorf("%w: %w", httpin.ErrUnavailable, err)
}
