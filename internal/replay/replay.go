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

	// BatchSize is the number of records played together; 512 if 0.
	BatchSize int
	// Diagnostics receives problems and rejected records as text.
	Diagnostics io.Writer
	// Progress, unless nil, receives a line about progress that is rewritten.
	Progress io.Writer
}

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
	r := &replay{options: o, format: format, configuration: c, summary: newSummary(), restored: map[string]struct{}{}, diagnostics: o.Diagnostics}
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
	// loaded are the files of the restored backlogs.
	loaded []string
	// diagnostics are the options' ones, beside the progress line.
	diagnostics io.Writer
}

func (r *replay) run(ctx context.Context) error {
	o := r.options
	ctx, stopReading := context.WithCancel(ctx)
	defer stopReading()
	reader := file.NewReader(file.Options{Paths: o.Inputs, Stdin: interruptible(ctx, o.Stdin)})
	if o.Overwrite { // a mistyped name must not cost what is there
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
	r.pipeline = r.newPipeline(reader)
	r.pipeline.stopReading = stopReading
	started := time.Now()
	err = r.play(ctx, reader, started)
	r.finish(started)
	return errors.Join(err, reader.Close(), files.Close())
}

func (r *replay) newPipeline(reader *file.Reader) *pipeline {
	o := r.options
	p := &pipeline{
		reader: reader, format: r.format, assets: r.configuration.Assets,
		batchSize: o.BatchSize, decoders: runtime.GOMAXPROCS(0),
		rejected: r.rejected, jumped: r.jumped, played: r.played,
	}
	if p.batchSize <= 0 {
		p.batchSize = batchSize
	}
	opts := o.Engine
	opts.LookBack = cmp.Or(opts.LookBack, correlate.DefaultReplayLookBack)
	p.engines = shard.New(r.configuration.Plans, p.assets, opts, shard.Count(o.Shards))
	return p
}

// play restores saved backlogs, plays the input and saves what is live.
func (r *replay) play(ctx context.Context, reader *file.Reader, started time.Time) error {
	o := r.options
	if err := r.load(); err != nil {
		return err
	}
	stopProgress := r.watchProgress(reader, started)
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
		fmt.Fprintf(r.diagnostics, "%s:%d: event rejected: %s\n", rec.File, rec.Line, rej)
	case n == shownRejections+1:
		fmt.Fprintf(r.diagnostics, "%s:%d: more events rejected as %s are only counted\n", rec.File, rec.Line, rej.Reason)
	}
}

// jumped shows the first events that turn the clock by more than a month: a wrong
// time stamp lets everything expire.
func (r *replay) jumped(rec input.Record, seconds int64) {
	const secondsPerDay = 24 * 60 * 60
	if r.jumps++; r.jumps <= shownRejections {
		fmt.Fprintf(r.diagnostics, "%s:%d: this event is %s later than all before it; backlogs may expire\n",
			rec.File, rec.Line, text.Count(int(seconds/secondsPerDay), "day"))
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
			r.files.Event(&alarm.Event{AlarmID: c.AlarmID, Stage: c.Stage, EventID: c.EventID})
		case correlate.Updated:
			r.files.Alarm(c.Alarm)
			before := c.Before
			if _, ok := r.restored[c.AlarmID]; ok {
				delete(r.restored, c.AlarmID)
				before = alarm.Unclassified
			}
			r.summary.alarm(before, c.Alarm.Class)
		case correlate.Opened:
			r.summary.Backlogs.Opened++
		case correlate.Finished:
			r.summary.Backlogs.Finished++
		case correlate.Expired:
			r.summary.Backlogs.Expired++
		case correlate.Advanced:
		}
	}
	if len(changes) > 0 && r.files.Pending() < pendingLines {
		return nil
	}
	return r.files.Flush()
}

// finish completes the summary.
func (r *replay) finish(started time.Time) {
	s := r.summary
	stats := r.pipeline.engines.Stats()
	s.Backlogs.Live = stats.Live
	s.Events.Repeated, s.Events.OutOfOrder, s.Events.Known = stats.Repeated, stats.OutOfOrder, stats.Known
	s.Lines.Alarms, s.Lines.AlarmEvents = r.files.Lines()
	s.complete(time.Since(started))
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
