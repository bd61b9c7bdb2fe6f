package confdist

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// errNoEntry is the references' text for a file whose list is empty
// (docs/spec/interfaces.md §2.3).
var errNoEntry = errors.New("content doesn't have a valid entry")

// validJSON reads to the end and makes sure that there is exactly one JSON
// value. Keys that are given twice pass: who reads the file reports them with
// their place. what begins the error, as "the answer"; an error of the reader
// is returned as it is.
func validJSON(what string, r io.Reader) error {
	dec := jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true))
	if err := dec.SkipValue(); err != nil {
		return notJSON(what, err)
	}
	switch _, err := dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return notJSON(what, err)
	}
	return fmt.Errorf("%s is not valid JSON: something follows the end of the value", what)
}

func notJSON(what string, err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s is empty", what)
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("%s is not valid JSON: %w", what, unquoted(e))
	}
	return err
}

// unquoted returns a syntax error without the keys of the text that lead to its
// place: they may hold what is in no one's log.
func unquoted(e *jsontext.SyntacticError) error {
	return &jsontext.SyntacticError{ByteOffset: e.ByteOffset, Err: e.Err}
}

// checkJSON makes sure that the content of a file is one JSON value. The error
// says where it is not.
func checkJSON(name string, content []byte) error {
	err := validJSON("the content", bytes.NewReader(content))
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		line, column := position(content, syntax.ByteOffset)
		return fmt.Errorf("%s:%d:%d: not valid JSON: %w", name, line, column, syntax.Err)
	}
	return err
}

// position returns the line and the column of a byte, which begin at 1; the
// column counts characters.
func position(content []byte, offset int64) (line, column int) {
	before := content[:min(max(offset, 0), int64(len(content)))]
	line = 1 + bytes.Count(before, []byte{'\n'})
	return line, 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
}

// listKey returns the key of the list that a file must have according to its
// name; ok is false if any JSON will do (docs/spec/interfaces.md §2.3).
func listKey(name string) (key string, ok bool) {
	prefix, _, _ := strings.Cut(name, "_")
	switch prefix {
	case "assets", "directives":
		return prefix, true
	case "intel", "vuln":
		return prefix + "_sources", true
	}
	return "", false
}

// entries tells whether a list has any.
type entries int

const (
	unclear entries = iota // it is no list, or the content is not an object
	none
	some
)

// countEntries looks for a list in the object that a file holds. Its key may
// be in any case, as the original takes it; a key that is missing or null is an
// empty list.
func countEntries(content []byte, key string) entries {
	dec := jsontext.NewDecoder(bytes.NewBuffer(content), jsontext.AllowDuplicateNames(true))
	if token, err := dec.ReadToken(); err != nil || token.Kind() != '{' {
		return unclear
	}
	found := none
	for {
		name, err := dec.ReadToken()
		switch {
		case err != nil:
			return unclear
		case name.Kind() == '}':
			return found
		}
		// A token's text is gone after the next read.
		if wanted := strings.EqualFold(name.String(), key); wanted {
			found = countValue(dec)
		} else if dec.SkipValue() != nil {
			return unclear
		}
		if found != none {
			return found
		}
	}
}

// countValue reads a value until it is known whether it is a list with entries.
func countValue(dec *jsontext.Decoder) entries {
	token, err := dec.ReadToken()
	switch {
	case err != nil:
		return unclear
	case token.Kind() == 'n':
		return none
	case token.Kind() != '[':
		return unclear
	}
	if dec.PeekKind() != ']' {
		return some
	}
	if _, err := dec.ReadToken(); err != nil {
		return unclear
	}
	return none
}
