package config

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Kind is the JSON type of a Value.
type Kind uint8

// The JSON types.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// String returns the type's name as it reads in a message: "a number".
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case Bool:
		return "true or false"
	case Number:
		return "a number"
	case String:
		return "a string"
	case Array:
		return "a list"
	case Object:
		return "an object"
	}
	return "nothing"
}

// Value is one JSON value and where it stands. Its memory belongs to the call
// that handed it out (see File.Each).
type Value struct {
	Kind Kind
	// plain says that a string holds no escapes, so that an offset in Text is
	// an offset in the file too.
	plain bool
	// Offset is the byte offset of the value's first byte in the file.
	Offset int
	// Text is the content of a string, the literal of a number, "true" or
	// "false".
	Text string
	// Elems are the elements of a list.
	Elems []Value
	// Members are the members of an object, in the order of the file.
	Members []Member
}

// Member is one member of an object.
type Member struct {
	Name   string
	Offset int
	Value  Value
}

// Get returns the first member called name, or nil.
func (v *Value) Get(name string) *Value {
	for i := range v.Members {
		if v.Members[i].Name == name {
			return &v.Members[i].Value
		}
	}
	return nil
}

// At returns the byte offset in the file of byte i of a string's content, or
// of the string where that cannot be told.
func (v *Value) At(i int) int {
	if v.plain && i <= len(v.Text) {
		return v.Offset + 1 + i
	}
	return v.Offset
}

// File is the text of one configuration file.
type File struct {
	// Name is the file's name as the user gave it.
	Name  string
	text  string
	lines []int // offsets of line starts, made on first use
}

// NewFile returns a file of the given content.
func NewFile(name string, content []byte) *File {
	return &File{Name: name, text: string(content)}
}

// Position returns the 1-based line and column, in characters, of a byte
// offset.
func (f *File) Position(offset int) (line, column int) {
	offset = min(max(offset, 0), len(f.text))
	if f.lines == nil {
		f.lines = []int{0}
		for i := range len(f.text) {
			if f.text[i] == '\n' {
				f.lines = append(f.lines, i+1)
			}
		}
	}
	line = sort.SearchInts(f.lines, offset+1)
	return line, 1 + utf8.RuneCountInString(f.text[f.lines[line-1]:offset])
}

// Problem makes a problem that stands at a byte offset.
func (f *File) Problem(severity Severity, offset int, where, msg string) Problem {
	line, column := f.Position(offset)
	start := f.lines[line-1]
	end := len(f.text)
	if line < len(f.lines) {
		end = f.lines[line]
	}
	source, caret := excerpt(f.text[start:end], column)
	return Problem{
		File: f.Name, Line: line, Column: column, Severity: severity,
		Where: where, Msg: msg, Source: source, Caret: caret,
	}
}

// Each reads a file whose root is an object with a list called key, and calls
// each for every element of it. An element's memory is used again for the
// next one: copy what is to stay. Other members of the root are only checked
// for syntax and named in a warning.
//
// It adds to the report what is wrong with the file itself: syntax, a root of
// another type, a missing or repeated key. After a syntax error the elements
// before it have been handed out, so a caller that must not use part of a file
// looks at the result, which is false then.
func (f *File) Each(report *Report, key string, each func(i int, v *Value)) bool {
	p := f.parser()
	err := p.root(report, key, each)
	if err != nil {
		report.Add(p.syntaxProblem(err))
	}
	return err == nil
}

// EachElement is Each for a file whose root is the list itself.
func (f *File) EachElement(report *Report, each func(i int, v *Value)) bool {
	p := f.parser()
	err := p.list(report, each)
	if err == nil {
		err = p.end()
	}
	if err != nil {
		report.Add(p.syntaxProblem(err))
	}
	return err == nil
}

func (f *File) parser() *parser {
	return &parser{
		file: f,
		dec:  jsontext.NewDecoder(strings.NewReader(f.text), jsontext.AllowDuplicateNames(true)),
	}
}

// parser reads the values of one file.
type parser struct {
	file *File
	dec  *jsontext.Decoder
	// elems and members are stacks on which the parts of open lists and
	// objects lie until their number is known.
	elems   []Value
	members []Member
	values  slab[Value]
	fields  slab[Member]
}

// shapeError is a root that is not what the file should hold.
type shapeError struct {
	offset int
	msg    string
}

func (e *shapeError) Error() string { return e.msg }

func (p *parser) root(report *Report, key string, each func(int, *Value)) error {
	if err := p.open('{', fmt.Sprintf("the file must hold an object with a list %q", key)); err != nil {
		return err
	}
	rootOffset := p.start(1)
	seen := false
	for p.dec.PeekKind() == '"' {
		name, offset, err := p.name()
		if err != nil {
			return err
		}
		if name == key && !seen {
			seen = true
			if err := p.list(report, each); err != nil {
				return err
			}
			continue
		}
		switch {
		case name == key:
			report.Add(p.file.Problem(Error, offset, "", fmt.Sprintf("%q is given twice; merge the two lists", key)))
		default:
			report.Add(p.file.Problem(Warning, offset, "", fmt.Sprintf("unknown key %q is ignored; only %q is read here", name, key)))
		}
		if err := p.dec.SkipValue(); err != nil {
			return err
		}
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	if err := p.end(); err != nil {
		return err
	}
	if !seen {
		return &shapeError{offset: rootOffset, msg: fmt.Sprintf("the list %q is missing", key)}
	}
	return nil
}

// open reads the opening delimiter kind or fails with msg.
func (p *parser) open(kind jsontext.Kind, msg string) error {
	got := p.dec.PeekKind()
	if got != kind && got != 0 {
		raw, err := p.dec.ReadValue()
		if err != nil {
			return err
		}
		return &shapeError{offset: p.start(len(raw)), msg: msg}
	}
	_, err := p.dec.ReadToken()
	if errors.Is(err, io.EOF) && p.dec.InputOffset() == 0 {
		return &shapeError{msg: "the file is empty; " + msg}
	}
	return err
}

// list reads a list and hands out its elements one at a time.
func (p *parser) list(report *Report, each func(int, *Value)) error {
	if err := p.open('[', "this must be a list"); err != nil {
		return err
	}
	for i := 0; p.dec.PeekKind() != ']'; i++ {
		p.values.reset()
		p.fields.reset()
		v, err := p.value()
		if err != nil {
			return err
		}
		p.duplicates(report, &v)
		each(i, &v)
	}
	_, err := p.dec.ReadToken()
	return err
}

// end makes sure that nothing follows the root value.
func (p *parser) end() error {
	_, err := p.dec.ReadToken()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	default:
		return &shapeError{offset: p.start(1), msg: "something follows the end of the JSON value; remove it"}
	}
}

// start returns the offset of a token of n bytes that was just read.
func (p *parser) start(n int) int { return int(p.dec.InputOffset()) - n }

func (p *parser) name() (name string, offset int, err error) {
	raw, err := p.dec.ReadValue()
	if err != nil {
		return "", 0, err
	}
	v, err := p.scalar(raw)
	return v.Text, v.Offset, err
}

func (p *parser) value() (Value, error) {
	switch p.dec.PeekKind() {
	case '{':
		return p.object()
	case '[':
		return p.array()
	}
	raw, err := p.dec.ReadValue()
	if err != nil {
		return Value{}, err
	}
	return p.scalar(raw)
}

func (p *parser) scalar(raw jsontext.Value) (Value, error) {
	offset := p.start(len(raw))
	v := Value{Offset: offset, Text: p.file.text[offset : offset+len(raw)]}
	switch raw.Kind() {
	case 'n':
		v.Kind = Null
	case 't', 'f':
		v.Kind = Bool
	case '0':
		v.Kind = Number
	case '"':
		v.Kind = String
		v.Text = v.Text[1 : len(v.Text)-1]
		v.plain = strings.IndexByte(v.Text, '\\') < 0
		if !v.plain {
			text, err := jsontext.AppendUnquote(nil, raw)
			if err != nil {
				return v, err
			}
			v.Text = string(text)
		}
	}
	return v, nil
}

func (p *parser) object() (Value, error) {
	if _, err := p.dec.ReadToken(); err != nil {
		return Value{}, err
	}
	v := Value{Kind: Object, Offset: p.start(1)}
	base := len(p.members)
	for p.dec.PeekKind() != '}' {
		name, offset, err := p.name()
		if err != nil {
			return v, err
		}
		member, err := p.value()
		if err != nil {
			return v, err
		}
		p.members = append(p.members, Member{Name: name, Offset: offset, Value: member})
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return v, err
	}
	v.Members = p.fields.take(p.members[base:])
	p.members = p.members[:base]
	return v, nil
}

func (p *parser) array() (Value, error) {
	if _, err := p.dec.ReadToken(); err != nil {
		return Value{}, err
	}
	v := Value{Kind: Array, Offset: p.start(1)}
	base := len(p.elems)
	for p.dec.PeekKind() != ']' {
		elem, err := p.value()
		if err != nil {
			return v, err
		}
		p.elems = append(p.elems, elem)
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return v, err
	}
	v.Elems = p.values.take(p.elems[base:])
	p.elems = p.elems[:base]
	return v, nil
}

// duplicates reports keys that an object gives twice (D25).
func (p *parser) duplicates(report *Report, v *Value) {
	for i := range v.Elems {
		p.duplicates(report, &v.Elems[i])
	}
	for i := range v.Members {
		m := &v.Members[i]
		first := slices.IndexFunc(v.Members, func(o Member) bool { return o.Name == m.Name })
		if first < i {
			line, _ := p.file.Position(v.Members[first].Offset)
			report.Add(p.file.Problem(Error, m.Offset, "",
				fmt.Sprintf("key %q is given twice, first on line %d; remove one", m.Name, line)))
		}
		p.duplicates(report, &m.Value)
	}
}

func (p *parser) syntaxProblem(err error) Problem {
	var shape *shapeError
	if errors.As(err, &shape) {
		return p.file.Problem(Error, shape.offset, "", shape.msg)
	}
	offset := int(p.dec.InputOffset())
	msg := err.Error()
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		offset = int(syntactic.ByteOffset)
		msg = "not valid JSON: " + syntactic.Err.Error()
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		offset = len(p.file.text)
		msg = "not valid JSON: the file ends too early; a closing bracket, brace or quote is missing"
	}
	return p.file.Problem(Error, offset, "", msg)
}

// slab hands out slices of a block that is used again after reset.
type slab[T any] struct{ block []T }

func (s *slab[T]) reset() { s.block = s.block[:0] }

func (s *slab[T]) take(from []T) []T {
	if len(from) == 0 {
		return nil
	}
	if cap(s.block)-len(s.block) < len(from) {
		s.block = make([]T, 0, max(2*cap(s.block), 256, len(from)))
	}
	at := len(s.block)
	s.block = append(s.block, from...)
	return s.block[at:len(s.block):len(s.block)]
}
