// Package state keeps what outlives a process, in the log directory: saved
// backlogs, the checkpoint of a running server, events that a stop had no time
// for, and the lock that makes the directory that of one node.
//
// A Store owns these files, not the backlogs in them: they come from engines and
// go to engines, both given by the caller. Load, Save and Discard keep no state
// between calls. No file is deleted before what takes its place is on disk, and
// what is wrong with one is told as a problem with its place in it.
//
// Source of the behaviour: docs/spec/correlation.md §11, §13.3.
package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate/resume"
	"dsiem/internal/correlate/shard"
)

// The folders and files of the state below the log directory.
const (
	backlogsDir   = "backlogs"
	checkpointDir = "checkpoint" // below backlogsDir
	// completeName is the file that says that the saved backlogs are all there
	// were, so that an older checkpoint counts no longer.
	completeName = "complete" // below backlogsDir
	// newSuffix and oldSuffix name the folders of a checkpoint that is being
	// replaced.
	newSuffix, oldSuffix = ".new", ".old"
)

// Store owns the state of a backend on disk: what goes out, what comes in,
// and what holds when both were interrupted.
//
//   - A stop saves the backlogs to backlogs/{directive_id}.json, marks them as
//     complete, and removes the checkpoint.
//   - While the backend runs, checkpoints of the same files lie in
//     backlogs/checkpoint.
//   - A start reads the saved backlogs; the checkpoint counts, for directives
//     without a saved file, unless the saved backlogs are complete.
//   - The saved backlogs are deleted when the start is complete and their first
//     checkpoint is on disk: whenever the process is killed, one of the two
//     holds them.
type Store struct {
	dir    string
	lock   *os.File
	logger *slog.Logger
	// loaded are the files of saved backlogs that this run began with and that
	// are still there, unless settled: then they are gone.
	loaded  []string
	settled bool
	// damaged are the files of which something could not be restored and that are
	// not kept aside yet.
	damaged []string
	// cutOff says that the last run did not end in order.
	cutOff bool

	waiting Waiting
	last    atomic.Pointer[lastCheckpoint] // for the metrics
}

// Open makes a log directory if need be and returns its state. Nobody else may
// use it until Close. If keep is not set, nothing is saved and nothing restored.
func Open(logDir string, keep bool, logger *slog.Logger) (*Store, error) {
	if err := os.MkdirAll(logDir, 0o750); err != nil {
		return nil, fmt.Errorf("opening the log directory: %w; name a directory that this user may write to with --log-dir", err)
	}
	lock, ok, err := lockDir(logDir)
	if err != nil {
		return nil, err
	}
	if !ok {
		logger.Warn("the log directory cannot be locked here, make sure that no other node uses it", "directory", logDir)
	}
	s := &Store{dir: filepath.Join(logDir, backlogsDir), logger: logger, lock: lock}
	s.waiting.path = s.WaitingFile()
	if !keep {
		s.waiting.err = errNotKept
	}
	return s, nil
}

// errNotKept is why events that there was no time for are lost.
var errNotKept = errors.New("--reload-backlogs is off")

// Close lets others use the log directory.
func (s *Store) Close() error { return s.lock.Close() }

// Waiting takes the events that a stop has no time for.
func (s *Store) Waiting() *Waiting { return &s.waiting }

// LoadWaiting hands on the events that the last stop had no time for, and returns
// their number. They stay on disk until ForgetWaiting or SaveWaiting. Lines that are
// too long to be events are passed over, reported, and their number returned as
// that of lost events; their file is kept aside before it goes.
func (s *Store) LoadWaiting(put func(text []byte)) (events, lost int, err error) {
	events, lost, err = loadWaiting(s.WaitingFile(), put)
	if lost > 0 {
		s.logger.Error("events that waited are lost, their lines are too long", "events", lost, "limit", maxWaiting, "file", s.WaitingFile())
		s.damaged = append(s.damaged, s.WaitingFile())
	}
	return events, lost, err
}

// ForgetWaiting removes the events of the last run, which have been played.
func (s *Store) ForgetWaiting() error {
	if err := s.keepDamaged(); err != nil {
		return err
	}
	return remove(s.WaitingFile())
}

// SaveWaiting saves the events that Waiting has been given, and returns their
// number. After an error they are lost.
func (s *Store) SaveWaiting() (int, error) {
	n := s.waiting.events
	if n == 0 {
		return 0, s.ForgetWaiting()
	}
	s.keepDamagedOrSay()
	err := s.waiting.close()
	switch {
	case errors.Is(err, errNotKept):
		return n, fmt.Errorf("%d events dropped, there was no time for them before the end, and %w", n, errNotKept)
	case err != nil:
		return n, fmt.Errorf("%d events dropped, there was no time for them before the end: %w", n, err)
	}
	return n, nil
}

// CutOff reports whether the last run did not end in order.
func (s *Store) CutOff() bool { return s.cutOff }

func (s *Store) checkpoints() string { return filepath.Join(s.dir, checkpointDir) }

// WaitingFile returns the path of the file of events that a stop had no time for.
func (s *Store) WaitingFile() string { return filepath.Join(s.dir, waitingName) }

func (s *Store) completeFile() string { return filepath.Join(s.dir, completeName) }

// Load restores the state that the last run left behind, and returns how many
// backlogs could not be restored.
func (s *Store) Load(directives []uint64, restore func(uint64, *alarm.Saved) error) (discarded int, err error) {
	defer collectEagerly()()
	return s.restore(directives, restore)
}

// collectEagerly lets memory be collected early until the function that it returns is
// called, which gives memory back: the text of what is loaded, a part at a time, is several
// times larger than what is made of it.
func collectEagerly() (end func()) {
	const eager = 25 // percent of new memory, instead of 100
	before := debug.SetGCPercent(eager)
	if before >= 0 && before < eager { // the operator wants it still earlier
		debug.SetGCPercent(before)
	}
	return func() {
		debug.SetGCPercent(before)
		debug.FreeOSMemory()
	}
}

func (s *Store) restore(directives []uint64, restore func(uint64, *alarm.Saved) error) (discarded int, err error) {
	saved, err := s.loadFrom(s.dir, directives, restore)
	if err != nil {
		return 0, err
	}
	s.loaded = saved.Files
	_, err = os.Stat(s.completeFile())
	switch {
	case err == nil:
		return saved.Discarded, nil
	case !errors.Is(err, fs.ErrNotExist):
		return 0, fmt.Errorf("looking for saved backlogs: %w", err)
	}
	if err := s.repair(); err != nil {
		return 0, err
	}
	if _, err = os.Stat(s.checkpoints()); err == nil {
		s.cutOff = true
	}
	read := map[string]bool{}
	for _, file := range saved.Files {
		read[filepath.Base(file)] = true
	}
	var rest []uint64
	for _, id := range directives {
		if !read[fmt.Sprint(id, ".json")] {
			rest = append(rest, id)
		}
	}
	checkpoint, err := s.loadFrom(s.checkpoints(), rest, restore)
	if err != nil {
		return 0, err
	}
	return saved.Discarded + checkpoint.Discarded, nil
}

func (s *Store) loadFrom(dir string, directives []uint64, restore func(uint64, *alarm.Saved) error) (*Loaded, error) {
	loaded, err := Load(dir, directives, restore)
	if err != nil {
		return nil, fmt.Errorf("loading saved backlogs: %w", err)
	}
	for i := range loaded.Problems {
		p := &loaded.Problems[i]
		reason := p.Msg
		if p.Where != "" {
			reason = p.Where + ": " + reason
		}
		s.logger.Error("saved backlog discarded", "place", fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column), "reason", reason)
	}
	s.damaged = append(s.damaged, loaded.Damaged...)
	for _, name := range loaded.Ignored {
		s.logger.Info("saved backlogs left alone, no enabled directive has this id", "file", filepath.Join(dir, name))
	}
	if loaded.Restored+loaded.Discarded > 0 {
		s.logger.Info("saved backlogs loaded", "dir", dir, "restored", loaded.Restored, "discarded", loaded.Discarded)
	}
	return loaded, nil
}

// Started deletes the saved backlogs that load has read; damaged files are kept
// aside. The checkpoint that replaces them must be on disk, unless there are to be
// none; one of an earlier run is deleted then.
//
// It may be called again, and does nothing then.
func (s *Store) Started(checkpoints bool) error {
	if s.settled {
		return nil
	}
	if err := s.keepDamaged(); err != nil {
		return err
	}
	if !checkpoints {
		if err := s.drop(); err != nil {
			return err
		}
	}
	if err := remove(s.completeFile()); err != nil {
		return err
	}
	if err := Discard(s.loaded); err != nil {
		return fmt.Errorf("deleting saved backlogs: %w", err)
	}
	s.loaded, s.settled = nil, true
	return nil
}

// drop removes the checkpoint, at once: half of one must not be taken for a
// whole one.
func (s *Store) drop() error {
	gone := s.checkpoints() + newSuffix
	err := errors.Join(os.RemoveAll(s.checkpoints()+oldSuffix), os.RemoveAll(gone),
		rename(s.checkpoints(), gone), os.RemoveAll(gone))
	if err != nil {
		return fmt.Errorf("removing the checkpoint: %w", err)
	}
	return nil
}

// checkpoint replaces the checkpoint by the given state, as a whole: until the
// new one is complete the old one holds. incomplete tells, after the last
// element, why there are fewer than there should be.
func (s *Store) checkpoint(saved iter.Seq2[uint64, alarm.Saved], remembered iter.Seq[*resume.Remembered], incomplete func() error) (Written, error) {
	fresh, old := s.checkpoints()+newSuffix, s.checkpoints()+oldSuffix
	if err := os.RemoveAll(fresh); err != nil {
		return Written{}, fmt.Errorf("removing an unfinished checkpoint: %w", err)
	}
	if err := os.MkdirAll(fresh, 0o750); err != nil {
		return Written{}, fmt.Errorf("writing a checkpoint: %w", err)
	}
	written, err := Save(fresh, saved)
	if err != nil {
		return written, fmt.Errorf("writing a checkpoint: %w", err)
	}
	if err := incomplete(); err != nil {
		return written, err
	}
	if _, err := saveRemembered(fresh, remembered); err != nil {
		return written, err
	}
	if err := incomplete(); err != nil {
		return written, err
	}
	if err := s.keepDamaged(); err != nil {
		return written, err
	}
	err = errors.Join(os.RemoveAll(old), rename(s.checkpoints(), old), rename(fresh, s.checkpoints()), os.RemoveAll(old))
	if err != nil {
		return written, fmt.Errorf("replacing the checkpoint: %w", err)
	}
	return written, nil
}

// repair undoes a replacement of the checkpoint that was cut off.
func (s *Store) repair() error {
	if _, err := os.Stat(s.checkpoints()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := rename(s.checkpoints()+oldSuffix, s.checkpoints()); err != nil {
		return fmt.Errorf("restoring the checkpoint: %w", err)
	}
	return nil
}

// rename renames a folder if it exists.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Save writes the state of a backend that stops. What was loaded goes, unless
// it was overwritten; damaged files are kept aside. One that cannot be is no reason
// to lose what is live.
func (s *Store) Save(saved iter.Seq2[uint64, alarm.Saved], remembered iter.Seq[*resume.Remembered]) (Written, error) {
	s.keepDamagedOrSay()
	written, err := SaveInPlaceOf(s.dir, s.loaded, saved)
	if err != nil {
		return written, fmt.Errorf("saving backlogs: %w", err)
	}
	some, err := saveRemembered(s.dir, remembered)
	if err != nil {
		return written, err
	}
	if written.Files > 0 || some {
		if err := os.WriteFile(s.completeFile(), nil, 0o644); err != nil {
			return written, fmt.Errorf("saving backlogs: %w", err)
		}
	}
	return written, s.drop()
}

func remove(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing an old file of the state: %w", err)
	}
	return nil
}

// Checkpointer writes checkpoints while events are played: it asks for a
// part of the live backlogs at a time.
type Checkpointer struct {
	Store *Store
	// Ask runs a function on the goroutine that correlates and waits for it.
	Ask func(context.Context, func()) error
	// Backlogs lists the live backlogs; it is called within Ask.
	Backlogs func() shard.Snapshots
	// Remembered gives what is remembered beside them, in parts of which each is asked
	// for within Ask, after all backlogs: of one that has ended before its turn came, the
	// events are remembered. nil is for nothing.
	Remembered func() iter.Seq[*resume.Remembered]
	// Now is the clock, for the metrics; nil is time.Now.
	Now func() time.Time
}

// checkpointPart is the number of backlogs that are copied while the
// correlation waits, checkpointTurn the number that are encoded until others have
// their turn: a checkpoint is in no hurry, and a goroutine that just goes on
// keeps a core for ten milliseconds while events wait for it.
const checkpointPart, checkpointTurn = 64, 4

type savedBacklog struct {
	directive uint64
	saved     alarm.Saved
}

// Write writes one checkpoint. It ends early, and leaves the last checkpoint
// as it is, when ctx ends.
func (c *Checkpointer) Write(ctx context.Context) (Written, error) {
	written, err := c.write(ctx)
	if err == nil {
		now := time.Now
		if c.Now != nil {
			now = c.Now
		}
		c.Store.checkpointed(now(), written.Backlogs)
	}
	return written, err
}

func (c *Checkpointer) write(ctx context.Context) (Written, error) {
	var live shard.Snapshots
	if err := c.Ask(ctx, func() { live = c.Backlogs() }); err != nil {
		return Written{}, err
	}
	next, stop := iter.Pull2(live.Saved())
	defer stop()
	var askErr error
	part := make([]savedBacklog, 0, checkpointPart)
	fetch := func() {
		for part = part[:0]; len(part) < checkpointPart; {
			id, s, ok := next()
			if !ok {
				return
			}
			part = append(part, savedBacklog{id, s})
		}
	}
	parts := func(yield func(uint64, alarm.Saved) bool) {
		for {
			if askErr = c.Ask(ctx, fetch); askErr != nil || len(part) == 0 {
				return
			}
			for i := range part {
				if !yield(part[i].directive, part[i].saved) {
					return
				}
			}
		}
	}
	return c.Store.checkpoint(inTurns(parts), c.remembered(ctx, &askErr), func() error { return askErr })
}

// remembered asks for the parts of what is remembered, until there is an error.
func (c *Checkpointer) remembered(ctx context.Context, askErr *error) iter.Seq[*resume.Remembered] {
	return func(yield func(*resume.Remembered) bool) {
		if c.Remembered == nil {
			return
		}
		next, stop := iter.Pull(c.Remembered())
		defer stop()
		for {
			var part *resume.Remembered
			var some bool
			if *askErr = c.Ask(ctx, func() { part, some = next() }); *askErr != nil || !some || !yield(part) {
				return
			}
			runtime.Gosched()
		}
	}
}

// inTurns lets other goroutines have their turn between the elements of a
// sequence.
func inTurns(all iter.Seq2[uint64, alarm.Saved]) iter.Seq2[uint64, alarm.Saved] {
	return func(yield func(uint64, alarm.Saved) bool) {
		n := 0
		for id, saved := range all {
			if !yield(id, saved) {
				return
			}
			if n++; n%checkpointTurn == 0 {
				runtime.Gosched()
			}
		}
	}
}
