package file

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"dsiem/internal/observe/log"
)

// The first and the longest wait between two attempts to write.
const (
	firstRetry = 10 * time.Millisecond
	lastRetry  = time.Second
)

// own is the life of the owner of the files: write until the end, then what is
// left, then close.
func (w *Writer) own(ctx context.Context) {
	defer close(w.stopped)
	err := w.serve(ctx)
	w.refuse()
	if err == nil {
		err = w.flush(ctx) // the last lines: nobody can add any
	}
	if err != nil {
		err = w.lost(err)
	}
	if w.o.Fsync != FsyncNever {
		err = errors.Join(err, w.sync())
	}
	err = errors.Join(err, w.events.close(), w.alarms.close())
	w.mu.Lock()
	w.result = err
	w.mu.Unlock()
}

// serve writes what comes until the end of ctx or Close. It returns an error
// if it had to give up some lines.
func (w *Writer) serve(ctx context.Context) error {
	check := time.NewTicker(w.o.CheckEvery)
	defer check.Stop()
	for {
		select {
		case <-w.wake:
			w.linger(ctx)
			if err := w.flush(ctx); err != nil {
				return err
			}
		case <-check.C:
			w.tend()
		case <-w.open.Done():
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// linger lets lines gather, so that there is one write per FlushEvery. The
// first ones after a pause go out at once.
func (w *Writer) linger(ctx context.Context) {
	wait := w.o.FlushEvery - time.Since(w.flushed)
	if wait <= 0 || w.queued() >= w.flushAt {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.wake: // enough for a write
	case <-w.open.Done():
	case <-ctx.Done():
	}
}

func (w *Writer) queued() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queue.size()
}

// flush writes everything that waits. It returns an error only if ctx or the
// patience of Close ended while that failed.
func (w *Writer) flush(ctx context.Context) error {
	w.mu.Lock()
	b := w.queue
	w.queue = batch{events: w.spare.events[:0], alarms: w.spare.alarms[:0]}
	w.mu.Unlock()
	w.spare = batch{}
	if b.size() == 0 {
		w.keep(&b)
		return nil
	}
	begun := time.Now()
	w.block(begun)
	if err := w.store(ctx, &b); err != nil {
		return err
	}
	w.unblock()
	w.flushed = time.Now()
	w.room.Release(b.weight)
	w.count.flushes.Add(1)
	if w.o.Flushed != nil {
		w.o.Flushed(Flush{
			EventLines: int(countLines(b.events)), EventBytes: len(b.events), //nolint:gosec // a count
			AlarmLines: int(countLines(b.alarms)), AlarmBytes: len(b.alarms), //nolint:gosec // a count
			Waited: w.flushed.Sub(b.since), Took: w.flushed.Sub(begun),
		})
	}
	w.keep(&b)
	return nil
}

// keep keeps the memory of a batch for a later one.
func (w *Writer) keep(b *batch) {
	w.spare = batch{events: b.events[:0], alarms: b.alarms[:0]}
}

// release gives back memory that a burst needed.
func (w *Writer) release() {
	w.spare.trim()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue.size() == 0 {
		w.queue.trim()
	}
}

func (b *batch) trim() {
	if cap(b.events)+cap(b.alarms) > maxSpare {
		b.events, b.alarms = nil, nil
	}
}

// store tries until the batch is in the files, or until it has to give up;
// then it returns why the last attempt failed.
func (w *Writer) store(ctx context.Context, b *batch) error {
	for {
		err := w.attempt(b)
		if err == nil {
			w.works()
			return nil
		}
		if !w.wait(ctx, w.fails(err)) {
			return err
		}
		w.count.retries.Add(1)
	}
}

// attempt writes what is missing of a batch: the alarm-event lines first, and
// no alarm line before all of them.
func (w *Writer) attempt(b *batch) error {
	var err error
	if b.eventsDone, err = w.events.write(b.events, b.eventsDone); err != nil {
		return err
	}
	if b.alarmsDone, err = w.alarms.write(b.alarms, b.alarmsDone); err != nil {
		return err
	}
	if w.o.Fsync == FsyncAlways {
		// What fsync could not do is no reason to write lines twice.
		_ = w.sync()
	}
	return nil
}

// wait waits before the next attempt and reports whether there is to be one.
func (w *Writer) wait(ctx context.Context, d time.Duration) bool {
	closing := w.open.Done()
	if w.open.Err() != nil {
		closing = nil // known already
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-closing: // time is short now
		return true
	case <-w.giveUp:
		return false
	case <-ctx.Done():
		return false
	}
}

// tend looks after the files while no line waits.
func (w *Writer) tend() {
	for _, f := range w.bothFiles() {
		if err := f.check(); err != nil {
			w.fails(err)
			return
		}
	}
	w.works()
	w.release()
	if w.o.Fsync == FsyncInterval {
		_ = w.sync() // logged and counted
	}
}

// sync brings both files to the disk.
func (w *Writer) sync() error {
	var err error
	for _, f := range w.bothFiles() {
		err = errors.Join(err, f.sync())
	}
	if err != nil {
		w.count.syncErrors.Add(1)
		if w.syncLog.Allow(time.Now()) {
			w.o.Logger.Error("alarm files cannot be synced to disk", slog.Any("error", err),
				slog.Uint64("sync_errors", w.count.syncErrors.Load()))
		}
	}
	return err
}

// trouble is what is known about a series of attempts that failed.
type trouble struct {
	attempts int
	since    time.Time
	pause    *backoff.ExponentialBackOff
	lines    log.Limit // while they fail
	told     bool      // there is a log line about it
}

func newTrouble() trouble {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval, pause.Multiplier = firstRetry, lastRetry, 2
	return trouble{pause: pause}
}

// fails notes that an attempt failed and returns the time until the next one.
func (w *Writer) fails(err error) time.Duration {
	now, t := time.Now(), &w.trouble
	if t.attempts == 0 {
		t.since = now
		t.pause.Reset()
	}
	t.attempts++
	w.block(t.since)
	w.mu.Lock()
	w.failing = err
	w.mu.Unlock()
	if t.lines.Allow(now) {
		t.told = true
		w.o.Logger.Error("alarm files cannot be written, trying again", slog.Any("error", err),
			slog.Int64("pending_bytes", w.Stats().Pending), slog.Int("attempts", t.attempts),
			slog.Duration("failing_for", now.Sub(t.since)), slog.String("next", "make room on the disk, or let this user write there"))
	}
	return t.pause.NextBackOff()
}

// works notes that an attempt succeeded.
func (w *Writer) works() {
	t := &w.trouble
	if t.attempts == 0 {
		return
	}
	if t.told {
		w.o.Logger.Info("alarm files are written again", slog.Int64("pending_bytes", w.Stats().Pending),
			slog.Int("attempts", t.attempts), slog.Duration("failing_for", time.Since(t.since)))
	}
	t.attempts, t.told = 0, false
	w.unblock()
}

// block notes that a write began at a time, unless an earlier one has not succeeded
// yet.
func (w *Writer) block(since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blocked.IsZero() {
		w.blocked = since
	}
}

// unblock notes that everything could be written.
func (w *Writer) unblock() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing, w.blocked = nil, time.Time{}
}
