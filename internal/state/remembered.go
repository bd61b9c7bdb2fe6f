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

	"dsiem/internal/correlate/resume"
	"dsiem/internal/pending"
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
	file, err := pending.Create(path, fileMode)
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

// loadRemembered hands on what engines remembered from a folder, and reports whether there
// is anything. Nothing is handed on of a file that cannot be understood; problem says why.
func loadRemembered(dir string, restore func(*resume.Remembered)) (some bool, problem, err error) {
	file, err := os.Open(filepath.Join(dir, rememberedName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil, nil
	case err != nil:
		return false, nil, fmt.Errorf("loading remembered events: %w", err)
	}
	defer file.Close() //nolint:errcheck // nothing was written
	engines, problem := findEngines(file)
	if problem != nil {
		return false, problem, nil
	}
	lists := make([]iter.Seq[*resume.Remembered], len(engines))
	for i, one := range engines {
		lists[i] = partsOf(io.NewSectionReader(file, one.from, one.to-one.from), &problem)
	}
	for part := range resume.Merge(lists) {
		restore(part)
	}
	return true, problem, nil
}

// section is the part of a file in which one engine remembers something.
type section struct{ from, to int64 }

// findEngines reads a file to its end and returns where the parts of each engine are.
func findEngines(file io.Reader) (engines []section, problem error) {
	var order resume.Order
	decoder := json.NewDecoder(file)
	for from := int64(0); ; from = decoder.InputOffset() {
		part, problem := readPart(decoder)
		if part == nil {
			return engines, problem
		}
		if order.Begins(part) {
			engines = append(engines, section{from: from})
		}
		engines[len(engines)-1].to = decoder.InputOffset()
	}
}

// partsOf returns the parts of a section, as often as they are asked for. problem says why
// there are no more, if that is not the end.
func partsOf(s *io.SectionReader, problem *error) iter.Seq[*resume.Remembered] {
	return func(yield func(*resume.Remembered) bool) {
		decoder := json.NewDecoder(io.NewSectionReader(s, 0, s.Size()))
		for {
			part, err := readPart(decoder)
			if err != nil {
				*problem = err
			}
			if part == nil || !yield(part) {
				return
			}
		}
	}
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

// LoadRemembered hands on what the engines of the last run remembered, part by part, after
// Load. A file that cannot be understood is reported, left out, and kept aside later.
func (s *Store) LoadRemembered(restore func(*resume.Remembered)) error {
	defer collectEagerly()()
	for _, dir := range []string{s.dir, s.checkpoints()} {
		some, problem, err := loadRemembered(dir, restore)
		if err != nil {
			return err
		}
		if problem != nil {
			s.logger.Error("remembered events discarded", "file", filepath.Join(dir, rememberedName), "error", problem)
			s.damaged = append(s.damaged, filepath.Join(dir, rememberedName))
		}
		if dir == s.dir && (some || problem != nil) {
			s.loaded = append(s.loaded, filepath.Join(dir, rememberedName))
		}
		if some {
			return nil
		}
	}
	return nil
}
