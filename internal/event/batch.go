package event

import (
	"bytes"
	"unsafe"
)

// The memory of a batch of texts.
const (
	// textBlock is the size in bytes of the block that the texts of a batch are
	// copied into.
	textBlock = 512 << 10
	// keptEvents is the number of decoded events that an empty batch keeps room
	// for, and keptTexts that of texts.
	keptEvents, keptTexts = 4096, 4096
)

// Batch is consecutive events on their way through a node, in one of two forms:
// as texts, as NATS brings them, or decoded, as an intake hands them on. It has one
// owner at a time.
type Batch struct {
	// Texts are messages (see AppendMessage), which nobody has checked. They lie in
	// the memory of the batch.
	Texts [][]byte
	// Events are valid events, Carriers their trace contexts, one each or none at
	// all.
	Events   []Event
	Carriers []Carrier
	// Arrived is when the first of Texts came, in UNIX nanoseconds: the arrival of
	// events that do not say when a frontend got them.
	Arrived int64
	// Size is the length in bytes of the texts, or of those that Events were
	// decoded from.
	Size int

	block  []byte   // has Texts
	single [1]Event // room for the only event of most requests
	free   func(*Batch)
}

// NewBatch returns an empty batch. free, if not nil, gets the emptied batch when
// it is released.
func NewBatch(free func(*Batch)) *Batch {
	b := &Batch{free: free}
	b.Events = b.single[:0]
	return b
}

// Len returns the number of events.
func (b *Batch) Len() int { return len(b.Texts) + len(b.Events) }

// TextBytes is what a text takes in a batch beside its bytes.
const TextBytes = int(unsafe.Sizeof([]byte{}))

// Bytes returns what the events take in memory, but for room that is not used.
func (b *Batch) Bytes() int {
	return b.Size + len(b.Texts)*TextBytes + len(b.Events)*int(unsafe.Sizeof(Event{})) + len(b.Carriers)*int(unsafe.Sizeof(Carrier{}))
}

// AddText copies a text behind the others, and reports whether there was room
// for it. An empty batch has room for any, a batch of decoded events for none.
func (b *Batch) AddText(text []byte) bool {
	switch {
	case len(b.Events) > 0:
		return false
	case len(b.Texts) == 0 && cap(b.block) < len(text):
		b.block = make([]byte, 0, max(textBlock, len(text)))
	case cap(b.block)-len(b.block) < len(text):
		return false
	}
	from := len(b.block)
	b.block = append(b.block, text...)
	end := len(b.block)
	b.Texts = append(b.Texts, b.block[from:end:end])
	b.Size += len(text)
	return true
}

// Carrier returns the trace context of event i, the zero Carrier if there is
// none.
func (b *Batch) Carrier(i int) Carrier {
	switch {
	case len(b.Texts) > 0:
		return ReadCarrier(b.Texts[i])
	case len(b.Carriers) > 0:
		return b.Carriers[i]
	}
	return Carrier{}
}

// AppendMessage appends event i as a message of one line, without the line
// break. A text that is no event stays what it is, but for its line breaks.
func (b *Batch) AppendMessage(dst []byte, i int) []byte {
	if len(b.Texts) == 0 {
		return AppendMessage(dst, &b.Events[i], b.Carrier(i))
	}
	from := len(dst)
	dst = append(dst, b.Texts[i]...)
	for line := dst[from:]; ; { // a message may have line breaks between its members
		at := bytes.IndexByte(line, '\n')
		if at < 0 {
			return dst
		}
		line[at] = ' '
		line = line[at+1:]
	}
}

// Skip takes the first n events out of the batch.
func (b *Batch) Skip(n int) {
	if len(b.Texts) > 0 {
		b.Texts = b.Texts[n:]
		return
	}
	b.Events = b.Events[n:]
	if len(b.Carriers) > 0 {
		b.Carriers = b.Carriers[n:]
	}
}

// Release empties the batch and gives its memory back. The owner calls it once,
// when nothing of the batch is in use but copies of events.
func (b *Batch) Release() {
	clear(b.Texts) // let go of a block that does not stay
	clear(b.Events)
	clear(b.Carriers)
	clear(b.single[:])
	b.Texts, b.Events, b.Carriers, b.Size = b.Texts[:0], b.Events[:0], b.Carriers[:0], 0
	b.Arrived = 0
	if cap(b.Events) == 0 || cap(b.Events) > keptEvents {
		b.Events, b.Carriers = b.single[:0], nil
	}
	if cap(b.Texts) > keptTexts {
		b.Texts = nil
	}
	if b.block = b.block[:0]; cap(b.block) > textBlock {
		b.block = nil
	}
	if b.free != nil {
		b.free(b)
	}
}
