package file

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

const (
	// window is the size of the buffers between a file and the records.
	window = 64 << 10
	// blanks is the white space of JSON.
	blanks = " \t\r\n"
)

// source is one input that is being read.
type source struct {
	name string
	file io.Closer
	text *bufio.Reader // after decompression
	gzip bool
	// live says that the input may come slowly, so that nothing should wait for
	// more of it.
	live bool

	// next is the splitter for what the input holds: it adds at most one
	// record to the batch and returns io.EOF at the end of the input.
	next func(*Batch) error

	lines  int   // newlines passed
	offset int64 // bytes of text passed
	values int   // elements of the array passed
}

// newSource finds out how to read an input. It closes the input if it fails.
func newSource(name string, file io.ReadCloser, read *atomic.Int64) (*source, error) {
	s := &source{name: name, file: file}
	s.text = bufio.NewReaderSize(&counter{in: file, read: read}, window)
	// Errors of peeking come again when the text is read, see counter.
	if magic, _ := s.text.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		s.gzip = true
		text, err := gzip.NewReader(s.text)
		if err != nil {
			return nil, errors.Join(s.failed(err), s.file.Close())
		}
		s.text = bufio.NewReaderSize(text, window)
	}
	if mark, _ := s.text.Peek(3); bytes.Equal(mark, []byte("\ufeff")) {
		s.advance(mark)
	}
	s.next = s.line
	if first, err := s.skipBlanks(); err == nil && first == '[' {
		s.advance([]byte{first})
		s.next = s.element
	}
	return s, nil
}

func (s *source) close() error {
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("%s: cannot close: %w", s.name, cause(err))
	}
	return nil
}

// idle reports whether reading on may have to wait for a slow input.
func (s *source) idle() bool { return s.live && s.text.Buffered() == 0 }

// failed returns the error of an input that cannot be read any further. It is
// never io.EOF.
func (s *source) failed(err error) error {
	err = cause(err)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	doing, unit := "cannot read on", "byte"
	if s.gzip {
		unit = "decompressed byte"
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			doing = "unexpected end of gzip data"
		case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), isCorrupt(err):
			doing = "damaged gzip data"
		}
	} else if s.offset == 0 {
		return fmt.Errorf("%s: cannot read: %w", s.name, err)
	}
	return fmt.Errorf("%s: %s after line %d (%s %d): %w", s.name, doing, s.lines, unit, s.offset, err)
}

func isCorrupt(err error) bool {
	_, ok := errors.AsType[flate.CorruptInputError](err)
	return ok
}

// peek returns the text that comes next, at least one byte of it and as much
// as is in memory. It is valid until the next call. The error is io.EOF at the
// end of the input, and otherwise one with file and place.
func (s *source) peek() ([]byte, error) {
	switch _, err := s.text.Peek(1); err {
	case nil:
		return s.text.Peek(s.text.Buffered())
	case io.EOF: // as it is; wrapped, it is the cause of another error
		return nil, io.EOF
	default:
		return nil, s.failed(err)
	}
}

// advance goes over text that peek has returned.
func (s *source) advance(text []byte) {
	s.lines += bytes.Count(text, []byte{'\n'})
	s.offset += int64(len(text))
	_, _ = s.text.Discard(len(text)) // cannot fail, the text is in memory
}

// skipBlanks goes to the next byte that is not blank and returns it.
func (s *source) skipBlanks() (byte, error) {
	for {
		text, err := s.peek()
		if err != nil {
			return 0, err
		}
		rest := bytes.TrimLeft(text, blanks)
		s.advance(text[:len(text)-len(rest)])
		if len(rest) > 0 {
			return rest[0], nil
		}
	}
}

// line adds the next line to b, unless it is blank.
func (s *source) line(b *Batch) error {
	text, err := s.peek()
	if err != nil {
		return err
	}
	b.begin(s.name, s.lines+1)
	for err == nil {
		if end := bytes.IndexByte(text, '\n'); end >= 0 {
			b.add(text[:end])
			s.advance(text[:end+1])
			break
		}
		b.add(text)
		s.advance(text)
		text, err = s.peek()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.discard()
		return err
	}
	b.commitLine()
	return nil
}

// counter counts the bytes read from an input, and repeats its error so that
// nothing is lost when it comes early, nor asked for twice from a terminal.
type counter struct {
	in   io.Reader
	read *atomic.Int64
	err  error
}

func (c *counter) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.in.Read(p)
	c.read.Add(int64(n))
	c.err = err
	return n, err
}
