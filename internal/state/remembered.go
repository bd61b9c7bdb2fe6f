package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/google/renameio/v2"

	"dsiem/internal/correlate/resume"
)

// rememberedName is the file of what the engines remember beside live backlogs
// (docs/spec/correlation.md D33, D35): in the folder of saved backlogs and in that
// of a checkpoint.
const rememberedName = "remembered.events"

// saveRemembered writes what engines remember into a folder, which it makes if
// there is anything to write, and reports whether there is. Without anything no file
// stays there.
func saveRemembered(dir string, r *resume.Remembered) (bool, error) {
	path := filepath.Join(dir, rememberedName)
	if len(r.Events)+len(r.Ended)+len(r.Latest) == 0 {
		return false, remove(path)
	}
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return false, fmt.Errorf("saving remembered events: %w", err)
	}
	if err := renameio.WriteFile(path, r.AppendJSON(nil), fileMode); err != nil {
		return false, fmt.Errorf("saving remembered events: %w", err)
	}
	return true, nil
}

// loadRemembered reads what engines remembered from a folder, nil if there is no
// file. problem says what is wrong with its content.
func loadRemembered(dir string) (r *resume.Remembered, problem, err error) {
	data, err := os.ReadFile(filepath.Join(dir, rememberedName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("loading remembered events: %w", err)
	}
	r, problem = resume.ParseRemembered(data)
	return r, problem, nil
}

// LoadRemembered hands on what the engines of the last run remembered, after Load. A
// file that cannot be understood is reported and left out.
func (s *Store) LoadRemembered(restore func(*resume.Remembered)) error {
	defer debug.FreeOSMemory() // the text is several times larger than what is made of it
	for _, dir := range []string{s.dir, s.checkpoints()} {
		r, problem, err := loadRemembered(dir)
		if err != nil {
			return err
		}
		if problem != nil {
			s.logger.Error("remembered events discarded", "file", filepath.Join(dir, rememberedName), "error", problem)
		}
		if dir == s.dir && (r != nil || problem != nil) {
			s.loaded = append(s.loaded, filepath.Join(dir, rememberedName))
		}
		if r != nil {
			restore(r)
			return nil
		}
	}
	return nil
}
