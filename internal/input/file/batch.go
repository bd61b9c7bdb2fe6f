package file

import (
	"bytes"
	"fmt"

	"dsiem/internal/event"
	"dsiem/internal/input"
)

// Batch holds consecutive records in memory that it reuses. The zero value is
// an empty batch.
type Batch struct {
	data    []byte
	records []entry
	pending entry
	large   bool // the pending record is over the limit, its data is gone
}

// entry is a record whose data are still subject to moving with Batch.data.
type entry struct {
	start, end   int
	file         string
	line, number int
	column       int
	element      int
	rejection    *event.Rejection
}

// Len returns the number of records.
func (b *Batch) Len() int { return len(b.records) }

// Record returns the record number i, 0 <= i < Len().
func (b *Batch) Record(i int) input.Record {
	e := b.records[i]
	return input.Record{Data: b.data[e.start:e.end:e.end], File: e.file, Line: e.line, Number: e.number, Column: e.column, Element: e.element, Rejection: e.rejection}
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	b.data = b.data[:0]
	clear(b.records) // let go of names and rejections
	b.records = b.records[:0]
	b.large = false
}

// begin starts a record at a place; add, then commit or discard, follow.
func (b *Batch) begin(at entry) {
	b.pending = at
	b.pending.start = len(b.data)
	b.large = false
}

// add appends to the pending record as long as that is within the size limit,
// plus the carriage return that trim may take off again.
func (b *Batch) add(text []byte) {
	switch size := len(b.data) - b.pending.start + len(text); {
	case b.large:
	case size > event.MaxSize+1:
		b.large = true
		b.data = b.data[:b.pending.start]
	default:
		b.data = append(b.data, text...)
	}
}

func (b *Batch) discard() { b.data = b.data[:b.pending.start] }

// trim takes blanks off the end of the pending record.
func (b *Batch) trim() {
	text := bytes.TrimRight(b.data[b.pending.start:], blanks)
	b.data = b.data[:b.pending.start+len(text)]
}

func (b *Batch) commit() {
	if b.large || len(b.data)-b.pending.start > event.MaxSize {
		b.discard()
		b.pending.rejection = &event.Rejection{
			Reason: event.TooLarge,
			Detail: fmt.Sprintf("more than %d bytes", event.MaxSize),
		}
	}
	b.pending.end = len(b.data)
	b.records = append(b.records, b.pending)
}
