package event

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Keys are the members of an object that a caller wants.
type Keys struct {
	// Index returns the place of a member in the caller's values, by its unescaped
	// name, or a negative number for one to ignore. Names are case-sensitive.
	Index func(name []byte) int
	// Informs has the bits of the places whose values only inform: given twice, the
	// last one counts. Any other member given twice is DuplicateKey (D39).
	Informs uint64
	// Wrapped says that an object which has none of the members, but an object as
	// _source, stands for that one: so Elasticsearch exports documents (D41).
	Wrapped bool
}

// MaxDepth is how many objects and arrays may be open at a time in a text, the event
// itself included.
const MaxDepth = 10_000

// ReadMembers reads one JSON object and keeps the raw values of the members
// that the caller wants. A value kept is a sub-slice of data, or of a repaired
// copy of it; values must be nil before the call and stays nil where there is no
// such member. It returns how much it has repaired, see Event.Repaired.
//
// It is the half of event decoding that all JSON forms of an event share
// (docs/spec/correlation.md §1.5, D39). It rejects with TooLarge, BadEncoding
// (UTF-16), BadJSON (also text after the object, and nesting deeper than MaxDepth)
// or DuplicateKey, in this order of precedence. Ignored members must be
// well-formed, nothing more.
func ReadMembers(data []byte, values []jsontext.Value, keys Keys) (repaired uint32, rej *Rejection) {
	text, repaired, rej := repair(data)
	if rej != nil {
		return 0, rej
	}
	return repaired, readMembers(text, values, keys)
}

// readMembers is ReadMembers for a text that repair has gone over.
func readMembers(text []byte, values []jsontext.Value, keys Keys) *Rejection {
	r := readers.Get().(*memberReader) // the pool holds nothing else
	rej := r.read(text, values, keys)
	found, source := r.found, r.source
	r.release()
	readers.Put(r)
	if rej == nil && keys.Wrapped && found == 0 && source.Kind() == jsontext.KindBeginObject {
		keys.Wrapped = false
		return readMembers(source, values, keys)
	}
	return rej
}

// readers recycles the JSON tokenizers, which are too big to make per event.
var readers = sync.Pool{New: newMemberReader} //nolint:gochecknoglobals // a pool is shared by nature and holds no state

// memberReader is a JSON tokenizer over a text in memory.
type memberReader struct {
	src  bytes.Buffer // the tokenizer parses a bytes.Buffer in place
	json *jsontext.Decoder
	name []byte // scratch for a name with escapes

	found  int            // members that are wanted
	source jsontext.Value // of _source, if that is not wanted
}

func newMemberReader() any {
	r := new(memberReader)
	r.json = jsontext.NewDecoder(&r.src, jsontext.AllowDuplicateNames(true))
	return r
}

// release lets go of the caller's text.
func (r *memberReader) release() {
	r.src = bytes.Buffer{}
	r.source = nil
	r.json.Reset(&r.src, jsontext.AllowDuplicateNames(true))
}

func (r *memberReader) read(data []byte, values []jsontext.Value, keys Keys) *Rejection {
	r.src = *bytes.NewBuffer(data)
	r.found, r.source = 0, nil
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
		i := keys.Index(name)
		if i >= 0 && values[i] != nil && keys.Informs>>i&1 == 0 && duplicate == nil {
			duplicate = &Rejection{Reason: DuplicateKey, Field: string(name), Detail: "given twice"}
		}
		source := i < 0 && string(name) == "_source"
		raw, err := r.json.ReadValue()
		if err != nil {
			return badJSON(err)
		}
		end := int(r.json.InputOffset())
		switch {
		case i >= 0:
			values[i] = data[end-len(raw) : end : end]
			r.found++
		case source:
			r.source = data[end-len(raw) : end : end]
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
		why := syntax.Err.Error()
		if why == "exceeded max depth" { // the library exports no error for it
			why = fmt.Sprintf("nested more than %d levels deep", MaxDepth)
		}
		detail = fmt.Sprintf("at byte %d: %s", syntax.ByteOffset, why)
	}
	return &Rejection{Reason: BadJSON, Detail: detail}
}
