package jsonfile

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// File is the text of one configuration file, or of an element of one that is read in
// parts.
type File struct {
	// Name is the file's name as the user gave it.
	Name string
	text string
	// stream is the file of which the text is a part, nil if it is the whole file, and
	// base the offset of the text in it.
	stream *stream
	base   int
	marks  []mark // of every block of the text, made on first use
}

// NewFile returns a file of the given content.
func NewFile(name string, content []byte) *File {
	return &File{Name: name, text: string(content)}
}

// mark is the place of the first byte of a block of the text: blocks, not
// lines, so that a place in a minified file is found as fast as any other.
type mark struct{ line, column int }

// firstMark is the place of the first byte of a file.
var firstMark = mark{line: 1, column: 1} //nolint:gochecknoglobals // a value that never changes

const blockSize = 2048

// size returns the bytes of the whole file.
func (f *File) size() int {
	if f.stream != nil {
		return f.stream.size
	}
	return len(f.text)
}

// holds reports whether the text has all between two offsets.
func (f *File) holds(from, to int) bool {
	return f.stream == nil || from >= f.base && to <= f.base+len(f.text)
}

// part returns what is between two offsets.
func (f *File) part(from, to int) string {
	if f.holds(from, to) {
		return f.text[from-f.base : to-f.base]
	}
	return f.stream.part(from, to)
}

// Position returns the 1-based line and column, in characters, of a byte
// offset.
func (f *File) Position(offset int) (line, column int) {
	offset = min(max(offset, 0), f.size())
	if !f.holds(offset, offset) {
		m := f.stream.place(offset)
		return m.line, m.column
	}
	if offset -= f.base; f.marks == nil {
		m := firstMark
		if f.base > 0 {
			m = f.stream.place(f.base)
		}
		for start := 0; start <= len(f.text); start += blockSize {
			f.marks = append(f.marks, m)
			m = m.after(f.text[start:min(start+blockSize, len(f.text))])
		}
	}
	block := offset / blockSize
	m := f.marks[block].after(f.text[block*blockSize : offset])
	return m.line, m.column
}

// after returns the place behind a text that starts at m.
func (m mark) after(text string) mark {
	if last := strings.LastIndexByte(text, '\n'); last >= 0 {
		m.line += strings.Count(text, "\n")
		m.column = 1
		text = text[last+1:]
	}
	for i := range len(text) {
		if utf8.RuneStart(text[i]) {
			m.column++
		}
	}
	return m
}

// Problem makes a problem that stands at a byte offset.
func (f *File) Problem(severity Severity, offset int, where, msg string) Problem {
	offset = min(max(offset, 0), f.size())
	line, column := f.Position(offset)
	source, caret := f.excerpt(offset)
	return Problem{
		File: f.Name, Line: line, Column: column, Severity: severity,
		Where: where, Msg: msg, Source: source, Caret: caret,
	}
}

// Warning makes a warning that stands at a byte offset.
func (f *File) Warning(name Lint, offset int, where, msg string) Problem {
	p := f.Problem(Warning, offset, where, msg)
	p.Lint = name
	return p
}

// sourceWidth is the longest source line shown whole, in characters; a longer
// one (a minified file) is cut around the column.
const sourceWidth = 120

// excerpt returns the part of the line around a byte offset to show, and the
// number of characters before the offset in it. It looks at no more of the line
// than it shows.
func (f *File) excerpt(offset int) (source string, caret int) {
	const window = (sourceWidth + 1) * utf8.UTFMax
	before := f.part(max(0, offset-window), offset)
	after := f.part(offset, min(f.size(), offset+window))
	before = before[strings.LastIndexByte(before, '\n')+1:]
	if end := strings.IndexByte(after, '\n'); end >= 0 {
		after = strings.TrimRight(after[:end], "\r")
	}
	left, right := printable(before), printable(after)
	if len(left)+len(right) <= sourceWidth {
		indent := 0
		for indent < len(left) && (left[indent] == ' ' || left[indent] == '\t') {
			indent++
		}
		left = left[indent:]
		return string(left) + string(right), len(left)
	}
	from := max(0, len(left)-sourceWidth/2)
	to := min(len(right), sourceWidth-(len(left)-from))
	source, caret = string(left[from:])+string(right[:to]), len(left)-from
	if from > 0 {
		source, caret = "…"+source, caret+1
	}
	if to < len(right) {
		source += "…"
	}
	return source, caret
}

// printable returns the characters of a text, those that have no shape or that
// a terminal might obey replaced. Characters cut in half at either end are
// dropped.
func printable(text string) []rune {
	for text != "" && !utf8.RuneStart(text[0]) {
		text = text[1:]
	}
	runes := []rune(text)
	for i, r := range runes {
		if r != '\t' && !unicode.IsPrint(r) {
			runes[i] = utf8.RuneError
		}
	}
	return runes
}
