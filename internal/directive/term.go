package directive

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// any is the term that everything matches.
const anyTerm = "ANY"

// TermError says what is wrong with the text of a term.
type TermError struct {
	// At is the byte offset in the text of what is wrong.
	At int
	// Msg says what is wrong and what would be right.
	Msg string
}

func (e *TermError) Error() string { return e.Msg }

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
		e := element{at: at}
		at += len(part) + 1
		trimmed := strings.TrimLeft(part, " \t")
		e.at += len(part) - len(trimmed)
		e.text = strings.TrimSpace(trimmed)
		if rest, ok := strings.CutPrefix(e.text, "!"); ok {
			e.negated, e.text = true, strings.TrimSpace(rest)
		}
		elems = append(elems, e)
	}
	return elems
}

// checkElement reports what is wrong with the form of a list element: an empty
// one, or a '!' that is not a single leading one.
func checkElement(e element) *TermError {
	switch {
	case e.text == "":
		return &TermError{At: e.at, Msg: "the list has an empty element; remove the extra comma"}
	case strings.HasPrefix(e.text, "!"):
		return &TermError{At: e.at, Msg: fmt.Sprintf("%q is negated twice; use a single \"!\"", "!"+e.text)}
	case strings.Contains(e.text, "!"):
		return &TermError{At: e.at, Msg: fmt.Sprintf("%q has a \"!\" inside; negate an element with a \"!\" before it", e.text)}
	}
	return nil
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
