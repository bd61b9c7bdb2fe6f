package jsonfile

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"dsiem/internal/text"
)

// Scope reads the members of one object and reports what is wrong with them.
// Its methods return the default (or the zero value) after a problem.
type Scope struct {
	File   *File
	Report *Report
	// Where names the object: "directive 12, stage 2".
	Where string
	// Object is the object whose members are read.
	Object *Value
	// Lax accepts any value of the right type: numbers outside their range and
	// empty strings. It is for parts that are switched off.
	Lax bool

	failed bool
}

// Failed reports whether the scope has reported an error.
func (s *Scope) Failed() bool { return s.failed }

// where returns the place of a field in the file.
func (s *Scope) where(field string) string {
	switch {
	case field == "":
		return s.Where
	case s.Where == "":
		return field
	}
	return s.Where + ", " + field
}

// Errorf reports an error of a field at a byte offset; field may be "".
func (s *Scope) Errorf(offset int, field, format string, args ...any) {
	s.failed = true
	s.Report.Add(s.File.Problem(Error, offset, s.where(field), fmt.Sprintf(format, args...)))
}

// Warnf reports a warning of a field at a byte offset; field may be "".
func (s *Scope) Warnf(name Lint, offset int, field, format string, args ...any) {
	s.Report.Add(s.File.Warning(name, offset, s.where(field), fmt.Sprintf(format, args...)))
}

// Keys reports keys that are given twice as errors (D25), and keys that are not
// in known as warnings that suggest the nearest known key.
func (s *Scope) Keys(known []string) {
	seen := make([]bool, len(known))
	var unknown map[string]bool
	for i := range s.Object.Members {
		m := &s.Object.Members[i]
		k := slices.Index(known, m.Name)
		switch {
		case k >= 0 && seen[k], unknown[m.Name]:
			first, _ := s.File.Position(s.Object.member(m.Name).Offset)
			s.Errorf(m.Offset, "", "%s", repeatedKey(m.Name, first))
		case k >= 0:
			seen[k] = true
		default:
			s.Warnf(UnknownKey, m.Offset, "", "unknown key %s is ignored%s", Quote(m.Name), Suggestion(m.Name, known))
			if unknown == nil {
				unknown = map[string]bool{}
			}
			unknown[m.Name] = true
		}
	}
}

// Suggestion returns "; did you mean …?" when a known key is near to name, or "".
func Suggestion(name string, known []string) string {
	if nearest := text.Suggest(name, known); nearest != "" {
		return fmt.Sprintf("; did you mean %q?", nearest)
	}
	return ""
}

// read returns the named member if it has the wanted type, or nil after
// reporting that it is missing or of another type.
func (s *Scope) read(name string, want Kind, required bool) *Value {
	return s.readList(name, want, Null, required)
}

// readList is read for a list whose elements should be of the type elem.
func (s *Scope) readList(name string, want, elem Kind, required bool) *Value {
	v := s.Object.Get(name)
	switch {
	case v == nil && required:
		s.Errorf(s.Object.Offset, name, "the key is missing; %s is required", want.of(elem))
		return nil
	case v == nil:
		return nil
	case v.Kind == want:
		return v
	}
	hint := v.rewritten(want)
	if want == Array && v.Kind == elem && len(v.Text) <= maxQuoted {
		hint = fmt.Sprintf("; write [%s]", v.literal())
	}
	s.Errorf(v.Offset, name, "%s is required, not %s%s", want.of(elem), v.found(), hint)
	return nil
}

// rewritten returns "; write …" with the value as it would be right, if only
// quotes are wrong.
func (v *Value) rewritten(want Kind) string {
	switch {
	case len(v.Text) > maxQuoted:
		return ""
	case want == String && v.Kind == Number:
		return fmt.Sprintf("; write \"%s\"", v.Text)
	case want == Number && v.Kind == String:
		if _, err := strconv.ParseUint(v.Text, 10, 64); err == nil {
			return "; write " + v.Text
		}
	case want == Bool && v.Kind == String && (v.Text == "true" || v.Text == "false"):
		return "; write " + v.Text
	}
	return ""
}

// literal returns a string or number as it stands in a file.
func (v *Value) literal() string {
	if v.Kind == String {
		return strconv.Quote(v.Text)
	}
	return v.Text
}

// String reads a string. A missing one gives fallback, and is an error if
// required.
func (s *Scope) String(name string, required bool, fallback string) string {
	if v := s.read(name, String, required); v != nil {
		return v.Text
	}
	return fallback
}

// NonEmpty reads a required string that must not be empty.
func (s *Scope) NonEmpty(name string) string {
	v := s.read(name, String, true)
	if v == nil {
		return ""
	}
	if v.Text == "" && !s.Lax {
		s.Errorf(v.Offset, name, "must not be empty")
	}
	return v.Text
}

// Bool reads an optional boolean, false by default.
func (s *Scope) Bool(name string) bool {
	v := s.read(name, Bool, false)
	return v != nil && v.Text == "true"
}

// Range is the range of an integer.
type Range struct {
	Min, Max uint64
	// Required makes a missing number an error.
	Required bool
}

// Uint reads a whole number in a range, 0 if it is missing.
func (s *Scope) Uint(name string, r Range) uint64 {
	v := s.read(name, Number, r.Required)
	if v == nil {
		return 0
	}
	return s.uint(v, name, r)
}

func (s *Scope) uint(v *Value, name string, r Range) uint64 {
	n, err := strconv.ParseUint(v.Text, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && n > r.Max && r.open() && !s.Lax:
		s.Errorf(v.Offset, name, "%s is too large; at most %d is possible", clip(v.Text), r.Max)
		return 0
	case err == nil && (n >= r.Min && n <= r.Max || s.Lax):
		return n
	case r.open():
		s.Errorf(v.Offset, name, "%s is not a whole number of at least %d", clip(v.Text), r.Min)
	default:
		s.Errorf(v.Offset, name, "%s is not a whole number from %d to %d", clip(v.Text), r.Min, r.Max)
	}
	return 0
}

// open reports whether the range has no upper end that a user would care about.
func (r Range) open() bool { return r.Max >= math.MaxInt64 }

// Int reads an optional whole number that may be negative, 0 if it is missing.
func (s *Scope) Int(name string) int64 {
	v := s.read(name, Number, false)
	if v == nil {
		return 0
	}
	n, err := strconv.ParseInt(v.Text, 10, 64)
	if err != nil {
		s.Errorf(v.Offset, name, "%s is not a whole number", clip(v.Text))
	}
	return n
}

// Uints reads a list of whole numbers, nil if it is missing or empty.
func (s *Scope) Uints(name string, r Range) []uint64 {
	list := s.list(name, Number, r.Required)
	if list == nil || len(list.Elems) == 0 {
		return nil
	}
	out := make([]uint64, 0, len(list.Elems))
	for i := range list.Elems {
		if v := &list.Elems[i]; v.Kind == Number {
			out = append(out, s.uint(v, name, r))
		}
	}
	return out
}

// Strings reads a list of strings, nil if it is missing or empty.
func (s *Scope) Strings(name string, required bool) []string {
	list := s.list(name, String, required)
	if list == nil || len(list.Elems) == 0 {
		return nil
	}
	out := make([]string, 0, len(list.Elems))
	for i := range list.Elems {
		if v := &list.Elems[i]; v.Kind == String {
			out = append(out, v.Text)
		}
	}
	return out
}

// Objects returns the elements of a list of objects, and the list itself (nil
// if it is missing).
func (s *Scope) Objects(name string, required bool) (objects []*Value, list *Value) {
	list = s.list(name, Object, required)
	if list == nil {
		return nil, nil
	}
	for i := range list.Elems {
		if v := &list.Elems[i]; v.Kind == Object {
			objects = append(objects, v)
		}
	}
	return objects, list
}

// list returns the named list after reporting elements of another type.
func (s *Scope) list(name string, want Kind, required bool) *Value {
	list := s.readList(name, Array, want, required)
	if list == nil {
		return nil
	}
	for i := range list.Elems {
		if v := &list.Elems[i]; v.Kind != want {
			s.Errorf(v.Offset, name, "every element must be %s, not %s%s", want, v.found(), v.rewritten(want))
		}
	}
	return list
}
