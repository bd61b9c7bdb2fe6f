package jsonfile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"dsiem/internal/text"
)

// syntaxProblem returns the problem of an error that ended the parsing.
func (p *parser) syntaxProblem(err error) Problem {
	if shape, ok := errors.AsType[*shapeError](err); ok {
		return p.file.Problem(Error, shape.offset, "", shape.msg)
	}
	m := scan(p.file.text, min(mistakeOffset(p.dec, err), len(p.file.text)), 0, 0).mistake(p.file)
	return p.file.Problem(Error, m.offset, "", "not valid JSON: "+m.msg)
}

// mistakeOffset returns the offset at which a decoder has met a mistake.
func mistakeOffset(dec *jsontext.Decoder, err error) int {
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return int(syntactic.ByteOffset)
	}
	return int(dec.InputOffset())
}

// mistake is what is wrong with the syntax of a text, and where in it.
type mistake struct {
	offset int
	msg    string
}

// syntax is the state in which a JSON parser is when it meets a mistake.
type syntax struct {
	text string
	at   int // offset of the mistake; the text before it is good
	// base is the offset of the text in the file. If it is not 0, the first byte stands
	// for the bracket of the file's list, which is at root, and the elements behind that.
	base, root int
	// open holds the offsets of the open brackets and braces.
	open []int
	// quote is the offset of the string that contains the mistake, or -1.
	quote int
	// last is the offset of the last byte before the mistake that is not blank,
	// or -1; start that of the token it belongs to, for keys the whole key.
	last, start int
	// key is true when that token is a key.
	key bool
}

// scan reads the good text before a mistake. For base and root see syntax.
func scan(whole string, at, base, root int) *syntax {
	s := &syntax{text: whole, at: at, base: base, root: root, quote: -1, last: -1}
	for i := 0; i < at; i++ {
		switch c := whole[i]; c {
		case ' ', '\t', '\r', '\n':
			continue
		case '"':
			end := stringEnd(whole[:at], i)
			if end < 0 {
				s.quote = i
				return s
			}
			s.key = s.inObject() && (whole[s.last] == '{' || whole[s.last] == ',')
			s.start, s.last = i, end
			i = end
			continue
		case '{', '[':
			s.open = append(s.open, i)
		case '}', ']':
			s.open = s.open[:max(0, len(s.open)-1)]
		}
		s.start, s.last, s.key = i, i, false
	}
	return s
}

// stringEnd returns the offset of the quote that closes the string at i, or -1.
func stringEnd(text string, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// line returns the line of an offset of the text.
func (s *syntax) line(f *File, offset int) int {
	offset += s.base
	if offset == s.base && s.base > 0 {
		offset = s.root
	}
	line, _ := f.Position(offset)
	return line
}

func (s *syntax) inObject() bool {
	return len(s.open) > 0 && s.text[s.open[len(s.open)-1]] == '{'
}

// lastByte returns the last byte before the mistake that is not blank, or 0.
func (s *syntax) lastByte() byte {
	if s.last < 0 {
		return 0
	}
	return s.text[s.last]
}

// mistake says what is wrong at s.at.
func (s *syntax) mistake(f *File) mistake {
	rest := s.text[s.at:]
	_, size := utf8.DecodeRuneInString(rest)
	word := s.word()
	switch {
	case s.wrongEncoding() != "":
		return mistake{0, s.wrongEncoding()}
	case s.quote >= 0:
		return s.inString(f)
	case strings.TrimSpace(rest) == "":
		return s.endOfFile(f)
	case strings.HasPrefix(rest, "//") || strings.HasPrefix(rest, "/*") || rest[0] == '#':
		return mistake{s.at, "comments are not allowed; remove it"}
	case len(s.open) == 0 && s.last >= 0:
		return mistake{s.at, afterRoot}
	case len(s.open) >= maxDepth:
		return mistake{s.at, "this is nested too deep"}
	case word != "" && !jsontext.Value(word).IsValid() && s.wantsValue(word):
		return mistake{s.at - (len(word) - len(s.wordAfter(s.at))), badWord(word)}
	case rest[0] == ',':
		return s.comma()
	case rest[0] == '}' || rest[0] == ']':
		return s.closing(f)
	case rest[0] == '\'':
		return mistake{s.at, "single quotes are not allowed; use double quotes"}
	case s.key:
		return mistake{s.at, "a colon is missing after the key " + Quote(s.text[s.start+1:s.last])}
	case s.inObject() && (s.lastByte() == '{' || s.lastByte() == ','):
		return mistake{s.at, s.expectedKey()}
	case s.lastByte() != 0 && !strings.ContainsRune("{[:,", rune(s.lastByte())) && strings.ContainsRune("\"{[-0123456789tfn", rune(rest[0])):
		return s.missingComma(f)
	}
	return mistake{s.at, fmt.Sprintf("%q is not expected here", rest[:size])}
}

// maxDepth is the number of open brackets that the JSON library takes.
const maxDepth = 10000

const afterRoot = "something follows the end of the JSON value; remove it"

// wrongEncoding explains a file that is no plain UTF-8, "" if it is.
func (s *syntax) wrongEncoding() string {
	switch {
	case s.base+s.at > 1:
		return ""
	case strings.HasPrefix(s.text, "\uFEFF"):
		return "the file starts with a byte order mark; save it as UTF-8 without one"
	case strings.HasPrefix(s.text, "\xff\xfe"), strings.HasPrefix(s.text, "\xfe\xff"),
		strings.IndexByte(s.text[:min(2, len(s.text))], 0) >= 0:
		return "the file is UTF-16; save it as UTF-8"
	}
	return ""
}

// inString explains a mistake inside a string.
func (s *syntax) inString(f *File) mistake {
	rest := s.text[s.at:]
	r, size := utf8.DecodeRuneInString(rest)
	switch {
	case rest == "":
		return mistake{s.quote, "this string is not closed; add the closing quote"}
	case r == utf8.RuneError && size == 1:
		return mistake{s.at, fmt.Sprintf("the byte 0x%02x is not UTF-8; save the file as UTF-8", rest[0])}
	case r == '\n' || r == '\r':
		return mistake{s.quote, fmt.Sprintf("this string is not closed on line %d; add the closing quote", s.line(f, s.quote))}
	case r == '\t':
		return mistake{s.at, `a tab cannot stand in a string; write "\t"`}
	case r != '\\':
		return mistake{s.at, fmt.Sprintf(`a control character cannot stand in a string; write "\u%04x"`, r)}
	case strings.HasPrefix(rest, `\u`):
		return mistake{s.at, `"\u" must be followed by four hexadecimal digits that make a character`}
	}
	_, size = utf8.DecodeRuneInString(rest[1:])
	return mistake{s.at, fmt.Sprintf(`"%s" is not an escape; write "\\" for a backslash`, string(printable(rest[:1+size])))}
}

// endOfFile explains a file that ends too early.
func (s *syntax) endOfFile(f *File) mistake {
	end := len(strings.TrimRight(s.text, " \t\r\n"))
	if len(s.open) == 0 {
		return mistake{end, "the file ends too early"}
	}
	open := s.open[len(s.open)-1]
	return mistake{end, fmt.Sprintf("the file ends, but the %q of line %d is not closed", s.text[open], s.line(f, open))}
}

// comma explains a comma that is too many.
func (s *syntax) comma() mistake {
	next := strings.TrimLeft(s.text[s.at+1:], " \t\r\n")
	switch {
	case s.key:
		return mistake{s.at, fmt.Sprintf("the key %s has no value", Quote(s.text[s.start+1:s.last]))}
	case s.lastByte() == ':':
		return mistake{s.at, "a value is missing before this comma"}
	case next != "" && (next[0] == '}' || next[0] == ']'):
		return mistake{s.at, fmt.Sprintf("there is a comma before the closing %q; remove it", next[0])}
	}
	return mistake{s.at, "there is a comma too many; remove it"}
}

// closing explains a closing bracket or brace that does not fit.
func (s *syntax) closing(f *File) mistake {
	c := s.text[s.at]
	switch {
	case s.key:
		return mistake{s.at, fmt.Sprintf("the key %s has no value", Quote(s.text[s.start+1:s.last]))}
	case s.lastByte() == ':':
		return mistake{s.at, fmt.Sprintf("a value is missing before the closing %q", c)}
	case s.lastByte() == ',':
		return mistake{s.last, fmt.Sprintf("there is a comma before the closing %q; remove it", c)}
	case len(s.open) == 0:
		return mistake{s.at, fmt.Sprintf("there is nothing to close with %q", c)}
	}
	open := s.open[len(s.open)-1]
	return mistake{s.at, fmt.Sprintf("%q does not close the %q of line %d", c, s.text[open], s.line(f, open))}
}

func (s *syntax) expectedKey() string {
	const msg = "a key in double quotes is expected here"
	if s.text[s.at] == '{' || s.text[s.at] == '[' {
		return msg + "; is a closing brace missing before it?"
	}
	return msg
}

func (s *syntax) missingComma(f *File) mistake {
	before := s.line(f, s.last)
	if s.line(f, s.at) != before {
		return mistake{s.at, fmt.Sprintf("a comma is missing before this, at the end of line %d", before)}
	}
	return mistake{s.at, "a comma is missing before this"}
}

// word returns the letters, digits and signs around the mistake, "" if there
// are none.
func (s *syntax) word() string {
	after := s.wordAfter(s.at)
	before := s.text[:s.at]
	from := strings.LastIndexFunc(before, func(r rune) bool { return !isWord(r) }) + 1
	if from > 0 && before[from-1] >= utf8.RuneSelf {
		from = len(before) // the byte of a character, not a whole one
	}
	return before[from:] + after
}

func (s *syntax) wordAfter(at int) string {
	rest := s.text[at:]
	if end := strings.IndexFunc(rest, func(r rune) bool { return !isWord(r) }); end >= 0 {
		return rest[:end]
	}
	return rest
}

func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("+-._", r)
}

// wantsValue reports whether a word stands where a value should, or runs on
// from one.
func (s *syntax) wantsValue(word string) bool {
	return len(word) > len(s.wordAfter(s.at)) || s.lastByte() == ':' || s.lastByte() == 0 ||
		!s.inObject() && (s.lastByte() == '[' || s.lastByte() == ',')
}

// badWord explains a word that is no value.
func badWord(word string) string {
	lower := strings.ToLower(word)
	switch {
	case slices.Contains([]string{"true", "false", "null"}, lower):
		return fmt.Sprintf("%s must be written %s", word, lower)
	case strings.IndexByte("0123456789+-.", word[0]) >= 0:
		return Quote(word) + " is not a number; write digits without a leading 0 or +, or put a text in double quotes"
	}
	return Quote(word) + " is not a value; put a text in double quotes"
}

// maxQuoted is the longest text that a message repeats whole, in characters.
const maxQuoted = 80

// Quote returns a user's text as it stands in messages: in quotes, and cut if it
// is very long.
func Quote(value string) string {
	return strconv.Quote(clip(value))
}

func clip(value string) string { return text.ClipRunes(value, maxQuoted) }
