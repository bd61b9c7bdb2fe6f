package node

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
	"dsiem/internal/correlate/shard"
	"dsiem/internal/enrich"
	"dsiem/internal/event"
	"dsiem/internal/jsonfile"
	"dsiem/internal/live"
	"dsiem/internal/observe/metric"
	"dsiem/internal/output/file"
	"dsiem/internal/state"
	"dsiem/internal/text"
	"dsiem/internal/web/status"
)

// backend correlates events: the part of a node that standalone nodes and
// backends have.
type backend struct {
	*Node
	// Begun is closed when events are taken: the start is complete. Until then
	// no backlog changes and the saved state stays as it is.
	Begun chan struct{}

	configuration *config.Config
	services      []enrich.Service
	state         *state.Store
	queue         *live.Queue
	engines       *shard.Set
	writer        *file.Writer
	enricher      *enrich.Enricher
	publisher     *live.Emitter
	dispatcher    *live.Correlator
	metrics       *serveMetrics
	recent        *status.Recent // alarms, for the status page
	waiting       *state.WaitingFile
	restored      uint64   // events of the last run, which are played first
	lock          *os.File // of the log directory

	files, dispatch, lookups Part
	giveUp                   context.CancelFunc // of lines that find no room
}

// errNotSaved stands for a state that nobody wants to be saved.
var errNotSaved = errors.New("the state is not saved")

func newBackend(n *Node) *backend {
	return &backend{Node: n, Begun: make(chan struct{}), recent: status.NewRecent(status.ShownAlarms)}
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
	c, err := config.LoadAll(dir, o.ConfigDir)
	if err != nil {
		return fmt.Errorf("loading directives: %w", err)
	}
	b.configuration = c
	b.target("intel").Info(fmt.Sprintf("loaded %d intel plugins", len(c.Intel))) //nolint:sloglint // the references' text
	b.target("vuln").Info(fmt.Sprintf("loaded %d vuln plugins", len(c.Vuln)))    //nolint:sloglint // the references' text
	b.services = slices.Concat(c.Intel, c.Vuln)
	logger := b.target("directive")
	for _, name := range c.Names {
		logger.Info(fmt.Sprintf("reading %q", name)) //nolint:sloglint // the references' text
	}
	for i := range c.Report.Problems {
		p := &c.Report.Problems[i]
		level := slog.LevelError
		if p.Severity == jsonfile.Warning {
			level = slog.LevelWarn
		}
		logger.LogAttrs(ctx, level, "configuration", slog.String("problem", p.Error()), slog.String("reason", p.Msg))
	}
	if err := c.Startable(o.SkipInvalid); err != nil {
		return err
	}
	logger.Info(fmt.Sprintf("%d directives found and loaded", len(c.Plans)))          //nolint:sloglint // the references' text
	b.target("asset").Info(fmt.Sprintf("%d assets found and loaded", c.Assets.Len())) //nolint:sloglint // the references' text
	return nil
}

// open makes the parts, restores saved backlogs and opens the files.
func (b *backend) open() error {
	o := b.options
	engineOptions := o.Engine
	engineOptions.Lookups = len(b.services) > 0
	b.engines = shard.New(b.configuration.Plans, b.configuration.Assets, engineOptions, shard.Count(o.Shards))
	b.queue = live.NewQueue(o.MaxQueue)
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
	lock, ok, err := state.LockDir(o.LogDir)
	if err != nil {
		return err
	}
	b.lock = lock
	if !ok {
		b.target("backlog").Warn("the log directory cannot be locked here, make sure that no other node uses it", "directory", o.LogDir)
	}
	b.state = state.NewStore(o.LogDir, b.target("backlog"))
	if o.ReloadBacklogs {
		discarded, err := b.state.Load(b.configuration.Directives(), b.engines.Restore)
		if err != nil {
			return err
		}
		b.metrics.engine.Closed(metric.BacklogDiscarded, discarded)
		waiting, err := state.LoadWaiting(b.state.WaitingFile(), b.queue.Restore)
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
	b.publisher = &live.Emitter{
		Writer: b.writer, Logger: b.target("backlog"), Stats: b.Stats, Engines: b.engines,
		Enricher: b.enricher, Outbox: enrich.NewOutbox(enrich.OutboxOptions{Wait: o.EnrichWait}),
		Findings: live.Findings{Filled: make(chan struct{}, 1)}, Recent: b.recent,
		Pressure: bus.NewPressure(o.MaxDelay, max(o.HoldDuration, time.Second)),
		Signal:   b.signal, Latency: func(took time.Duration) { b.metrics.events.Latency(took, 1) },
	}
	b.dispatcher = live.NewCorrelator()
	d := b.dispatcher
	d.Queue, d.Engines, d.Assets = b.queue, b.engines, b.configuration.Assets
	d.Decoders, d.Now, d.Stats, d.Begun = runtime.GOMAXPROCS(0), b.Now, b.Stats, b.Begun
	d.Ticked, d.Stepped = b.metrics.update, b.metrics.engine.Step
	d.Publish, d.Found = b.publish, b.publisher.Findings.Filled
	d.Played = b.playedEvents
	b.waiting = &state.WaitingFile{Path: b.state.WaitingFile()}
	d.Leftover = b.waiting
	if !o.ReloadBacklogs {
		b.waiting.Err = errNotSaved
	}
	if b.tracer.Tracing() {
		d.Traced = b.traceSteps
	}
	logger := b.target("worker")
	const loggedText = 200 // bytes of an event
	d.Rejected = func(data []byte, rej *event.Rejection) {
		logger.Error("cannot parse event from message queue, skipping it",
			"reason", rej.Reason.String(), "error", rej.Error(), "event", text.Clip(data, loggedText))
	}
}

// publish hands on what changed.
func (b *backend) publish(now time.Time, changes []correlate.Change) {
	b.publisher.Publish(now, changes)
	if b.Watched != nil {
		b.Watched(now.Unix(), changes)
	}
}

// playedEvents tells who wants to know that events have been played.
func (b *backend) playedEvents() {
	if b.Played != nil {
		b.Watched(b.Now().Unix(), nil)
		b.Played()
	}
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
	b.giveUp, b.publisher.Ctx = giveUp, lines
	b.files.Start(lines, b.writer.Run)
	b.dispatch.Start(ctx, b.dispatcher.Run)
	if b.enricher != nil {
		b.lookups.Start(ctx, b.enricher.Run)
	}
}

// end plays the events that still wait, and writes lines and state.
func (b *backend) end(ctx context.Context) error {
	// A disk that does not take the last lines must not keep the program alive.
	defer time.AfterFunc(live.LastEvents+closeTime, b.giveUp).Stop()
	defer b.giveUp()
	return errors.Join(b.dispatch.End(), b.lookups.End(), b.finish(ctx), b.files.End())
}

// takeEvents connects to the message queue and takes events until ctx ends.
func (b *backend) takeEvents(ctx context.Context) error {
	conn, err := b.connect(ctx, "dsiem-backend")
	if err != nil {
		return err
	}
	err = conn.Subscribe(ctx, b.queue.Limit, b.queue.Put)
	if err == nil && b.standalone() && b.queueServer.Addr() != "" { // other backends get our events
		err = conn.SubscribeOverload(ctx, b.frontend.limiter.Overload)
	}
	if err == nil {
		close(b.Begun)
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
	if b.state.CutOff {
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
	case <-b.Begun:
	case <-ctx.Done():
		return nil
	}
	interval := b.options.Checkpoint
	if interval <= 0 {
		if err := b.state.Started(false); err != nil {
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
	b.logger.Info(fmt.Sprintf(text, target, b.queue.Limit, b.dispatcher.Decoders, len(b.engines.Shards), len(b.configuration.Plans))) //nolint:sloglint // the references' text
}

// checkpoint writes a checkpoint. The saved backlogs that were loaded may go
// after the first one.
func (b *backend) checkpoint(ctx context.Context) error {
	c := state.Checkpointer{Store: b.state, Ask: b.dispatcher.Ask, Snapshot: b.engines.Snapshot}
	played := b.restoredPlayed() // and therefore in this checkpoint
	written, err := c.Write(ctx)
	if err != nil {
		return err
	}
	b.metrics.engine.Checkpoint(b.Now(), written.Backlogs)
	if err := b.state.Started(true); err != nil || !played {
		return err
	}
	return state.Remove(b.state.WaitingFile())
}

// restoredPlayed reports whether the events that the last stop had no time for
// have been played. They are the first ones of the queue.
func (b *backend) restoredPlayed() bool { return b.Stats.Received.Load() >= b.restored }

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
	if err := state.Remove(b.state.WaitingFile()); err != nil {
		b.target("backlog").Error("played events not removed, the next start will play them again", "error", err)
	}
	return nil
}

// finish writes what is left when all parts have ended: lines, state, files.
func (b *backend) finish(ctx context.Context) error {
	b.publisher.End(b.Now())
	var errs []error
	if live.IsClosed(b.Begun) { // if not, the state on disk is what was loaded
		errs = append(errs, b.saveWaiting(), b.save())
	}
	ctx, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
	errs = append(errs, b.writer.Close(ctx))
	if b.publisher.Pressure.Overloaded() { // frontends must not wait for a backend that is gone
		b.signal(false)
	}
	b.logger.Info("backlog manager exiting")
	return errors.Join(errs...)
}

// saveWaiting settles what becomes of events that there was no time for.
func (b *backend) saveWaiting() error {
	n := b.waiting.Events
	if n == 0 {
		return state.Remove(b.state.WaitingFile()) // those of the last run have been played
	}
	if !b.options.ReloadBacklogs {
		b.Stats.Abandoned.Add(uint64(n))
		return fmt.Errorf("%d events dropped, there was no time for them before the end, and --reload-backlogs is off", n)
	}
	if err := b.waiting.Close(); err != nil {
		b.Stats.Abandoned.Add(uint64(n))
		return fmt.Errorf("%d events dropped, there was no time for them before the end: %w", n, err)
	}
	b.target("worker").Warn("there was no time for all events, the next start will play them", "events", n, "file", b.state.WaitingFile())
	return nil
}

// save writes the state of a backend that stops.
func (b *backend) save() error {
	if !b.options.ReloadBacklogs {
		return nil
	}
	written, err := b.state.Save(b.engines.Saved())
	if err == nil {
		b.target("backlog").Info("backlogs saved", "backlogs", written.Backlogs, "files", written.Files)
	}
	return err
}

func openWriter(o *Options, logger *slog.Logger) (*file.Writer, error) {
	mode, err := file.ParseFsync(cmp.Or(o.Fsync, file.FsyncInterval.String()))
	if err != nil {
		return nil, err
	}
	return file.Open(filepath.Clean(o.LogDir), file.Options{Fsync: mode, Logger: logger})
}
