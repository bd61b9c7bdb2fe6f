package state

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"dsiem/internal/alarm"
	"dsiem/internal/pending"
)

const (
	// Anybody who may look into logs/ may see which directives have backlogs;
	// what is in the files is the program's own business.
	folderMode fs.FileMode = 0o755
	fileMode   fs.FileMode = 0o600

	// writers is the number of files that are written and wait for the disk at
	// a time. A file system commits what waits together at once, so a thousand
	// small files cost far less than a thousand waits.
	writers = 16

	// chunkSize is the amount of text, in bytes, from which it goes to the file.
	// A directive may have a million backlogs: of their text, no more than some
	// chunks are in memory at a time.
	chunkSize = 256 << 10
	chunks    = 16
)

// Written counts what Save wrote.
type Written struct{ Files, Backlogs int }

// Save writes saved backlogs to one file per directive in a folder, which it
// makes if there is anything to write. Backlogs of one directive must follow
// each other; correlate.Engine.Save gives them so, and the file keeps their
// order. A file gets its name only when it is complete and on the disk, and
// then takes the place of any older one (docs/spec/correlation.md §11.2, §11.5,
// P10).
//
// A file that cannot be written does not keep Save from writing the others; the
// error names every one that failed, and Written counts those that did not.
func Save(dir string, saved iter.Seq2[uint64, alarm.Saved]) (Written, error) {
	s := newSaver(dir)
	for id, backlog := range saved {
		if err := s.add(id, &backlog); err != nil {
			return Written{}, err
		}
	}
	s.finish()
	_ = s.group.Wait() // The errors are in s.errs, all of them.
	if s.written.Files > 0 {
		if err := syncFolder(dir); err != nil {
			s.errs = append(s.errs, fmt.Errorf("bring the names of saved files to disk: %w", err))
		}
	}
	return s.written, errors.Join(s.errs...)
}

// saver makes text of backlogs, which the writers of the files bring to disk
// side by side.
type saver struct {
	dir string
	// files are the directives that have one so far; the last is open.
	files map[uint64]struct{}
	last  *draft
	text  []byte // of the last file, not yet given to its writer
	one   [1]alarm.Saved

	group errgroup.Group // of writers
	free  chan []byte    // memory for text

	mu      sync.Mutex // guards what follows
	written Written
	errs    []error
}

// draft is the file of one directive before it has its name.
type draft struct {
	directive uint64
	backlogs  int
	text      chan []byte // to the writer; nil if the file must not be written
}

func newSaver(dir string) *saver {
	s := &saver{dir: dir, files: map[uint64]struct{}{}, free: make(chan []byte, chunks)}
	s.group.SetLimit(writers)
	for range chunks - 1 {
		s.free <- nil
	}
	return s
}

// add appends a backlog to the file of its directive. The error is one that
// concerns all files.
//
// alarm.AppendSaved writes whole arrays, so each backlog comes as an array of
// one, whose opening bracket becomes the comma behind the backlog before and
// whose end is cut off.
func (s *saver) add(directive uint64, backlog *alarm.Saved) error {
	if s.last == nil {
		if err := os.MkdirAll(s.dir, folderMode); err != nil {
			return fmt.Errorf("make the folder of saved backlogs: %w", err)
		}
	}
	if s.last == nil || s.last.directive != directive {
		s.finish()
		s.begin(directive)
	}
	d := s.last
	if d.text == nil {
		return nil
	}
	start := len(s.text)
	s.one[0] = *backlog
	s.text = alarm.AppendSaved(s.text, s.one[:])
	if d.backlogs > 0 {
		s.text[start] = ','
	}
	s.text = s.text[:len(s.text)-len(arrayEnd)]
	d.backlogs++
	if len(s.text) >= chunkSize {
		s.flush()
	}
	return nil
}

// arrayEnd is how alarm.AppendSaved ends an array that is not empty.
const arrayEnd = "\n]\n"

// begin opens the file of a directive.
func (s *saver) begin(directive uint64) {
	d := &draft{directive: directive}
	s.last = d
	if _, ok := s.files[directive]; ok {
		s.failed(d, errors.New("they are split, and the second part would overwrite the first"))
		return
	}
	s.files[directive] = struct{}{}
	d.text = make(chan []byte, 1)
	s.group.Go(func() error {
		if err := s.write(d); err != nil {
			s.failed(d, err)
		}
		return nil
	})
}

// flush gives the text made so far to the writer of the last file.
func (s *saver) flush() {
	s.last.text <- s.text
	s.text = <-s.free
}

// finish ends the last file, if there is one.
func (s *saver) finish() {
	if s.last == nil || s.last.text == nil {
		return
	}
	s.text = append(s.text, arrayEnd...)
	s.flush()
	close(s.last.text)
}

// write writes a file and gives it its name. It takes all text of the draft,
// also after an error.
func (s *saver) write(d *draft) (err error) {
	file, err := pending.Create(filepath.Join(s.dir, fileName(d.directive)), fileMode)
	for text := range d.text {
		if err == nil {
			_, err = file.Write(text)
		}
		s.free <- text[:0]
	}
	if err == nil {
		err = file.CloseAtomicallyReplace()
	}
	if err != nil {
		if file != nil {
			err = errors.Join(err, file.Cleanup())
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written.Files++
	s.written.Backlogs += d.backlogs
	return nil
}

func (s *saver) failed(d *draft, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, fmt.Errorf("save the backlogs of directive %d: %w", d.directive, err))
}

// syncFolder brings a folder's entries to disk, where the file system can.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return pending.SyncFolder(f)
}
