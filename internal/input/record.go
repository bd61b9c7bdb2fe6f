package input

import (
	"path/filepath"

	"dsiem/internal/event"
)

// Record is the text of one event and where it stands.
type Record struct {
	// Data is one JSON value without blanks around it, or the rest of a line on
	// which none can be read. It is valid until the next use of the batch it comes
	// from.
	Data []byte
	// File is the input's name as the user gave it, "stdin" for Stdin. Line is
	// the record's first line in it, counted from 1, and Number that of the record
	// among all records of the input, counted from 1.
	File         string
	Line, Number int
	// Column is its first byte on its line, counted from 1, and 0 if nothing but blanks
	// is before it there. Element is its number in its array, counted from 1, and 0 if it
	// is in none.
	Column, Element int
	// Rejection, unless nil, is why the reader itself rejects the record: it is too
	// large, and Data is empty then, or a list has no end.
	Rejection *event.Rejection
}

// ID returns the id of the record's event if it has none: the same each time the
// input is read (docs/spec/correlation.md D34).
func (r *Record) ID() string {
	return event.RecordID(filepath.Base(r.File), r.Number, r.Data)
}
