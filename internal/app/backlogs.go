package app

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"dsiem/internal/alarm"
	"dsiem/internal/backlogs"
	"dsiem/internal/config"
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
	loaded, err := backlogs.Load(dir, r.configuration.ids(), func(directive uint64, s *alarm.Saved) error {
		s.Arrival = 0 // by another clock (D31)
		err := r.pipeline.engines.restore(directive, s)
		if err == nil {
			r.restored[s.ID] = struct{}{}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("loading saved backlogs: %w", err)
	}
	if err := show(r.options.Diagnostics, &config.Report{Problems: loaded.Problems}); err != nil {
		return err
	}
	for _, name := range loaded.Ignored {
		fmt.Fprintf(r.options.Diagnostics, "%s: left alone, no enabled directive has this id\n", filepath.Join(dir, name))
	}
	r.summary.Backlogs.Loaded, r.summary.Backlogs.Discarded = loaded.Restored, loaded.Discarded
	r.loaded = loaded.Files
	return nil
}

// isDir returns why a path is no directory.
func isDir(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return cause(err)
	case !info.IsDir():
		return errors.New("not a directory")
	}
	return nil
}

// save writes the live backlogs, if asked to, and then discards the files that
// were loaded. After a replay that failed, loaded files stay for another try,
// unless the live backlogs took their place.
func (r *replay) save(failed bool) error {
	o := r.options
	if o.SaveBacklogs == "" {
		if failed {
			return nil
		}
		return backlogs.Discard(r.loaded)
	}
	inPlace := filepath.Clean(o.SaveBacklogs) == filepath.Clean(o.LoadBacklogs)
	earlier := r.loaded
	if failed && !inPlace {
		earlier = nil
	}
	for _, id := range r.configuration.ids() { // an earlier run's files are out of date
		earlier = append(earlier, filepath.Join(o.SaveBacklogs, fmt.Sprint(id, ".json")))
	}
	written, err := saveInPlaceOf(o.SaveBacklogs, earlier, r.pipeline.engines.saved())
	r.summary.Backlogs.Saved = written.Backlogs
	if err != nil {
		return fmt.Errorf("saving the live backlogs: %w", err)
	}
	return nil
}

// saveInPlaceOf writes backlogs to a folder and then deletes the files of an
// earlier save that were not written again, so that no moment is without
// either and no backlog that has ended comes back.
func saveInPlaceOf(dir string, earlier []string, saved iter.Seq2[uint64, alarm.Saved]) (backlogs.Written, error) {
	again := map[string]bool{}
	written, err := backlogs.Save(dir, func(yield func(uint64, alarm.Saved) bool) {
		for id, s := range saved {
			again[filepath.Join(dir, fmt.Sprint(id, ".json"))] = true
			if !yield(id, s) {
				return
			}
		}
	})
	if err != nil {
		return written, err
	}
	return written, backlogs.Discard(slices.DeleteFunc(slices.Clone(earlier), func(file string) bool { return again[filepath.Clean(file)] }))
}
