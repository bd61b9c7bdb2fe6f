package text

import (
	"fmt"
	"strings"
)

// Group writes a number with commas between groups of three digits.
func Group[T int | uint64](n T) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Count writes a number of things: "1 line", "2 lines".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if stem, ok := strings.CutSuffix(thing, "y"); ok && !strings.HasSuffix(stem, "a") { // entries, but days
		return Group(n) + " " + stem + "ies"
	}
	return Group(n) + " " + thing + "s"
}
