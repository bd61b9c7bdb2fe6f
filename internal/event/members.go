package event

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// ReadMembers reads one JSON object and keeps the raw values of the members
// that the caller knows: index returns the place in values for a member's
// unescaped name, or a negative number for a member to ignore. Names are
// case-sensitive. A value kept is a sub-slice of data; values must be nil
// before the call and stays nil where data has no such member.
//
// It is the strict half of event decoding that all JSON forms of an event
// share (spec/correlation.md §1.5). It rejects with TooLarge, BadEncoding,
// BadJSON (also text after the object, a lone surrogate escape anywhere and
// nesting deeper than 10,000) or DuplicateKey (a known name given twice), in
// this order of precedence. Ignored members must be well-formed, nothing more.
func ReadMembers(data []byte, values []jsontext.Value, index func(name []byte) int) *Rejection {
	if len(data) > MaxSize {
		return tooLarge(len(data))
	}
	if !utf8.Valid(data) {
		return &Rejection{Reason: BadEncoding, Detail: "not valid UTF-8"}
	}
	r := readers.Get().(*memberReader) // the pool holds nothing else
	rej := r.read(data, values, index)
	r.release()
	readers.Put(r)
	return rej
}

// readers recycles the JSON tokenizers, which are too big to make per event.
var readers = sync.Pool{New: newMemberReader} //nolint:gochecknoglobals // a pool is shared by nature and holds no state

// memberReader is a JSON tokenizer over a text in memory.
type memberReader struct {
	src  bytes.Buffer // the tokenizer parses a bytes.Buffer in place
	json *jsontext.Decoder
	name []byte // scratch for a name with escapes
}

func newMemberReader() any {
	r := new(memberReader)
	r.json = jsontext.NewDecoder(&r.src, jsontext.AllowDuplicateNames(true))
	return r
}

// release lets go of the caller's text.
func (r *memberReader) release() {
	r.src = bytes.Buffer{}
	r.json.Reset(&r.src, jsontext.AllowDuplicateNames(true))
}

func (r *memberReader) read(data []byte, values []jsontext.Value, index func([]byte) int) *Rejection {
	r.src = *bytes.NewBuffer(data)
	if kind := r.json.PeekKind(); kind != jsontext.KindBeginObject {
		if kind != jsontext.KindInvalid {
			return &Rejection{Reason: BadJSON, Detail: "not an object"}
		}
		return badJSON(r.readEnd())
	}
	if _, err := r.json.ReadToken(); err != nil {
		return badJSON(err)
	}
	var duplicate *Rejection
	for r.json.PeekKind() != jsontext.KindEndObject {
		name, err := r.readName()
		if err != nil {
			return badJSON(err)
		}
		i := index(name)
		if i >= 0 && values[i] != nil && duplicate == nil {
			duplicate = &Rejection{Reason: DuplicateKey, Field: string(name), Detail: "given twice"}
		}
		raw, err := r.json.ReadValue()
		if err != nil {
			return badJSON(err)
		}
		if i >= 0 {
			end := int(r.json.InputOffset())
			values[i] = data[end-len(raw) : end : end]
		}
	}
	if _, err := r.json.ReadToken(); err != nil {
		return badJSON(err)
	}
	if err := r.readEnd(); !errors.Is(err, io.EOF) {
		return badJSON(err)
	}
	return duplicate
}

// readEnd returns io.EOF at the end of the text, and otherwise what is wrong.
func (r *memberReader) readEnd() error {
	if _, err := r.json.ReadToken(); err != nil {
		return err
	}
	return errors.New("text after the object")
}

// readName returns the next member's name, valid until the next call. The
// tokenizer takes nothing but a string in this place.
func (r *memberReader) readName() ([]byte, error) {
	raw, err := r.json.ReadValue()
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	r.name, err = jsontext.AppendUnquote(r.name[:0], raw)
	return r.name, err
}

func tooLarge(size int) *Rejection {
	return &Rejection{Reason: TooLarge, Detail: strconv.Itoa(size) + " bytes, the limit is " + strconv.Itoa(MaxSize)}
}

// badJSON keeps the place and the kind of a syntax error, but none of the
// names on the way to it: their length is up to the sender.
func badJSON(err error) *Rejection {
	detail := err.Error()
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		detail = "unexpected end of text"
	case errors.As(err, &syntax):
		detail = fmt.Sprintf("at byte %d: %v", syntax.ByteOffset, syntax.Err)
	}
	return &Rejection{Reason: BadJSON, Detail: detail}
}
