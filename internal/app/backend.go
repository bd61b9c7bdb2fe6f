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
	"slices"
	"time"

	"dsiem/internal/bus"
	"dsiem/internal/confdist"
	"dsiem/internal/config"
	"dsiem/internal/correlate"
	"dsiem/internal/enrich"
	"dsiem/internal/event"
	"dsiem/internal/sink"
	"dsiem/internal/telemetry"
	"dsiem/internal/webui"
)

// backend correlates events: the part of a node that standalone nodes and
// backends have.
type backend struct {
	*node
	// begun is closed when events are taken: the start is complete. Until then
	// no backlog changes and the saved state stays as it is.
	begun chan struct{}

	configuration *configuration
	services      []enrich.Service
	state         *stateStore
	queue         *eventQueue
	engines       *engines
	writer        *sink.Writer
	enricher      *enrich.Enricher
	publisher     *publisher
	dispatcher    *dispatcher
	metrics       *serveMetrics
	recent        *webui.Recent // alarms, for the status page
	waiting       *waitingFile
	restored      uint64   // events of the last run, which are played first
	lock          *os.File // of the log directory

	files, dispatch, lookups part
	giveUp                   context.CancelFunc // of lines that find no room
}

// errNotSaved stands for a state that nobody wants to be saved.
var errNotSaved = errors.New("the state is not saved")

func newBackend(n *node) *backend {
	return &backend{node: n, begun: make(chan struct{}), recent: webui.NewRecent(webui.ShownAlarms)}
}

// prepare does everything that can fail before events are taken.
func (b *backend) prepare(ctx context.Context) error {
	if err := b.options.Engine.Check(); err != nil {
		return fmt.Errorf("reading med_risk_min and med_risk_max: %w", err)
	}
	if err := b.configure(ctx); err != nil {
		return err
	}
	return b.open()
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
	b.configuration = c
	intelErrors, vulnErrors := b.loadServices(c)
	logger := b.target("directive")
	for _, name := range c.names {
		logger.Info(fmt.Sprintf("reading %q", name)) //nolint:sloglint // the references' text
	}
	for i := range c.report.Problems {
		p := &c.report.Problems[i]
		level := slog.LevelError
		if p.Severity == config.Warning {
			level = slog.LevelWarn
		}
		logger.LogAttrs(ctx, level, "configuration", slog.String("problem", p.Error()), slog.String("reason", p.Msg))
	}
	if err := c.startable(o.SkipInvalid, intelErrors, vulnErrors); err != nil {
		return err
	}
	logger.Info(fmt.Sprintf("%d directives found and loaded", len(c.plans)))          //nolint:sloglint // the references' text
	b.target("asset").Info(fmt.Sprintf("%d assets found and loaded", c.assets.Len())) //nolint:sloglint // the references' text
	return nil
}

// startable returns why a backend cannot start with a configuration, in the
// references' words for what it was doing (spec/interfaces.md §6.3).
func (c *configuration) startable(skipInvalid bool, intelErrors, vulnErrors int) error {
	failed := func(doing string, problems int) error {
		return fmt.Errorf("%s: %w: %s", doing, ErrConfiguration, count(problems, "problem"))
	}
	directiveErrors := c.report.Count(config.Error) - c.assetErrors - intelErrors - vulnErrors
	switch {
	case c.assets.Len() == 0:
		return errors.New("loading assets: cannot load any asset")
	case c.assetErrors > 0:
		return failed("loading assets", c.assetErrors)
	case len(c.plans) == 0:
		return errors.New("loading directives: cannot load any directive")
	case directiveErrors > 0 && !skipInvalid:
		return failed("loading directives", directiveErrors)
	case intelErrors > 0:
		return failed("loading intels", intelErrors)
	case vulnErrors > 0:
		return failed("loading vulns", vulnErrors)
	}
	return nil
}

// loadServices reads the services to ask and returns the number of errors in
// their files.
func (b *backend) loadServices(c *configuration) (intelErrors, vulnErrors int) {
	dir, name := os.DirFS(b.options.ConfigDir), b.options.ConfigDir
	client := enrich.NewClient(0)
	before := c.report.Count(config.Error)
	files, _ := c.read(dir, name, "intel_*.json")
	intel := enrich.LoadIntel(files, client, &c.report)
	intelErrors = c.report.Count(config.Error) - before
	files, _ = c.read(dir, name, "vuln_*.json")
	vulns := enrich.LoadVuln(files, client, &c.report)
	vulnErrors = c.report.Count(config.Error) - before - intelErrors
	b.target("intel").Info(fmt.Sprintf("loaded %d intel plugins", len(intel))) //nolint:sloglint // the references' text
	b.target("vuln").Info(fmt.Sprintf("loaded %d vuln plugins", len(vulns)))   //nolint:sloglint // the references' text
	b.services = slices.Concat(intel, vulns)
	return intelErrors, vulnErrors
}

// open makes the parts, restores saved backlogs and opens the files.
func (b *backend) open() error {
	o := b.options
	engineOptions := o.Engine
	engineOptions.Lookups = len(b.services) > 0
	b.engines = newEngines(b.configuration.plans, b.configuration.assets, engineOptions, shardCount(o.Shards))
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
	lock, ok, err := lockDir(o.LogDir)
	if err != nil {
		return err
	}
	b.lock = lock
	if !ok {
		b.target("backlog").Warn("the log directory cannot be locked here, make sure that no other node uses it", "directory", o.LogDir)
	}
	b.state = newStateStore(o.LogDir, b.target("backlog"))
	if o.ReloadBacklogs {
		discarded, err := b.state.load(b.configuration.ids(), b.engines.restore)
		if err != nil {
			return err
		}
		b.metrics.engine.Closed(telemetry.BacklogDiscarded, discarded)
		waiting, err := loadWaiting(b.state.waitingFile(), b.queue.restore)
		if err != nil {
			return err
		}
		if waiting > 0 {
			b.target("worker").Info("events that the last stop had no time for are played first", "events", waiting)
		}
		b.restored = uint64(waiting)
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
		findings: findings{filled: make(chan struct{}, 1)}, recent: b.recent,
		pressure: bus.NewPressure(o.MaxDelay, max(o.HoldDuration, time.Second)),
		signal:   b.signal, latency: func(took time.Duration) { b.metrics.events.Latency(took, 1) },
	}
	b.dispatcher = newDispatcher()
	d := b.dispatcher
	d.queue, d.engines, d.assets = b.queue, b.engines, b.configuration.assets
	d.decoders, d.now, d.stats, d.begun = runtime.GOMAXPROCS(0), b.now, b.stats, b.begun
	d.ticked, d.stepped = b.metrics.update, b.metrics.engine.Step
	d.publish, d.found = b.publish, b.publisher.findings.filled
	d.played = b.playedEvents
	b.waiting = &waitingFile{path: b.state.waitingFile()}
	d.leftover = b.waiting
	if !o.ReloadBacklogs {
		b.waiting.err = errNotSaved
	}
	if b.tracer.Tracing() {
		d.traced = b.traceSteps
	}
	logger := b.target("worker")
	d.rejected = func(data []byte, rej *event.Rejection) {
		logger.Error("cannot parse event from message queue, skipping it",
			"reason", rej.Reason.String(), "error", rej.Error(), "event", clip(data))
	}
}

// publish hands on what changed.
func (b *backend) publish(now time.Time, changes []correlate.Change) {
	b.publisher.publish(now, changes)
	if b.watched != nil {
		b.watched(now.Unix(), changes)
	}
}

// playedEvents tells who wants to know that events have been played.
func (b *backend) playedEvents() {
	if b.played != nil {
		b.watched(b.now().Unix(), nil)
		b.played()
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
	if b.frontend != nil {
		b.frontend.limiter.Overload(overloaded)
	}
	conn := b.conn.get()
	if conn == nil {
		return
	}
	if err := conn.PublishOverload(overloaded); err != nil {
		b.target("worker").Warn("overload signal not sent", "error", err)
	}
}

// start starts what correlates. It ends by end, not with ctx.
func (b *backend) start(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	lines, giveUp := context.WithCancel(ctx)
	b.giveUp, b.publisher.ctx = giveUp, lines
	b.files.start(lines, b.writer.Run)
	b.dispatch.start(ctx, b.dispatcher.run)
	if b.enricher != nil {
		b.lookups.start(ctx, b.enricher.Run)
	}
}

// end plays the events that still wait, and writes lines and state.
func (b *backend) end(ctx context.Context) error {
	// A disk that does not take the last lines must not keep the program alive.
	defer time.AfterFunc(lastEvents+closeTime, b.giveUp).Stop()
	defer b.giveUp()
	return errors.Join(b.dispatch.end(), b.lookups.end(), b.finish(ctx), b.files.end())
}

// takeEvents connects to the message queue and takes events until ctx ends.
func (b *backend) takeEvents(ctx context.Context) error {
	conn, err := b.connect(ctx, "dsiem-backend")
	if err != nil {
		return err
	}
	err = conn.Subscribe(ctx, b.queue.limit, b.queue.put)
	if err == nil && b.standalone() && b.queueServer.Addr() != "" { // other backends get our events
		err = conn.SubscribeOverload(ctx, b.frontend.limiter.Overload)
	}
	if err == nil {
		close(b.begun)
		b.settleOverload()
		b.logStart()
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

// settleOverload takes back an overload that the last run may have signalled
// before it was killed: frontends would wait for its end for ever. Those of this
// generation do not believe it while another backend is overloaded.
func (b *backend) settleOverload() {
	if b.state.cutOff {
		b.signal(false)
	}
}

// keepState settles the state that was loaded, once the start is complete, and
// writes checkpoints until ctx ends. What fails is reported and tried again the
// next time.
func (b *backend) keepState(ctx context.Context) error {
	if !b.options.ReloadBacklogs {
		return nil
	}
	select {
	case <-b.begun:
	case <-ctx.Done():
		return nil
	}
	interval := b.options.Checkpoint
	if interval <= 0 {
		if err := b.state.started(false); err != nil {
			b.target("backlog").Error("saved backlogs not removed", "error", err)
		}
		return b.forgetRestored(ctx)
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := b.checkpoint(ctx); err != nil && ctx.Err() == nil {
			b.target("backlog").Error("checkpoint failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// logStart says, in the successor's words, that events are being taken.
func (b *backend) logStart() {
	const (
		millisecondsPerSecond = 1000
		text                  = "backend started with max single event processing time: %.3f ms, queue limit: %d events, quick check threads: %d, backlog threads: %d, ttl directives: %d"
	)
	target := 0.0 // there is none
	if b.options.MaxEPS > 0 {
		target = millisecondsPerSecond / float64(b.options.MaxEPS)
	}
	b.logger.Info(fmt.Sprintf(text, target, b.queue.limit, b.dispatcher.decoders, len(b.engines.shards), len(b.configuration.plans))) //nolint:sloglint // the references' text
}

// checkpoint writes a checkpoint. The saved backlogs that were loaded may go
// after the first one.
func (b *backend) checkpoint(ctx context.Context) error {
	c := checkpointer{store: b.state, ask: b.dispatcher.ask, snapshot: b.engines.snapshot}
	played := b.restoredPlayed() // and therefore in this checkpoint
	written, err := c.write(ctx)
	if err != nil {
		return err
	}
	b.metrics.engine.Checkpoint(b.now(), written.Backlogs)
	if err := b.state.started(true); err != nil || !played {
		return err
	}
	return remove(b.state.waitingFile())
}

// restoredPlayed reports whether the events that the last stop had no time for
// have been played. They are the first ones of the queue.
func (b *backend) restoredPlayed() bool { return b.stats.received.Load() >= b.restored }

// forgetRestored deletes the events of the last run when they have been played,
// for a backend that writes no checkpoints.
func (b *backend) forgetRestored(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for !b.restoredPlayed() {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
	if err := remove(b.state.waitingFile()); err != nil {
		b.target("backlog").Error("played events not removed, the next start will play them again", "error", err)
	}
	return nil
}

// finish writes what is left when all parts have ended: lines, state, files.
func (b *backend) finish(ctx context.Context) error {
	b.publisher.end(b.now())
	var errs []error
	if isClosed(b.begun) { // if not, the state on disk is what was loaded
		errs = append(errs, b.saveWaiting(), b.save())
	}
	ctx, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
	errs = append(errs, b.writer.Close(ctx))
	if b.publisher.pressure.Overloaded() { // frontends must not wait for a backend that is gone
		b.signal(false)
	}
	b.logger.Info("backlog manager exiting")
	return errors.Join(errs...)
}

// saveWaiting settles what becomes of events that there was no time for.
func (b *backend) saveWaiting() error {
	n := b.waiting.events
	if n == 0 {
		return remove(b.state.waitingFile()) // those of the last run have been played
	}
	if !b.options.ReloadBacklogs {
		b.stats.abandoned.Add(uint64(n))
		return fmt.Errorf("%d events dropped, there was no time for them before the end, and --reload-backlogs is off", n)
	}
	if err := b.waiting.close(); err != nil {
		b.stats.abandoned.Add(uint64(n))
		return fmt.Errorf("%d events dropped, there was no time for them before the end: %w", n, err)
	}
	b.target("worker").Warn("there was no time for all events, the next start will play them", "events", n, "file", b.state.waitingFile())
	return nil
}

// save writes the state of a backend that stops.
func (b *backend) save() error {
	if !b.options.ReloadBacklogs {
		return nil
	}
	written, err := b.state.save(b.engines.saved())
	if err == nil {
		b.target("backlog").Info("backlogs saved", "backlogs", written.Backlogs, "files", written.Files)
	}
	return err
}

func openWriter(o *ServeOptions, logger *slog.Logger) (*sink.Writer, error) {
	mode, err := sink.ParseFsync(cmp.Or(o.Fsync, sink.FsyncInterval.String()))
	if err != nil {
		return nil, err
	}
	return sink.OpenWriter(filepath.Clean(o.LogDir), sink.WriterOptions{Fsync: mode, Logger: logger})
}
