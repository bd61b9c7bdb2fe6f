package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"dsiem/internal/alarm"
	"dsiem/internal/jsonfile"
)

// maxProblems is the number of problems that are told of one file, besides one
// that gives the number of the others: a directive that was renamed makes
// every backlog of it one.
const maxProblems = 100

// Loaded tells what Load found.
type Loaded struct {
	// Restored counts the backlogs that live on, Discarded those that cannot. What
	// cannot be read of a file counts as one: nobody knows how many are in it.
	Restored, Discarded int
	// Problems say what is wrong with which file or backlog, in the order of
	// Load's directives and then of the file.
	Problems []jsonfile.Problem
	// Files are the paths to give to Discard: the files that were read, good or
	// bad, and what a Save that was killed left of the same directives.
	Files []string
	// Damaged are the paths to give to KeepDamaged: files of which something could
	// not be restored.
	Damaged []string
	// Ignored are the names of files of directives that Load was not given.
	Ignored []string
}

// Load reads the saved backlogs of directives from a folder, which need not
// exist, and gives them to restore: directives in the given order, backlogs in
// that of their file. restore returns why a backlog cannot live on, as
// correlate.Engine.Restore does; it may keep what it is given.
//
// Every element of a file stands for itself: one that is bad or refused is
// discarded with a problem that names its place. A syntax error ends its file,
// the elements before it count; so does one of the disk. Of a file no more than two
// elements are in memory at a time. No file is changed or deleted: see KeepDamaged and Discard
// (docs/spec/correlation.md §11.3, §11.5, P4, P5, B32).
//
// An error means that the folder itself could not be read.
func Load(dir string, directives []uint64, restore func(directive uint64, s *alarm.Saved) error) (*Loaded, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for saved backlogs: %w", err)
	}
	present, leftovers := map[string]bool{}, map[string][]string{}
	for _, e := range entries {
		if final, ok := leftoverOf(e.Name()); ok {
			leftovers[final] = append(leftovers[final], filepath.Join(dir, e.Name()))
		}
		present[e.Name()] = isFileName(e.Name())
	}
	l := &Loaded{}
	for _, id := range directives {
		name := fileName(id)
		l.Files = append(l.Files, leftovers[name]...)
		if present[name] {
			present[name] = false
			l.load(filepath.Join(dir, name), func(s *alarm.Saved) error { return restore(id, s) })
		}
	}
	for _, e := range entries {
		if present[e.Name()] {
			l.Ignored = append(l.Ignored, e.Name())
		}
	}
	return l, nil
}

// load reads one file.
func (l *Loaded) load(path string, restore func(*alarm.Saved) error) {
	file, size, err := openFile(path)
	if err != nil {
		if info, e := os.Stat(path); e == nil && info.Mode().IsRegular() {
			l.Damaged = append(l.Damaged, path) // a Save would replace it
			l.Discarded++
		}
		l.Problems = append(l.Problems, jsonfile.Problem{
			File: path, Msg: fmt.Sprintf("the saved backlogs cannot be read and stay where they are: %v", err),
		})
		return
	}
	defer file.Close() //nolint:errcheck // nothing was written
	l.Files = append(l.Files, path)
	r := reader{restore: restore}
	r.read(path, file, size)
	if len(r.problems) > 0 {
		l.Damaged = append(l.Damaged, path)
	}
	l.Restored += r.restored
	l.Discarded += r.discarded
	l.Problems = append(l.Problems, r.problems...)
}

// openFile opens a regular file, or one that a link leads to, and returns its size.
// Others, such as a pipe, could make a start wait for ever.
func openFile(path string) (file *os.File, size int64, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("not a regular file")
	}
	file, err = os.Open(path)
	return file, info.Size(), err
}

// Discard deletes the files that Load has read. Call it when the start is
// beyond doubt, so that a start that fails loses no backlog, but before Save
// writes files of the same names (docs/spec/correlation.md §11.5, P9, B44). A file
// that is gone already is no error.
func Discard(files []string) error {
	var errs []error
	for _, path := range files {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("delete saved backlogs that have been loaded: %w", err))
		}
	}
	return errors.Join(errs...)
}
