package text

import "unicode/utf8"

// Clip returns the beginning of a text for people, of at most most bytes and not
// within a character, with "…" behind it if something is missing.
func Clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}
