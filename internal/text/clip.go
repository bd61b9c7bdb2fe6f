package text

import "unicode/utf8"

// mark stands where the rest of a text is left out.
const mark = "…"

// Clip returns a text, or its first bytes, at most most, and "…". No character
// is cut in two.
func Clip[T ~string | ~[]byte](s T, most int) string {
	start := Start(s, most)
	if len(start) < len(s) {
		start += mark
	}
	return start
}

// ClipRunes is Clip, but most is a number of characters. Each byte that is no
// UTF-8 is one.
func ClipRunes[T ~string | ~[]byte](s T, most int) string {
	if len(s) <= most {
		return string(s)
	}
	// No more than these bytes have to be looked at.
	start := string(s[:min(len(s), most*utf8.UTFMax)])
	for at := range start {
		if most == 0 {
			return start[:at] + mark
		}
		most--
	}
	if len(start) < len(s) {
		start += mark
	}
	return start
}

// Start returns the first bytes of a text, at most most, without a mark. No
// character is cut in two.
func Start[T ~string | ~[]byte](s T, most int) string {
	if len(s) <= most {
		return string(s)
	}
	end := most
	for end > max(0, most-utf8.UTFMax) && !utf8.RuneStart(s[end]) {
		end--
	}
	return string(s[:end])
}
