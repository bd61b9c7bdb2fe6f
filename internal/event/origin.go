package event

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// The end of a message of ours. What is found there is found without a look at
// the rest (decision D44 of docs/spec/correlation.md).
const (
	receivedMember = `,"rcvd_time":`
	numberMember   = `,"conn_id":`
	frontendMember = `,"frontend_id":"`
	messageEnd     = `"}`
)

const (
	// maxNode and maxStart are the lengths in bytes of the parts of an id.
	maxNode, maxStart = 64, 31
	// maxFrontendID is that of the longest one.
	maxFrontendID = maxNode + 1 + maxStart
	// maxDigits is the number of digits that no number of a message exceeds: all
	// numbers of so many digits fit into 64 bits.
	maxDigits = 19

	// OriginSize is the number of bytes by which AppendOrigin makes a message longer
	// at most.
	OriginSize = len(frontendMember) + maxFrontendID + len(`"`) + maxDigits - len(`0`)
)

// FrontendID returns the id of a run of a frontend: the name of its node and a
// text that differs from start to start. What would need escapes in JSON is
// replaced, and what is too long is cut off.
func FrontendID(node, start string) string {
	return plainASCII(node, maxNode) + "/" + plainASCII(start, maxStart)
}

// FrontendName returns the name of the node in the id of a frontend.
func FrontendName(id string) string {
	if at := strings.LastIndexByte(id, '/'); at > 0 {
		return id[:at]
	}
	return id
}

// IsFrontendID reports whether a text has the form of what FrontendID returns.
func IsFrontendID(id string) bool {
	return id != "" && len(id) <= maxFrontendID && id == plainASCII(id, maxFrontendID)
}

// plainASCII replaces the characters that an id must not have, and cuts the rest
// off behind the first most.
func plainASCII(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r > '~' || !isPlain(byte(r)) { //nolint:gosec // at most '~'
			return '_'
		}
		return r
	}, s)
	return s[:min(len(s), most)]
}

// isPlain reports whether a byte may be in the id of a frontend: whether it is
// ASCII that a JSON text shows as it is.
func isPlain(c byte) bool { return ' ' <= c && c <= '~' && c != '"' && c != '\\' }

// AppendOrigin appends a message of AppendMessage with another number for its
// conn_id and with the id of the frontend (see FrontendID) that publishes it as
// the message with this number. It is for whoever knows which message is the
// next one. A text of another form is appended as it is.
func AppendOrigin(dst, message []byte, frontend string, number uint64) []byte {
	rest, _ := bytes.CutSuffix(message, []byte("}"))
	for len(rest) > 0 && isDigit(rest[len(rest)-1]) {
		rest = rest[:len(rest)-1]
	}
	if !bytes.HasSuffix(rest, []byte(numberMember)) {
		return append(dst, message...)
	}
	dst = strconv.AppendUint(append(dst, rest...), number, 10)
	dst = append(dst, frontendMember...)
	dst = append(dst, frontend...)
	return append(dst, messageEnd...)
}

// ReadOrigin reads what AppendOrigin has written at the end of a message, and the
// rcvd_time in front of it, without a look at the rest. ok is false for the
// messages of other generations. The id is a part of data.
//
// Of a message that is a JSON object it says what a full look would: in front of
// the last brace there can only be the last members of the object itself,
// because a quote within a text is never without its backslash. Whether the
// message is an event, or JSON at all, is for Decode to say.
func ReadOrigin(data []byte) (id []byte, number uint64, receivedAt int64, ok bool) {
	rest, ended := bytes.CutSuffix(data, []byte(messageEnd))
	if !ended {
		return nil, 0, 0, false
	}
	from := plainFrom(rest)
	id = rest[from:]
	rest, named := bytes.CutSuffix(rest[:from], []byte(frontendMember))
	number, rest, numbered := lastMember(rest, numberMember)
	received, _, timed := lastMember(rest, receivedMember)
	if !named || len(id) == 0 || len(id) > maxFrontendID || !numbered || !timed || received > math.MaxInt64 {
		return nil, 0, 0, false
	}
	return id, number, int64(received), true
}

// backWord returns the eight bytes in front of an index, which is at least 8. The
// last one is lowest, so that what looks for a first byte in a word of the scanner
// finds the last one.
func backWord(data []byte, end int) uint64 { return binary.BigEndian.Uint64(data[end-8 : end]) }

// plainFrom returns the index from which on a text may be the id of a frontend, as
// far as it matters. It stops early where there is no room for the rest of a
// message.
func plainFrom(data []byte) int {
	from := len(data)
	for from >= 8 && len(data)-from <= maxFrontendID {
		x := backWord(data, from)
		if stop := special(x) | x&highBits; stop != 0 {
			return from - bits.TrailingZeros64(stop)/8
		}
		from -= 8
	}
	return from
}

// lastMember returns the number that a text ends in, and what is in front of the
// member, which begins with its comma. A number has maxDigits at most.
func lastMember(data []byte, member string) (n uint64, rest []byte, ok bool) {
	from, count, scale := len(data), 8, uint64(1)
	for count == 8 && from >= 8 && len(data)-from <= maxDigits {
		x := backWord(data, from)
		count = 8
		if stop := noDigit(x); stop != 0 {
			count = bits.TrailingZeros64(stop) / 8
		}
		n += scale * decimalBytes(x, count)
		from, scale = from-count, scale*1e8
	}
	rest, ok = bytes.CutSuffix(data[:from], []byte(member))
	digits := len(data) - from
	return n, rest, ok && digits > 0 && digits <= maxDigits
}

// decimalBytes returns the value of the last digits of a word, the last one of which
// is lowest.
func decimalBytes(x uint64, count int) uint64 {
	x = (x ^ eachByte*'0') & (1<<(8*count) - 1)
	x = x>>8&0x00ff00ff00ff00ff*10 + x&0x00ff00ff00ff00ff
	x = x>>16&0x0000ffff0000ffff*100 + x&0x0000ffff0000ffff
	return x>>32*10_000 + x&0xffffffff
}
