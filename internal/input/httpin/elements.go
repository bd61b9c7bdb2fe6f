package httpin

import (
	"bytes"
	"fmt"

	"dsiem/internal/event"
)

// elements walks over the objects of a body: an array of objects, or objects
// one after the other, with or without white space between them. A byte order
// mark at the start is ignored.
//
// It judges what stands between the objects, and finds out by brackets and
// quotes where each of them ends. What is in them the decoder of events judges,
// so that together they accept JSON and nothing else (FuzzElements).
type elements struct {
	body []byte
	// text is the current element, after next has returned true.
	text []byte
	// rej says why there is no next element, nil at the end of the body.
	rej *event.Rejection

	at    int // in body, behind text
	count int // elements so far
	array bool
	lost  bool // what is wrong is not in the element with the number count
}

// next goes to the next element, and reports whether there is one.
func (e *elements) next() bool {
	more := false
	switch {
	case e.rej != nil:
	case e.count == 0:
		more = e.start()
	case e.array:
		more = e.separator()
	default:
		more = e.skipBlanks()
	}
	return more && e.element()
}

// start goes to the first element.
func (e *elements) start() bool {
	e.body = bytes.TrimPrefix(e.body, []byte("\ufeff"))
	if !e.skipBlanks() {
		return e.fail("the body is empty")
	}
	if e.body[e.at] != '[' {
		return true
	}
	e.array = true
	e.at++
	if e.skipBlanks() && e.body[e.at] == ']' {
		return e.end()
	}
	return true
}

// separator goes to the next element of an array.
func (e *elements) separator() bool {
	e.lost = true
	if !e.skipBlanks() {
		return e.fail("unexpected end of text, want a comma or ] after an array element")
	}
	switch e.body[e.at] {
	case ']':
		return e.end()
	case ',':
		e.at++
		e.skipBlanks()
		e.lost = false
		return true
	}
	return e.fail("want a comma or ] after an array element")
}

// end goes over the end of an array, behind which nothing may be.
func (e *elements) end() bool {
	e.lost = true
	e.at++
	if e.skipBlanks() {
		return e.fail("want nothing after the array")
	}
	return false
}

// element goes over an object.
func (e *elements) element() bool {
	e.count++
	rest := e.body[e.at:]
	if len(rest) > 0 && rest[0] != '{' {
		e.lost = !e.array && e.count == 1
		return e.fail("want an object, or an array of objects")
	}
	length := objectLength(rest)
	if length == 0 {
		e.at = len(e.body)
		return e.fail("unexpected end of text")
	}
	e.text = rest[:length:length]
	e.at += length
	return true
}

func (e *elements) fail(detail string) bool {
	e.rej = &event.Rejection{Reason: event.BadJSON, Detail: fmt.Sprintf("at byte %d of the body: %s", e.at, detail)}
	return false
}

// position returns the number of the current element, or of the one that is
// wrong, counted from 1; 0 if it is the only one, or if what is wrong is in
// none.
func (e *elements) position() int {
	if e.lost || !e.array && e.count == 1 && !e.skipBlanks() {
		return 0
	}
	return e.count
}

// skipBlanks goes over white space and reports whether anything follows.
func (e *elements) skipBlanks() bool {
	for ; e.at < len(e.body); e.at++ {
		switch e.body[e.at] {
		case ' ', '\t', '\r', '\n':
		default:
			return true
		}
	}
	return false
}

// objectLength returns the length of the object at the start of a text, 0 if it
// has no end.
func objectLength(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			length := stringLength(text[i+1:])
			if length == 0 {
				return 0
			}
			i += length
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
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
