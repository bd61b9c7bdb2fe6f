//go:build unix

package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"dsiem/test/testkit"
)

// A configuration of Logstash is a list of sections with plugins and conditions.
// This is a parser of the part of its language that our files use; what it does
// not know is an error.

// statement is a plugin, or a condition if branches is not nil.
type statement struct {
	name     string
	options  map[string]any // string, int, bool, []any, map[string]any
	branches []branch
	at       string
}

// branch is an arm of a condition; the test of else is nil.
type branch struct {
	test *expression
	body []*statement
}

// expression is a comparison, a field that must be there, or two expressions.
type expression struct {
	op          string // and, or, ==, !=, exists
	field       string
	value       any
	left, right *expression
}

// section is input, filter or output.
type section struct {
	kind string
	body []*statement
}

// parser reads the text of a file.
type parser struct {
	name string
	text string
	at   int
}

// parseError is how the parser leaves its depth; parsePipeline catches it.
type parseError struct{ error }

func (p *parser) fail(format string, args ...any) {
	line := 1 + strings.Count(p.text[:p.at], "\n")
	panic(parseError{fmt.Errorf("%s:%d: %s", p.name, line, fmt.Sprintf(format, args...))})
}

// parsePipeline parses the text of one file.
func parsePipeline(name, text string) (sections []section, err error) {
	defer func() {
		if failed, ok := recover().(parseError); ok {
			err = failed.error
		}
	}()
	p := &parser{name: name, text: text}
	for p.peek() != 0 {
		kind := p.word()
		if kind != "input" && kind != "filter" && kind != "output" {
			p.fail("%q is no section", kind)
		}
		sections = append(sections, section{kind, p.block()})
	}
	return sections, nil
}

// readPipeline parses the files that a pattern of pipelines.yml matches, in the
// order of their names, as Logstash does.
func readPipeline(t *testing.T, pattern string) []section {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no file matches %s: %v", pattern, err)
	}
	var all []section
	for _, name := range names {
		text, err := os.ReadFile(name)
		testkit.Check(t, err)
		sections, err := parsePipeline(filepath.Base(name), string(text))
		testkit.Check(t, err)
		all = append(all, sections...)
	}
	return all
}

// peek returns the next character behind blanks and comments, 0 at the end.
func (p *parser) peek() byte {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '#':
			end := strings.IndexByte(p.text[p.at:], '\n')
			if end < 0 {
				end = len(p.text) - p.at
			}
			p.at += end
		case unicode.IsSpace(rune(c)):
			p.at++
		default:
			return c
		}
	}
	return 0
}

// take takes a text if it comes next.
func (p *parser) take(text string) bool {
	p.peek()
	if !strings.HasPrefix(p.text[p.at:], text) {
		return false
	}
	p.at += len(text)
	return true
}

func (p *parser) need(text string) {
	if !p.take(text) {
		p.fail("no %q", text)
	}
}

func isWord(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (p *parser) word() string {
	p.peek()
	start := p.at
	for p.at < len(p.text) && isWord(p.text[p.at]) {
		p.at++
	}
	if start == p.at {
		p.fail("no word")
	}
	return p.text[start:p.at]
}

// block reads { statements }.
func (p *parser) block() (body []*statement) {
	p.need("{")
	for !p.take("}") {
		at := fmt.Sprintf("%s:%d", p.name, 1+strings.Count(p.text[:p.at], "\n"))
		switch word := p.word(); word {
		case "if":
			body = append(body, &statement{branches: p.branches(), at: at})
		default:
			body = append(body, &statement{name: word, options: p.pluginOptions(), at: at})
		}
	}
	return body
}

func (p *parser) branches() []branch {
	test := p.expression()
	all := []branch{{test, p.block()}}
	for p.take("else") {
		if !p.take("if") {
			return append(all, branch{nil, p.block()})
		}
		test := p.expression()
		all = append(all, branch{test, p.block()})
	}
	return all
}

// expression reads comparisons with and or or between them, from left to right.
func (p *parser) expression() *expression {
	e := p.comparison()
	for {
		switch {
		case p.take("and "):
			e = &expression{op: "and", left: e, right: p.comparison()}
		case p.take("or "):
			e = &expression{op: "or", left: e, right: p.comparison()}
		default:
			return e
		}
	}
}

func (p *parser) comparison() *expression {
	if p.peek() != '[' {
		p.fail("a condition that is not about a field")
	}
	field := p.field()
	for _, op := range []string{"==", "!="} {
		if p.take(op) {
			return &expression{op: op, field: field, value: p.value()}
		}
	}
	return &expression{op: "exists", field: field}
}

// field reads [a][b].
func (p *parser) field() string {
	start := p.at
	for p.at < len(p.text) && p.text[p.at] == '[' {
		end := strings.IndexByte(p.text[p.at:], ']')
		if end < 0 {
			p.fail("no ]")
		}
		p.at += end + 1
	}
	return p.text[start:p.at]
}

func (p *parser) pluginOptions() map[string]any {
	options := map[string]any{}
	p.need("{")
	for !p.take("}") {
		name := p.word()
		if _, twice := options[name]; twice {
			p.fail("%s stands there twice", name)
		}
		p.need("=>")
		options[name] = p.value()
	}
	return options
}

func (p *parser) value() any {
	switch c := p.peek(); c {
	case '"', '\'':
		end := strings.IndexByte(p.text[p.at+1:], c)
		if end < 0 {
			p.fail("the text does not end")
		}
		text := p.text[p.at+1 : p.at+1+end]
		p.at += end + 2
		return text
	case '[':
		p.at++
		list := []any{}
		for !p.take("]") {
			list = append(list, p.value())
			if !p.take(",") && p.peek() != ']' {
				p.fail("no , in a list")
			}
		}
		return list
	case '{':
		p.at++
		hash := map[string]any{}
		for !p.take("}") {
			key, isText := p.value().(string)
			if !isText {
				p.fail("a key that is no text")
			}
			p.need("=>")
			hash[key] = p.value()
		}
		return hash
	}
	switch word := p.word(); word {
	case "true", "false":
		return word == "true"
	default:
		n, err := strconv.Atoi(word)
		if err != nil {
			p.fail("%q is no value", word)
		}
		return n
	}
}

// each calls a function for every plugin.
func each(sections []section, do func(kind string, s *statement)) {
	var walk func(kind string, body []*statement)
	walk = func(kind string, body []*statement) {
		for _, s := range body {
			if s.branches == nil {
				do(kind, s)
			}
			for _, b := range s.branches {
				walk(kind, b.body)
			}
		}
	}
	for _, s := range sections {
		walk(s.kind, s.body)
	}
}

func TestTheParserOfPipelines(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"filter { }":                          "",
		"# only a comment":                    "",
		"filters { }":                         `x:1: "filters" is no section`,
		"filter {\n mutate { a => }":          "x:2: no word",
		"filter { if a == 1 { } }":            "x:1: a condition that is not about a field",
		"filter { mutate { a => 1 a => 2 } }": "x:1: a stands there twice",
		"filter { mutate { a => \"b } }":      "x:1: the text does not end",
		"filter { mutate { a => [1 2] } }":    "x:1: no , in a list",
		"filter { mutate { a = 1 } }":         `x:1: no "=>"`,
		"filter { mutate { a => 1 }":          "x:1: no word",
		"filter { if [a { } }":                "x:1: no ]",
	} {
		_, err := parsePipeline("x", text)
		if got := fmt.Sprint(err); err == nil && want != "" || err != nil && got != want {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
