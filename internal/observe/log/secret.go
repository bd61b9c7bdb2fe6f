package log

import (
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
)

// hidden stands where a secret would.
const hidden = "***"

// Secret is a text that is shown nowhere: log lines, formatted text, JSON and
// flags have *** in its place, or nothing if it is empty. string(s) is the
// text. (A Secret in an unexported field of a struct that is formatted with fmt
// is out of its reach.)
type Secret string

// String returns *** or, for an empty secret, "".
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// LogValue makes log lines show String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Format makes every verb of fmt show String.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText makes encoders show String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// scheme finds where the addresses of a list or a sentence begin.
var scheme = regexp.MustCompile(`(?:^|[,\s])[A-Za-z][A-Za-z0-9+.-]*://`)

// WithoutCredentials returns an address, or a list of addresses with commas in
// between, with *** in place of what stands before an "@". When in doubt it
// hides more: a password with "/" or "," in it stays hidden too
// (spec/interfaces.md §6.3: never print URLs with credentials).
func WithoutCredentials(addresses string) string {
	var b strings.Builder
	hide := func(part string) {
		if at := strings.LastIndexByte(part, '@'); at >= 0 {
			b.WriteString(hidden)
			part = part[at:]
		}
		b.WriteString(part)
	}
	end := 0
	for _, at := range scheme.FindAllStringIndex(addresses, -1) {
		hide(addresses[end:at[0]])
		b.WriteString(addresses[at[0]:at[1]])
		end = at[1]
	}
	hide(addresses[end:])
	return b.String()
}
