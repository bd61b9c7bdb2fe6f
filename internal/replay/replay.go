// Package replay is "dsiem replay": it plays recorded events through the engine,
// with the events' own time as the clock, and writes the alarm files and a
// summary.
//
// A run owns everything it uses: reader, engines, files and saved backlogs. The
// same events and configuration give the same bytes, whatever the number of
// shards: nothing here reads the time of the machine but to tell of the speed.
package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"sync"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/config"
	"dsiem/internal/correlate"
	"dsiem/internal/correlate/shard"
	"dsiem/internal/event"
	"dsiem/internal/input"
	"dsiem/internal/input/file"
	"dsiem/internal/output/plain"
	"dsiem/internal/text"
)

// Options says what to replay and where to write.
type Options struct {
	// Config holds the configuration files, ConfigName is how messages call the
	// directory.
	Config     fs.FS
	ConfigName string
	// SkipInvalid leaves out directives with errors instead of refusing to
	// start.
	SkipInvalid bool
	// Inputs are the event files, file.Stdin for Stdin.
	// Format is their form: "normalized" (also if empty) or "suricata-eve".
	Inputs []string
	Stdin  io.Reader
	Format string
	// Out is the directory of the output files. Existing files that are not
	// empty are refused, unless they are to be appended to or overwritten.
	Out               string
	Append, Overwrite bool

	Engine correlate.Options
	// Shards is the number of engines the directives are spread over; one per
	// core if 0. The output does not depend on it.
	Shards int
	// ExpireAll lets every backlog that is live after the last event expire.
	ExpireAll bool
	// SaveBacklogs and LoadBacklogs are directories of saved backlogs, "" for
	// none.
	SaveBacklogs, LoadBacklogs string

	// MaxJump is by how much the time of an input may go ahead from one record to the
	// next without being confirmed by those that follow: DefaultMaxJump if 0, and not
	// at all if negative.
	MaxJump time.Duration
	// Sort puts each input in order of time.
	Sort bool

	// BatchSize is the number of records played together; 512 if 0.
	BatchSize int
	// Diagnostics receives problems and rejected records as text.
	Diagnostics io.Writer
	// Progress, unless nil, receives a line about progress that is rewritten.
	Progress io.Writer

	mostOpen, mostKept, sortMemory int // for tests
}

// DefaultMaxJump is that of Options.
const DefaultMaxJump = time.Hour

// lookBack is that of the engines, in seconds.
func (o *Options) lookBack() int64 {
	return cmp.Or(o.Engine.LookBack, correlate.DefaultReplayLookBack)
}

func (o *Options) maxJump() time.Duration { return max(0, cmp.Or(o.MaxJump, DefaultMaxJump)) }

// shownRejections is the number of rejected records that are shown with their
// place, for each reason.
const shownRejections = 3

// Run plays recorded events through the engine, with the events' own time as
// the clock, and writes the alarms to files. The summary tells what was done
// also when an error ended the replay early; everything read before the error
// has been written then.
func Run(ctx context.Context, o *Options) (*Summary, error) {
	if err := o.Engine.Check(); err != nil {
		return nil, err
	}
	format, err := input.ParseFormat(cmp.Or(o.Format, input.Normalized.String()))
	if err != nil {
		return nil, err
	}
	c, err := config.Load(o.Config, o.ConfigName)
	if err != nil {
		return nil, err
	}
	if err := c.Report.Write(o.Diagnostics); err != nil {
		return nil, err
	}
	if err := c.Usable(o.SkipInvalid); err != nil {
		return nil, err
	}
	r := &replay{
		options: o, format: format, configuration: c, summary: newSummary(), restored: map[string]struct{}{}, diagnostics: o.Diagnostics,
		riskless: newRiskless(c.Plans, c.Assets),
	}
	return r.summary, r.run(ctx)
}

func (o *Options) mode() plain.Mode {
	switch {
	case o.Append:
		return plain.Append
	case o.Overwrite:
		return plain.Overwrite
	}
	return plain.Refuse
}

// replay is one run of Replay.
type replay struct {
	options       *Options
	format        input.Format
	configuration *config.Config
	summary       *Summary
	files         *plain.Files
	pipeline      *pipeline
	// restored holds the ids of restored backlogs that have published nothing in
	// this run: what they published before is not in its summary.
	restored map[string]struct{}
	jumps    int
	alarmed  bool // there was an alarm line
	riskless *riskless
	bytes    int64 // of all inputs, 0 if unknown
	// loaded are the files of the restored backlogs, damaged those of which some
	// could not be restored.
	loaded, damaged []string
	// diagnostics are the options' ones, beside the progress line.
	diagnostics io.Writer
}

func (r *replay) run(ctx context.Context) error {
	o := r.options
	ctx, stopReading := context.WithCancel(ctx)
	defer stopReading()
	reader := file.NewReader(file.Options{Paths: o.Inputs}) // of all, which reads nothing
	if o.Overwrite {                                        // a mistyped name must not cost what is there
		if err := reader.Check(); err != nil {
			return err
		}
	}
	files, err := plain.Open(o.Out, o.mode())
	if errors.Is(err, plain.ErrNotEmpty) {
		return fmt.Errorf("%w; use --append to add to it or --overwrite to replace it", err)
	}
	if err != nil {
		return err
	}
	r.files = files
	r.summary.AlarmsFile, r.summary.AlarmEventsFile = files.Paths()
	r.pipeline = r.newPipeline()
	r.pipeline.stdin, r.pipeline.stopReading = interruptible(ctx, o.Stdin), stopReading
	_, r.bytes = reader.Progress()
	started := time.Now()
	err = r.play(ctx, started)
	r.finish(started)
	return errors.Join(err, files.Close())
}

func (r *replay) newPipeline() *pipeline {
	o := r.options
	p := &pipeline{
		paths: o.Inputs, format: r.format, assets: r.configuration.Assets,
		batchSize: cmp.Or(max(o.BatchSize, 0), batchSize), decoders: runtime.GOMAXPROCS(0),
		mostOpen: cmp.Or(o.mostOpen, mostOpen), mostKept: cmp.Or(o.mostKept, mostKept), maxJump: int64(o.maxJump()),
		sort: o.Sort, sortMemory: cmp.Or(o.sortMemory, sortMemory),
		rejected: r.rejected, jumped: r.jumped, moved: r.moved, played: r.played,
	}
	opts := o.Engine
	opts.LookBack = o.lookBack()
	p.lookBack = max(0, opts.LookBack)
	p.engines = shard.New(r.configuration.Plans, p.assets, opts, shard.Count(o.Shards))
	return p
}

// play restores saved backlogs, plays the input and saves what is live.
func (r *replay) play(ctx context.Context, started time.Time) error {
	o := r.options
	if err := r.load(); err != nil {
		return err
	}
	stopProgress := r.watchProgress(started)
	err := r.pipeline.run(ctx)
	stopProgress()
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted; what was read before has been written")
	}
	if err != nil {
		return errors.Join(err, r.save(true))
	}
	if err := r.played(r.pipeline.engines.Flush(), batchCounts{}); err != nil {
		return err
	}
	if o.ExpireAll {
		for changes := range r.pipeline.engines.ExpireAll() {
			if err := r.played(changes, batchCounts{}); err != nil {
				return err
			}
		}
	}
	if err := r.files.Flush(); err != nil {
		return err
	}
	return r.save(false)
}

// rejected counts a record that is no event and shows the first ones.
func (r *replay) rejected(rec input.Record, rej *event.Rejection) {
	n := r.summary.reject(rej.Reason)
	switch {
	case n <= shownRejections:
		fmt.Fprintf(r.diagnostics, "%s: event rejected: %s\n", placeOf(&rec), rej.Error()+elementOf(&rec))
	case n == shownRejections+1:
		fmt.Fprintf(r.diagnostics, "%s:%d: more events rejected as %s are only counted\n", rec.File, rec.Line, rej.Reason)
	}
}

// placeOf says where a record is: file and line, and where on the line if that has
// something else before it.
func placeOf(rec *input.Record) string {
	place := fmt.Sprintf("%s:%d", rec.File, rec.Line)
	if rec.Column > 0 {
		place += fmt.Sprintf(":%d", rec.Column)
	}
	return place
}

// elementOf says which element of its array a record is, if its line does not.
func elementOf(rec *input.Record) string {
	if rec.Column == 0 || rec.Element == 0 {
		return ""
	}
	return fmt.Sprintf(" (element %d of its array, counted from 1)", rec.Element)
}

// month is the number of nanoseconds from which it is worth a word that the time of
// an input goes ahead at once, though that was confirmed: everything live expires.
// Captures have gaps of days.
const month = 30 * day

const day = 24 * 60 * 60 * perSecond

// jumped shows the first events that turn an input's time by more than a month.
func (r *replay) jumped(file string, line int, nanoseconds int64) {
	if nanoseconds <= month {
		return
	}
	if r.jumps++; r.jumps <= shownRejections {
		fmt.Fprintf(r.diagnostics, "%s:%d: this event is %s later than all before it; backlogs may expire\n",
			file, line, text.Count(int(nanoseconds/day), "day"))
	}
}

// moved notes an event that is taken for an earlier time.
func (r *replay) moved(file string, line int, nanoseconds int64) {
	if s := r.summary; len(s.Future) < shownFuture {
		s.Future = append(s.Future, FutureEvent{file, line, nanoseconds / perSecond})
	}
}

// pendingLines is the size of lines, in bytes, from which they are written before
// the end of their batch.
const pendingLines = 256 << 10

// played collects the lines of a part of a batch, and writes them at its end, which
// has no changes.
func (r *replay) played(changes []correlate.Change, counts batchCounts) error {
	r.summary.add(counts)
	lastStep := uint64(0)
	for i := range changes {
		c := &changes[i]
		switch c.Kind {
		case correlate.Accepted:
			if c.Order.Step != lastStep {
				lastStep = c.Order.Step
				r.summary.matched.Add(1)
			}
			r.summary.gravest.accepted(c)
			r.files.Event(&alarm.Event{AlarmID: c.AlarmID, Stage: c.Stage, EventID: c.EventID})
		case correlate.Updated:
			r.alarmed = true
			r.files.Alarm(c.Alarm)
			before := c.Before
			if _, ok := r.restored[c.AlarmID]; ok {
				delete(r.restored, c.AlarmID)
				before = alarm.Unclassified
			}
			r.summary.alarm(before, c.Alarm.Class)
			r.summary.gravest.updated(c)
		case correlate.Opened:
			r.summary.Backlogs.Opened++
		case correlate.Finished:
			r.summary.Backlogs.Finished++
			r.summary.gravest.ended(c, StateComplete)
			r.completed(c)
		case correlate.Advanced:
			r.completed(c)
		case correlate.Expired:
			r.summary.Backlogs.Expired++
			r.summary.gravest.ended(c, StateTimedOut)
			r.summary.unfinished.add(correlate.Waiting{Directive: c.Directive, Stage: c.Stage, Recorded: c.Recorded, Wanted: c.Wanted}, timedOut)
		}
	}
	if len(changes) > 0 && r.files.Pending() < pendingLines {
		return nil
	}
	return r.files.Flush()
}

// completed notes a stage that was completed, in case no alarm comes of it.
func (r *replay) completed(c *correlate.Change) {
	if !r.alarmed {
		r.riskless.completed(c, r.pipeline.eventOf(c.Order.Step))
	}
}

// finish completes the summary.
func (r *replay) finish(started time.Time) {
	s := r.summary
	stats := r.pipeline.engines.Stats()
	s.Backlogs.Live = stats.Live
	e := &s.Events
	e.Repeated, e.OutOfOrder, e.Outside, e.Known = stats.Repeated, stats.OutOfOrder, stats.Outside, stats.Known
	e.LookedBack, e.Truncated = stats.LookedBack, stats.Truncated
	e.Forgotten = stats.ForgottenEarly + stats.ForgottenEnded + stats.ForgottenIDs + stats.ForgottenHits
	s.Lines.Alarms, s.Lines.AlarmEvents = r.files.Lines()
	for w := range r.pipeline.engines.Waiting() {
		s.unfinished.add(w, live)
	}
	s.complete(time.Since(started))
	if !r.alarmed {
		s.NoAlarms = r.riskless.reasons(&s.Events, s.Backlogs.Opened)
	}
	s.Advice = advice(&s.Events, r.options)
}

// interruptible returns a reader of in that fails when ctx ends, also while a
// read waits. The goroutine that reads in stays behind then: nothing can end a
// read of a terminal.
func interruptible(ctx context.Context, in io.Reader) io.Reader {
	if in == nil {
		return nil
	}
	out, feed := io.Pipe()
	context.AfterFunc(ctx, func() { feed.CloseWithError(ctx.Err()) })
	start := sync.OnceFunc(func() {
		go func() {
			_, err := io.Copy(feed, in)
			feed.CloseWithError(err)
		}()
	})
	return readerFunc(func(p []byte) (int, error) {
		start()
		return out.Read(p)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
