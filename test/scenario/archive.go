package scenario

import (
	"errors"
	"fmt"
	"strings"
)

// Problem is a mistake in a scenario file.
type Problem struct {
	File string
	Line int
	Msg  string
}

// Error returns file:line: message.
func (p *Problem) Error() string {
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Msg)
}

// source is a scenario file being parsed; it collects the mistakes found.
type source struct {
	file     string
	problems []error
}

// failf notes a mistake; parsing goes on to find the others.
func (s *source) failf(line int, format string, args ...any) {
	s.problems = append(s.problems, &Problem{File: s.file, Line: line, Msg: fmt.Sprintf(format, args...)})
}

// err returns all mistakes, or nil.
func (s *source) err() error { return errors.Join(s.problems...) }

// section is one file of the archive, with the place it has in the scenario.
type section struct {
	name string
	line int // of the marker
	body []string
}

// at is the line number of body[i].
func (s *section) at(i int) int { return s.line + 1 + i }

// text returns the body as it stands.
func (s *section) text() []byte {
	if len(s.body) == 0 {
		return nil
	}
	return []byte(strings.Join(s.body, "\n") + "\n")
}

// split cuts a txtar archive into its comment and sections. The txtar packages
// do the same but do not tell the line numbers.
func (s *source) split(data []byte) (comment string, sections []*section) {
	text := strings.TrimSuffix(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
	seen := map[string]int{}
	var intro []string
	var cur *section
	for i, row := range strings.Split(text, "\n") {
		name, ok := marker(row)
		switch {
		case ok:
			cur = &section{name: name, line: i + 1}
			if first, dup := seen[name]; dup {
				s.failf(cur.line, "section %q is already in line %d", name, first)
				continue
			}
			seen[name] = cur.line
			sections = append(sections, cur)
		case cur == nil:
			intro = append(intro, row)
		default:
			cur.body = append(cur.body, row)
		}
	}
	return strings.TrimSpace(strings.Join(intro, "\n")), sections
}

// marker recognizes a line "-- name --".
func marker(row string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(row, "-- ")
	if !ok {
		return "", false
	}
	rest, ok = strings.CutSuffix(rest, " --")
	name = strings.TrimSpace(rest)
	return name, ok && name != ""
}

// entry is one meaningful line of a section.
type entry struct {
	line int
	text string   // without comment and surrounding blanks
	raw  []string // the words, quotes removed
}

// entries returns the meaningful lines of a section.
func (s *source) entries(sec *section) []entry {
	var out []entry
	for i := range sec.body {
		if e, ok := s.entry(sec, i); ok {
			out = append(out, e)
		}
	}
	return out
}

// entry returns line i of a section if it is a meaningful one.
func (s *source) entry(sec *section, i int) (e entry, ok bool) {
	text, words, err := scan(sec.body[i])
	if err != nil {
		s.failf(sec.at(i), "%v", err)
		return entry{}, false
	}
	return entry{line: sec.at(i), text: text, raw: words}, text != ""
}

// scan cuts the comment off a row and splits the rest into words. Blanks and #
// inside double quotes are ordinary; the quotes are not part of the word.
func scan(row string) (text string, words []string, err error) {
	var word strings.Builder
	inWord, quoted := false, false
	end := len(row)
	flush := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
loop:
	for i, c := range row {
		switch {
		case c == '"':
			quoted = !quoted
			inWord = true
		case quoted:
			word.WriteRune(c)
		case c == ' ' || c == '\t':
			flush()
		case c == '#' && !inWord:
			end = i
			break loop
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if quoted {
		return "", nil, errors.New(`a " is not closed`)
	}
	flush()
	return strings.TrimSpace(row[:end]), words, nil
}
