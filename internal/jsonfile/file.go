package jsonfile

import (
	"errors"
	"fmt"
	"io"
	"strings"

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

// of returns the type's name, for a list with that of its elements: "a list of
// numbers". Null stands for elements of any type.
func (k Kind) of(elem Kind) string {
	if k != Array || elem == Null {
		return k.String()
	}
	_, noun, _ := strings.Cut(elem.String(), " ")
	return k.String() + " of " + noun + "s"
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

// Get returns the value of the first member called name, or nil.
func (v *Value) Get(name string) *Value {
	if m := v.member(name); m != nil {
		return &m.Value
	}
	return nil
}

func (v *Value) member(name string) *Member {
	for i := range v.Members {
		if v.Members[i].Name == name {
			return &v.Members[i]
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

// found describes the value in a message about what stands in its place:
// "a number", "true".
func (v *Value) found() string {
	if v.Kind == Bool {
		return v.Text
	}
	return v.Kind.String()
}

// Each reads a file whose root is an object with a list called key, and calls
// each for every element of it. An element's memory is used again for the
// next one: copy what is to stay. Another member of the root, LintOff, names
// warnings that are left out. Others are only checked for syntax and named in a
// warning.
//
// It adds to the report what is wrong with the file itself: syntax, a root of
// another type, a missing key, a key of the root that is given twice (for other
// objects see Scope.Keys). After a syntax error the elements
// before it have been handed out, so a caller that must not use part of a file
// looks at the result, which is false then.
func (f *File) Each(report *Report, key string, each func(i int, v *Value)) bool {
	report.read(f.Name)
	p := f.parser()
	err := p.root(report, key, each)
	if err != nil {
		report.Add(p.syntaxProblem(err))
	}
	return err == nil
}

// EachElement is Each for a file whose root is the list itself.
func (f *File) EachElement(report *Report, each func(i int, v *Value)) bool {
	report.read(f.Name)
	p := f.parser()
	err := p.list(mustBeList, each)
	if err == nil {
		err = p.end()
	}
	if err != nil {
		report.Add(p.syntaxProblem(err))
	}
	return err == nil
}

const mustBeList = "the file must hold a list"

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
	if err := p.open('{', fmt.Sprintf("the file must hold an object like {%q: [...]}", key)); err != nil {
		return err
	}
	rootOffset := p.start(1)
	lines := map[string]int{} // of the keys seen
	for p.dec.PeekKind() == '"' {
		name, offset, err := p.name()
		if err != nil {
			return err
		}
		first := lines[name]
		if first == 0 {
			lines[name], _ = p.file.Position(offset)
		}
		if name == key && first == 0 {
			if err := p.list(fmt.Sprintf("%q must be a list", key), each); err != nil {
				return err
			}
			continue
		}
		if err := p.otherKey(report, key, name, offset, first); err != nil {
			return err
		}
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	if err := p.end(); err != nil {
		return err
	}
	if lines[key] == 0 {
		return &shapeError{offset: rootOffset, msg: fmt.Sprintf("the list %q is missing; write {%[1]q: [...]}", key)}
	}
	return nil
}

// otherKey reads a key of the root that is not the list, or not its first one. first
// is the line on which the key stood before, 0 if it did not.
func (p *parser) otherKey(report *Report, key, name string, offset, first int) error {
	switch {
	case name == key:
		report.Add(p.file.Problem(Error, offset, "", fmt.Sprintf("%q is given twice, first on line %d; merge the two lists", key, first)))
	case first > 0:
		report.Add(p.file.Problem(Error, offset, "", repeatedKey(name, first)))
	case name == LintOff:
		return p.lintOff(report, offset)
	default:
		report.Add(p.file.Warning(UnknownKey, offset, "", fmt.Sprintf("unknown key %s is ignored; only %q is read here", Quote(name), key)))
	}
	return p.dec.SkipValue()
}

// lintOff reads the names of the warnings that are left out of the file's.
func (p *parser) lintOff(report *Report, offset int) error {
	p.values.reset()
	p.fields.reset()
	v, err := p.value()
	if err != nil {
		return err
	}
	root := &Value{Kind: Object, Members: []Member{{Name: LintOff, Offset: offset, Value: v}}}
	s := &Scope{File: p.file, Report: report, Object: root}
	report.switchOffIn(p.file.Name, s.Lints(LintOff))
	return nil
}

func repeatedKey(name string, first int) string {
	return fmt.Sprintf("key %s is given twice, first on line %d; remove one", Quote(name), first)
}

// open reads the opening delimiter kind or fails with msg.
func (p *parser) open(kind jsontext.Kind, msg string) error {
	got := p.dec.PeekKind()
	if got != kind && got != 0 {
		raw, err := p.dec.ReadValue()
		if err != nil {
			return err
		}
		v, err := p.scalar(raw)
		if err != nil {
			return err
		}
		return &shapeError{offset: v.Offset, msg: fmt.Sprintf("%s, not %s", msg, v.found())}
	}
	_, err := p.dec.ReadToken()
	if errors.Is(err, io.EOF) && p.dec.InputOffset() == 0 {
		return &shapeError{msg: "the file is empty; " + msg}
	}
	return err
}

// list reads a list, or fails with msg, and hands out its elements one at a
// time.
func (p *parser) list(msg string, each func(int, *Value)) error {
	if err := p.open('[', msg); err != nil {
		return err
	}
	for i := 0; p.dec.PeekKind() != ']'; i++ {
		p.values.reset()
		p.fields.reset()
		v, err := p.value()
		if err != nil {
			return err
		}
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
		return &shapeError{offset: p.start(1), msg: afterRoot}
	}
}

// start returns the offset of a token of n bytes that was just read.
func (p *parser) start(n int) int { return p.file.base + int(p.dec.InputOffset()) - n }

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
	v := Value{Offset: offset, Text: p.file.part(offset, offset+len(raw))}
	switch raw.Kind() {
	case '{':
		v.Kind = Object
	case '[':
		v.Kind = Array
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
