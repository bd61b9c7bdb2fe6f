package directive

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"dsiem/internal/jsonfile"
)

// The words that stand for a whole term.
const (
	anyTerm    = "ANY" // everything matches
	homeNet    = "HOME_NET"
	notHomeNet = "!HOME_NET"
)

// TermError says what is wrong with the text of a term.
type TermError struct {
	// At is the byte offset in the text of what is wrong.
	At int
	// Msg says what is wrong and what would be right.
	Msg string

	more []TermError // of further elements of a list
}

// parseReference returns the stage of a reference: ':' and 1..99 without a
// leading zero, nothing else (§2.4.1, B46).
func parseReference(text string) (stage int, ok bool) {
	digits, found := strings.CutPrefix(text, ":")
	if !found || len(digits) < 1 || len(digits) > 2 || digits[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 8)
	return int(n), err == nil
}

// badReference explains a text that starts like a reference but is none.
func badReference(text string) string {
	return jsonfile.Quote(text) + ` is not a reference; write a colon and the number of an earlier stage, like ":1"`
}

// RefersTo reports whether a text in a rule of the given stage is a reference
// to a lower stage among stages.
func RefersTo(text string, stage int, stages []int) bool {
	to, ok := parseReference(text)
	return ok && to < stage && slices.Contains(stages, to)
}

// element is one part of a comma list.
type element struct {
	text    string // trimmed, without the '!'
	negated bool
	at      int // byte offset in the list
}

// splitList splits a comma list. A leading '!' negates an element; blanks
// around the element and after the '!' do not count (§2.6.7).
func splitList(list string) []element {
	elems := make([]element, 0, 1+strings.Count(list, ","))
	at := 0
	for part := range strings.SplitSeq(list, ",") {
		trimmed := strings.TrimLeftFunc(part, unicode.IsSpace)
		e := element{at: at + len(part) - len(trimmed), text: strings.TrimSpace(trimmed)}
		at += len(part) + 1
		if rest, ok := strings.CutPrefix(e.text, "!"); ok {
			e.negated, e.text = true, strings.TrimSpace(rest)
		}
		elems = append(elems, e)
	}
	return elems
}

// parseList splits a comma list of addresses or ports, checks the form of its
// elements and hands them to parse, which returns what is wrong with them.
// keywords are the words that may stand in place of a list.
func parseList(list string, parse func(e element) string, keywords ...string) *TermError {
	var bad []TermError
	for _, e := range splitList(list) {
		msg := cmp.Or(e.badForm(), e.notInList(list, keywords))
		if msg == "" {
			msg = parse(e)
		}
		if msg != "" {
			bad = append(bad, TermError{At: e.at, Msg: msg})
		}
	}
	if len(bad) == 0 {
		return nil
	}
	bad[0].more = bad[1:]
	return &bad[0]
}

// badForm says what is wrong with an element that is empty, or has a '!' that
// is not a single leading one; "" if nothing is.
func (e *element) badForm() string {
	switch {
	case e.text == "" && e.negated:
		return `there is nothing after the "!"`
	case e.text == "":
		return "the list has an empty element; remove the extra comma"
	case strings.HasPrefix(e.text, "!"):
		return jsonfile.Quote("!"+e.text) + ` is negated twice; use a single "!"`
	case strings.Contains(e.text, "!"):
		return jsonfile.Quote(e.text) + ` has a "!" inside; negate an element with a "!" before it`
	}
	return ""
}

// notInList says what is wrong with an element that is a keyword or a
// reference, which must stand alone and exactly so; "" if it is neither.
func (e *element) notInList(list string, keywords []string) string {
	right := strings.ToUpper(e.text)
	if _, isReference := parseReference(e.text); !isReference && !slices.Contains(keywords, right) {
		return ""
	}
	switch {
	case strings.Contains(list, ","):
		return jsonfile.Quote(right) + " cannot stand in a list; use it alone"
	case e.negated && right != homeNet:
		return jsonfile.Quote(right) + " cannot be negated"
	case e.negated:
		right = "!" + right
	}
	return fmt.Sprintf("%s must be written %q", jsonfile.Quote(list), right)
}

// TextTerm is a condition on a custom data field (§3.5, D19).
type TextTerm struct {
	// All is true when every value matches: "" or ANY.
	All bool

	// folded is the lower-case text of a single value.
	folded  string
	negated bool
	// list holds the elements of a comma list, compared with case.
	list []element
}

// ParseText parses a custom data term that is not a reference. Every text is
// valid: a single value is compared without case, one with commas as a list
// of values compared with case.
func ParseText(text string) TextTerm {
	if text == "" || text == anyTerm {
		return TextTerm{All: true}
	}
	if strings.Contains(text, ",") {
		elems := splitList(text)
		for i := range elems {
			elems[i].text = strings.TrimSpace(strings.TrimLeft(elems[i].text, "!"))
		}
		return TextTerm{list: elems}
	}
	text = strings.TrimSpace(text)
	rest, negated := strings.CutPrefix(text, "!")
	return TextTerm{folded: Fold(strings.TrimSpace(rest)), negated: negated}
}

// Match reports whether an event's value satisfies the term.
func (t *TextTerm) Match(value string) bool {
	if t.All {
		return true
	}
	if t.list == nil {
		return EqualFolded(value, t.folded) != t.negated
	}
	result := false
	for i := range t.list {
		switch e := &t.list[i]; {
		case e.text == value:
			return !e.negated
		case e.negated:
			result = true
		}
	}
	return result
}

// Fold returns text in lower case, the form in which custom data is compared.
func Fold(text string) string { return strings.ToLower(text) }

// EqualFolded reports whether Fold(value) == folded, without allocating.
func EqualFolded(value, folded string) bool {
	for _, r := range value {
		want, size := utf8.DecodeRuneInString(folded)
		if size == 0 || unicode.ToLower(r) != want {
			return false
		}
		folded = folded[size:]
	}
	return folded == ""
}
