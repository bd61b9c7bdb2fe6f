package enrich

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// wiseEntry is one element of an answer of Wise.
type wiseEntry struct {
	field, value string
	len          int
	hasLen       bool
}

// parseWise reads an answer of Wise: a list of objects with the keys field, len
// and value, written as a JavaScript literal or as JSON. Keys are bare or
// quoted, strings in double or single quotes, other keys are passed over, and
// commas may be missing or too many. What looks like a key inside a string is
// left alone (B35).
func parseWise(text string) ([]wiseEntry, error) {
	l := &literal{text: text}
	if !l.accept('[') {
		return nil, l.unexpected("a list")
	}
	var entries []wiseEntry
	for !l.accept(']') {
		if l.accept(',') {
			continue
		}
		if !l.accept('{') {
			return nil, l.unexpected("an object")
		}
		entry := wiseEntry{}
		if err := l.object(entry.set); err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	l.accept(';')
	if !l.ended() {
		return nil, l.unexpected("the end")
	}
	return entries, nil
}

// set takes a member of the entry.
func (e *wiseEntry) set(key, value string) {
	switch key {
	case "field":
		e.field = value
	case "value":
		e.value = value
	case "len":
		n, err := strconv.Atoi(value)
		e.len, e.hasLen = n, err == nil
	}
}

// literal reads a JavaScript literal.
type literal struct {
	text  string
	at    int // offset of the next byte
	depth int // of open lists and objects
}

// maxDepth is how deep lists and objects that nobody asked for may nest.
const maxDepth = 64

// peek returns the next byte that is not blank, 0 at the end.
func (l *literal) peek() byte {
	l.at = len(l.text) - len(strings.TrimLeftFunc(l.text[l.at:], isBlank))
	if l.at == len(l.text) {
		return 0
	}
	return l.text[l.at]
}

func isBlank(r rune) bool { return unicode.IsSpace(r) || r == '\uFEFF' }

// ended reports whether only blanks are left.
func (l *literal) ended() bool {
	l.peek()
	return l.at == len(l.text)
}

// accept passes over the next byte if it is c, and reports whether it was.
func (l *literal) accept(c byte) bool {
	if l.peek() != c {
		return false
	}
	l.at++
	return true
}

func (l *literal) unexpected(want string) error {
	if l.ended() {
		return fmt.Errorf("the answer ends at byte %d where %s is expected", l.at, want)
	}
	r, _ := utf8.DecodeRuneInString(l.text[l.at:])
	return fmt.Errorf("%q at byte %d where %s is expected", r, l.at, want)
}

// object reads the members of an object up to its closing brace.
func (l *literal) object(set func(key, value string)) error {
	for !l.accept('}') {
		if l.accept(',') {
			continue
		}
		key, err := l.scalar("a key")
		if err != nil {
			return err
		}
		if !l.accept(':') {
			return l.unexpected("a colon")
		}
		value, err := l.value()
		if err != nil {
			return err
		}
		set(key, value)
	}
	return nil
}

// value reads any value. Null, undefined, a list and an object give "".
func (l *literal) value() (string, error) {
	c := l.peek()
	if c == '[' || c == '{' {
		return "", l.nested()
	}
	text, err := l.scalar("a value")
	if c != '"' && c != '\'' && (text == "null" || text == "undefined") {
		text = ""
	}
	return text, err
}

// nested passes over a list or an object.
func (l *literal) nested() error {
	if l.depth++; l.depth > maxDepth {
		return fmt.Errorf("the answer is nested too deep at byte %d", l.at)
	}
	defer func() { l.depth-- }()
	if l.accept('{') {
		return l.object(func(string, string) {})
	}
	l.accept('[')
	for !l.accept(']') {
		if l.accept(',') {
			continue
		}
		if _, err := l.value(); err != nil {
			return err
		}
	}
	return nil
}

// scalar reads a string or a bare word.
func (l *literal) scalar(want string) (string, error) {
	if c := l.peek(); c == '"' || c == '\'' {
		l.at++
		return l.quoted(c)
	}
	rest := l.text[l.at:]
	end := strings.IndexFunc(rest, func(r rune) bool { return isBlank(r) || strings.ContainsRune(`:,[]{}"'`, r) })
	if end < 0 {
		end = len(rest)
	}
	if end == 0 {
		return "", l.unexpected(want)
	}
	l.at += end
	return rest[:end], nil
}

// quoted reads a string up to its closing quote.
func (l *literal) quoted(quote byte) (string, error) {
	var b strings.Builder
	start := l.at
	for {
		i := strings.IndexAny(l.text[l.at:], string(rune(quote))+`\`)
		if i < 0 || l.at+i+1 == len(l.text) && l.text[l.at+i] == '\\' {
			return "", fmt.Errorf("the string at byte %d is not closed", start-1)
		}
		b.WriteString(l.text[l.at : l.at+i])
		l.at += i + 1
		if l.text[l.at-1] == quote {
			return b.String(), nil
		}
		b.WriteString(l.escape())
	}
}

// escape reads what follows a backslash. There is at least one byte.
func (l *literal) escape() string {
	r, size := utf8.DecodeRuneInString(l.text[l.at:])
	c := l.text[l.at : l.at+size]
	l.at += size
	switch r {
	case 'b':
		return "\b"
	case 'f':
		return "\f"
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case 'v':
		return "\v"
	case '0':
		return "\x00"
	case '\n', '\u2028', '\u2029': // the string goes on in the next line
		return ""
	case '\r':
		if strings.HasPrefix(l.text[l.at:], "\n") {
			l.at++
		}
		return ""
	case 'x', 'u':
		if r, ok := l.hex(c); ok {
			return string(r)
		}
	}
	return c
}

// hex reads the digits of \xHH, \uHHHH and \u{H…}, and the second half of a
// pair of surrogates.
func (l *literal) hex(kind string) (rune, bool) {
	rest := l.text[l.at:]
	digits, length := "", 0
	switch end := strings.IndexByte(rest, '}'); {
	case kind == "x" && len(rest) >= 2:
		digits, length = rest[:2], 2
	case kind == "u" && strings.HasPrefix(rest, "{") && end > 0:
		digits, length = rest[1:end], end+1
	case kind == "u" && len(rest) >= 4:
		digits, length = rest[:4], 4
	}
	n, err := strconv.ParseUint(digits, 16, 21)
	if err != nil || n > unicode.MaxRune {
		return 0, false
	}
	l.at += length
	r := rune(n)
	if low, ok := strings.CutPrefix(l.text[l.at:], `\u`); ok && utf16.IsSurrogate(r) && len(low) >= 4 {
		if n, err := strconv.ParseUint(low[:4], 16, 16); err == nil {
			if pair := utf16.DecodeRune(r, rune(n)); pair != utf8.RuneError {
				l.at += len(`\u`) + 4
				return pair, true
			}
		}
	}
	return r, true
}
