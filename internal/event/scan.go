package event

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// textScanner finds the members of an event in a text of ordinary form: one
// object, no escapes, numbers that are plain integers, known names given once.
// That is nearly every event that is sent, and takes a tenth of the time that a
// tokenizer takes. About any other text it gives no verdict, and ReadMembers
// has to look at it: what the scanner accepts ReadMembers accepts too, with the
// same values (FuzzScan).
type textScanner struct {
	data []byte
	at   int
	// wide has a bit set when there may be bytes outside ASCII.
	wide uint64
}

// scanDepth is the deepest nesting of a value that is ignored.
const scanDepth = 16

// scan sets the raw values of the known members, and reports whether the text
// is of ordinary form. If not, values may be set at random.
func scan(data []byte, raw *[fieldCount]jsontext.Value) bool {
	if len(data) > MaxSize {
		return false
	}
	s := textScanner{data: data}
	return s.object(raw) && s.atEnd() && (s.wide == 0 || utf8.Valid(data))
}

// object reads an object and keeps the known members if raw is not nil.
func (s *textScanner) object(raw *[fieldCount]jsontext.Value) bool {
	if s.next() != '{' {
		return false
	}
	s.at++
	if s.next() == '}' {
		s.at++
		return true
	}
	for {
		name, ok := s.text()
		if !ok || s.next() != ':' {
			return false
		}
		s.at++
		f := fieldIndex(name)
		s.next()
		from := s.at
		if !s.value(0) {
			return false
		}
		if f >= 0 {
			if raw[f] != nil {
				return false // ReadMembers knows what to say
			}
			raw[f] = s.data[from:s.at:s.at]
		}
		switch s.next() {
		case ',':
			s.at++
		case '}':
			s.at++
			return true
		default:
			return false
		}
	}
}

// next goes over blanks and returns the byte behind them, 0 at the end.
func (s *textScanner) next() byte {
	if s.at < len(s.data) && s.data[s.at] > ' ' {
		return s.data[s.at]
	}
	return s.blanks()
}

func (s *textScanner) blanks() byte {
	for s.at < len(s.data) {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return c
		}
	}
	return 0
}

func (s *textScanner) atEnd() bool {
	s.next()
	return s.at == len(s.data)
}

// value goes over one value at a depth.
func (s *textScanner) value(depth int) bool {
	switch c := s.next(); c {
	case '"':
		_, ok := s.text()
		return ok
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return s.integer()
	case '{', '[':
		return depth < scanDepth && s.nested(c, depth+1)
	case 'n':
		return s.word("null")
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	}
	return false
}

// nested goes over an array, or an object whose names do not matter.
func (s *textScanner) nested(open byte, depth int) bool {
	end := open + 2 // of [ and ], of { and }
	s.at++
	if s.next() == end {
		s.at++
		return true
	}
	for {
		if open == '{' {
			if _, ok := s.text(); !ok || s.next() != ':' {
				return false
			}
			s.at++
		}
		if !s.value(depth) {
			return false
		}
		switch s.next() {
		case ',':
			s.at++
		case end:
			s.at++
			return true
		default:
			return false
		}
	}
}

func (s *textScanner) word(want string) bool {
	if len(s.data)-s.at < len(want) || string(s.data[s.at:s.at+len(want)]) != want {
		return false
	}
	s.at += len(want)
	return true
}

// integer goes over a number without fraction and exponent.
func (s *textScanner) integer() bool {
	if s.data[s.at] == '-' {
		s.at++
	}
	from := s.at
	for s.at < len(s.data) && isDigit(s.data[s.at]) {
		s.at++
	}
	digits := s.at - from
	if digits == 0 || digits > 1 && s.data[from] == '0' {
		return false
	}
	if s.at == len(s.data) {
		return true
	}
	c := s.data[s.at]
	return c != '.' && c|0x20 != 'e'
}

// Eight bytes at a time.
const (
	eachByte = 0x0101010101010101
	highBits = 0x8080808080808080
)

// text goes over a string without escapes and returns what is in it.
func (s *textScanner) text() ([]byte, bool) {
	if s.next() != '"' {
		return nil, false
	}
	data, from := s.data, s.at+1
	var wide uint64
	i := from
	for i+8 <= len(data) {
		x := binary.LittleEndian.Uint64(data[i:])
		quote := x ^ eachByte*'"'
		slash := x ^ eachByte*'\\'
		// The lowest bit that is set is that of the first such byte.
		special := (((quote - eachByte) &^ quote) | ((slash - eachByte) &^ slash) | ((x - eachByte*' ') &^ x)) & highBits
		wide |= x
		if special != 0 {
			i += bits.TrailingZeros64(special) / 8
			break
		}
		i += 8
	}
	for ; i < len(data); i++ { // at once, or the last bytes of the data
		c := data[i]
		wide |= uint64(c)
		if c == '"' || c == '\\' || c < ' ' {
			s.at = i + 1
			s.wide |= wide & highBits
			return data[from:i:i], c == '"'
		}
	}
	return nil, false
}
