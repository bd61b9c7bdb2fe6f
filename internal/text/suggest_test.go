package text_test

import (
	"strings"
	"testing"

	"dsiem/internal/text"
)

func TestSuggest(t *testing.T) {
	t.Parallel()
	known := []string{"mode", "node", "frontend", "status", "token_sha256", "url", "fro", "Grün", strings.Repeat("l", 81)}
	for word, want := range map[string]string{
		"nod":                   "node",
		"noode":                 "node",
		"node":                  "node",
		"NODE":                  "node",
		"xode":                  "mode", // the first of two that are as near
		"fronted":               "frontend",
		"ulr":                   "url",
		"grun":                  "Grün",
		"token":                 "token_sha256", // it goes on
		"fron":                  "frontend",     // as near as "fro", and before it
		"to":                    "",             // too short to begin a name
		"statistics":            "",
		"x":                     "",
		"":                      "",
		strings.Repeat("l", 80): strings.Repeat("l", 81),
		strings.Repeat("l", 81): "",
	} {
		if got := text.Suggest(word, known); got != want {
			t.Errorf("nearest to %q: %q, want %q", word, got, want)
		}
	}
	if got := text.Suggest("name", nil); got != "" {
		t.Errorf("of no names: %q", got)
	}
}
