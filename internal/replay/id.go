package replay

import (
	"crypto/sha256"
	"encoding/binary"
)

// recordID returns the id of a record that has none: the same for the same record,
// so that an input given twice is the same events (D34). base is the input's name
// without directories, number that of the record in it, all records counted from 1.
func recordID(base string, number int, record []byte) string {
	h := sha256.New()
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(base))))
	h.Write([]byte(base))
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(number))) //nolint:gosec // not negative
	h.Write(record)
	sum := h.Sum(nil)

	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	const half = 8 // 62^8 is less than 2^64
	var id [2 * half]byte
	for i := range 2 {
		n := binary.LittleEndian.Uint64(sum[i*half:])
		for at := (i+1)*half - 1; at >= i*half; at-- {
			id[at] = digits[n%uint64(len(digits))]
			n /= uint64(len(digits))
		}
	}
	return string(id[:])
}
