package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
)

// fileSystem is what a Writer asks of the system.
type fileSystem interface {
	// open opens a file to append to it, and creates it if it is missing. size
	// is that of its content; whole is false if this does not end with a line
	// break.
	open(path string) (f appendFile, size int64, whole bool, err error)
	// syncDir brings the entries of a file's directory to the disk.
	syncDir(path string) error
}

// appendFile is a file that was opened to append to it.
type appendFile interface {
	io.WriteCloser
	Sync() error
	Truncate(size int64) error
	// size returns the size of this file.
	size() (int64, error)
	// named reports whether a path still names this file, and the size of the
	// file that it names.
	named(path string) (same bool, size int64, err error)
}

// lineFile appends whole lines to the file that a path names, and follows the
// path when the file is renamed, removed or truncated by others. Only the
// counts may be read by other goroutines than the owner's.
type lineFile struct {
	files   fileSystem
	path    string
	durable bool // rotated files are synced before they are closed
	logger  *slog.Logger

	file   appendFile // nil before it was opened and after it was closed
	end    int64      // where the last write ended
	failed bool       // the last write failed
	dirty  bool       // there was a write since the last sync

	lines, bytes, reopened atomic.Uint64
}

// write appends buf, of which the first done bytes are in the file already. It
// returns how many are now, and why not all of them.
func (f *lineFile) write(buf []byte, done int) (int, error) {
	if done == len(buf) {
		return done, nil
	}
	counted := lineStart(buf, done)
	done, err := f.ready(buf, done)
	if err != nil {
		return done, err
	}
	n, err := f.file.Write(buf[done:])
	done += n
	f.end += int64(n)
	f.dirty = f.dirty || n > 0
	f.failed = err != nil
	if now := lineStart(buf, done); now > counted {
		f.lines.Add(countLines(buf[counted:now]))
		f.bytes.Add(uint64(now - counted)) //nolint:gosec // it is positive
	}
	if err != nil {
		return done, fmt.Errorf("appending alarm lines: %w", err)
	}
	return done, nil
}

// lineStart returns where the line begins that the byte at an offset is in.
func lineStart(buf []byte, offset int) int {
	return bytes.LastIndexByte(buf[:offset], '\n') + 1
}

func countLines(text []byte) uint64 {
	return uint64(bytes.Count(text, []byte{'\n'})) //nolint:gosec // a count
}

// check opens the file anew if the path names another one, or none.
func (f *lineFile) check() error {
	_, err := f.ready(nil, 0)
	return err
}

// ready makes sure that the file is open and is the one the path names, and
// returns where in buf to go on. That is done, unless the beginning of a line
// is in a file that cannot be continued; then it is the start of this line.
func (f *lineFile) ready(buf []byte, done int) (int, error) {
	start := lineStart(buf, done)
	torn := int64(done - start)
	canContinue := false
	if f.file != nil {
		named, size, err := f.file.named(f.path)
		if err != nil {
			return done, fmt.Errorf("looking for a rotated alarm file: %w", err)
		}
		if torn == 0 {
			f.end = size
		}
		// Another size than that after the torn bytes: somebody truncated it.
		canContinue = named && size == f.end
		if canContinue && (torn > 0 || !f.failed) {
			return done, nil
		}
	}
	// After an error a new handle may do where the old one does not, as when a
	// network file system came back.
	next, size, err := f.openNext()
	switch {
	case err == nil:
		f.replace(next, size, torn, !canContinue)
		return start, nil
	case canContinue:
		return done, nil
	default:
		return done, err
	}
}

// openNext opens the file that the path names now. If somebody left part of a
// line at its end, as a program that was killed, that part gets a line of its
// own.
func (f *lineFile) openNext() (next appendFile, size int64, err error) {
	next, size, whole, err := f.files.open(f.path)
	if err != nil {
		return nil, 0, fmt.Errorf("opening an alarm file: %w", err)
	}
	if !whole {
		if _, err := next.Write([]byte{'\n'}); err != nil {
			return nil, 0, errors.Join(fmt.Errorf("ending a torn line: %w", err), next.Close())
		}
		size++
	}
	if f.durable {
		if err := f.files.syncDir(f.path); err != nil {
			f.logger.Warn("directory of an alarm file cannot be synced", slog.Any("error", err))
		}
	}
	return next, size, nil
}

// replace goes on with the next file, of a size. The old one loses the torn
// bytes at its end.
func (f *lineFile) replace(next appendFile, size, torn int64, rotated bool) {
	old := f.file
	if old != nil {
		err := f.untear(torn)
		if f.durable && f.dirty && rotated {
			err = errors.Join(err, old.Sync())
		}
		if err = errors.Join(err, old.Close()); err != nil {
			f.logger.Warn("old alarm file cannot be closed properly", slog.String("path", f.path), slog.Any("error", err))
		}
	}
	f.file, f.end, f.failed = next, size, false
	if old != nil && rotated {
		f.dirty = false
		f.reopened.Add(1)
		f.logger.Info("alarm file has been rotated, a new one is open", slog.String("path", f.path))
	}
}

// untear takes the torn bytes back that end the file, if they still do.
func (f *lineFile) untear(torn int64) error {
	if torn == 0 {
		return nil
	}
	size, err := f.file.size()
	if err == nil && size == f.end {
		err = f.file.Truncate(f.end - torn)
	}
	if err != nil {
		return fmt.Errorf("taking back part of a line: %w", err)
	}
	return nil
}

// sync brings what was written to the disk.
func (f *lineFile) sync() error {
	if f.file == nil || !f.dirty {
		return nil
	}
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("syncing an alarm file: %w", err)
	}
	f.dirty = false
	return nil
}

func (f *lineFile) close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	if err != nil {
		return fmt.Errorf("closing an alarm file: %w", err)
	}
	return nil
}

// osFiles is the real file system.
type osFiles struct{}

func (osFiles) open(path string) (file appendFile, size int64, whole bool, err error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	f, err := os.OpenFile(path, flags, 0o640)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return nil, 0, false, err
		}
		f, err = os.OpenFile(path, flags, 0o640)
	}
	if err != nil {
		return nil, 0, false, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, false, errors.Join(err, f.Close())
	}
	return &osFile{File: f, info: info}, info.Size(), endsInLine(path, info), nil
}

// endsInLine reports whether the last byte of a file is a line break. A file
// that is empty, special or not for us to read passes for one.
func endsInLine(path string, info fs.FileInfo) bool {
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return true
	}
	f, err := os.Open(path)
	if err != nil {
		return true
	}
	defer f.Close()
	var last [1]byte
	_, err = f.ReadAt(last[:], info.Size()-1)
	return err != nil || last[0] == '\n'
}

func (osFiles) syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// osFile is an open file and what tells it from others.
type osFile struct {
	*os.File
	info fs.FileInfo
}

func (f *osFile) size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f *osFile) named(path string) (same bool, size int64, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, err
	}
	return os.SameFile(info, f.info), info.Size(), nil
}
