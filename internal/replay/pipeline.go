package replay

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"

	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/correlate/shard"
	"dsiem/internal/event"
	"dsiem/internal/input"
)

// batchSize is the number of records that go through the pipeline together.
const batchSize = 512

// pipeline reads events and plays them through engines under the replay clock.
//
//	         reader ─> jobs ─┬─> decoders ─┐
//	input                    └─> in order ─┴─> jumps ─┐
//	input                                        ...  ├─> merge ─> clock ─> engines ─> changes
//	input                                        ...  ┘
//
// Each input that is open has its reader; the decoders are for all of them. What is
// behind them is done by one goroutine, which takes from each input what it needs.
type pipeline struct {
	paths []string
	stdin io.Reader
	// stopReading ends a read that waits for input.
	stopReading func()
	format      input.Format
	assets      *asset.Table
	engines     *shard.Set
	batchSize   int
	decoders    int
	mostOpen    int
	mostKept    int
	// maxJump is in nanoseconds. sort puts each input in order, in so much memory.
	maxJump    int64
	lookBack   int64 // in seconds, 0 for none
	sort       bool
	sortMemory int

	// rejected is called for every record that is no event, in the order of its input.
	rejected func(rec input.Record, rej *event.Rejection)
	// jumped is called when an input's time goes ahead by more than the longest jump
	// and that was confirmed, moved when it was not: the record is taken for a time that
	// is earlier.
	jumped, moved func(file string, line int, nanoseconds int64)
	// played is called with what changed, in order, a portion of some events at a time;
	// before the first one with counts of what was read or is about to be played, and
	// after the last one with nothing.
	played func(changes []correlate.Change, counts batchCounts) error

	ctx      context.Context //nolint:containedctx // of one run
	pool     sync.Pool
	toDecode chan *job
	// readAhead is the number of jobs that an input may be ahead.
	readAhead int
	open      int // files
	bytes     bytesRead
	withText  bool
	spooler   spooler

	// steps are the events to play next, spent the jobs that are free then, counts
	// what was not told yet.
	steps  []shard.Step
	spent  []*job
	counts batchCounts
	// first is the number of steps before those that are being played.
	first uint64
	// failed is why nothing more is to be played.
	failed error
}

// run plays all inputs. After an error, or the end of ctx, everything that comes
// before it has been played.
func (p *pipeline) run(ctx context.Context) error {
	p.ctx = ctx
	p.toDecode = make(chan *job, p.decoders)
	var decoders sync.WaitGroup
	for range p.decoders {
		decoders.Go(func() {
			for j := range p.toDecode {
				j.source.decode(p, j)
				close(j.decoded)
			}
		})
	}
	err := p.playAll(ctx)
	close(p.toDecode) // all readers have left
	decoders.Wait()
	return errors.Join(err, p.spooler.close())
}

// playAll plays all inputs. When it returns, nobody reads any more.
func (p *pipeline) playAll(ctx context.Context) (err error) {
	inputs := p.streamsOf(p.paths)
	defer func() {
		if err != nil {
			p.stopReading()
		}
		for _, in := range inputs {
			in.shut()
		}
	}()
	p.readAhead = 2 * p.decoders
	if p.sort {
		if err := p.sortAll(ctx, inputs); err != nil {
			return err
		}
	}
	if n := len(inputs); n > 1 {
		p.shareMemory(n)
	}
	m := merge{p: p, waiting: newHeap((*stream).before)}
	return m.play(ctx, inputs)
}

// shareMemory lets each of many inputs read less at a time.
func (p *pipeline) shareMemory(inputs int) {
	const whole, few, least = 8, 16, 64
	if inputs > few {
		p.readAhead = 2
	}
	if share := p.batchSize * whole / inputs; share < p.batchSize {
		p.batchSize = max(share, min(least, p.batchSize))
	}
}

// receive returns the next job of an input when it has been decoded, false at its
// end. What can be played meanwhile is played before it waits.
func (p *pipeline) receive(in *stream) (*job, bool) {
	var j *job
	var ok bool
	select {
	case j, ok = <-in.jobs:
	default:
		if p.flush() != nil {
			return nil, false
		}
		j, ok = <-in.jobs
	}
	if !ok {
		return nil, false
	}
	select {
	case <-j.decoded:
	default:
		if p.flush() != nil {
			return nil, false
		}
		<-j.decoded
	}
	return j, true
}

// spend makes a job free, once all its events have been played.
func (p *pipeline) spend(j *job) {
	switch {
	case j.apart:
	case len(p.steps) == 0:
		p.pool.Put(j)
	default:
		p.spent = append(p.spent, j)
	}
}

// step adds the next record of an input to the events to play.
func (p *pipeline) step(in *stream) {
	r := in.record
	c := &p.counts
	c.read++
	c.offered++
	if r.withoutID {
		c.withoutID++
	}
	if r.event.Repaired > 0 {
		c.repaired++
	}
	p.tellMoved(in, r)
	if r.t < in.clock {
		behind := in.clock/perSecond - r.t/perSecond
		if behind > late {
			c.late++
		}
		if p.lookBack == 0 || behind > p.lookBack {
			c.lagging++
		}
	}
	p.steps = append(p.steps, stepAt(in.clock, &r.event))
}

// tellMoved tells of a record that is taken for an earlier time.
func (p *pipeline) tellMoved(in *stream, r *record) {
	if r.future > 0 {
		p.counts.future++
		p.moved(in.name, r.line, r.future)
	}
}

// late is the number of seconds from which an event is late (D43). One that is older
// than its input's clock by more than the look-back is lagging: the engines do not find
// it (D33), but they would if the input were sorted (D30).
const late = 60

// fail lets nothing more be played.
func (p *pipeline) fail(err error) {
	if p.failed == nil {
		p.failed = err
	}
}

// flush lets the engines take the events to play, and passes on what changed.
func (p *pipeline) flush() error {
	if p.failed != nil {
		return p.failed
	}
	if len(p.steps) == 0 && p.counts == (batchCounts{}) {
		return nil
	}
	counts := p.counts
	p.counts = batchCounts{}
	if err := p.played(nil, counts); err != nil {
		p.failed = err
		return err
	}
	if p.failed = p.playSteps(p.steps); p.failed != nil {
		return p.failed
	}
	p.first += uint64(len(p.steps))
	clear(p.steps)
	p.steps = p.steps[:0]
	for _, j := range p.spent {
		p.pool.Put(j)
	}
	clear(p.spent)
	p.spent = p.spent[:0]
	p.failed = p.played(nil, batchCounts{})
	return p.failed
}

// playSteps lets the engines take steps, a portion at a time.
func (p *pipeline) playSteps(steps []shard.Step) error {
	for len(steps) > 0 {
		for changes := range p.engines.Expire(min(steps[0].Now, math.MaxInt64-1)) {
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
	for n < min(portion, len(steps)) && steps[n].Now < steps[0].Now+leap*perSecond {
		n++
	}
	return n
}

// eventOf returns the event of a step, by its number, while what it changed is
// passed on, nil if it is not known.
func (p *pipeline) eventOf(step uint64) *event.Event {
	if step <= p.first || step > p.first+uint64(len(p.steps)) {
		return nil
	}
	return p.steps[step-p.first-1].Event
}

// bytesRead counts the bytes that were read of inputs, for whoever asks meanwhile.
type bytesRead struct {
	mu sync.Mutex
	of map[*stream]bytesOf
}

// bytesOf are those of one input; they count as soon as it is more than looked at.
type bytesOf struct {
	source source
	count  bool
}

// from notes where an input comes from.
func (b *bytesRead) from(in *stream, from source) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of == nil {
		b.of = map[*stream]bytesOf{}
	}
	b.of[in] = bytesOf{from, !in.quiet}
}

// counted notes that what was read of an input counts.
func (b *bytesRead) counted(in *stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of[in] = bytesOf{b.of[in].source, true}
}

// read returns the bytes that were read of an input.
func (b *bytesRead) read(in *stream) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of[in].source.progress()
}

// sum returns the bytes that were read of all inputs.
func (b *bytesRead) sum() (n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, one := range b.of {
		if one.count {
			n += one.source.progress()
		}
	}
	return n
}
