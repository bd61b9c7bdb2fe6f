package httpin

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"dsiem/internal/event"
	"dsiem/internal/input"
)

// mark is a byte order mark.
const mark = "\ufeff"

// elements walks over the records of a body: JSON values one after the other, with
// or without white space between them, and the elements of those that are arrays.
// Byte order marks between them are ignored, and so may be syslog headers. That is
// what a replay reads, too, see package input/file (docs/spec/correlation.md D42).
//
// It judges what stands between the records, and finds out by brackets and quotes
// where each object ends. What is in them the decoder of events judges, so that
// together they accept JSON and nothing else (FuzzElements).
type elements struct {
	body []byte
	// headers says that an object may stand behind a syslog header.
	headers bool

	// text is the current record, after next has returned true. other says that it is
	// well-formed, but no object. deep says that it is nested deeper than anybody looks:
	// its brackets say where it ends, and nobody knows whether it is well-formed.
	text  []byte
	other bool
	deep  bool
	// rej says why there is no next record, nil at the end of the body.
	rej *event.Rejection

	at    int // in body, behind text
	count int // records so far
	short int // those of them that are shorter than shortestEvent
	array bool
	first bool // nothing of the array has been seen
	some  bool // there was a value
	lost  bool // what is wrong is not in the record with the number count
}

// next goes to the next record, and reports whether there is one.
func (e *elements) next() bool {
	for e.rej == nil {
		e.lost = e.array && !e.first
		more := e.skipBlanks()
		switch {
		case e.array && !e.first:
			if more = e.separator(more); e.array {
				return more && e.element()
			}
		case e.array:
			e.first = false
			if more && e.body[e.at] == ']' {
				e.endArray()
				continue
			}
			return e.element()
		case !more && e.some:
			return false
		case !more:
			e.lost = true
			return e.fail("the body is empty")
		case e.body[e.at] == '[':
			e.array, e.first, e.some = true, true, true
			e.at++
		default:
			e.some = true
			if e.headers && e.body[e.at] != '{' {
				e.at += input.SyslogHeader(e.body[e.at:])
			}
			return e.element()
		}
	}
	return false
}

// separator goes to the next element of an array, or behind its end.
func (e *elements) separator(more bool) bool {
	switch {
	case !more:
		return e.fail("unexpected end of text, want a comma or ] after an array element")
	case e.body[e.at] == ']':
		e.endArray()
		return true
	case e.body[e.at] == ',':
		e.at++
		e.skipBlanks()
		e.lost = false
		return true
	}
	return e.fail("want a comma or ] after an array element")
}

func (e *elements) endArray() {
	e.at++
	e.array = false
}

// element goes over a value.
func (e *elements) element() bool {
	e.count++
	rest := e.body[e.at:]
	length := 0
	e.other, e.deep = len(rest) > 0 && rest[0] != '{', false
	switch {
	case !e.other, rest[0] == '[':
		length, e.deep = objectLength(rest)
	case rest[0] == '"':
		if n := stringLength(rest[1:]); n > 0 {
			length = 1 + n
		}
	default:
		if length = bytes.IndexAny(rest, " \t\r\n,[]{}\"\xef"); length < 0 {
			length = len(rest)
		}
		if length == 0 || !isJSON(rest[:length]) {
			return e.failElement("want an object, or an array of objects")
		}
	}
	if length == 0 {
		e.at = len(e.body)
		return e.fail("unexpected end of text")
	}
	e.text = rest[:length:length]
	if e.other && !e.deep && !isJSON(e.text) {
		return e.failElement("want an object, or an array of objects")
	}
	e.at += length
	if length < shortestEvent {
		e.short++
	}
	return true
}

// failElement fails for what is no value.
func (e *elements) failElement(detail string) bool {
	e.lost = !e.array && e.count == 1
	return e.fail(detail)
}

// isJSON reports whether a text is a JSON value, be its encoding as it may.
func isJSON(text []byte) bool {
	return jsontext.Value(text).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
}

func (e *elements) fail(detail string) bool {
	e.rej = &event.Rejection{Reason: event.BadJSON, Detail: fmt.Sprintf("at byte %d of the body: %s", e.at, detail)}
	return false
}

// position returns the number of the current record, or of the one that is
// wrong, counted from 1; 0 if it is the only one, or if what is wrong is in
// none.
func (e *elements) position() int {
	if e.lost || !e.array && e.count == 1 && !e.skipBlanks() {
		return 0
	}
	return e.count
}

// skipBlanks goes over white space and byte order marks and reports whether
// anything follows.
func (e *elements) skipBlanks() bool {
	for ; e.at < len(e.body); e.at++ {
		switch e.body[e.at] {
		case ' ', '\t', '\r', '\n':
		case mark[0]:
			if !bytes.HasPrefix(e.body[e.at:], []byte(mark)) {
				return true
			}
			e.at += len(mark) - 1
		default:
			return true
		}
	}
	return false
}

// objectLength returns the length of the object or array at the start of a text, 0 if
// it has no end, and whether it is nested deeper than event.MaxDepth.
func objectLength(text []byte) (length int, deep bool) {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			length := stringLength(text[i+1:])
			if length == 0 {
				return 0, deep
			}
			i += length
		case '{', '[':
			depth++
			deep = deep || depth > event.MaxDepth
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1, deep
			}
		}
	}
	return 0, deep
}

// stringLength returns the length of the string whose opening quote is before
// the text, with the closing one; 0 if it has no end.
func stringLength(text []byte) int {
	for i := 0; ; {
		n := bytes.IndexByte(text[i:], '"')
		if n < 0 {
			return 0
		}
		slashes := 0
		for slashes < n && text[i+n-1-slashes] == '\\' {
			slashes++
		}
		i += n + 1
		if slashes%2 == 0 {
			return i
		}
	}
}
