package app

import (
	"fmt"

	"dsiem/internal/alarm"
	"dsiem/internal/backlogs"
	"dsiem/internal/config"
)

// load restores saved backlogs, if asked to. The files it read are to be
// discarded when the replay is through.
func (r *replay) load() (discard func() error, err error) {
	dir := r.options.LoadBacklogs
	if dir == "" {
		return func() error { return nil }, nil
	}
	ids := make([]uint64, len(r.configuration.directives))
	for i, d := range r.configuration.directives {
		ids[i] = d.ID
	}
	loaded, err := backlogs.Load(dir, ids, func(directive uint64, s *alarm.Saved) error {
		err := r.pipeline.engines.restore(directive, s)
		if err == nil {
			r.restored[s.ID] = struct{}{}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("loading saved backlogs: %w", err)
	}
	if err := show(r.options.Diagnostics, &config.Report{Problems: loaded.Problems}); err != nil {
		return nil, err
	}
	for _, name := range loaded.Ignored {
		fmt.Fprintf(r.options.Diagnostics, "%s: left alone, no enabled directive has this id\n", name)
	}
	r.summary.Backlogs.Loaded, r.summary.Backlogs.Discarded = loaded.Restored, loaded.Discarded
	return func() error { return backlogs.Discard(loaded.Files) }, nil
}

// save writes the live backlogs, if asked to.
func (r *replay) save() error {
	dir := r.options.SaveBacklogs
	if dir == "" {
		return nil
	}
	written, err := backlogs.Save(dir, r.pipeline.engines.saved())
	r.summary.Backlogs.Saved = written.Backlogs
	if err != nil {
		return fmt.Errorf("saving the live backlogs: %w", err)
	}
	return nil
}
