package sink

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

// newline is not changed by anybody.
var newline = []byte{'\n'} //nolint:gochecknoglobals // a constant, if Go had such

// fileSystem is what a Writer asks of the system.
type fileSystem interface {
	// open opens a file to append to it, and creates it if it is missing.
	// whole is false if its content does not end with a line break.
	open(path string) (f appendFile, whole bool, err error)
	// syncDir brings the entries of a file's directory to the disk.
	syncDir(path string) error
}

// appendFile is a file that was opened to append to it.
type appendFile interface {
	io.WriteCloser
	Sync() error
	Truncate(size int64) error
	// size returns the size of the file.
	size() (int64, error)
	// named reports whether a path still names this file.
	named(path string) (bool, error)
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
	failed bool       // the last write failed
	end    int64      // size of the file then
	dirty  bool       // there was a write since the last sync

	lines, bytes, reopened atomic.Int64
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
	f.dirty = f.dirty || n > 0
	f.failed = err != nil
	if now := lineStart(buf, done); now > counted {
		f.lines.Add(int64(bytes.Count(buf[counted:now], newline)))
		f.bytes.Add(int64(now - counted))
	}
	if err == nil {
		return done, nil
	}
	var sizeErr error
	if f.end, sizeErr = f.file.size(); sizeErr != nil {
		f.end = -1
	}
	return done, fmt.Errorf("appending alarm lines: %w", err)
}

// lineStart returns where the line begins that the byte at an offset is in.
func lineStart(buf []byte, offset int) int {
	return bytes.LastIndexByte(buf[:offset], '\n') + 1
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
		named, err := f.file.named(f.path)
		if err != nil {
			return done, fmt.Errorf("looking for a rotated alarm file: %w", err)
		}
		canContinue = named && (torn == 0 || f.isAtEnd())
		if canContinue && (torn > 0 || !f.failed) {
			return done, nil
		}
	}
	// After an error a new handle may do where the old one does not, as when a
	// network file system came back.
	next, err := f.openNext()
	switch {
	case err == nil:
		f.replace(next, torn, !canContinue)
		return start, nil
	case canContinue:
		return done, nil
	default:
		return done, err
	}
}

// isAtEnd reports whether the file still ends where the last write ended, so
// that nobody truncated it or appended to it.
func (f *lineFile) isAtEnd() bool {
	size, err := f.file.size()
	return err == nil && size == f.end
}

// openNext opens the file that the path names now. If somebody left part of a
// line at its end, as a program that was killed, that part gets a line of its
// own.
func (f *lineFile) openNext() (appendFile, error) {
	next, whole, err := f.files.open(f.path)
	if err != nil {
		return nil, fmt.Errorf("opening an alarm file: %w", err)
	}
	if !whole {
		if _, err := next.Write(newline); err != nil {
			return nil, errors.Join(fmt.Errorf("ending a torn line: %w", err), next.Close())
		}
	}
	if f.durable {
		if err := f.files.syncDir(f.path); err != nil {
			f.logger.Warn("directory of an alarm file cannot be synced", slog.Any("error", err))
		}
	}
	return next, nil
}

// replace goes on with the next file. The old one loses the torn bytes at its
// end, if they are still there.
func (f *lineFile) replace(next appendFile, torn int64, rotated bool) {
	old := f.file
	if old != nil {
		if torn > 0 && f.isAtEnd() {
			if err := old.Truncate(f.end - torn); err != nil {
				f.logger.Warn("a rotated alarm file keeps part of a line at its end",
					slog.String("path", f.path), slog.Any("error", err))
			}
		}
		var err error
		if f.durable && f.dirty && rotated {
			err = old.Sync()
		}
		if err = errors.Join(err, old.Close()); err != nil {
			f.logger.Warn("old alarm file cannot be closed properly", slog.String("path", f.path), slog.Any("error", err))
		}
	}
	f.file, f.failed = next, false
	if old != nil && rotated {
		f.dirty = false
		f.reopened.Add(1)
		f.logger.Info("alarm file has been rotated, a new one is open", slog.String("path", f.path))
	}
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

func (f *lineFile) stats() FileStats {
	return FileStats{Lines: f.lines.Load(), Bytes: f.bytes.Load(), Reopened: f.reopened.Load()}
}

// osFiles is the real file system.
type osFiles struct{}

func (osFiles) open(path string) (file appendFile, whole bool, err error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	f, err := os.OpenFile(path, flags, 0o640)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return nil, false, err
		}
		f, err = os.OpenFile(path, flags, 0o640)
	}
	if err != nil {
		return nil, false, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, false, errors.Join(err, f.Close())
	}
	return &osFile{File: f, info: info}, endsInLine(path, info), nil
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

func (f *osFile) named(path string) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return os.SameFile(info, f.info), nil
}
