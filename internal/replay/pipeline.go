package replay

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/correlate/shard"
	"dsiem/internal/event"
	"dsiem/internal/input"
	"dsiem/internal/input/file"
)

// batchSize is the number of records that go through the pipeline together.
const batchSize = 512

// job is one batch on its way through the pipeline: read, decoded by any
// decoder, and handed to the engines in the order of reading.
type job struct {
	batch   file.Batch
	results []result
	steps   []shard.Step
	decoded chan struct{}
}

// result is what became of one record.
type result struct {
	event     event.Event
	rejection *event.Rejection
	skipped   input.Skip
	withoutID bool // the event's id was made here
}

// pipeline reads events and plays them through engines under the replay clock.
//
//	reader ─> jobs ─┬─> decoders ─┐
//	                └─> in order ─┴─> clock ─> engines ─> changes
type pipeline struct {
	reader *file.Reader
	// stopReading ends a Read that waits for input.
	stopReading func()
	format      input.Format
	batchSize   int
	decoders    int
	assets      *asset.Table
	engines     *shard.Set
	// rejected is called for every record that is no event, in order.
	rejected func(rec input.Record, rej *event.Rejection)
	// jumped is called when an event turns the clock by more than a month.
	jumped func(rec input.Record, seconds int64)
	// played is called with what changed, in order, a portion of a batch at a time;
	// before the first one with the counts of the batch, and after the last one with
	// nothing.
	played func(changes []correlate.Change, counts batchCounts) error

	clock clock
	pool  sync.Pool
}

// batchCounts says what became of the records of one batch.
type batchCounts struct {
	read, whitelisted, offered, withoutID, repaired int

	skipped [input.Skips]int
}

// clock is the replay clock: the largest event time so far (D14).
type clock struct {
	now     int64
	started bool
}

// jump is the number of seconds from which it is worth a word that the clock
// goes ahead at once: everything live expires. Captures have gaps of days.
const jump = 30 * 24 * 60 * 60

// ahead returns by how many seconds an event's time is ahead of the clock.
func (c *clock) ahead(seconds int64) int64 {
	if !c.started {
		return 0
	}
	return seconds - c.now
}

// at lets the clock pass an event's time and returns the time then.
func (c *clock) at(seconds int64) int64 {
	if !c.started || seconds > c.now {
		c.now, c.started = seconds, true
	}
	return c.now
}

// run plays the whole input. After an error, or the end of ctx, everything
// that was read before has been played.
func (p *pipeline) run(ctx context.Context) error {
	group, working := errgroup.WithContext(context.WithoutCancel(ctx))
	toDecode, inOrder := make(chan *job, p.decoders), make(chan *job, 2*p.decoders)
	var readErr error
	group.Go(func() error {
		defer close(toDecode)
		defer close(inOrder)
		readErr = p.read(ctx, working, toDecode, inOrder)
		return nil
	})
	for range p.decoders {
		group.Go(func() error {
			for j := range toDecode {
				p.decode(j)
				close(j.decoded)
			}
			return nil
		})
	}
	group.Go(func() error {
		for j := range inOrder {
			<-j.decoded
			if err := p.play(j); err != nil {
				p.stopReading()
				return err
			}
			p.pool.Put(j)
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return readErr
}

// read reads batches until the end of the input or of ctx, and hands them on
// until the end of working.
func (p *pipeline) read(ctx, working context.Context, toDecode, inOrder chan<- *job) error {
	for {
		j, ok := p.pool.Get().(*job)
		if !ok {
			j = &job{}
		}
		j.decoded = make(chan struct{})
		err := p.reader.Read(ctx, &j.batch, p.batchSize)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		for _, to := range []chan<- *job{toDecode, inOrder} {
			select {
			case to <- j:
			case <-working.Done():
				return working.Err()
			}
		}
	}
}

// decode decodes the records of a job; several jobs are decoded at a time.
func (p *pipeline) decode(j *job) {
	j.results = slices.Grow(j.results[:0], j.batch.Len())[:j.batch.Len()]
	for i := range j.results {
		r := &j.results[i]
		rec := j.batch.Record(i)
		r.skipped, r.rejection = input.Decode(rec, p.format, &r.event)
		if r.withoutID = r.event.ID == "" && r.skipped == 0 && r.rejection == nil; r.withoutID {
			r.event.ID = rec.ID() // (docs/spec/correlation.md D34)
		}
	}
}

// play hands the events of a job to the engines and passes on what changed.
func (p *pipeline) play(j *job) error {
	counts := batchCounts{read: len(j.results)}
	j.steps = j.steps[:0]
	for i := range j.results {
		r := &j.results[i]
		switch {
		case r.skipped != 0:
			counts.skipped[r.skipped]++
		case r.rejection != nil:
			p.rejected(j.batch.Record(i), r.rejection)
		case p.assets.Whitelisted(r.event.SrcIP):
			counts.whitelisted++
		default:
			counts.offered++
			if r.withoutID {
				counts.withoutID++
			}
			if r.event.Repaired > 0 {
				counts.repaired++
			}
			if ahead := p.clock.ahead(r.event.Seconds); ahead > jump {
				p.jumped(j.batch.Record(i), ahead)
			}
			j.steps = append(j.steps, shard.Step{Now: p.clock.at(r.event.Seconds), Event: &r.event})
		}
	}
	if err := p.played(nil, counts); err != nil {
		return err
	}
	if err := p.playSteps(j.steps); err != nil {
		return err
	}
	return p.played(nil, batchCounts{})
}

// playSteps lets the engines take steps, a portion at a time.
func (p *pipeline) playSteps(steps []shard.Step) error {
	for len(steps) > 0 {
		for changes := range p.engines.Expire(steps[0].Now) {
			if err := p.played(changes, batchCounts{}); err != nil {
				return err
			}
		}
		n := portionOf(steps)
		if changes := p.engines.Step(steps[:n]); len(changes) > 0 {
			if err := p.played(changes, batchCounts{}); err != nil {
				return err
			}
		}
		steps = steps[n:]
	}
	return nil
}

// portion is the number of events whose changes are held before their lines are
// written: each may carry a snapshot of an alarm with 100,000 addresses. A portion
// ends where time leaps over so many seconds, in which all backlogs may be due.
const portion, leap = 32, 60

// portionOf returns the length of the first portion of steps.
func portionOf(steps []shard.Step) int {
	n := 1
	for n < min(portion, len(steps)) && steps[n].Now < steps[0].Now+leap {
		n++
	}
	return n
}
