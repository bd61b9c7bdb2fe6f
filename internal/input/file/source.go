package file

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"dsiem/internal/input"
)

// blanks is the white space of JSON.
const blanks = " \t\r\n"

// mark is a byte order mark.
const mark = "\ufeff"

// source is one input that is being read.
type source struct {
	name   string
	file   io.Closer
	text   textWindow // after decompression
	packed packing
	// live says that the input may come slowly, so that nothing should wait for
	// more of it.
	live bool

	lines   int   // newlines passed
	offset  int64 // bytes of text passed
	from    int64 // offset of the line
	begun   bool  // something that is not blank was passed on the line
	records int   // that were found so far
	element int   // records of the array that is open

	array bool  // an array is open
	comma comma // what it may have next
	value value
}

// newSource finds out how to read an input. It closes the input if it fails.
func newSource(name string, file io.ReadCloser, read *atomic.Int64) (*source, error) {
	s := &source{name: name, file: file}
	in := &counter{in: file, read: read}
	text, err := s.unpack(bufio.NewReaderSize(in, window), in)
	if err == nil {
		s.text.in = text
		// An error comes again when the text is read on.
		if s.text.more() == nil {
			err = s.check()
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *source) close() error {
	s.packed.close()
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("%s: cannot close: %w", s.name, cause(err))
	}
	return nil
}

// idle reports whether reading on may have to wait for a slow input.
func (s *source) idle() bool { return s.live && len(bytes.TrimLeft(s.text.rest(), blanks)) == 0 }

// failed returns the error of an input that cannot be read any further. It is
// never io.EOF.
func (s *source) failed(err error) error {
	err = cause(err)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	doing, unit := "cannot read on", "byte"
	if s.packed.name != "" {
		unit = "decompressed byte"
		switch {
		case errors.Is(err, input.ErrTrailing):
			doing = "end of " + s.packed.name + " data"
		case errors.Is(err, io.ErrUnexpectedEOF):
			doing = "unexpected end of " + s.packed.name + " data"
		case s.packed.damaged(err):
			doing = "damaged " + s.packed.name + " data"
		}
	} else if s.offset == 0 {
		return fmt.Errorf("%s: cannot read: %w", s.name, err)
	}
	// What is in memory was read, if not passed.
	rest := s.text.rest()
	lines, offset := s.lines+bytes.Count(rest, []byte{'\n'}), s.offset+int64(len(rest))
	return fmt.Errorf("%s: %s after line %d (%s %d): %w", s.name, doing, lines, unit, offset, err)
}

// pass goes over text that is in memory.
func (s *source) pass(n int) {
	text := s.text.rest()[:n]
	if lines := bytes.Count(text, []byte{'\n'}); lines > 0 {
		end := bytes.LastIndexByte(text, '\n') + 1
		s.lines, s.from, s.begun = s.lines+lines, s.offset+int64(end), false
		text = text[end:]
	}
	s.begun = s.begun || len(bytes.TrimLeft(text, blanks)) > 0
	s.offset += int64(n)
	s.text.pass(n)
}

// begin starts a record.
func (s *source) begin(b *Batch) {
	s.records++
	at := entry{file: s.name, line: s.lines + 1, number: s.records}
	if s.begun {
		at.column = int(s.offset-s.from) + 1
	}
	if s.array {
		s.element++
		at.element = s.element
	}
	b.begin(at)
}

// skipBlanks goes to what is neither blank nor a byte order mark, and reports whether
// a new line began. The error is io.EOF at the end of the input, and otherwise one
// with file and place.
func (s *source) skipBlanks() (newLine bool, err error) {
	lines := s.lines
	for {
		rest := s.text.rest()
		blank := 0
		for blank < len(rest) && isBlank(rest[blank]) {
			blank++
		}
		s.pass(blank)
		switch rest = rest[blank:]; {
		case bytes.HasPrefix(rest, []byte(mark)):
			s.pass(len(mark))
			continue
		case len(rest) >= len(mark), len(rest) > 0 && rest[0] != mark[0]:
			return s.lines > lines, nil
		}
		switch err := s.text.more(); {
		case err == nil:
		case errors.Is(err, io.EOF) && len(rest) > 0: // no whole mark
			return s.lines > lines, nil
		case s.text.atEnd():
			return s.lines > lines, io.EOF
		default:
			return false, s.failed(err)
		}
	}
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
