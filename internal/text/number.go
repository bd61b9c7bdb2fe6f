package text

import (
	"math/big"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
)

// Group writes a number with commas between groups of three digits.
func Group[T int | uint64](n T) string {
	if n > 0 { // a uint64 may be too large for humanize.Comma
		return humanize.BigComma(new(big.Int).SetUint64(uint64(n)))
	}
	return humanize.Comma(int64(n))
}

// Count writes a number of things: "1 line", "2 lines".
func Count(n int, thing string) string { return english.Plural(n, thing, "") }
