package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"dsiem/internal/bus"
	"dsiem/internal/confdist"
	"dsiem/internal/config"
	"dsiem/internal/enrich"
	"dsiem/internal/event"
	"dsiem/internal/jsonfile"
	"dsiem/internal/live"
	"dsiem/internal/output/file"
	"dsiem/internal/state"
	"dsiem/internal/web/status"
)

// backend correlates events: the part of a node that standalone nodes and
// backends have.
type backend struct {
	*basis
	// overload is told about overload besides the frontends that NATS reaches.
	overload func(overloaded bool)

	config *config.Config
	// source says where the configuration is from, once it is loaded.
	source     atomic.Pointer[confdist.Result]
	queue      *live.Queue
	correlator *live.Correlator
	writer     alarmFiles
	enricher   *enrich.Enricher // nil if there is no service to ask
	state      *state.Store
	recent     *status.Recent // alarms, for the status page
	// restored is the number of events of the last run, which are played first;
	// abandoned that of events that were still waiting at the end and are lost.
	restored  uint64
	abandoned atomic.Uint64
	// running says that the parts were started, patience that they are to end; giveUp
	// ends the writer of a disk that takes nothing.
	running  bool
	patience *time.Timer
	giveUp   context.CancelFunc
}

// alarmFiles is the Output of the Correlator, which is made before the files are:
// a start that fails leaves none behind.
type alarmFiles struct{ *file.Writer }

func newBackend(c *basis, overload func(bool)) *backend {
	return &backend{basis: c, overload: overload, recent: status.NewRecent(status.ShownAlarms)}
}

// prepare does everything that can fail before events are taken.
func (b *backend) prepare(ctx context.Context, s *stops) error {
	if err := b.options.Engine.Check(); err != nil {
		return fmt.Errorf("reading med_risk_min and med_risk_max: %w", err)
	}
	if err := b.configure(ctx); err != nil {
		return err
	}
	return b.open(ctx, s)
}

// configure downloads and loads the configuration. If that cannot be, it loads the one
// that was downloaded last.
func (b *backend) configure(ctx context.Context) error {
	registerOutdated(b.registry, b.outdated)
	var fetched *config.Config // what the frontend has now, if it can be used
	var refused error
	result, err := confdist.Download(ctx, confdist.Options{
		Frontend: b.options.Frontend, Node: b.options.Node, Dir: b.options.ConfigDir, Logger: b.target("config"),
		Check: func(dir fs.FS) error {
			fetched, refused = b.load(dir)
			if refused != nil && fetched != nil {
				b.logProblems(ctx, fetched)
			}
			return refused
		},
	})
	switch {
	case err != nil && refused != nil && ctx.Err() == nil:
		return refused
	case err != nil:
		return err
	case result.Outdated != nil:
		b.target("config").Warn("starting with the last good configuration, which may be outdated; "+
			"when the frontend answers and what it has is right, restart this backend",
			"error", result.Outdated, "downloaded", result.Downloaded.UTC().Format(time.RFC3339))
	}
	if fetched == nil || result.Outdated != nil {
		fetched, err = b.load(os.DirFS(b.options.ConfigDir))
	}
	if fetched != nil {
		b.logRead(ctx, fetched)
	}
	if err != nil {
		return err
	}
	b.config = fetched
	b.source.Store(&result)
	b.logLoaded()
	return nil
}

// load loads the configuration of a folder. With an error about its content it is
// returned, too.
func (b *backend) load(dir fs.FS) (*config.Config, error) {
	c, err := config.LoadAll(dir, b.options.ConfigDir)
	if err != nil {
		return nil, fmt.Errorf("loading directives: %w", err)
	}
	return c, c.Startable(b.options.SkipInvalid)
}

// configured returns why there is no configuration yet.
func (b *backend) configured(context.Context) error {
	if b.source.Load() == nil {
		return errStarting
	}
	return nil
}

// outdated reports whether the configuration is that of an earlier download.
func (b *backend) outdated() bool {
	result := b.source.Load()
	return result != nil && result.Outdated != nil
}

// note returns what is to be said of the configuration.
func (b *backend) note() string {
	if !b.outdated() {
		return ""
	}
	result := b.source.Load()
	return fmt.Sprintf("the last good one, downloaded %s: %v", result.Downloaded.UTC().Format(time.RFC3339), result.Outdated)
}

// logRead logs what was read, and what is wrong with it.
func (b *backend) logRead(ctx context.Context, c *config.Config) {
	b.target("intel").Info(fmt.Sprintf("loaded %d intel plugins", len(c.Intel))) //nolint:sloglint // the references' text
	b.target("vuln").Info(fmt.Sprintf("loaded %d vuln plugins", len(c.Vuln)))    //nolint:sloglint // the references' text
	logger := b.target("directive")
	for _, name := range c.Names {
		logger.Info(fmt.Sprintf("reading %q", name)) //nolint:sloglint // the references' text
	}
	b.logProblems(ctx, c)
}

// logProblems logs what is wrong with a configuration.
func (b *backend) logProblems(ctx context.Context, c *config.Config) {
	logger := b.target("directive")
	for i := range c.Report.Problems {
		p := &c.Report.Problems[i]
		level := slog.LevelError
		if p.Severity == jsonfile.Warning {
			level = slog.LevelWarn
		}
		logger.LogAttrs(ctx, level, "configuration", slog.String("problem", p.Error()), slog.String("reason", p.Msg))
	}
	if n := c.Report.SwitchedOff; n > 0 {
		logger.Info("warnings of the configuration are switched off in its files", "count", n)
	}
}

// logLoaded logs how much is loaded.
func (b *backend) logLoaded() {
	b.target("directive").Info(fmt.Sprintf("%d directives found and loaded", len(b.config.Plans))) //nolint:sloglint // the references' text
	b.target("asset").Info(fmt.Sprintf("%d assets found and loaded", b.config.Assets.Len()))       //nolint:sloglint // the references' text
}

// open makes the parts, restores what the last run left and opens the files.
func (b *backend) open(ctx context.Context, s *stops) error {
	o := b.options
	store, err := state.Open(o.LogDir, o.ReloadBacklogs, b.target("backlog"))
	if err != nil {
		return err
	}
	b.state = store
	s.push(func(context.Context) error { return store.Close() })
	store.Register(b.registry)
	b.queue = live.NewQueue(live.QueueOptions{
		Events: o.MaxQueue, Bytes: b.memory.share(queueShare), Short: b.memory.short.Load, Keeper: store.Waiting(), Clock: b.clock,
	})
	b.queue.Register(b.registry)
	b.assemble()
	discarded, err := b.restore()
	if err != nil {
		return err
	}
	b.correlator.Register(b.registry, discarded)
	return b.openFiles(ctx, s)
}

// assemble makes what correlates.
func (b *backend) assemble() {
	o := b.options
	services := slices.Concat(b.config.Intel, b.config.Vuln)
	lookups := enrich.NewMetrics(b.registry, services)
	if len(services) > 0 {
		b.enricher = enrich.New(enrich.Options{
			Services: services, IntelPrivateIP: o.IntelPrivateIP, CacheTTL: o.CacheDuration,
			Logger: b.target("enrich"), Metrics: lookups,
		})
	}
	observers := []live.Observer{rejections{logger: b.target("worker"), keep: b.rejects.Add}, recentAlarms{recent: b.recent}}
	if b.tracer.Tracing() {
		observers = append(observers, traces{tracer: b.tracer})
	}
	engine := o.Engine
	engine.Memory = b.memory.share(engineShare)
	b.correlator = live.NewCorrelator(live.Options{
		Config: b.config, Engine: engine, Shards: o.Shards, Source: b.queue, Output: &b.writer,
		Lookups: b.enricher, LookupWait: o.EnrichWait,
		Overload:  live.Overload{MaxDelay: o.MaxDelay, Hold: max(o.HoldDuration, time.Second), Signal: b.signal},
		Observers: append(observers, o.Observers...), Traced: b.tracer.Tracing(), Clock: b.clock, Logger: b.target("backlog"),
		IDs: event.NewIDs(rand.Uint64()), //nolint:gosec // it tells runs apart, it is no secret
	})
}

// restore loads what the last run left, and returns how many backlogs could not be
// restored.
func (b *backend) restore() (discarded int, err error) {
	if !b.options.ReloadBacklogs {
		return 0, nil
	}
	if discarded, err = b.state.Load(b.config.Directives(), b.correlator.Restore); err != nil {
		return 0, err
	}
	if err := b.state.LoadRemembered(b.correlator.RestoreRemembered); err != nil {
		return 0, err
	}
	waiting, lost, err := b.state.LoadWaiting(b.queue.Restore)
	if err != nil {
		return 0, err
	}
	b.abandoned.Add(uint64(lost))
	if waiting > 0 {
		b.target("worker").Info("events that the last stop had no time for are played first", "events", waiting)
	}
	b.restored = uint64(waiting)
	return discarded, nil
}

// openFiles opens the alarm files. Their writer ends when nobody writes any more.
func (b *backend) openFiles(ctx context.Context, s *stops) error {
	mode, err := file.ParseFsync(cmp.Or(b.options.Fsync, file.FsyncInterval.String()))
	if err == nil {
		b.writer.Writer, err = file.Open(filepath.Clean(b.options.LogDir), file.Options{Fsync: mode, Logger: b.target("log_writer")})
	}
	if err != nil {
		return fmt.Errorf("opening the alarm files: %w; make room for them in the log directory, or let this user write there", err)
	}
	b.writer.Register(b.registry)
	s.push(b.leave)
	ctx, b.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	s.run(ctx, func() {}, b.writer.Run)
	s.push(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, closeTime)
		defer cancel()
		return b.writer.Close(ctx)
	})
	return nil
}

// run starts what correlates.
func (b *backend) run(ctx context.Context, s *stops) {
	s.push(b.save)
	if b.enricher != nil {
		s.run(ctx, func() {}, b.enricher.Run)
	}
	s.run(ctx, func() {}, b.correlator.Run)
	s.push(func(context.Context) error {
		// A disk that does not take the last lines must not keep the program alive.
		b.patience = time.AfterFunc(live.LastEvents+closeTime, func() {
			b.correlator.GiveUp()
			b.giveUp() // the writer tries once more
		})
		return nil
	})
	b.running = true
}

// signal tells frontends about overload.
func (b *backend) signal(overloaded bool) {
	b.overload(overloaded)
	conn := b.conn.Load()
	if conn == nil {
		return
	}
	if err := conn.PublishOverload(overloaded); err != nil {
		b.target("worker").Warn("overload signal not sent", "error", err)
	}
}

// takeEvents connects to NATS and takes events until ctx ends. server is the one
// in this process, nil if there is none.
func (b *backend) takeEvents(ctx context.Context, server *bus.Server) error {
	conn, err := b.connect(ctx, "dsiem-backend", server)
	if err != nil {
		return err
	}
	err = conn.Subscribe(ctx, b.queue.Limit(), b.queue.Put)
	if err == nil && b.listens() { // other backends get our events
		err = conn.SubscribeOverload(ctx, b.overload)
	}
	if err == nil {
		b.correlator.Begin()
		b.settleOverload()
		b.logStart()
		select {
		case <-ctx.Done():
		case <-conn.Closed():
			err = errClosed
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
	if b.state.CutOff() {
		b.signal(false)
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
	b.logger.Info(fmt.Sprintf(text, target, b.queue.Limit(), b.correlator.Decoders(), b.correlator.Shards(), len(b.config.Plans))) //nolint:sloglint // the references' text
}

// begun reports whether the start is complete: events are taken. Until then no
// backlog changes and the saved state stays as it is.
func (b *backend) begun() bool {
	select {
	case <-b.correlator.Begun():
		return true
	default:
		return false
	}
}

// ready returns why events are not taken.
func (b *backend) ready(context.Context) error {
	if !b.begun() {
		return errors.New("not connected")
	}
	return b.conn.up()
}

// save writes what is left when nothing correlates any more: lines and state.
func (b *backend) save(context.Context) error {
	b.correlator.Close()
	if b.patience.Stop() {
		b.correlator.GiveUp() // nothing is left to write
	}
	if !b.begun() {
		return nil // the state on disk is what was loaded
	}
	waiting, err := b.state.SaveWaiting()
	if err != nil {
		b.abandoned.Add(uint64(waiting))
	} else if waiting > 0 {
		b.target("worker").Warn("there was no time for all events, the next start will play them", "events", waiting, "file", b.state.WaitingFile())
	}
	if !b.options.ReloadBacklogs {
		return err
	}
	written, saveErr := b.state.Save(b.correlator.Saved(), b.correlator.Remembered())
	if saveErr == nil {
		b.target("backlog").Info("backlogs saved", "backlogs", written.Backlogs, "files", written.Files)
	}
	return errors.Join(err, saveErr)
}

// leave says goodbye when everything is on disk: nobody must wait for a backend
// that is gone.
func (b *backend) leave(context.Context) error {
	if b.running {
		b.correlator.Relieve()
		b.logger.Info("backlog manager exiting")
	}
	return nil
}

// keepState settles the state that was loaded, once the start is complete, and
// writes checkpoints until ctx ends. What fails is reported and tried again the
// next time.
func (b *backend) keepState(ctx context.Context) error {
	if !b.options.ReloadBacklogs {
		return nil
	}
	select {
	case <-b.correlator.Begun():
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

// checkpoint writes a checkpoint. The saved backlogs that were loaded may go
// after the first one.
func (b *backend) checkpoint(ctx context.Context) error {
	c := state.Checkpointer{Store: b.state, Ask: b.correlator.Ask, Backlogs: b.correlator.Backlogs, Remembered: b.correlator.Remembered, Now: b.clock}
	played := b.restoredPlayed() // and therefore in this checkpoint
	if _, err := c.Write(ctx); err != nil {
		return err
	}
	if err := b.state.Started(true); err != nil || !played {
		return err
	}
	return b.state.ForgetWaiting()
}

// restoredPlayed reports whether the events that the last stop had no time for
// have been played. They are the first ones of the queue.
func (b *backend) restoredPlayed() bool { return b.correlator.Received() >= b.restored }

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
	if err := b.state.ForgetWaiting(); err != nil {
		b.target("backlog").Error("played events not removed, the next start will play them again", "error", err)
	}
	return nil
}
