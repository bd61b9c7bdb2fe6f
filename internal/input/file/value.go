package file

// maxDepth is how deep a value may be nested that is not on one line: a longer search
// for its end would be repeated for each of its lines.
const maxDepth = 1000

// ending says what a piece of text was for a value.
type ending uint8

const (
	unfinished ending = iota // the value goes on
	complete                 // the value ends in it
	broken                   // there is no such value
)

// place is what may come next in a value.
type place uint8

const (
	wantValue      place = iota
	wantValueOrEnd       // behind [
	wantNameOrEnd        // behind {
	wantName             // behind a comma in an object
	wantColon
	wantMore // a comma or the end
	inString
	inEscape // behind a backslash
	inHex    // behind \u
	inLiteral
	inMinus
	inZero
	inInteger
	inPoint // behind a decimal point
	inFraction
	inE // behind e
	inESign
	inExponent
)

// value finds the end of one JSON value that comes in pieces, and whether it is one.
// It takes what the decoder of events takes, and so lets bad encoding pass. Numbers
// and literals it knows inside of objects and arrays only.
type value struct {
	stack   []byte // '{' and '[' that are open
	at      place
	name    bool   // the string is a name
	hex     int    // digits that are missing behind \u
	literal string // what is missing of it
}

func (v *value) reset() { *v = value{stack: v.stack[:0]} }

// scan goes over the next piece of text and returns how much of it belongs to the
// value. Of a broken one it has gone over so much.
func (v *value) scan(text []byte) (n int, end ending) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case v.at == inString:
			i = plain(text, i)
			if i == len(text) {
				return i, unfinished
			}
			switch v.special(text[i]) {
			case broken:
				return i, broken
			case complete:
				return i + 1, complete
			case unfinished:
			}
		case v.at > inString:
			again, ok := v.part(c)
			if !ok {
				return i, broken
			}
			if again {
				i--
			}
		case isBlank(c):
		default:
			switch v.token(c) {
			case broken:
				return i, broken
			case complete:
				return i + 1, complete
			case unfinished:
			}
		}
	}
	return len(text), unfinished
}

// special takes a character of a string that has a meaning there.
func (v *value) special(c byte) ending {
	switch {
	case c == '\\':
		v.at = inEscape
	case c != '"':
		return broken
	case v.name:
		v.at, v.name = wantColon, false
	default:
		v.at = wantMore
		if len(v.stack) == 0 {
			return complete
		}
	}
	return unfinished
}

// plain goes over text that has no meaning in a string.
func plain(text []byte, i int) int {
	for i < len(text) && text[i] != '"' && text[i] != '\\' && text[i] >= ' ' {
		i++
	}
	return i
}

func isBlank(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// token takes the first letter of what comes next.
func (v *value) token(c byte) ending {
	switch v.at {
	case wantColon:
		if c != ':' {
			return broken
		}
		v.at = wantValue
		return unfinished
	case wantMore:
		return v.more(c)
	case wantName, wantNameOrEnd:
		switch {
		case c == '"':
			v.at, v.name = inString, true
			return unfinished
		case c == '}' && v.at == wantNameOrEnd:
			return v.close()
		}
		return broken
	case wantValueOrEnd:
		if c == ']' {
			return v.close()
		}
	default:
	}
	return v.begin(c)
}

// begin takes the first letter of a value.
func (v *value) begin(c byte) ending {
	switch {
	case c == '"':
		v.at = inString
	case c == '{' || c == '[':
		if len(v.stack) == maxDepth {
			return broken
		}
		v.stack = append(v.stack, c)
		v.at = wantNameOrEnd
		if c == '[' {
			v.at = wantValueOrEnd
		}
	case len(v.stack) == 0:
		return broken
	case c == '-':
		v.at = inMinus
	case c == '0':
		v.at = inZero
	case c >= '1' && c <= '9':
		v.at = inInteger
	case c == 't':
		v.at, v.literal = inLiteral, "rue"
	case c == 'f':
		v.at, v.literal = inLiteral, "false"[1:]
	case c == 'n':
		v.at, v.literal = inLiteral, "ull"
	default:
		return broken
	}
	return unfinished
}

// more takes what follows a value in an object or array.
func (v *value) more(c byte) ending {
	open := v.stack[len(v.stack)-1]
	switch {
	case c == ',' && open == '{':
		v.at = wantName
	case c == ',':
		v.at = wantValue
	case c == open+2: // of { and }, of [ and ]
		return v.close()
	default:
		return broken
	}
	return unfinished
}

// close takes the end of an object or array.
func (v *value) close() ending {
	v.stack = v.stack[:len(v.stack)-1]
	v.at = wantMore
	if len(v.stack) == 0 {
		return complete
	}
	return unfinished
}

// part takes the next letter of an escape, a literal or a number, and reports whether
// it is right there. A number ends before a letter that is to be looked at again.
func (v *value) part(c byte) (again, ok bool) {
	switch v.at {
	case inEscape:
		switch c {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			v.at = inString
		case 'u':
			v.at, v.hex = inHex, 4
		default:
			return false, false
		}
		return false, true
	case inHex:
		if v.hex--; v.hex == 0 {
			v.at = inString
		}
		return false, c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
	case inLiteral:
		ok = c == v.literal[0]
		if v.literal = v.literal[1:]; v.literal == "" {
			v.at = wantMore
		}
		return false, ok
	default:
		return v.digit(c)
	}
}

// digit takes the next letter of a number.
func (v *value) digit(c byte) (again, ok bool) {
	digit := c >= '0' && c <= '9'
	switch at := v.at; {
	case at == inMinus && c == '0':
		v.at = inZero
	case (at == inMinus || at == inInteger) && digit:
		v.at = inInteger
	case (at == inZero || at == inInteger) && c == '.':
		v.at = inPoint
	case (at == inPoint || at == inFraction) && digit:
		v.at = inFraction
	case (at == inZero || at == inInteger || at == inFraction) && c|0x20 == 'e':
		v.at = inE
	case at == inE && (c == '+' || c == '-'):
		v.at = inESign
	case (at == inE || at == inESign || at == inExponent) && digit:
		v.at = inExponent
	case at == inMinus || at == inPoint || at == inE || at == inESign:
		return false, false
	default: // what may follow a number is judged there
		v.at = wantMore
		return true, true
	}
	return false, true
}

// isScalar reports whether a text is a number or a literal.
func isScalar(text []byte) bool {
	v := value{stack: []byte{'['}}
	n, end := v.scan(append(append([]byte(nil), text...), ']'))
	return end == complete && n == len(text)+1 && len(text) > 0
}
