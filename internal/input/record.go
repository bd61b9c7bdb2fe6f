package input

import (
	"dsiem/internal/event"
)

// Record is the text of one event and where it stands.
type Record struct {
	// Data is one line or one array element, without blanks around it in the
	// latter case. It is not checked in any way, and is valid until the next
	// use of the batch it comes from.
	Data []byte
	// File is the input's name as the user gave it, "stdin" for Stdin. Line is
	// the record's first line in it, counted from 1.
	File string
	Line int
	// Rejection, unless nil, is why the reader itself rejects the record
	// (event.TooLarge). Data is empty then.
	Rejection *event.Rejection
}
