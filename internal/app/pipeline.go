package app

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/event"
	"dsiem/internal/intake"
)

// batchSize is the number of records that go through the pipeline together.
const batchSize = 512

// job is one batch on its way through the pipeline: read, decoded by any
// decoder, and handed to the engines in the order of reading.
type job struct {
	batch   intake.Batch
	results []result
	steps   []step
	decoded chan struct{}
}

// result is what became of one record.
type result struct {
	event     event.Event
	rejection *event.Rejection
	skipped   bool
}

// step is an event offered to the engines at a time.
type step struct {
	now   int64
	event *event.Event
}

// pipeline reads events and plays them through engines under the replay clock.
//
//	reader ─> jobs ─┬─> decoders ─┐
//	                └─> in order ─┴─> clock ─> engines ─> changes
type pipeline struct {
	reader *intake.Reader
	// stopReading ends a Read that waits for input.
	stopReading func()
	format      intake.Format
	batchSize   int
	decoders    int
	assets      *asset.Table
	engines     []*correlate.Engine
	// rejected is called for every record that is no event, in order.
	rejected func(rec intake.Record, rej *event.Rejection)
	// played is called once per batch with what changed, in order, and the
	// counts of the batch.
	played func(changes []correlate.Change, counts batchCounts) error

	clock clock
	pool  sync.Pool
}

// batchCounts says what became of the records of one batch.
type batchCounts struct {
	read, skipped, whitelisted, offered, withoutID int
}

// clock is the replay clock: the largest event time so far (D14).
type clock struct {
	now     int64
	started bool
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
		r.skipped, r.rejection = intake.Decode(j.batch.Record(i), p.format, &r.event)
	}
}

// play hands the events of a job to the engines and passes on what changed.
func (p *pipeline) play(j *job) error {
	counts := batchCounts{read: len(j.results)}
	j.steps = j.steps[:0]
	for i := range j.results {
		r := &j.results[i]
		switch {
		case r.skipped:
			counts.skipped++
		case r.rejection != nil:
			p.rejected(j.batch.Record(i), r.rejection)
		case p.assets.Whitelisted(r.event.SrcIP):
			counts.whitelisted++
		default:
			counts.offered++
			if r.event.ID == "" {
				counts.withoutID++
			}
			j.steps = append(j.steps, step{now: p.clock.at(r.event.Seconds), event: &r.event})
		}
	}
	return p.played(p.step(j.steps), counts)
}

// step lets all engines take the steps, each on its own goroutine, and merges
// what changed into the order of a single engine.
func (p *pipeline) step(steps []step) []correlate.Change {
	return p.onAll(func(e *correlate.Engine) []correlate.Change {
		changes := make([]correlate.Change, 0, len(steps))
		for i := range steps {
			changes = append(changes, e.Step(steps[i].now, steps[i].event)...)
		}
		return changes
	})
}

// expireAll expires every live backlog.
func (p *pipeline) expireAll() []correlate.Change {
	return p.onAll((*correlate.Engine).ExpireAll)
}

func (p *pipeline) onAll(fn func(*correlate.Engine) []correlate.Change) []correlate.Change {
	if len(p.engines) == 1 {
		return fn(p.engines[0])
	}
	changes := make([][]correlate.Change, len(p.engines))
	var done sync.WaitGroup
	for i, e := range p.engines {
		done.Go(func() { changes[i] = fn(e) })
	}
	done.Wait()
	merged := slices.Concat(changes...)
	slices.SortStableFunc(merged, func(a, b correlate.Change) int { return a.Order.Compare(b.Order) })
	return merged
}
