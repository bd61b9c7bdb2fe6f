package event

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// wholeNumber is what a text says in the place of a number.
type wholeNumber struct {
	n        uint64
	negative bool // n is not 0 then
	// reason is BadType for what is no number, and OutOfRange for one with a
	// fraction or of more than 64 bits.
	reason Reason
}

// signed returns the number as one with sign, 0 if it is none of 64 bits.
func (x wholeNumber) signed() int64 {
	switch {
	case x.reason != Accepted:
		return 0
	case !x.negative && x.n <= math.MaxInt64:
		return int64(x.n)
	case x.negative && x.n <= 1<<63:
		return int64(-x.n) //nolint:gosec // two's complement
	}
	return 0
}

// anyNumber reads a JSON value as a number (docs/spec/correlation.md D39): a number
// of whole value in any notation, a string of digits, "" as 0. plainNumber reads
// what nearly all send.
func anyNumber(raw []byte) wholeNumber {
	switch c := raw[0]; {
	case c == '"':
		return quotedDigits(raw[1 : len(raw)-1])
	case c == '-' || isDigit(c):
		return notation(raw)
	}
	return wholeNumber{reason: BadType}
}

// quotedDigits reads what stands between the quotes of a string.
func quotedDigits(quoted []byte) wholeNumber {
	if bytes.IndexByte(quoted, '\\') >= 0 {
		var text strings.Builder
		unescape(&text, quoted)
		quoted = []byte(text.String())
	}
	if digits(quoted, 0) < len(quoted) {
		return wholeNumber{reason: BadType}
	}
	return decimal(quoted, len(quoted))
}

// notation reads a JSON number.
func notation(raw []byte) wholeNumber {
	negative := raw[0] == '-'
	if negative {
		raw = raw[1:]
	}
	exponent := 0
	if at := bytes.IndexAny(raw, "eE"); at >= 0 {
		exponent = clampedExponent(string(raw[at+1:]))
		raw = raw[:at]
	}
	whole, fraction, _ := bytes.Cut(raw, []byte{'.'})
	x := decimal(append(bytes.Clone(whole), fraction...), len(whole)+exponent)
	x.negative = negative && x.n != 0
	return x
}

// clampedExponent reads an exponent. One that no text can make up for stays so.
func clampedExponent(text string) int {
	const tooMuch = 1 << 30
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err == nil:
		return int(min(max(n, -tooMuch), tooMuch))
	case text[0] == '-':
		return -tooMuch
	}
	return tooMuch
}

// decimal returns the number with these digits and the decimal point behind so many
// of them.
func decimal(digits []byte, point int) wholeNumber {
	const most = 20 // digits of 64 bits
	significant := bytes.TrimLeft(digits, "0")
	point -= len(digits) - len(significant)
	significant = bytes.TrimRight(significant, "0")
	switch {
	case len(significant) == 0:
		return wholeNumber{}
	case len(significant) > point || point > most:
		return wholeNumber{reason: OutOfRange}
	}
	text := string(significant) + strings.Repeat("0", point-len(significant))
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return wholeNumber{reason: OutOfRange}
	}
	return wholeNumber{n: n}
}
