package event

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
)

// idLength is the number of letters and digits of an id that a node gives.
const idLength = 16

// alphanumeric are what an id that a node gives is made of.
const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// RecordID returns the id of a record of a replayed input that has none: the same
// for the same record, so that an input given twice is the same events
// (docs/spec/correlation.md D34). base is the input's name without directories,
// number that of the record in it, of all records counted from 1.
func RecordID(base string, number int, record []byte) string {
	h := sha256.New()
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(base))))
	h.Write([]byte(base))
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(number))) //nolint:gosec // not negative
	h.Write(record)
	return hashedID(h.Sum(nil))
}

// hashedID returns an id made of a hash.
func hashedID(sum []byte) string {
	var id [idLength]byte
	const half = idLength / 2 // 62^8 is less than 2^64
	appendDigits(id[:half], binary.LittleEndian.Uint64(sum))
	appendDigits(id[half:], binary.LittleEndian.Uint64(sum[8:]))
	return string(id[:])
}

// appendDigits writes the lowest digits of a number to the base of 62.
func appendDigits(to []byte, n uint64) {
	for i := len(to) - 1; i >= 0; i-- {
		to[i] = alphanumeric[n%uint64(len(alphanumeric))]
		n /= uint64(len(alphanumeric))
	}
}

// IDs gives ids to events that came to a node without (docs/spec/correlation.md
// D34). Its methods may be called from any goroutine.
type IDs struct {
	start [idLength / 2]byte
	last  atomic.Uint64
}

// NewIDs returns ids of one run of a node. start is what tells it from all other
// runs of all nodes, a random number for example.
func NewIDs(start uint64) *IDs {
	s := new(IDs)
	appendDigits(s.start[:], start)
	return s
}

// Next returns an id that no other event has.
func (s *IDs) Next() string {
	var id [idLength]byte
	copy(id[:], s.start[:])
	appendDigits(id[idLength/2:], s.last.Add(1))
	return string(id[:])
}

// OfMessage returns an id for an event that came as a message of a frontend which
// gives none. A message with the number that the frontend gave, connID, is told from
// others by its text, and has the same id when it is delivered again or to another
// backend; one without has the next id.
func (s *IDs) OfMessage(text []byte, connID uint64) string {
	if connID == 0 {
		return s.Next()
	}
	sum := sha256.Sum256(text)
	return hashedID(sum[:])
}
