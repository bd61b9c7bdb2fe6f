package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dsiem/internal/input/file"
	"dsiem/internal/text"
)

// source is where the records of an input come from.
type source interface {
	// fill reads the next records into a job, limit of them at most. It returns
	// io.EOF after the last one.
	fill(ctx context.Context, j *job, limit int) error
	// decode decodes what fill has read; several jobs are decoded at a time.
	decode(p *pipeline, j *job)
	progress() (bytesRead int64)
	close() error
}

// reading is the source of an input that is read for the first time.
type reading struct {
	reader *file.Reader
	base   string
	// read is the number of records so far, and withText says that they need their
	// text.
	read     int
	withText bool
}

func (s *reading) fill(ctx context.Context, j *job, limit int) error {
	err := s.reader.Read(ctx, &j.batch, limit)
	j.base, j.before, j.withText = s.base, s.read, s.withText
	s.read += j.batch.Len()
	return err
}

func (s *reading) decode(p *pipeline, j *job) { j.decode(p.format, p.assets) }

func (s *reading) progress() int64 {
	read, _ := s.reader.Progress()
	return read
}

func (s *reading) close() error { return s.reader.Close() }

// stream is one input of a replay: its records in order, each with the time that it
// is taken for. A goroutine reads it while it is open; everything else belongs to
// whoever plays it.
type stream struct {
	p    *pipeline
	path string
	name string // what messages call it
	base string // of the name; what it is called in ids and in ties
	// rank is its place among inputs whose next records have the same time.
	rank int
	// again says that it can be opened again, as a pipe cannot.
	again bool
	// spool is where its records come from once they have been judged.
	spool *spool

	jobs chan *job // nil if it is not open
	stop chan struct{}
	// readErr is why it could not be read to its end, once jobs is closed.
	readErr error
	ended   bool

	// queue are the jobs that have been read and not played, pos is the place of the
	// next record in the first. record is that one once it has been judged.
	queue  []*job
	pos    int
	record *record
	near   place

	// clock is the largest time so far, of the next record too if it has been judged.
	clock   int64
	started bool
	// leading is the number of records to come before the first confirmed one, whose
	// time is the clock.
	leading int
	// counts and rejections are what has been read and not told yet: an input that
	// the merge has not reached tells nothing. forgot says that there was too much.
	quiet      bool
	counts     batchCounts
	rejections []rejection
	forgot     bool
}

// place is a job of the queue, and the number of records of the queue before it.
type place struct{ job, before int }

// streamsOf returns the inputs of paths.
func (p *pipeline) streamsOf(paths []string) []*stream {
	var all []*stream
	stdin := false
	for _, path := range paths {
		in := &stream{p: p, path: path, name: path}
		if path == file.Stdin {
			if stdin {
				continue // it has no second time
			}
			in.name, stdin = "stdin", true
		} else if info, err := os.Stat(path); err != nil || info.Mode().IsRegular() {
			in.again = true
		}
		in.base = filepath.Base(in.name)
		all = append(all, in)
	}
	ranked := slices.Clone(all)
	slices.SortStableFunc(ranked, func(a, b *stream) int { return strings.Compare(a.base, b.base) })
	for rank, in := range ranked {
		in.rank = rank
	}
	return all
}

// open starts reading from the start. quiet says that it only looks.
func (in *stream) open(ctx context.Context, quiet bool) {
	var from source = &reading{
		reader: file.NewReader(file.Options{Paths: []string{in.path}, Stdin: in.p.stdin}), base: in.base, withText: in.p.withText,
	}
	if in.spool != nil {
		from = in.spool.source(in.base)
	}
	in.jobs, in.stop = make(chan *job, in.p.readAhead), make(chan struct{})
	in.quiet, in.ended, in.readErr = quiet, false, nil
	in.p.bytes.from(in, from)
	if in.spool == nil {
		in.p.open++
	}
	go in.read(ctx, from)
}

// read reads until the end of the input, of ctx or of the interest in it.
func (in *stream) read(ctx context.Context, from source) {
	defer close(in.jobs)
	for {
		j, ok := in.p.pool.Get().(*job)
		if !ok {
			j = &job{}
		}
		j.source, j.decoded = from, make(chan struct{})
		err := from.fill(ctx, j, in.p.batchSize)
		if err != nil {
			if closeErr := from.close(); errors.Is(err, io.EOF) {
				err = closeErr
			}
			in.readErr = err
			return
		}
		for _, to := range []chan<- *job{in.p.toDecode, in.jobs} {
			select {
			case to <- j:
			case <-in.stop:
				in.readErr = from.close()
				return
			}
		}
	}
}

// shut ends reading and forgets what has been read. The input can be opened again,
// and knows its time then.
func (in *stream) shut() {
	if in.jobs == nil {
		return
	}
	if !in.ended {
		close(in.stop)
		for range in.jobs { // until the reader has left
		}
	}
	in.end()
	if in.record != nil && in.record.future > 0 {
		in.leading++ // it will be read again
	}
	in.queue, in.pos, in.record, in.near = nil, 0, nil, place{}
	in.counts, in.rejections, in.forgot = batchCounts{}, nil, false
	in.jobs = nil
}

// end notes that nothing more comes.
func (in *stream) end() {
	if !in.ended {
		in.ended = true
		if in.spool == nil {
			in.p.open--
		}
	}
}

// front makes sure that the next record has been judged: in.record is that record
// and in.clock the time of the input with it. It returns false at the end of the
// input, and when the replay has failed.
func (in *stream) front() bool {
	if in.record != nil {
		return true
	}
	for len(in.queue) == 0 || in.pos == len(in.queue[0].records) {
		if len(in.queue) > 0 {
			in.p.spend(in.queue[0])
			in.queue = slices.Delete(in.queue, 0, 1)
			in.pos, in.near = 0, place{}
		} else if !in.pull(false) {
			return false
		}
	}
	r := &in.queue[0].records[in.pos]
	if !in.judge(r) {
		return false
	}
	in.record = r
	return true
}

// next goes on to the next record.
func (in *stream) next() {
	in.record = nil
	in.pos++
}

// judge gives a record the time that it is taken for, and lets the clock pass it
// (D30).
func (in *stream) judge(r *record) bool {
	switch {
	case in.leading > 0:
		in.leading--
		in.move(r)
		return true
	case in.started && !jumps(r.t, in.clock, in.p.maxJump), in.spool != nil:
	case in.started:
		if !confirmed(r.t, in.p.maxJump, in.following()) {
			in.move(r)
			return in.p.failed == nil
		}
		in.p.jumped(in.name, r.line, r.t-in.clock)
	default:
		return in.lead(r)
	}
	if !in.started || r.t > in.clock {
		in.clock, in.started = r.t, true
	}
	return in.p.failed == nil
}

// move takes a record whose time was not confirmed for the time of the clock.
func (in *stream) move(r *record) {
	r.future = max(1, r.t-in.clock)
	r.t = in.clock
}

// mostLeading is the number of records that are held to find the first confirmed one.
const mostLeading = 10 * lookAhead

// lead judges the first record, and with it all before the first confirmed one.
func (in *stream) lead(r *record) bool {
	first, t, ok := lead(in.p.maxJump, mostLeading, in.at)
	switch {
	case in.p.failed != nil:
		return false
	case !ok && in.again:
		first, t, ok = in.leadAgain()
	}
	if !ok {
		in.p.fail(fmt.Errorf("%s: the first %s are all dated far ahead of most that follow, as in a log with the newest first; a pipe is not read twice: sort it, or give a file",
			in.name, text.Count(mostLeading, "event")))
		return false
	}
	in.clock, in.started, in.leading = t, true, first
	if first > 0 {
		return in.judge(r)
	}
	return true
}

// leadAgain reads the input once more to find the first confirmed record, and holds
// times only.
func (in *stream) leadAgain() (first int, t int64, ok bool) {
	again := &stream{p: in.p, path: in.path, base: in.base}
	again.open(in.p.ctx, true)
	defer again.shut()
	var times []int64
	before := 0 // times that were let go
	return lead(in.p.maxJump, math.MaxInt, func(i int) (int64, bool) {
		for i-before >= len(times) {
			if len(times) > 2*lookAhead { // nobody asks for these again
				n := len(times) - lookAhead - 1
				times, before = slices.Delete(times, 0, n), before+n
			}
			if !again.pull(false) {
				return 0, false
			}
			for _, j := range again.queue {
				for k := range j.records {
					times = append(times, j.records[k].t)
				}
				in.p.spend(j)
			}
			again.queue = again.queue[:0]
		}
		return times[i-before], true
	})
}

// following returns the times of the records after the next one, one after the other.
func (in *stream) following() func() (int64, bool) {
	i := 0
	return func() (int64, bool) { i++; return in.at(i) }
}

// at returns the time of record i from the next one on, reading as far as necessary,
// and false if there are not so many.
func (in *stream) at(i int) (int64, bool) {
	i += in.pos
	at := in.near
	if i < at.before {
		at = place{}
	}
	for {
		if at.job == len(in.queue) {
			if at.job > 0 { // the last job may get more
				at.job--
				at.before -= len(in.queue[at.job].records)
			}
			if !in.pull(true) {
				return 0, false
			}
		}
		records := in.queue[at.job].records
		if i-at.before < len(records) {
			in.near = at
			return records[i-at.before].t, true
		}
		at.before += len(records)
		at.job++
	}
}

// mostQuiet is the number of rejected records that an input remembers before the
// merge has reached it.
const mostQuiet = 1000

// pull adds the next job with records to the queue. Ahead says that they are only
// looked at for now, so that they should not take more memory than they need.
func (in *stream) pull(ahead bool) bool {
	for in.p.failed == nil && !in.ended {
		j, ok := in.p.receive(in)
		if !ok {
			if in.p.failed == nil {
				in.end()
			}
			break
		}
		in.counts.add(j.counts)
		if in.quiet && len(in.rejections)+len(j.rejections) > mostQuiet {
			in.forgot, in.rejections = true, nil
		} else {
			in.rejections = append(in.rejections, j.rejections...)
		}
		if !in.quiet {
			in.tell()
		}
		switch {
		case len(j.records) == 0:
			in.p.spend(j)
			continue
		case ahead && len(j.records) < j.batch.Len()/2:
			if last := len(in.queue) - 1; last < 0 || !in.queue[last].keepFrom(j) {
				apart := setApart(max(batchSize, len(j.records)))
				apart.keepFrom(j)
				in.queue = append(in.queue, apart)
			}
			in.p.spend(j)
		default:
			in.queue = append(in.queue, j)
		}
		return true
	}
	return false
}

// tell tells what was read and is not offered.
func (in *stream) tell() {
	in.p.bytes.counted(in)
	in.quiet = false
	in.p.counts.add(in.counts)
	for i := range in.rejections {
		in.p.rejected(in.rejections[i].record, in.rejections[i].reason)
	}
	in.counts, in.rejections = batchCounts{}, in.rejections[:0]
}
