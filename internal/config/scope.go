package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
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
func (s *Scope) Warnf(offset int, field, format string, args ...any) {
	s.Report.Add(s.File.Problem(Warning, offset, s.where(field), fmt.Sprintf(format, args...)))
}

// Keys reports members that are not in known as warnings that suggest the
// nearest known key.
func (s *Scope) Keys(known []string) {
	for i := range s.Object.Members {
		m := &s.Object.Members[i]
		if !slices.Contains(known, m.Name) {
			s.Warnf(m.Offset, "", "unknown key %q is ignored%s", m.Name, suggestion(m.Name, known))
		}
	}
}

// suggestion returns "; did you mean …?" when a known key is near to name.
func suggestion(name string, known []string) string {
	best, nearest := 1+len(name)/3, ""
	for _, k := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), k); d <= best && (d < best || nearest == "") {
			best, nearest = d, k
		}
	}
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", nearest)
}

// member returns the named member if it has the wanted type, or nil after
// reporting that it is missing or of another type.
func (s *Scope) member(name string, want Kind, required bool) *Value {
	v := s.Object.Get(name)
	switch {
	case v == nil && required:
		s.Errorf(s.Object.Offset, name, "the key is missing; %s is required", want)
		return nil
	case v == nil:
		return nil
	case v.Kind != want:
		got := v.Kind.String()
		if v.Kind == Bool {
			got = v.Text
		}
		s.Errorf(v.Offset, name, "%s is required, not %s", want, got)
		return nil
	}
	return v
}

// String reads a string. A missing one gives fallback, and is an error if
// required.
func (s *Scope) String(name string, required bool, fallback string) string {
	if v := s.member(name, String, required); v != nil {
		return v.Text
	}
	return fallback
}

// NonEmpty reads a required string that must not be empty.
func (s *Scope) NonEmpty(name string) string {
	v := s.member(name, String, true)
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
	v := s.member(name, Bool, false)
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
	v := s.member(name, Number, r.Required)
	if v == nil {
		return 0
	}
	return s.uint(v, name, r)
}

func (s *Scope) uint(v *Value, name string, r Range) uint64 {
	n, err := strconv.ParseUint(v.Text, 10, 64)
	if err != nil || (n < r.Min || n > r.Max) && !s.Lax {
		s.Errorf(v.Offset, name, "%s is not a whole number from %d to %d", v.Text, r.Min, r.Max)
		return 0
	}
	return n
}

// Int reads an optional whole number that may be negative, 0 if it is missing.
func (s *Scope) Int(name string) int64 {
	v := s.member(name, Number, false)
	if v == nil {
		return 0
	}
	n, err := strconv.ParseInt(v.Text, 10, 64)
	if err != nil {
		s.Errorf(v.Offset, name, "%s is not a whole number", v.Text)
	}
	return n
}

// Uints reads a list of whole numbers, nil if it is missing.
func (s *Scope) Uints(name string, r Range) []uint64 {
	var out []uint64
	s.each(name, Number, r.Required, func(v *Value) {
		out = append(out, s.uint(v, name, r))
	})
	return out
}

// Strings reads a list of strings, nil if it is missing.
func (s *Scope) Strings(name string, required bool) []string {
	var out []string
	s.each(name, String, required, func(v *Value) { out = append(out, v.Text) })
	return out
}

func (s *Scope) each(name string, want Kind, required bool, fn func(*Value)) *Value {
	list := s.member(name, Array, required)
	if list == nil {
		return nil
	}
	for i := range list.Elems {
		if v := &list.Elems[i]; v.Kind == want {
			fn(v)
		} else {
			s.Errorf(v.Offset, name, "every element must be %s, not %s", want, v.Kind)
		}
	}
	return list
}

// Objects returns the elements of a list of objects, and the list itself (nil
// if it is missing).
func (s *Scope) Objects(name string, required bool) (objects []*Value, list *Value) {
	list = s.each(name, Object, required, func(v *Value) { objects = append(objects, v) })
	return objects, list
}
