package log

import (
	"regexp"
	"slices"
	"strings"
)

// Mask stands where a secret would.
const Mask = "***"

var (
	// inList finds where the addresses of a list begin.
	inList = regexp.MustCompile(`(?:^|,)\s*[A-Za-z][A-Za-z0-9+.-]*://`)
	// inSentence finds where the address of a sentence begins.
	inSentence = regexp.MustCompile(`\s[A-Za-z][A-Za-z0-9+.-]*://`)
)

// Redact returns an address, a list of addresses with commas in between, or a
// sentence with one in it, without user names, passwords, tokens and queries
// (docs/spec/interfaces.md §6.3: never print URLs with credentials). When in doubt it
// hides too much: a password with "/", ",", "@" or a blank in it does not show.
func Redact(addresses string) string {
	starts := inList.FindAllStringIndex(addresses, -1)
	words := addresses // before the first address
	if len(starts) > 0 {
		words = addresses[:starts[0][0]]
	}
	if at := inSentence.FindStringIndex(words); at != nil {
		starts = slices.Insert(starts, 0, at)
	}
	var b strings.Builder
	end := 0
	for _, at := range starts {
		b.WriteString(redacted(addresses[end:at[0]]))
		b.WriteString(addresses[at[0]:at[1]])
		end = at[1]
	}
	b.WriteString(redacted(addresses[end:]))
	return b.String()
}

// redacted redacts what stands before, between or after the schemes.
func redacted(part string) string {
	if at := strings.LastIndexByte(part, '@'); at >= 0 {
		part = Mask + part[at:]
	}
	if query := strings.IndexAny(part, "?#"); query >= 0 {
		part = part[:query+1] + Mask
	}
	return part
}
