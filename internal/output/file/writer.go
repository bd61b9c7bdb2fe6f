// Package file writes the two alarm files of a server, which log shippers
// follow, whatever happens to the files and their disk.
//
// The files belong to the goroutine that runs a Writer, the lines to the Writer
// once they are accepted. It never drops a line, never writes one twice or in
// part, and never looks into one.
//
// Source of the behaviour: docs/spec/interfaces.md §5.4, docs/spec/correlation.md §8.8.
package file

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/observe/log"

	"golang.org/x/sync/semaphore"
)

// Errors of Writer.Write.
var (
	// ErrClosed says that the lines were not taken, because the writer
	// has been closed.
	ErrClosed = errors.New("the alarm writer is closed")
	// ErrNotLines says that a text does not end with a line break.
	ErrNotLines = errors.New("not whole lines")
)

// LostError says what was accepted but could not be written before the writer
// had to end.
type LostError struct {
	// Alarms and Events count lines, Bytes those of both files.
	Alarms, Events, Bytes uint64
	// Err is why they were not written.
	Err error
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%d alarm lines and %d alarm-event lines (%d bytes) were not written: %v",
		e.Alarms, e.Events, e.Bytes, e.Err)
}

// Unwrap returns why the lines were not written.
func (e *LostError) Unwrap() error { return e.Err }

// closeGrace is how long Close waits, when its context has ended, for a write
// that is under way.
const closeGrace = 100 * time.Millisecond

// maxSpare is the size in bytes of buffers that are kept while nothing waits.
const maxSpare = 1 << 20

// Writer appends the lines of a server to siem_alarms.json and
// siem_alarm_events.json, whatever happens to these files and their disk
// (docs/spec/interfaces.md §5.4 TARGET, docs/spec/correlation.md §8.8):
//
//   - Lines are written in the order they were handed over, and the alarm-event
//     lines of a Write before its alarm lines. Everything that waits goes out
//     with one write per file.
//   - Every line is written exactly once and whole. After a write that failed in
//     the middle of a line it is completed in place; if the file was rotated or
//     truncated meanwhile, the line starts anew.
//   - A file that was renamed or removed is opened anew. What was handed over
//     after a rotation goes to the new file, because the path is checked before
//     every write. (A log rotator's copytruncate loses what is written between
//     its copy and its truncation; prefer rename.)
//   - On an error — disk full, permission — the writer tries again for ever, and
//     Write waits when Options.MaxBuffered bytes are pending. Nothing is dropped.
//
// Write, Stats and Err are safe for concurrent use. The files belong to the
// goroutine that called Run.
type Writer struct {
	o              Options
	events, alarms *lineFile
	room           *semaphore.Weighted // bytes that may still be accepted
	flushAt        int                 // bytes that are written without waiting for more

	// open ends when no further lines are taken, by shut.
	open    context.Context
	shut    context.CancelFunc
	wake    chan struct{} // has a token when lines wait
	giveUp  chan struct{} // closed when Close waits no longer
	stopped chan struct{} // closed when the owner has ended
	count   writerCounts

	mu       sync.Mutex
	queue    batch
	started  bool
	closing  bool      // Close was called and reports the result
	gaveUp   bool      // giveUp is closed
	failing  error     // why the last attempt failed
	blocked  time.Time // since when a write fails or does not return; zero if none does
	result   error
	accepted accepted

	// The rest belongs to the owner.
	spare   batch
	flushed time.Time
	trouble trouble
	syncLog log.Limit
}

// batch is what is written together.
type batch struct {
	events, alarms         []byte
	eventsDone, alarmsDone int // bytes of them that are in the files
	weight                 int64
	since                  time.Time // when its first line was accepted
}

func (b *batch) size() int { return len(b.events) + len(b.alarms) }

// accepted counts what was accepted since the start.
type accepted struct{ alarms, events, bytes uint64 }

// Open opens both files in a directory and creates what is missing,
// directories with mode 0750 and files with 0640 before the umask. An error
// tells which file cannot be opened.
//
// The caller calls Run on a goroutine, and Close at the end.
func Open(dir string, o Options) (*Writer, error) {
	return openWriter(dir, o, osFiles{})
}

func openWriter(dir string, o Options, files fileSystem) (*Writer, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	w := &Writer{
		o:       o,
		room:    semaphore.NewWeighted(int64(o.MaxBuffered)),
		flushAt: max(1, min(256<<10, o.MaxBuffered/2)),
		wake:    make(chan struct{}, 1),
		giveUp:  make(chan struct{}),
		stopped: make(chan struct{}),
		trouble: newTrouble(),
	}
	w.open, w.shut = context.WithCancel(context.Background())
	newFile := func(name string) *lineFile {
		return &lineFile{
			files: files, path: filepath.Join(dir, name),
			durable: o.Fsync != FsyncNever, logger: o.Logger,
		}
	}
	w.events, w.alarms = newFile(alarm.EventsFile), newFile(alarm.AlarmsFile)
	for _, f := range w.bothFiles() {
		if err := f.check(); err != nil {
			w.shut()
			return nil, errors.Join(err, w.events.close(), w.alarms.close())
		}
	}
	return w, nil
}

func (w *Writer) bothFiles() [2]*lineFile { return [2]*lineFile{w.events, w.alarms} }

// Write hands over the lines of a batch: alarm-event lines, and alarm lines that
// they cause. Either may be empty. It returns as soon as the lines are accepted, and may
// be given the same memory again.
//
// When MaxBuffered bytes wait already, because the disk is slow or full, Write
// waits for room until the end of ctx; then nothing was accepted and the error
// is that of ctx. Lines that find room are accepted even if ctx has ended, so
// that a shutdown can hand over its last ones. Other errors are ErrClosed
// and ErrNotLines.
func (w *Writer) Write(ctx context.Context, b *alarm.Batch) error {
	events, alarms := b.EventLines, b.AlarmLines
	if !wholeLines(events) || !wholeLines(alarms) {
		return ErrNotLines
	}
	size := len(events) + len(alarms)
	if size == 0 {
		return nil
	}
	// A Write of more than MaxBuffered bytes gets all the room there is.
	weight := int64(min(size, w.o.MaxBuffered))
	if !w.room.TryAcquire(weight) {
		w.count.waits.Add(1)
		if err := w.waitForRoom(ctx, weight); err != nil {
			return fmt.Errorf("waiting for room in the alarm writer: %w", err)
		}
	}
	if !w.enqueue(events, alarms, weight) {
		w.room.Release(weight)
		return ErrClosed
	}
	return nil
}

func wholeLines(text []byte) bool { return len(text) == 0 || text[len(text)-1] == '\n' }

func (w *Writer) waitForRoom(ctx context.Context, weight int64) error {
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	//nolint:contextcheck // w.open ends with the writer, not with the call
	defer context.AfterFunc(w.open, func() { cancel(ErrClosed) })()
	if w.room.Acquire(waiting, weight) != nil {
		return context.Cause(waiting)
	}
	return nil
}

// enqueue reports whether the lines were accepted.
func (w *Writer) enqueue(events, alarms []byte, weight int64) bool {
	eventLines, alarmLines := countLines(events), countLines(alarms)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open.Err() != nil {
		return false
	}
	before := w.queue.size()
	if before == 0 {
		w.queue.since = time.Now()
	}
	w.queue.events = append(w.queue.events, events...)
	w.queue.alarms = append(w.queue.alarms, alarms...)
	w.queue.weight += weight
	w.accepted.events += eventLines
	w.accepted.alarms += alarmLines
	w.accepted.bytes += uint64(len(events) + len(alarms))
	if before == 0 || before < w.flushAt && w.queue.size() >= w.flushAt {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// Run writes what is handed over, until Close. Then it returns nil and Close
// tells how it ended. If ctx ends first, Run takes no further lines, tries once
// to write what waits and returns a *LostError if it could not.
func (w *Writer) Run(ctx context.Context) error {
	first := w.start()
	if first {
		w.own(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closing:
		return nil
	case !first:
		return errors.New("the alarm writer runs already, or has ended")
	}
	result := w.result
	w.result = nil
	return result
}

// start reports whether the caller is the one to own the files.
func (w *Writer) start() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := !w.started
	w.started = true
	return first
}

// Close takes no further lines, writes what waits and closes the files. While
// writing fails it tries again until ctx ends; then the error is a *LostError
// that says what was lost. It may be called more than once, and without Run.
//
// Close when nobody calls Write any more: a Write that waits for room gets
// ErrClosed.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	w.refuse()
	if w.start() {
		w.own(ctx)
		return w.outcome()
	}
	select {
	case <-w.stopped:
		return w.outcome()
	case <-ctx.Done():
	}
	w.mu.Lock()
	if !w.gaveUp {
		w.gaveUp = true
		close(w.giveUp)
	}
	w.mu.Unlock()
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-w.stopped:
		return w.outcome()
	case <-grace.C:
		return w.lost(fmt.Errorf("a write does not return: %w", context.Cause(ctx)))
	}
}

// refuse makes Write take no further lines.
func (w *Writer) refuse() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shut()
}

func (w *Writer) outcome() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.result
}

// lost returns a *LostError if lines were accepted and not written, or nil.
func (w *Writer) lost(cause error) error {
	w.mu.Lock()
	accepted := w.accepted
	w.mu.Unlock()
	e := &LostError{
		Alarms: accepted.alarms - w.alarms.lines.Load(),
		Events: accepted.events - w.events.lines.Load(),
		Bytes:  accepted.bytes - w.alarms.bytes.Load() - w.events.bytes.Load(),
		Err:    cause,
	}
	if e.Bytes == 0 {
		return nil
	}
	return e
}
