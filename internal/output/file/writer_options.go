package file

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// Fsync says when written lines are brought to the disk.
type Fsync uint8

const (
	// FsyncNever leaves it to the system: a crash of the program loses
	// nothing that was written, one of the machine may.
	FsyncNever Fsync = iota
	// FsyncInterval does it every Options.CheckEvery.
	FsyncInterval
	// FsyncAlways does it after every write.
	FsyncAlways
)

// String returns the mode as it stands on the command line.
func (f Fsync) String() string {
	switch f {
	case FsyncNever:
		return "never"
	case FsyncInterval:
		return "interval"
	case FsyncAlways:
		return "always"
	}
	return fmt.Sprintf("Fsync(%d)", uint8(f))
}

// ParseFsync returns the mode of a name.
func ParseFsync(name string) (Fsync, error) {
	for f := FsyncNever; f <= FsyncAlways; f++ {
		if f.String() == name {
			return f, nil
		}
	}
	return 0, fmt.Errorf("fsync mode %q: must be never, interval or always", name)
}

// The limits of Options (docs/spec/interfaces.md §5.4).
const (
	maxCheckEvery = time.Second
	maxFlushEvery = 100 * time.Millisecond
)

// Options says how a Writer works. The zero value is usable.
type Options struct {
	// Fsync says when written lines are brought to the disk. When that fails
	// it is logged and counted; the lines are not written again.
	Fsync Fsync
	// CheckEvery is the time between two looks, while nothing is written, for
	// a file that was renamed or removed, at most 1 s; 0 is 1 s.
	CheckEvery time.Duration
	// FlushEvery is the shortest time between two writes and thereby the
	// longest that a line waits for others, at most 100 ms; 0 is 2 ms. A line
	// that comes after a pause does not wait.
	FlushEvery time.Duration
	// MaxBuffered is the number of bytes that may wait to be written before
	// Write waits; 0 is 64 MiB. A single Write of more is accepted when
	// nothing else waits. Memory that a burst needed is given back within
	// CheckEvery.
	MaxBuffered int
	// Logger gets rotations and errors, the latter at most every ten seconds.
	// nil is none.
	Logger *slog.Logger
	// Flushed is called on the owner's goroutine after everything that waited
	// was written. It must not call the Writer's Close.
	Flushed func(Flush)
}

// complete checks the options and fills in defaults.
func (o *Options) complete() error {
	o.CheckEvery = cmp.Or(o.CheckEvery, maxCheckEvery)
	o.FlushEvery = cmp.Or(o.FlushEvery, 2*time.Millisecond)
	o.MaxBuffered = cmp.Or(o.MaxBuffered, 64<<20)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.CheckEvery < 0 || o.CheckEvery > maxCheckEvery:
		return fmt.Errorf("alarm writer: check interval %v: must be at most %v", o.CheckEvery, maxCheckEvery)
	case o.FlushEvery < 0 || o.FlushEvery > maxFlushEvery:
		return fmt.Errorf("alarm writer: flush interval %v: must be at most %v", o.FlushEvery, maxFlushEvery)
	case o.MaxBuffered < 0:
		return fmt.Errorf("alarm writer: %d buffered bytes: must be more than 0", o.MaxBuffered)
	case o.Fsync > FsyncAlways:
		return fmt.Errorf("alarm writer: unknown fsync mode %v", o.Fsync)
	}
	return nil
}

// Flush is one group commit: what was written with one write per file.
type Flush struct {
	EventLines, EventBytes int
	AlarmLines, AlarmBytes int
	// Waited is the time from the Write of the first of the lines until now,
	// Took the part of it that writing took, attempts that failed included.
	Waited, Took time.Duration
}

// Stats is what a Writer has counted by a moment. Pending and Failing are
// of the moment; everything else only grows.
type Stats struct {
	// Lines and bytes in siem_alarms.json and siem_alarm_events.json.
	AlarmLines, AlarmBytes, EventLines, EventBytes uint64
	// Flushes are the group commits, Retries the attempts after a write
	// failed, Reopened the files that were opened anew after a rotation,
	// SyncErrors the calls of fsync that failed, Waits the calls of Write that
	// had to wait for room.
	Flushes, Retries, Reopened, SyncErrors, Waits uint64
	// Pending are the bytes that were accepted and not written yet.
	Pending int64
	// Failing reports whether the last attempt to write failed.
	Failing bool
}

type writerCounts struct {
	flushes, retries, syncErrors, waits atomic.Uint64
}

// Stats returns the counts. It may be called at any time from any goroutine.
func (w *Writer) Stats() Stats {
	w.mu.Lock()
	accepted, failing := w.accepted.bytes, w.failing != nil
	w.mu.Unlock()
	s := Stats{
		AlarmLines: w.alarms.lines.Load(), AlarmBytes: w.alarms.bytes.Load(),
		EventLines: w.events.lines.Load(), EventBytes: w.events.bytes.Load(),
		Flushes: w.count.flushes.Load(), Retries: w.count.retries.Load(),
		Reopened:   w.alarms.reopened.Load() + w.events.reopened.Load(),
		SyncErrors: w.count.syncErrors.Load(), Waits: w.count.waits.Load(),
		Failing: failing,
	}
	// Lines that were accepted and written in between must not make it negative.
	s.Pending = max(0, int64(accepted)-int64(s.AlarmBytes)-int64(s.EventBytes)) //nolint:gosec // bytes of a program's life
	return s
}

// Err returns why alarm lines cannot be written at present, or nil. It suits a
// readiness check, and may be called at any time from any goroutine.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failing
}

// patience is how long nothing may be written until Stuck says so
// (docs/spec/interfaces.md §5.4).
const patience = 10 * time.Second

// errHangs is why a writer is stuck whose last write has neither failed nor ended.
var errHangs = errors.New("a write does not return")

// Stuck returns why alarm lines could not be written for 10 seconds, or nil if they
// could or if it is not that long yet. Whoever takes events should take none then: each
// one may add lines to those that wait. It may be called at any time from any goroutine.
func (w *Writer) Stuck() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blocked.IsZero() || time.Since(w.blocked) < patience {
		return nil
	}
	if w.failing == nil {
		return errHangs
	}
	return w.failing
}
