// Package bench measures the server, and checks what it does: it makes a
// workload, starts the real program as a child process, drives it over NATS,
// over HTTP or from a file, compares both alarm files line by line with what had
// to come of the workload, and reports speeds, costs and latencies. In the same
// run it measures what would limit any server: a NATS client that only counts,
// and the parts of ours one by one.
//
// A run owns its directory and the processes that it starts, and ends them by
// their own ids. It never measures in the process that makes the load, except
// the limits, and never reports a speed without saying what was lost.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Options say what to measure. Cells, Self, Server and Out must be given.
type Options struct {
	// Cells are what is measured; none are for limits only. Those of one run have different
	// names.
	Cells []Cell
	// Self is this program, which plays the roles beside the server. Server is the
	// program that is measured, and ServerFlags are more flags for it.
	Self, Server string
	ServerFlags  []string
	// Version is that of the server, and shown with the results.
	Version string
	// Repeat is how often everything is done; 1 if it is 0. Results are medians.
	Repeat int
	// LimitTime is for how long each limit is measured each time; 0 measures
	// none, nor the NATS client that counts.
	LimitTime time.Duration
	// Dir is the directory for the files of the runs, a temporary one if it is
	// empty. They are removed after each run, unless Keep is set.
	Dir  string
	Keep bool
	// JSON writes the results as JSON instead of tables.
	JSON bool
	// Page is a Markdown file whose tables are made anew, those of which all rows are
	// measured; "" is none.
	Page string
	// Out gets the results, Progress a line about each step; nil is silence.
	Out, Progress io.Writer
}

// ErrWrong is the error of a run in which something was lost, duplicate, foreign
// or wrong, or a server failed.
var ErrWrong = errors.New("the server did not do what it had to")

// bench is one run.
type bench struct {
	*Options

	programs programs
	cells    []Cell
	report   *Report
}

// Run measures all cells and reports them. After ErrWrong the report is
// complete; other errors are about what kept it from measuring.
func Run(ctx context.Context, o *Options) error {
	b, err := newBench(o)
	if err != nil {
		return err
	}
	dir, remove, err := b.directory()
	if err != nil {
		return err
	}
	err = b.repeat(ctx, dir)
	if err = errors.Join(err, remove()); err != nil {
		return err
	}
	b.report.complete()
	if err := b.report.write(o); err != nil {
		return err
	}
	if wrong := b.report.wrong(); wrong > 0 {
		return fmt.Errorf("%w: %d findings", ErrWrong, wrong)
	}
	return nil
}

func newBench(o *Options) (*bench, error) {
	b := &bench{Options: o, programs: programs{self: o.Self, server: o.Server, flags: o.ServerFlags}}
	if len(o.Cells) == 0 && o.LimitTime <= 0 {
		return nil, errors.New("there is nothing to measure")
	}
	var limited *Cell
	for _, c := range o.Cells {
		c = c.withDefaults()
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		b.cells = append(b.cells, c)
		if limited == nil && c.Transport == NATS && c.Rate == 0 {
			limited = &c
		}
	}
	if limited != nil && o.LimitTime > 0 {
		b.cells = append([]Cell{subscriberCell(limited).withDefaults()}, b.cells...)
	}
	if o.Page != "" { // not after all has been measured
		if err := checkPage(o.Page, b.cells, o.LimitTime > 0); err != nil {
			return nil, err
		}
	}
	b.report = newReport(o.Version, b.cells, o.LimitTime > 0)
	return b, nil
}

// directory returns the directory for files, and what removes it.
func (b *bench) directory() (dir string, remove func() error, err error) {
	nothing := func() error { return nil }
	if b.Dir != "" {
		if err := os.MkdirAll(b.Dir, 0o750); err != nil {
			return "", nil, fmt.Errorf("making the directory for the files: %w", err)
		}
		return b.Dir, nothing, nil
	}
	if dir, err = os.MkdirTemp("", "dsiem-bench-"); err != nil {
		return "", nil, fmt.Errorf("making a directory for the files: %w", err)
	}
	if b.Keep {
		b.say("the files are kept in %s", dir)
		return dir, nothing, nil
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}

func (b *bench) say(format string, args ...any) {
	if b.Progress != nil {
		fmt.Fprintf(b.Progress, format+"\n", args...)
	}
}

// repeat does everything as often as wanted: each time all of it, so that what
// else the machine does is spread over all results, and every second time in the
// opposite order, so that a machine that gets faster or slower does no cell a
// favour.
func (b *bench) repeat(ctx context.Context, dir string) error {
	times := max(1, b.Repeat)
	for i := range times {
		if b.LimitTime > 0 {
			if err := b.limits(ctx, dir); err != nil {
				return err
			}
		}
		for j := range b.cells {
			if i%2 == 1 {
				j = len(b.cells) - 1 - j
			}
			c := &b.cells[j]
			begun := time.Now()
			run, err := b.run(ctx, c, filepath.Join(dir, fmt.Sprintf("%s-%d", c.Name, i+1)))
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case err != nil: // the others may still have something to say
				run = &Repetition{Failure: err.Error()}
			}
			b.report.add(j, run)
			b.say("%d/%d %-18s %s, took %.1f s", i+1, times, c.Name, run.summary(), time.Since(begun).Seconds())
		}
	}
	return nil
}

// run measures a cell once, in a directory of its own.
func (b *bench) run(ctx context.Context, c *Cell, dir string) (run *Repetition, err error) {
	entries, err := os.ReadDir(dir)
	if len(entries) > 0 {
		return nil, fmt.Errorf("the directory %s is not empty", dir)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the directory for the files: %w", err)
	}
	if !b.Keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if c.Transport == Replay {
		return b.programs.replay(ctx, c, dir)
	}
	return b.programs.serve(ctx, c, dir)
}

// limits measures the parts of the server.
func (b *bench) limits(ctx context.Context, dir string) error {
	for i, l := range limits() {
		r, err := l.measure(ctx, dir, b.LimitTime)
		if err != nil {
			return fmt.Errorf("measuring the limit %q: %w", l.name, err)
		}
		to := &b.report.Limits[i]
		to.PerSecond, to.Megabytes = append(to.PerSecond, r.perSecond), r.megabytes
		b.say("limit %-18s %s a second", l.name, thousands(r.perSecond))
	}
	return nil
}

// summary is a run in a few words.
func (r *Repetition) summary() string {
	if r.Failure != "" {
		return "failed: " + r.Failure
	}
	text := thousands(r.Values[EventsPerSecond]) + " events/s"
	if p99, ok := r.Values[P99]; ok {
		text += fmt.Sprintf(", p99 %.2f ms", p99)
	}
	if wrong := r.wrong(); wrong > 0 {
		text += fmt.Sprintf(", %d findings", wrong)
	}
	return text
}
