package state

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
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
func saveRemembered(dir string, parts iter.Seq[*resume.Remembered]) (bool, error) {
	next, stop := iter.Pull(parts)
	defer stop()
	path := filepath.Join(dir, rememberedName)
	part, some := next()
	if !some {
		return false, remove(path)
	}
	if err := writeRemembered(path, part, next); err != nil {
		return false, fmt.Errorf("saving remembered events: %w", err)
	}
	return true, nil
}

// writeRemembered writes a file of the first part and of those that come next.
func writeRemembered(path string, part *resume.Remembered, next func() (*resume.Remembered, bool)) error {
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return err
	}
	file, err := renameio.NewPendingFile(path, renameio.WithPermissions(fileMode))
	if err != nil {
		return err
	}
	defer file.Cleanup() //nolint:errcheck // what matters has been said before
	w := bufio.NewWriter(file)
	var text []byte
	for some := true; some; part, some = next() {
		text = part.AppendJSON(text[:0])
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return file.CloseAtomicallyReplace()
}

// loadRemembered reads what engines remembered from a folder, nil if there is no
// file. problem says what is wrong with its content.
func loadRemembered(dir string) (r *resume.Remembered, problem, err error) {
	file, err := os.Open(filepath.Join(dir, rememberedName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("loading remembered events: %w", err)
	}
	defer file.Close() //nolint:errcheck // nothing was written
	r = resume.Collect(func(yield func(*resume.Remembered) bool) {
		var part *resume.Remembered
		decoder := json.NewDecoder(file)
		for {
			if part, problem = readPart(decoder); part == nil || !yield(part) {
				return
			}
		}
	})
	if problem != nil {
		r = nil
	}
	return r, problem, nil
}

// readPart reads the next part of what engines remembered, nil at the end.
func readPart(from *json.Decoder) (*resume.Remembered, error) {
	var text json.RawMessage
	switch err := from.Decode(&text); {
	case errors.Is(err, io.EOF):
		return nil, nil //nolint:nilnil // the end is no error
	case err != nil:
		return nil, err
	}
	return resume.Parse(text)
}

// LoadRemembered hands on what the engines of the last run remembered, after Load. A
// file that cannot be understood is reported, left out, and kept aside later.
func (s *Store) LoadRemembered(restore func(*resume.Remembered)) error {
	defer debug.FreeOSMemory() // what was read is several times larger than what is made of it
	for _, dir := range []string{s.dir, s.checkpoints()} {
		r, problem, err := loadRemembered(dir)
		if err != nil {
			return err
		}
		if problem != nil {
			s.logger.Error("remembered events discarded", "file", filepath.Join(dir, rememberedName), "error", problem)
			s.damaged = append(s.damaged, filepath.Join(dir, rememberedName))
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
