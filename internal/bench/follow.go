package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"
)

// lookEvery is the time between two looks at a file that grows: what a latency
// may be too long by.
const lookEvery = 250 * time.Microsecond

// follow calls a function for each line that is added to a file, without its
// end, until ctx ends. The file need not exist yet.
func follow(ctx context.Context, name string, fn func(seen time.Time, line []byte)) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	f := follower{name: name, fn: fn, buf: make([]byte, 1<<18)}
	defer f.close()
	for {
		if err := f.look(); err != nil {
			return fmt.Errorf("following %s: %w", name, err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return f.look()
		}
	}
}

type follower struct {
	name string
	fn   func(time.Time, []byte)
	file *os.File
	buf  []byte
	rest int // bytes of a line that is not complete, at the beginning of buf
}

func (f *follower) close() {
	if f.file != nil {
		_ = f.file.Close()
	}
}

// look reads what is new.
func (f *follower) look() error {
	if f.file == nil {
		file, err := os.Open(f.name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		f.file = file
	}
	for {
		n, err := f.file.Read(f.buf[f.rest:])
		if n > 0 {
			f.lines(f.buf[:f.rest+n])
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case f.rest == len(f.buf):
			return errors.New("a line is too long")
		}
	}
}

// lines hands on complete lines and keeps the rest.
func (f *follower) lines(text []byte) {
	seen := time.Now()
	for {
		line, rest, ok := bytes.Cut(text, []byte{'\n'})
		if !ok {
			break
		}
		f.fn(seen, line)
		text = rest
	}
	f.rest = copy(f.buf, text)
}

// watcher sees by the lines about events how far a server is.
type watcher struct {
	plan *plan
	// seen is, of each stream, the number of the last event with a line and one
	// more; 0 before the first one.
	seen  []atomic.Uint64
	lines atomic.Uint64
	// lastSeen is when the last line was seen, in UNIX nanoseconds.
	lastSeen atomic.Int64
	// moved has an element after lines have come.
	moved chan struct{}
	// due, if not nil, says when an event had to be sent, and whether that counts;
	// latency is what lines took since then.
	due     atomic.Pointer[func(stream int, n uint64) (time.Time, bool)]
	latency histogram
}

func newWatcher(p *plan) *watcher {
	return &watcher{plan: p, seen: make([]atomic.Uint64, p.streams), moved: make(chan struct{}, 1)}
}

// line takes a line about an event. What is wrong with it is for the checker to
// say.
func (w *watcher) line(seen time.Time, line []byte) {
	const behind = len(`"}`)
	if len(line) < idLength+behind {
		return
	}
	stream, n, ok := w.plan.readID(line[len(line)-behind-idLength : len(line)-behind])
	if !ok {
		return
	}
	if n >= w.seen[stream].Load() {
		w.seen[stream].Store(n + 1)
	}
	w.lines.Add(1)
	w.lastSeen.Store(seen.UnixNano())
	if due := w.due.Load(); due != nil {
		if at, counts := (*due)(stream, n); counts {
			w.latency.add(seen.Sub(at))
		}
	}
	select {
	case w.moved <- struct{}{}:
	default:
	}
}

// last returns when the last line was seen.
func (w *watcher) last() time.Time { return time.Unix(0, w.lastSeen.Load()) }

// errStalled is the error of a server that writes no more lines.
var errStalled = errors.New("no more lines come, though events are missing")

// await waits until there are lines of events that have been sent, or until
// none has come for so long that none will.
func (w *watcher) await(ctx context.Context, patience time.Duration, enough func() bool) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for !enough() {
		select {
		case <-w.moved:
			timer.Reset(patience)
		case <-timer.C:
			if !enough() {
				return errStalled
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
