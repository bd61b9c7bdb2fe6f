package event

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// The scanner finds the members of an event in its JSON text, in a tenth of the
// time that a tokenizer takes (docs/performance.md compares it with others). It
// takes every text that ReadMembers takes, with the same values (FuzzScan), but
// for a few unusual ones that it leaves to it: keys with escapes, and values
// nested deeper than scanDepth. Of a text that it does not take it says nothing.
//
// It reads eight bytes at a time, and its inner loops are written so that the
// compiler can leave out the checks of indexes.
//
// Its functions go over one thing from an index on and return the index behind
// it. Where there is no such thing they return the length of the text: within an
// object that is as good as a text that is cut off.

// scanDepth is the deepest nesting of a value that is ignored.
const scanDepth = 64

// scan finds the members, and reports whether the text is one that it takes.
// If not, members may be found at random.
func (m *members) scan(data []byte) bool {
	if len(data) > MaxSize {
		return false
	}
	m.data = data
	i := next(data, 0)
	if !is(data, i, '{') {
		return false
	}
	i = next(data, i+1)
	if is(data, i, '}') {
		return next(data, i+1) == len(data)
	}
	for is(data, i, '"') {
		f, from := key(data, i+1)
		var to int
		var escaped bool
		if is(data, from, '"') {
			to, escaped = text(data, from+1)
		} else {
			to = value(data, from, 0)
		}
		if f < fieldCount && !m.found(f, from, to, escaped) {
			return false
		}
		i = next(data, to)
		if !is(data, i, ',') {
			return is(data, i, '}') && next(data, i+1) == len(data)
		}
		i = next(data, i+1)
	}
	return false
}

// found notes the place of a member. It reports false if it has one already.
func (m *members) found(f field, from, to int, escaped bool) bool {
	bit := uint32(1) << (f & 31)
	if m.has&bit != 0 {
		return false
	}
	m.has |= bit
	if escaped {
		m.escaped |= bit
	}
	m.at[f] = span{int32(from), int32(to)} //nolint:gosec // at most MaxSize
	return true
}

// is reports whether the byte c is at an index.
func is(data []byte, i int, c byte) bool { return uint(i) < uint(len(data)) && data[i] == c }

// next goes over blanks to the index of what comes next.
func next(data []byte, i int) int {
	if uint(i) < uint(len(data)) && data[i] <= ' ' {
		return blanks(data, i)
	}
	return i
}

func blanks(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\n' || data[i] == '\r') {
		i++
	}
	return i
}

// value goes over a value at a depth.
func value(data []byte, i, depth int) int {
	if uint(i) >= uint(len(data)) {
		return len(data)
	}
	switch c := data[i]; c {
	case '"':
		end, _ := text(data, i+1)
		return end
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return number(data, i)
	case '{', '[':
		if depth == scanDepth {
			return len(data)
		}
		return nested(data, i, depth+1)
	case 'n':
		return literal(data, i, "null")
	case 't':
		return literal(data, i, "true")
	case 'f':
		return literal(data, i, "false")
	}
	return len(data)
}

// nested goes over an array, or an object whose keys do not matter.
func nested(data []byte, i, depth int) int {
	open := data[i]
	end := open + 2 // of [ and ], of { and }
	i = next(data, i+1)
	if is(data, i, end) {
		return i + 1
	}
	for {
		if open == '{' {
			if !is(data, i, '"') {
				return len(data)
			}
			i, _ = text(data, i+1)
			i = next(data, i)
			if !is(data, i, ':') {
				return len(data)
			}
			i = next(data, i+1)
		}
		i = value(data, i, depth)
		i = next(data, i)
		if !is(data, i, ',') {
			break
		}
		i = next(data, i+1)
	}
	if is(data, i, end) {
		return i + 1
	}
	return len(data)
}

func literal(data []byte, i int, want string) int {
	if len(data)-i < len(want) || string(data[i:i+len(want)]) != want {
		return len(data)
	}
	return i + len(want)
}

// number goes over a number: -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func number(data []byte, i int) int {
	if data[i] == '-' {
		i++
	}
	from := i
	i = digits(data, i)
	if i == from || i > from+1 && data[from] == '0' {
		return len(data)
	}
	if uint(i) >= uint(len(data)) || data[i] != '.' && data[i]|0x20 != 'e' {
		return i
	}
	if data[i] == '.' {
		from = i + 1
		if i = digits(data, from); i == from {
			return len(data)
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		from = i + 1
		if is(data, from, '+') || is(data, from, '-') {
			from++
		}
		if i = digits(data, from); i == from {
			return len(data)
		}
	}
	return i
}

func digits(data []byte, i int) int {
	for i >= 0 && i <= len(data)-8 {
		if stop := noDigit(binary.LittleEndian.Uint64(data[i:])); stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
		i += 8
	}
	for i < len(data) && isDigit(data[i]) {
		i++
	}
	return i
}

// Eight bytes at a time, the first one lowest.
const (
	eachByte = 0x0101010101010101
	highBits = 0x8080808080808080
)

// word returns the eight bytes from an index on. Those behind the end are 0.
func word(data []byte, i int) (x uint64) {
	if i >= 0 && i <= len(data)-8 {
		return binary.LittleEndian.Uint64(data[i:])
	}
	for j := len(data) - 1; j >= i; j-- {
		x = x<<8 | uint64(data[j])
	}
	return x
}

// special returns the high bit of the first byte that a string cannot have as
// it is: a quote, a backslash or a control character. Bits above it are random.
func special(x uint64) uint64 {
	// With the bit flipped in which a quote and a blank differ, a quote and the
	// control characters are those below '!'. A byte from 0x80 on is never special.
	const flip = eachByte * ('"' ^ ' ')
	slash := x ^ eachByte*'\\'
	return ((x ^ flip - eachByte*'!') | (slash - eachByte)) &^ x & highBits
}

// noDigit returns the high bit of the first byte that is no digit. Bits above it
// are random: they may have a carry from it.
func noDigit(x uint64) uint64 {
	return (x ^ eachByte*'0' + eachByte*(0x80-10) | x) & highBits
}

// text goes over a string from behind its opening quote, and reports whether it
// has escapes.
func text(data []byte, i int) (end int, escaped bool) {
	from := i
	var wide uint64
	for i >= 0 && i <= len(data)-8 {
		x := binary.LittleEndian.Uint64(data[i:])
		wide |= x
		stop := special(x)
		if stop == 0 {
			i += 8
			continue
		}
		bit := bits.TrailingZeros64(stop) &^ 7
		i += bit / 8
		if x>>bit&0xff == '"' && wide&highBits == 0 {
			return i + 1, false
		}
		break
	}
	return anyText(data, from, i, wide)
}

// anyText is text for a string that begins at from and from i on may have
// escapes, or be near the end of the data. In wide are the bytes before i.
func anyText(data []byte, from, i int, wide uint64) (end int, escaped bool) {
	for i < len(data) {
		x := word(data, i)
		wide |= x
		stop := special(x)
		if stop == 0 {
			i += 8
			continue
		}
		bit := bits.TrailingZeros64(stop) &^ 7
		i += bit / 8
		switch x >> bit & 0xff {
		case '"':
			if wide&highBits != 0 && !utf8.Valid(data[from:i]) {
				return len(data), false
			}
			return i + 1, escaped
		case '\\':
			_, size := escape(data[i+1:])
			if size == 0 {
				return len(data), false
			}
			escaped = true
			i += 1 + size
		default:
			return len(data), false
		}
	}
	return len(data), false
}

// escape reads what follows a backslash. The size is 0 if it is no escape.
func escape(data []byte) (r rune, size int) {
	if len(data) == 0 {
		return 0, 0
	}
	switch c := data[0]; c {
	case '"', '\\', '/':
		return rune(c), 1
	case 'b':
		return '\b', 1
	case 'f':
		return '\f', 1
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'u':
		if r, size = codePoint(data[1:]); size > 0 {
			return r, size + 1
		}
	}
	return 0, 0
}

// codePoint reads what follows \u: four hexadecimal digits, or a pair of
// surrogates. The size is 0 if it is neither, as for a lone surrogate.
func codePoint(data []byte) (r rune, size int) {
	r = hexadecimal(data)
	if r < 0 {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 4
	}
	const pair = len(`d83d\ude00`)
	if len(data) < pair || data[4] != '\\' || data[5] != 'u' {
		return 0, 0
	}
	r = utf16.DecodeRune(r, hexadecimal(data[6:]))
	if r == utf8.RuneError {
		return 0, 0
	}
	return r, pair
}

// hexadecimal reads four digits; the value is negative if there are not so many.
func hexadecimal(data []byte) rune {
	if len(data) < 4 {
		return -1
	}
	return hexDigits[data[0]]<<12 | hexDigits[data[1]]<<8 | hexDigits[data[2]]<<4 | hexDigits[data[3]]
}

// hexDigits holds the value of each hexadecimal digit, and -1 for other bytes.
var hexDigits = hexTable() //nolint:gochecknoglobals // a table

func hexTable() (table [256]rune) {
	for c := range table {
		table[c] = -1
	}
	for n, c := range "0123456789abcdef" {
		table[c], table[unicode.ToUpper(c)] = rune(n), rune(n) //nolint:gosec // one digit
	}
	return table
}

// unescape writes what stands between the quotes of a string that text has gone
// over, without escapes.
func unescape(to *strings.Builder, quoted []byte) {
	const step = 8 + utf8.UTFMax // bytes that are written at once, and then an escape's
	var chunk [256]byte
	n := 0
	for i := 0; i < len(quoted); {
		if n > len(chunk)-step {
			to.Write(chunk[:n])
			n = 0
		}
		x := word(quoted, i)
		binary.LittleEndian.PutUint64(chunk[n:], x)
		slash := x ^ eachByte*'\\'
		plain := bits.TrailingZeros64((slash-eachByte)&^slash&highBits) / 8 // 8 if there is none
		plain = min(plain, len(quoted)-i)
		n, i = n+plain, i+plain
		if plain < 8 && i < len(quoted) {
			r, size := escape(quoted[i+1:])
			n += utf8.EncodeRune(chunk[n:], r)
			i += 1 + size
		}
	}
	to.Write(chunk[:n])
}

// knownKey is a known key with its closing quote and colon, in two words. One
// without length is in a place without key; every text fits it.
type knownKey struct {
	text, mask [2]uint64
	length     int
	field      field
}

// key goes over a key, from behind its opening quote, and the colon up to a
// value. It returns which key it is, fieldCount for one that is to be ignored.
// It knows a key by its text as nearly all write it, without looking for its end.
func key(data []byte, i int) (f field, end int) {
	if i < 0 || i > len(data)-16 {
		return anyKey(data, i)
	}
	first, second := binary.LittleEndian.Uint64(data[i:]), binary.LittleEndian.Uint64(data[i+8:])
	place := keyPlace(first)
	k := &knownKeys[place]
	for first&k.mask[0] != k.text[0] || second&k.mask[1] != k.text[1] {
		place = (place + 1) & (keyPlaces - 1)
		k = &knownKeys[place]
	}
	if k.length > 0 {
		return k.field, next(data, behind(i, k.length))
	}
	return anyKey(data, i)
}

// behind is i + length for the length of a known key. The processor guesses
// where a jump goes, but it would have to wait for a length out of the table: so
// it looks at the value while it still checks the key, which saves an eighth of
// the time that an event takes.
func behind(i, length int) int {
	switch length {
	case 7:
		return i + 7
	case 8:
		return i + 8
	case 9:
		return i + 9
	case 10:
		return i + 10
	case 11:
		return i + 11
	case 12:
		return i + 12
	case 13:
		return i + 13
	case 14:
		return i + 14
	}
	return i + length
}

// anyKey is key for one that is unknown, is followed by a blank or is near the
// end of the data.
func anyKey(data []byte, i int) (f field, end int) {
	end, escaped := text(data, i)
	if escaped || end == len(data) { // it may be a known key
		return fieldCount, len(data)
	}
	f = fieldCount
	if j := fieldIndex(data[i : end-1]); j >= 0 {
		f = field(j) //nolint:gosec // less than fieldCount
	}
	if end = next(data, end); !is(data, end, ':') {
		return f, len(data)
	}
	return f, next(data, end+1)
}

const keyPlaces = 64

// keyPlace returns where to look first for a key that starts with a word. Only
// its first six bytes count: a known key, with its quote, has so many. The factor
// is one that gives each start of a known key a place, and room behind it for the
// others with this start.
func keyPlace(first uint64) int {
	const spread = 0x22791
	return int(first << 16 * spread >> 58)
}

var knownKeys = placeKeys() //nolint:gochecknoglobals // a table

// placeKeys makes a hash table with open addressing.
func placeKeys() (table [keyPlaces]knownKey) {
	for f := range fieldCount {
		text := f.String() + `":`
		k := knownKey{field: f, length: len(text)}
		for i := range text {
			k.text[i/8] |= uint64(text[i]) << (i % 8 * 8)
			k.mask[i/8] |= 0xff << (i % 8 * 8)
		}
		place := keyPlace(k.text[0])
		for table[place].length > 0 {
			place = (place + 1) % keyPlaces
		}
		table[place] = k
	}
	return table
}
