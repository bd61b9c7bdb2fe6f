package file

import (
	"bytes"
	"errors"
	"io"

	"dsiem/internal/event"
)

// comma says what an array may have next.
type comma uint8

const (
	noComma   comma = iota // an element or the end
	afterOne               // a comma or the end
	afterIt                // an element
	afterLine              // any of these: something before could not be read
)

// next adds the next record to b. It returns io.EOF behind the last one.
//
// A record is a JSON value or, of an array, an element. Where none can be read, the
// rest of the line on which it began is a record too, which the decoder will reject,
// and reading goes on at the next line (docs/spec/correlation.md D42). The reader
// finds values itself: a JSON decoder holds a value of any size in memory and ends for
// good at the first error.
func (s *source) next(b *Batch) error {
	for {
		newLine, err := s.skipBlanks()
		switch {
		case errors.Is(err, io.EOF) && s.array:
			s.openEnd(b)
			return nil
		case err != nil:
			return err
		}
		c := s.text.rest()[0]
		switch {
		case s.array:
			if done, err := s.inArray(c, newLine, b); done || err != nil {
				return err
			}
		case c == '[':
			s.pass(1)
			s.array, s.element, s.comma = true, 0, noComma
		default:
			return s.record(c, b)
		}
	}
}

// inArray takes what comes next in an array, and reports whether that was a record.
func (s *source) inArray(c byte, newLine bool, b *Batch) (done bool, err error) {
	switch {
	case c == ']' && s.comma != afterIt:
		s.pass(1)
		s.array = false
		return false, nil
	case c == ',' && (s.comma == afterOne || s.comma == afterLine):
		s.pass(1)
		s.comma = afterIt
		return false, nil
	case s.comma == afterOne && newLine:
		s.openEnd(b)
		return true, nil
	case s.comma == afterOne, c == ',', c == ']':
		s.array = c != ']'
		s.comma = afterLine
		return true, s.line(b)
	}
	return true, s.record(c, b)
}

// openEnd makes a record of an array that has no end.
func (s *source) openEnd(b *Batch) {
	s.array = false
	s.begin(b)
	b.pending.rejection = &event.Rejection{Reason: event.BadJSON, Detail: "the array before has no end"}
	b.commit()
}

// record adds a value that begins with c.
func (s *source) record(c byte, b *Batch) error {
	s.comma = afterOne
	if c == '{' && !s.array {
		if n := s.objectLine(); n > 0 {
			s.begin(b)
			b.add(s.text.rest()[:n])
			s.pass(n)
			b.commit()
			return nil
		}
	}
	if c != '{' && c != '[' && c != '"' {
		return s.scalar(b)
	}
	s.value.reset()
	for n := 0; ; {
		rest := s.text.rest()
		more, end := s.value.scan(rest[n:min(len(rest), event.MaxSize+1)])
		n += more
		switch {
		case end == complete:
			s.begin(b)
			b.add(s.text.rest()[:n])
			s.pass(n)
			b.commit()
			return nil
		case end == broken:
			return s.unreadable(b)
		case n > event.MaxSize:
			return s.largeValue(n, b)
		}
		if err := s.text.more(); errors.Is(err, io.EOF) {
			return s.unreadable(b)
		} else if err != nil {
			return s.failed(err)
		}
	}
}

// objectLine returns the length of an object that is all that the line has, 0 if it
// takes a closer look to say so. That is how nearly all records come, and costs little:
// as the next line begins with a value, what ends with a brace is whole. There is
// nothing else in the line if no brace before is followed by something that cannot be
// inside of an object.
func (s *source) objectLine() int {
	rest := s.text.rest()
	end := bytes.IndexByte(rest, '\n')
	if end < 0 || !s.valueFollows(rest[end:]) {
		return 0
	}
	for isBlank(rest[end-1]) { // it begins with a brace
		end--
	}
	line := rest[:end]
	if line[end-1] != '}' {
		return 0
	}
	for depth, i := 0, 0; ; {
		n := bytes.IndexByte(line[i:], '}')
		depth += bytes.Count(line[i:i+n], []byte{'{'}) - 1
		if i += n + 1; i == len(line) {
			if depth != 0 {
				return 0
			}
			return i
		}
		if c := line[i]; depth < 1 || c != ',' && c != ']' && c != '}' {
			return 0
		}
	}
}

// valueFollows reports whether an object or array comes next, or the end.
func (s *source) valueFollows(text []byte) bool {
	for _, c := range text {
		if !isBlank(c) {
			return c == '{' || c == '['
		}
	}
	return s.text.atEnd()
}

// scalar adds a number, a literal or what is none.
func (s *source) scalar(b *Batch) error {
	n := 0
	for {
		rest := s.text.rest()
		for n < len(rest) && !endsScalar(rest[n]) {
			n++
		}
		if n < len(rest) || n > event.MaxSize {
			break
		}
		if err := s.text.more(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return s.failed(err)
		}
	}
	if n > event.MaxSize || !isScalar(s.text.rest()[:n]) {
		return s.unreadable(b)
	}
	s.begin(b)
	b.add(s.text.rest()[:n])
	s.pass(n)
	b.commit()
	return nil
}

// endsScalar reports whether a byte is none of a number or a literal, nor of what
// looks like one: a time is no number with something behind it.
func endsScalar(c byte) bool {
	switch c {
	case ' ', '\t', '\n', '\r', ',', '[', ']', '{', '}', '"', mark[0]:
		return true
	}
	return false
}

// unreadable adds what cannot be read: in an array only the element, if it ends on
// its line, otherwise the rest of the line.
func (s *source) unreadable(b *Batch) error {
	s.comma = afterLine
	if !s.array {
		return s.line(b)
	}
	for {
		rest, _, whole := bytes.Cut(s.text.rest(), []byte{'\n'})
		n := elementLength(rest)
		behind := bytes.TrimLeft(rest[n:], blanks)
		switch {
		case len(behind) > 0 && n > 0 && (behind[0] == ',' || behind[0] == ']'):
			s.comma = afterOne
			s.begin(b)
			b.add(bytes.TrimRight(rest[:n], blanks))
			s.pass(n)
			b.commit()
			return nil
		case len(behind) > 0, whole, len(rest) > event.MaxSize:
			return s.line(b)
		}
		if err := s.text.more(); errors.Is(err, io.EOF) {
			return s.line(b)
		} else if err != nil {
			return s.failed(err)
		}
	}
}

// elementLength returns the length of an array's element by its brackets and quotes,
// that of the text if it has no end.
func elementLength(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case ',':
			if depth == 0 {
				return i
			}
		case '}', ']':
			if depth--; depth < 0 {
				return i
			}
		}
	}
	return len(text)
}

// largeValue adds a value of which more than is kept was scanned.
func (s *source) largeValue(n int, b *Batch) error {
	s.begin(b)
	b.large = true
	s.pass(n)
	for {
		rest := s.text.rest()
		n, end := s.value.scan(rest)
		s.pass(n)
		if end == broken {
			return s.endLine(b)
		}
		if end == complete {
			break
		}
		if err := s.text.more(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			b.discard()
			return s.failed(err)
		}
	}
	b.commit()
	return nil
}

// line adds the rest of the line.
func (s *source) line(b *Batch) error {
	s.begin(b)
	return s.endLine(b)
}

// endLine adds the rest of the line to the pending record.
func (s *source) endLine(b *Batch) error {
	for {
		rest := s.text.rest()
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			b.add(rest[:end])
			s.pass(end) // the next record notices the new line
			break
		}
		b.add(rest)
		s.pass(len(rest))
		if err := s.text.more(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			b.discard()
			return s.failed(err)
		}
	}
	b.trim()
	b.commit()
	return nil
}
