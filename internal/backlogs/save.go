package backlogs

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"

	"dsiem/internal/alarm"
)

const (
	// The folder may be looked into by anybody who may look into logs/, but
	// only the program itself has business with its files.
	folderMode fs.FileMode = 0o755
	fileMode   fs.FileMode = 0o600

	// writers is the number of files that wait for the disk at a time. A file
	// system commits what waits together at once, so that more waiting files
	// need less time; each costs a descriptor.
	writers = 1

	// chunk is the amount of text, in bytes, from which it is handed to the
	// file. A directive may have a million backlogs: no more than this of their
	// text is ever in memory.
	chunk = 256 << 10
)

// Written counts what Save wrote.
type Written struct{ Files, Backlogs int }

// Save writes saved backlogs to one file per directive in a folder, which it
// makes if there is anything to write. Backlogs of one directive must follow
// each other and keep their order; correlate.Engine.Save gives them so. A file
// appears under its name only when it is complete and on the disk, and then
// takes the place of any older one (spec/correlation.md §11.2, §11.5, P10).
//
// A file that cannot be written does not keep Save from writing the others; the
// error names all that failed, and Written counts those that did not.
func Save(dir string, saved iter.Seq2[uint64, alarm.Saved]) (Written, error) {
	s := &saver{dir: dir, seen: map[uint64]struct{}{}}
	s.waiting.SetLimit(writers)
	var d *draft
	for id, backlog := range saved {
		if d == nil {
			if err := os.MkdirAll(dir, folderMode); err != nil {
				return Written{}, fmt.Errorf("make the folder of saved backlogs: %w", err)
			}
		}
		if d == nil || d.directive != id {
			s.finish(d)
			d = s.begin(id)
		}
		s.add(d, &backlog)
	}
	s.finish(d)
	_ = s.waiting.Wait() // Errors are in s.errs, all of them.
	if s.written.Files > 0 {
		if err := syncFolder(dir); err != nil {
			s.errs = append(s.errs, fmt.Errorf("bring the names of saved backlogs to disk: %w", err))
		}
	}
	return s.written, errors.Join(s.errs...)
}

// saver writes files one after the other and lets them reach the disk side by
// side.
type saver struct {
	dir  string
	seen map[uint64]struct{} // directives
	// text is what the open file has not been given yet.
	text []byte
	one  [1]alarm.Saved

	waiting errgroup.Group // for the disk

	mu      sync.Mutex // guards what follows
	written Written
	errs    []error
}

// draft is the file of one directive before it has its name.
type draft struct {
	directive uint64
	file      *renameio.PendingFile
	backlogs  int
	err       error
}

func (s *saver) begin(directive uint64) *draft {
	d := &draft{directive: directive}
	s.text = s.text[:0]
	if _, ok := s.seen[directive]; ok {
		d.err = errors.New("its backlogs do not follow each other")
		return d
	}
	s.seen[directive] = struct{}{}
	d.file, d.err = renameio.NewPendingFile(filepath.Join(s.dir, fileName(directive)),
		renameio.WithTempDir(s.dir), renameio.WithPermissions(fileMode))
	return d
}

// add appends a backlog to the text of a draft. alarm.AppendSaved writes whole
// arrays, so each backlog comes as an array of one, whose opening bracket
// becomes the comma behind the backlog before and whose end is cut off.
func (s *saver) add(d *draft, backlog *alarm.Saved) {
	if d.err != nil {
		return
	}
	s.one[0] = *backlog
	start := len(s.text)
	s.text = alarm.AppendSaved(s.text, s.one[:])
	if d.backlogs > 0 {
		s.text[start] = ','
	}
	s.text = s.text[:len(s.text)-len(arrayEnd)]
	d.backlogs++
	if len(s.text) >= chunk {
		s.flush(d)
	}
}

// arrayEnd is how alarm.AppendSaved ends an array that is not empty.
const arrayEnd = "\n]\n"

func (s *saver) flush(d *draft) {
	_, d.err = d.file.Write(s.text)
	s.text = s.text[:0]
}

// finish ends a draft, which may be nil, and lets it reach the disk.
func (s *saver) finish(d *draft) {
	if d == nil {
		return
	}
	if d.err == nil {
		s.text = append(s.text, arrayEnd...)
		s.flush(d)
	}
	s.waiting.Go(func() error {
		if d.err == nil {
			d.err = d.file.CloseAtomicallyReplace()
		}
		if d.err != nil && d.file != nil {
			d.err = errors.Join(d.err, d.file.Cleanup())
		}
		s.done(d)
		return nil
	})
}

func (s *saver) done(d *draft) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.err != nil {
		s.errs = append(s.errs, fmt.Errorf("save the backlogs of directive %d: %w", d.directive, d.err))
		return
	}
	s.written.Files++
	s.written.Backlogs += d.backlogs
}

// syncFolder brings a folder's entries to disk, where the file system can.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}
