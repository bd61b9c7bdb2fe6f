package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// damagedMark stands in the name of a file that was kept aside, between the
	// name that it had and the time at which that happened. The times sort like
	// their texts.
	damagedMark = ".damaged-"
	damagedTime = "20060102T150405.000Z"

	// maxDamaged is the number of files that are kept aside for one name: a file
	// that is damaged at each start must not fill the disk.
	maxDamaged = 5
)

// Kept is a file that was kept aside, and the path under which it is found now.
type Kept struct{ File, As string }

// KeepDamaged keeps files aside in a folder, as NAME.damaged-TIME, before they are
// deleted or written anew. They get their new names beside the old ones, so that no
// moment is without them; where the file system gives no second name, the new one
// takes the old one's place. A file that has a second name already keeps that: a
// start that was cut off has given it. Of the files of one name the oldest are
// deleted beyond five.
//
// A file that is gone is left out. The error names every file that could not be
// kept.
func KeepDamaged(dir string, files []string, now time.Time) ([]Kept, error) {
	if len(files) == 0 {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("keep damaged files aside: %w", err)
	}
	earlier := map[string][]string{} // by name, the oldest first
	for _, e := range entries {
		if name, _, ok := strings.Cut(e.Name(), damagedMark); ok {
			earlier[name] = append(earlier[name], filepath.Join(dir, e.Name()))
		}
	}
	var all []Kept
	var errs []error
	for _, file := range files {
		name := filepath.Base(file)
		as, err := keepAside(file, filepath.Join(dir, name+damagedMark), earlier[name], now)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			errs = append(errs, fmt.Errorf("keep a damaged file aside: %w", err))
			continue
		}
		all = append(all, Kept{file, as})
		if !slices.Contains(earlier[name], as) {
			earlier[name] = append(earlier[name], as)
		}
		if over := len(earlier[name]) - maxDamaged; over > 0 {
			errs = append(errs, Discard(earlier[name][:over]))
			earlier[name] = earlier[name][over:]
		}
	}
	return all, errors.Join(errs...)
}

// keepAside gives a file another name, which begins with prefix, and returns it.
func keepAside(file, prefix string, earlier []string, now time.Time) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	for _, as := range earlier {
		if other, err := os.Stat(as); err == nil && os.SameFile(info, other) {
			return as, nil
		}
	}
	from, err := filepath.EvalSymlinks(file) // a name for a link would lead to what comes later
	if err != nil {
		return "", err
	}
	as := prefix + now.UTC().Format(damagedTime)
	for ; exists(as); as = prefix + now.UTC().Format(damagedTime) {
		now = now.Add(time.Millisecond)
	}
	if os.Link(from, as) != nil {
		err = os.Rename(file, as)
	}
	return as, err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// keepDamaged keeps aside what this run has found damaged, before it is deleted or
// written anew.
func (s *Store) keepDamaged() error {
	kept, err := KeepDamaged(s.dir, s.damaged, time.Now())
	for _, k := range kept {
		s.logger.Warn("damaged saved file kept aside", "file", k.File, "kept", k.As)
	}
	if err == nil {
		s.damaged = nil
	}
	return err
}

// keepDamagedOrSay is keepDamaged at a stop, at which damaged files that cannot be kept
// are no reason to lose what is live.
func (s *Store) keepDamagedOrSay() {
	if err := s.keepDamaged(); err != nil {
		s.logger.Error("damaged saved files are lost", "error", err)
	}
}
