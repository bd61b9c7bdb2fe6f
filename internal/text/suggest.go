package text

import (
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

const (
	// longestWord is the longest text in bytes that is taken for a misspelt
	// name; a longer one would take time.
	longestWord = 80
	// shortestStart is the shortest text in bytes that is taken for the
	// beginning of a name.
	shortestStart = 3
)

// Suggest returns the name that somebody probably meant who wrote word, or "" if
// none is near: the one that differs in the fewest letters, the first of several.
// It may differ in a third of the letters of word and one more, or go on where
// word ends. Capital letters count as small ones.
func Suggest(word string, known []string) string {
	if len(word) > longestWord {
		return ""
	}
	word = strings.ToLower(word)
	nearest, least := "", 2+utf8.RuneCountInString(word)/3
	for _, name := range known {
		lower := strings.ToLower(name)
		d := levenshtein.ComputeDistance(word, lower)
		if len(word) >= shortestStart && strings.HasPrefix(lower, word) {
			d = min(d, 1)
		}
		if d < least {
			nearest, least = name, d
		}
	}
	return nearest
}
