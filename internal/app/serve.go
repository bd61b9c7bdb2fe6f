package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"dsiem/internal/bus"
	"dsiem/internal/confdist"
	"dsiem/internal/config"
	"dsiem/internal/enrich"
	"dsiem/internal/event"
	"dsiem/internal/sink"
	"dsiem/internal/telemetry"
)

// The time that the parts of a stop may take; together they stay below the
// grace of the references' containers (spec/interfaces.md §5.6).
const (
	drainTime = time.Second
	closeTime = 2 * time.Second
)

// Serve runs a backend until ctx ends, then stops in order: intake, queue,
// look-ups, state, files. It returns nil after an orderly stop.
func Serve(ctx context.Context, o *ServeOptions) error {
	logger, flush := newServeLogger(o)
	defer flush()
	b := &backend{options: o, logger: logger, stats: &serveStats{}}
	err := b.serve(ctx)
	if err != nil {
		logger.Error("error " + err.Error()) //nolint:sloglint // the references' text: error {context}: {err}
	}
	return err
}

func newServeLogger(o *ServeOptions) (*slog.Logger, func()) {
	handler := telemetry.NewHandler(o.Out, telemetry.LogOptions{JSON: o.Log.JSON, Level: o.Log.Level, Colour: o.Log.Colour})
	limited := telemetry.NewLimited(handler, telemetry.LimitOptions{Keys: []string{"reason", "source"}})
	return slog.New(limited), func() { _ = limited.Flush(context.Background(), time.Now()) }
}

// backend is one run of Serve.
type backend struct {
	options *ServeOptions
	logger  *slog.Logger
	stats   *serveStats

	configuration *configuration
	services      []enrich.Service
	state         *stateStore
	queue         *eventQueue
	engines       engines
	writer        *sink.Writer
	enricher      *enrich.Enricher
	publisher     *publisher
	dispatcher    *dispatcher
	conn          connection
	metrics       *serveMetrics
}

func (b *backend) target(name string) *slog.Logger { return telemetry.WithTarget(b.logger, name) }

func (b *backend) serve(ctx context.Context) error {
	o := b.options
	b.logger.Info(fmt.Sprintf("starting dsiem backend server with frontend %s and message queue %s", //nolint:sloglint // the references' text
		bus.Redact(o.Frontend), bus.Redact(o.NATS)), "version", o.Version, "node", o.Node)
	b.logger.LogAttrs(ctx, slog.LevelInfo, "effective configuration", o.Effective...)
	for _, note := range o.Notes {
		b.logger.LogAttrs(ctx, note.Level, note.Message, note.Attrs...)
	}
	if err := o.Engine.Check(); err != nil {
		return fmt.Errorf("reading med_risk_min and med_risk_max: %w", err)
	}
	if err := b.configure(ctx); err != nil {
		return err
	}
	if err := b.open(); err != nil {
		return err
	}
	return b.run(ctx)
}

// configure downloads and loads the configuration.
func (b *backend) configure(ctx context.Context) error {
	o := b.options
	client := &http.Client{}
	defer client.CloseIdleConnections()
	if _, err := confdist.Download(ctx, confdist.Options{
		Frontend: o.Frontend, Node: o.Node, Dir: o.ConfigDir, Client: client, Logger: b.target("config"),
	}); err != nil {
		return err
	}
	dir := os.DirFS(o.ConfigDir)
	c, err := loadConfiguration(dir, o.ConfigDir)
	if err != nil {
		return fmt.Errorf("loading directives: %w", err)
	}
	b.loadServices(c)
	b.configuration = c
	logger := b.target("directive")
	for i := range c.report.Problems {
		if p := &c.report.Problems[i]; p.Severity == config.Warning {
			logger.LogAttrs(ctx, slog.LevelWarn, "configuration", slog.String("problem", p.Error()), slog.String("reason", p.Msg))
		} else {
			logger.LogAttrs(ctx, slog.LevelError, "configuration", slog.String("problem", p.Error()), slog.String("reason", p.Msg))
		}
	}
	failed := c.report.Count(config.Error)
	switch {
	case len(c.directives) == 0:
		return errors.New("loading directives: cannot load any directive")
	case c.assets.Len() == 0:
		return errors.New("loading assets: cannot load any asset")
	case failed > 0 && !o.SkipInvalid:
		return fmt.Errorf("loading directives: %w: %s", ErrConfiguration, count(failed, "problem"))
	}
	logger.Info(fmt.Sprintf("%d directives found and loaded", len(c.directives)))     //nolint:sloglint // the references' text
	b.target("asset").Info(fmt.Sprintf("%d assets found and loaded", c.assets.Len())) //nolint:sloglint // the references' text
	return nil
}

func (b *backend) loadServices(c *configuration) {
	o := b.options
	dir := os.DirFS(o.ConfigDir)
	intelFiles, _ := c.read(dir, o.ConfigDir, "intel_*.json")
	vulnFiles, _ := c.read(dir, o.ConfigDir, "vuln_*.json")
	client := enrich.NewClient(0)
	intel := enrich.LoadIntel(intelFiles, client, &c.report)
	vulns := enrich.LoadVuln(vulnFiles, client, &c.report)
	b.target("intel").Info(fmt.Sprintf("loaded %d intel plugins", len(intel))) //nolint:sloglint // the references' text
	b.target("vuln").Info(fmt.Sprintf("loaded %d vuln plugins", len(vulns)))   //nolint:sloglint // the references' text
	b.services = append(intel, vulns...)
}

// open makes the parts, restores saved backlogs and opens the files.
func (b *backend) open() error {
	o := b.options
	shards := o.Shards
	if shards <= 0 {
		shards = runtime.GOMAXPROCS(0)
	}
	engineOptions := o.Engine
	engineOptions.Lookups = len(b.services) > 0
	b.engines = newEngines(b.configuration.directives, b.configuration.assets, engineOptions, shards)
	b.queue = newEventQueue(o.MaxQueue)
	b.metrics = newServeMetrics(b)
	if len(b.services) > 0 {
		b.enricher = enrich.New(enrich.Options{
			Services: b.services, IntelPrivateIP: o.IntelPrivateIP, CacheTTL: o.CacheDuration,
			Logger: b.target("enrich"), Observe: b.metrics.lookup,
		})
	}
	if err := os.MkdirAll(o.LogDir, 0o750); err != nil {
		return fmt.Errorf("opening the log directory: %w", err)
	}
	b.state = newStateStore(o.LogDir, b.target("backlog"))
	if o.ReloadBacklogs {
		ids := make([]uint64, len(b.configuration.directives))
		for i, d := range b.configuration.directives {
			ids[i] = d.ID
		}
		if err := b.state.load(ids, b.engines.restore); err != nil {
			return err
		}
	}
	writer, err := openWriter(o, b.target("log_writer"))
	if err != nil {
		return fmt.Errorf("opening the alarm files: %w", err)
	}
	b.writer = writer
	b.metrics.files(writer)
	b.assemble()
	return nil
}

// assemble connects publisher and dispatcher.
func (b *backend) assemble() {
	o := b.options
	b.publisher = &publisher{
		writer: b.writer, logger: b.target("backlog"), stats: b.stats, engines: b.engines,
		enricher: b.enricher, outbox: enrich.NewOutbox(enrich.OutboxOptions{Wait: o.EnrichWait}),
		findings: findings{filled: make(chan struct{}, 1)},
		pressure: bus.NewPressure(o.MaxDelay, max(o.HoldDuration, time.Second)),
		signal:   b.signal, latency: func(took time.Duration) { b.metrics.events.Latency(took, 1) },
	}
	b.dispatcher = newDispatcher()
	d := b.dispatcher
	d.queue, d.engines, d.assets = b.queue, b.engines, b.configuration.assets
	d.decoders, d.now, d.stats = runtime.GOMAXPROCS(0), time.Now, b.stats
	d.ticked, d.stepped = b.metrics.update, b.metrics.engine.Step
	d.publish, d.found = b.publisher.publish, b.publisher.findings.filled
	logger := b.target("worker")
	d.rejected = func(data []byte, rej *event.Rejection) {
		logger.LogAttrs(context.Background(), slog.LevelError, "cannot parse event from message queue, skipping it",
			slog.String("reason", rej.Reason.String()), slog.String("error", rej.Error()), slog.String("event", clip(data)))
	}
}

// clip returns the beginning of a payload for a log line.
func clip(data []byte) string {
	const most = 200
	if len(data) > most {
		return string(data[:most]) + "…"
	}
	return string(data)
}

// signal tells frontends about overload.
func (b *backend) signal(overloaded bool) {
	conn := b.conn.get()
	if conn == nil {
		return
	}
	if err := conn.PublishOverload(overloaded); err != nil {
		b.target("worker").Warn("overload signal not sent", "error", err)
		return
	}
	b.target("worker").Info(fmt.Sprintf("overload = %t signal sent to frontend", overloaded)) //nolint:sloglint // the references' text
}

// run starts all parts and, when ctx or one of them ends, stops them in order.
func (b *backend) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	diagnostics, err := b.listen(ctx)
	if err != nil {
		return errors.Join(err, b.writer.Close(ctx))
	}
	lines, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	b.publisher.ctx = lines
	var outer, intake, lookups, dispatch, files part
	files.start(lines, b.writer.Run)
	started := make(chan struct{})
	dispatch.start(context.WithoutCancel(ctx), b.dispatcher.run)
	if b.enricher != nil {
		lookups.start(context.WithoutCancel(ctx), b.enricher.Run)
	}
	intake.start(ctx, func(ctx context.Context) error {
		defer stop() // whatever ends the intake ends the backend
		return b.takeEvents(ctx, started)
	})
	outer.start(ctx, func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return b.watch(ctx) })
		group.Go(func() error { return b.checkpoints(ctx, started) })
		if diagnostics != nil {
			group.Go(func() error { return diagnostics.Run(ctx) })
		}
		defer stop()
		return group.Wait()
	})
	<-ctx.Done()
	b.logger.Info("termination signal received, shutting down ...")
	// A disk that does not take the last lines must not keep the program alive.
	defer time.AfterFunc(drainTime+lastEvents+closeTime, giveUp).Stop()
	return errors.Join(intake.end(), outer.end(), dispatch.end(), lookups.end(), b.finish(), files.end())
}

// part is something that runs beside others.
type part struct {
	cancel context.CancelFunc
	done   chan error
}

func (p *part) start(ctx context.Context, run func(context.Context) error) {
	ctx, p.cancel = context.WithCancel(ctx)
	p.done = make(chan error, 1)
	go func() { p.done <- run(ctx) }()
}

// end tells a part to end and waits for it. The end of a context is no error.
func (p *part) end() error {
	if p.cancel == nil {
		return nil
	}
	p.cancel()
	if err := <-p.done; err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// takeEvents connects to the message queue and takes events until ctx ends. It
// closes started when the start is complete.
func (b *backend) takeEvents(ctx context.Context, started chan<- struct{}) error {
	o := b.options
	conn, err := bus.Connect(ctx, bus.Options{
		URL: o.NATS, Name: "dsiem-backend " + o.Node,
		CredsFile: o.NATSCreds, NKeyFile: o.NATSNKey, CAFile: o.NATSCA, CertFile: o.NATSCert, KeyFile: o.NATSKey,
		Logger: b.target("worker"),
	})
	if err != nil {
		return fmt.Errorf("connecting to the message queue: %w", err)
	}
	b.conn.set(conn)
	err = b.subscribe(ctx, conn)
	if err == nil {
		close(started)
		select {
		case <-ctx.Done():
		case <-conn.Closed():
			err = errors.New("the message queue closed the connection for good")
		}
	}
	drained, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if drainErr := conn.Drain(drained); drainErr != nil {
		b.target("worker").Warn("intake not drained", "error", drainErr)
	}
	return err
}

func (b *backend) subscribe(ctx context.Context, conn *bus.Conn) error {
	if err := conn.Subscribe(ctx, b.queue.limit, b.queue.put); err != nil {
		return fmt.Errorf("subscribing to events: %w", err)
	}
	if !b.options.ReloadBacklogs {
		return nil
	}
	// The start is complete: what was loaded may go, once a checkpoint has it.
	if b.options.Checkpoint <= 0 {
		return b.state.started(false)
	}
	if err := b.checkpointer().write(ctx); err != nil {
		return err
	}
	return b.state.started(true)
}

func (b *backend) checkpointer() *checkpointer {
	return &checkpointer{store: b.state, ask: b.dispatcher.ask, all: b.engines.saved}
}

// checkpoints writes checkpoints from the complete start until ctx ends. A
// failed one is reported and tried again the next time.
func (b *backend) checkpoints(ctx context.Context, started <-chan struct{}) error {
	if b.options.Checkpoint <= 0 || !b.options.ReloadBacklogs {
		return nil
	}
	select {
	case <-started:
	case <-ctx.Done():
		return nil
	}
	ticker := time.NewTicker(b.options.Checkpoint)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := b.checkpointer().write(ctx); err != nil && ctx.Err() == nil {
				b.target("backlog").Error("checkpoint failed", "error", err)
			}
		}
	}
}

// finish writes what is left when all parts have ended: lines, state, files.
func (b *backend) finish() error {
	b.publisher.end(time.Now())
	var errs []error
	if b.options.ReloadBacklogs {
		written, err := b.state.save(b.engines.saved())
		errs = append(errs, err)
		b.target("backlog").Info("backlogs saved", "backlogs", written.Backlogs, "files", written.Files)
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	errs = append(errs, b.writer.Close(ctx))
	if conn := b.conn.get(); conn != nil {
		errs = append(errs, conn.Close(ctx))
	}
	b.logger.Info("backlog manager exiting")
	return errors.Join(errs...)
}

func openWriter(o *ServeOptions, logger *slog.Logger) (*sink.Writer, error) {
	mode, err := sink.ParseFsync(cmp.Or(o.Fsync, sink.FsyncNever.String()))
	if err != nil {
		return nil, err
	}
	return sink.OpenWriter(filepath.Clean(o.LogDir), sink.WriterOptions{Fsync: mode, Logger: logger})
}
