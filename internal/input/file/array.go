package file

import (
	"errors"
	"fmt"
	"io"
)

// element adds the next element of the array to b. It returns io.EOF after the
// last one.
//
// It cuts the text by brackets and quotes only, instead of reading values with
// a JSON decoder, because a decoder holds a value of any size in memory and
// ends for good at the first error. The text of an element is judged by the
// decoder of events.
func (s *source) element(b *Batch) error {
	c, err := s.skipBlanks()
	if err != nil {
		return s.broken(err)
	}
	if c == ']' {
		s.advance([]byte{c})
		return s.end()
	}
	if s.values > 0 {
		if c != ',' {
			return s.unexpected(c, "want a comma or ] after an array element")
		}
		s.advance([]byte{c})
		if c, err = s.skipBlanks(); err != nil {
			return s.broken(err)
		}
	}
	switch c {
	case ',', ']', '}', ':':
		return s.unexpected(c, "want an array element")
	}
	s.values++
	b.begin(s.name, s.lines+1)
	for cut := new(cutter); !cut.done; {
		text, err := s.peek()
		if err != nil {
			b.discard()
			return s.broken(err)
		}
		text = text[:cut.length(text)]
		b.add(text)
		s.advance(text)
	}
	b.commit()
	return nil
}

// end wants nothing to follow the array.
func (s *source) end() error {
	c, err := s.skipBlanks()
	if err != nil {
		return err
	}
	return s.unexpected(c, "want nothing after the array")
}

// broken returns the error of an array whose text ends early.
func (s *source) broken(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s:%d: the array has no end: %w", s.name, s.lines+1, io.ErrUnexpectedEOF)
	}
	return err
}

func (s *source) unexpected(c byte, want string) error {
	return fmt.Errorf("%s:%d: unexpected %q, %s", s.name, s.lines+1, c, want)
}

// cutter finds the end of an array element that comes in pieces.
type cutter struct {
	depth    int // brackets and braces that are open
	inString bool
	escaped  bool // after a backslash in a string
	done     bool
}

// length returns how much of text belongs to the element, and sets done when
// the element ends there.
func (c *cutter) length(text []byte) int {
	i := 0
	for i < len(text) && !c.done {
		switch b := text[i]; {
		case c.inString:
			i += c.string(text[i:])
			c.done = !c.inString && c.depth == 0
			continue
		case b == '"':
			c.inString = true
		case b == '{', b == '[':
			c.depth++
		case c.depth == 0 && (b == ',' || b == ']' || b == '}' || b <= ' '):
			c.done = true // a number or a literal ends before this byte
			return i
		case b == '}', b == ']':
			c.depth--
			c.done = c.depth == 0
		}
		i++
	}
	return i
}

// string returns how much of text belongs to a string, its quote included.
func (c *cutter) string(text []byte) int {
	for i := range text {
		switch {
		case c.escaped:
			c.escaped = false
		case text[i] == '\\':
			c.escaped = true
		case text[i] == '"':
			c.inString = false
			return i + 1
		}
	}
	return len(text)
}
