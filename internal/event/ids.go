package event

import (
	"crypto/sha256"
	"encoding/binary"
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
