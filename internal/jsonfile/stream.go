package jsonfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// StreamElements is File.EachElement for a file that need not fit into memory: of the
// text no more than two elements are held at a time. Each element comes with a File of
// its own, in which its offsets are those of the whole file; problems look as they do
// in a file that is read whole. file must not change meanwhile.
//
// A file that cannot be read to its end has a problem like one of syntax.
func StreamElements(name string, file io.ReaderAt, size int64, report *Report, each func(f *File, i int, v *Value)) bool {
	report.read(name)
	s := &stream{file: file, size: int(size), at: firstMark}
	err := s.list(name, each)
	if err == nil {
		return true
	}
	whole := &File{Name: name, stream: s}
	switch shape, wrong := errors.AsType[*shapeError](err); {
	case s.err != nil:
		report.Add(whole.Problem(Error, int(s.outer.dec.InputOffset()), "", fmt.Sprintf("the file cannot be read any further: %v", s.err)))
	case wrong:
		report.Add(whole.Problem(Error, shape.offset, "", shape.msg))
	default:
		report.Add(s.syntaxProblem(whole, err))
	}
	return false
}

// stream is a file of which only a part is in memory.
type stream struct {
	file io.ReaderAt
	size int
	// err is why the file could not be read.
	err error
	// at is the place of the byte offset known, from which those of later bytes are found.
	known int
	at    mark
	// outer reads the list, whose bracket is at root; last is the offset of the element
	// read last, -1 if there is none.
	outer *parser
	root  int
	last  int
}

// streamBlock is the amount of text, in bytes, that is read at a time.
const streamBlock = 64 << 10

// list reads the list and hands out its elements.
func (s *stream) list(name string, each func(*File, int, *Value)) error {
	dec := jsontext.NewDecoder(bufio.NewReaderSize(io.NewSectionReader(s, 0, int64(s.size)), streamBlock), jsontext.AllowDuplicateNames(true))
	p := &parser{file: &File{Name: name, stream: s}, dec: dec}
	s.outer, s.last = p, -1
	if err := p.open('[', mustBeList); err != nil {
		return err
	}
	s.root = p.start(1)
	var text strings.Reader
	inner := &parser{dec: jsontext.NewDecoder(&text, jsontext.AllowDuplicateNames(true))}
	for i := 0; dec.PeekKind() != ']'; i++ {
		raw, err := dec.ReadValue()
		if err != nil {
			return err
		}
		s.last = p.start(len(raw))
		inner.file = &File{Name: name, text: string(raw), base: s.last, stream: s}
		text.Reset(inner.file.text)
		inner.dec.Reset(&text, jsontext.AllowDuplicateNames(true))
		inner.values.reset()
		inner.fields.reset()
		v, err := inner.value()
		if err != nil {
			return err
		}
		each(inner.file, i, &v)
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	return p.end()
}

// ReadAt reads from the file and remembers why that failed.
func (s *stream) ReadAt(buf []byte, offset int64) (int, error) {
	n, err := s.file.ReadAt(buf, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// part returns the text between two offsets, or as much of its beginning as can be read.
func (s *stream) part(from, to int) string {
	buf := make([]byte, max(0, to-from))
	n, _ := s.ReadAt(buf, int64(from)) // the error is in s.err
	return string(buf[:n])
}

// place returns the place of a byte offset. It is fast if offsets are asked for in
// ascending order.
func (s *stream) place(offset int) mark {
	if offset < s.known {
		s.known, s.at = 0, firstMark
	}
	for s.known < offset {
		text := s.part(s.known, min(offset, s.known+streamBlock))
		if text == "" {
			break
		}
		s.at = s.at.after(text)
		s.known += len(text)
	}
	return s.at
}

// mistakeOffset returns the offset of the mistake behind an element. It reads on token by
// token, because a decoder that reads an element at once may see the mistake elsewhere.
func (s *stream) mistakeOffset(name string, from int, before string, err error) int {
	rest := io.NewSectionReader(s, int64(from+len(before)), int64(s.size-from-len(before)))
	p := &parser{
		file: &File{Name: name, stream: s, base: from},
		dec:  jsontext.NewDecoder(bufio.NewReader(io.MultiReader(strings.NewReader(before), rest)), jsontext.AllowDuplicateNames(true)),
	}
	again := p.list(mustBeList, func(int, *Value) {})
	if again == nil {
		again = p.end()
	}
	if again == nil { // cannot happen: it was no list a moment ago
		return mistakeOffset(s.outer.dec, err)
	}
	return from + mistakeOffset(p.dec, again)
}

// syntaxProblem returns the problem of an error that ended the parsing. Of the text
// before it, it takes the last element that was good.
func (s *stream) syntaxProblem(whole *File, err error) Problem {
	from, before := 0, ""
	if s.last >= 0 { // an open bracket stands for all that is left out
		from, before = s.last-1, "["
	}
	at := min(s.mistakeOffset(whole.Name, from, before, err), s.size)
	text := before + s.part(from+len(before), at)
	for end := at; end < s.size && len(strings.TrimSpace(text[at-from:])) <= 1; { // what follows tells what the mistake is
		more := s.part(end, min(s.size, end+streamBlock))
		if more == "" {
			break
		}
		text += more
		end += len(more)
	}
	m := scan(text, min(at-from, len(text)), from, s.root).mistake(whole)
	return whole.Problem(Error, from+m.offset, "", "not valid JSON: "+m.msg)
}
