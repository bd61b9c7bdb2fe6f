package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"

	"dsiem/internal/event"
)

// Stdin is the path that names Options.Stdin.
const Stdin = "-"

// batchBytes is the amount of text after which a batch takes no further
// record, so that a batch holds at most this and one record more.
const batchBytes = event.MaxSize

// Options says what a Reader reads.
type Options struct {
	// Paths are the files to read, one after the other. Stdin ("-") stands for
	// the field of this name.
	Paths []string
	// Stdin is read where Paths says so. The Reader does not close it.
	Stdin io.Reader
}

// Reader reads the records of event files, in order.
//
// A record is a JSON value or, of an array, an element, however they are laid out: one
// per line, over many lines, or with nothing between them (docs/spec/correlation.md
// D42). Where none can be read, the rest of the line on which it began is a record that
// is bad. A file may be compressed with gzip or zstd, which shows in the first bytes,
// not in the name. NUL bytes, and byte order marks between records, are ignored.
// Memory is bounded, whatever the file holds: a record of more than event.MaxSize
// bytes is passed over and delivered as a rejection.
//
// What is in a record is the decoder's business and never disturbs the next one.
type Reader struct {
	paths []string
	stdin io.Reader
	src   *source // nil between two inputs
	err   error   // why reading has ended

	read  atomic.Int64
	total int64
}

// NewReader returns a Reader of the given inputs. It opens none of them:
// inputs that cannot be read are an error when their turn comes.
func NewReader(o Options) *Reader {
	return &Reader{paths: o.Paths, stdin: o.Stdin, total: totalSize(o.Paths)}
}

// totalSize returns the size of all files together, 0 if one has none.
func totalSize(paths []string) int64 {
	var total int64
	for _, path := range paths {
		info, err := os.Stat(path)
		if path == Stdin || err != nil || !info.Mode().IsRegular() {
			return 0
		}
		total += info.Size()
	}
	return total
}

// Check reports inputs that cannot be opened, before anything is read: all of
// them, one error joined to the other. Pipes are taken for granted.
func (r *Reader) Check() error {
	var errs []error
	for _, path := range r.paths {
		if path == Stdin {
			continue
		}
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			err = errors.New("is a directory")
		}
		if err == nil && info.Mode().IsRegular() {
			var file *os.File
			if file, err = os.Open(path); err == nil {
				err = file.Close()
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: cannot open: %w", path, cause(err)))
		}
	}
	return errors.Join(errs...)
}

// Progress returns the bytes read so far and the bytes there are, both as they
// lie in the files, that is compressed. The total is 0 when it is unknown, as
// for a pipe; a file that grows meanwhile has more to read. It may be called
// from any goroutine.
func (r *Reader) Progress() (bytesRead, totalBytes int64) { return r.read.Load(), r.total }

// Read replaces the content of b by the next records: at least one, at most
// limit of them, and no more than about 1 MiB of text. It fills the batch
// before it returns, except that records of Stdin do not wait for later ones
// that are not there yet. ctx is looked at between two records, not while
// waiting.
//
// It returns io.EOF after the last record, or what stopped it, naming file and
// place: an unreadable input, damaged compression, an input that is no text, or the
// end of ctx. What was read before is delivered first: b is empty whenever the
// error is not nil. Errors other than that of ctx are final.
func (r *Reader) Read(ctx context.Context, b *Batch, limit int) error {
	b.Reset()
	for r.err == nil && b.Len() < max(limit, 1) && len(b.data) < batchBytes {
		if err := ctx.Err(); err != nil {
			if b.Len() > 0 {
				return nil
			}
			return fmt.Errorf("reading events: %w", err)
		}
		if r.src != nil && r.src.idle() && b.Len() > 0 {
			break
		}
		r.err = r.next(b)
	}
	if b.Len() > 0 {
		return nil
	}
	return r.err
}

// Close closes the input that is open, if any. Read must not be called after it.
func (r *Reader) Close() error {
	if r.src == nil {
		return nil
	}
	src := r.src
	r.src = nil
	return src.close()
}

// next adds at most one record to b. It returns io.EOF after the last input.
func (r *Reader) next(b *Batch) error {
	if r.src == nil {
		if len(r.paths) == 0 {
			return io.EOF
		}
		src, err := r.open(r.paths[0])
		if err != nil {
			return err
		}
		r.src, r.paths = src, r.paths[1:]
	}
	err := r.src.next(b)
	if err == nil {
		return nil
	}
	closeErr := r.Close()
	if errors.Is(err, io.EOF) {
		return closeErr
	}
	return errors.Join(err, closeErr)
}

func (r *Reader) open(path string) (*source, error) {
	if path == Stdin {
		if r.stdin == nil {
			return nil, errors.New("stdin: not available")
		}
		src, err := newSource("stdin", io.NopCloser(r.stdin), &r.read)
		if err == nil {
			src.live = true
		}
		return src, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot open: %w", path, cause(err))
	}
	return newSource(path, file, &r.read)
}

// cause returns what went wrong without the path, which the message has already.
func cause(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; correct the name", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; let this user read it", err)
	case errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("%w; name the files in it", err)
	}
	return err
}
