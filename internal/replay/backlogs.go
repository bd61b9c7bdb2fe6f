package replay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/jsonfile"
	"dsiem/internal/state"
)

// load restores saved backlogs, if asked to, and remembers the files it read:
// they are discarded when the replay is through.
func (r *replay) load() error {
	dir := r.options.LoadBacklogs
	if dir == "" {
		return nil
	}
	if err := isDir(dir); err != nil { // a server may find none, but this one was named
		return fmt.Errorf("loading saved backlogs: %s: %w", dir, err)
	}
	loaded, err := state.Load(dir, r.configuration.Directives(), func(directive uint64, s *alarm.Saved) error {
		s.Arrival = 0 // by another clock (D31)
		err := r.pipeline.engines.Restore(directive, s)
		if err == nil {
			r.restored[s.ID] = struct{}{}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("loading saved backlogs: %w", err)
	}
	if err := (&jsonfile.Report{Problems: loaded.Problems}).Write(r.options.Diagnostics); err != nil {
		return err
	}
	for _, name := range loaded.Ignored {
		fmt.Fprintf(r.options.Diagnostics, "%s: left alone, no enabled directive has this id\n", filepath.Join(dir, name))
	}
	r.summary.Backlogs.Loaded, r.summary.Backlogs.Discarded = loaded.Restored, loaded.Discarded
	r.loaded, r.damaged = loaded.Files, loaded.Damaged
	return nil
}

// isDir returns why a path is no directory.
func isDir(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathErr.Err // the message names the path already
		}
		return err
	case !info.IsDir():
		return errors.New("not a directory")
	}
	return nil
}

// save writes the live backlogs, if asked to, and then discards the files that
// were loaded; damaged ones are kept aside. After a replay that failed, loaded files
// stay for another try, unless the live backlogs took their place.
func (r *replay) save(failed bool) error {
	o := r.options
	inPlace := o.SaveBacklogs != "" && filepath.Clean(o.SaveBacklogs) == filepath.Clean(o.LoadBacklogs)
	if !failed || inPlace {
		if err := r.keepDamaged(); err != nil {
			return err
		}
	}
	if o.SaveBacklogs == "" {
		if failed {
			return nil
		}
		return state.Discard(r.loaded)
	}
	earlier := r.loaded
	if failed && !inPlace {
		earlier = nil
	}
	for _, id := range r.configuration.Directives() { // an earlier run's files are out of date
		earlier = append(earlier, filepath.Join(o.SaveBacklogs, fmt.Sprint(id, ".json")))
	}
	written, err := state.SaveInPlaceOf(o.SaveBacklogs, earlier, r.pipeline.engines.Saved())
	r.summary.Backlogs.Saved = written.Backlogs
	if err != nil {
		return fmt.Errorf("saving the live backlogs: %w", err)
	}
	return nil
}

// keepDamaged keeps aside the loaded files of which something could not go on.
func (r *replay) keepDamaged() error {
	kept, err := state.KeepDamaged(r.options.LoadBacklogs, r.damaged, time.Now())
	for _, k := range kept {
		fmt.Fprintf(r.options.Diagnostics, "%s: kept aside as %s\n", k.File, k.As)
	}
	return err
}
