package bus

import (
	"regexp"
	"strings"
)

const masked = "xxxxx"

// scheme is what begins a server in a list.
var scheme = regexp.MustCompile(`(?:^|,)\s*[A-Za-z][A-Za-z0-9+.-]*://`)

// Redact returns a URL, or a list of URLs separated by commas, without user
// names, passwords, tokens and queries, for logs (spec/interfaces.md §6.3). It
// works on malformed text too, where it rather hides too much: a password with
// a comma or an at sign in it does not show.
func Redact(list string) string {
	var b strings.Builder
	starts := scheme.FindAllStringIndex(list, -1)
	if len(starts) == 0 || starts[0][0] > 0 {
		starts = append([][]int{{0, 0}}, starts...)
	}
	for i, start := range starts {
		end := len(list)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		b.WriteString(list[start[0]:start[1]])
		b.WriteString(redactServer(list[start[1]:end]))
	}
	return b.String()
}

// redactServer redacts what follows a scheme.
func redactServer(server string) string {
	if at := strings.LastIndexByte(server, '@'); at >= 0 {
		server = masked + server[at:]
	}
	if query := strings.IndexAny(server, "?#"); query >= 0 {
		server = server[:query+1] + masked
	}
	return server
}
