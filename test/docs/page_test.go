package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// page is one file of documentation.
type page struct {
	name     string // from the top directory: "docs/events.md"
	text     string
	blocks   []*block
	tables   []*table
	headings []string
	links    []link
	code     []string // the texts between backquotes
}

// block is a fenced block.
type block struct {
	at         int // the line of its fence
	lang, kind string
	words      map[string]string
	text       string
}

// table is a table and the heading that it is under.
type table struct {
	at      int
	heading string
	header  []string
	rows    [][]string
}

type link struct {
	at     int
	target string
}

// root is the top directory, as seen from this one.
const root = "../.."

// pages reads all documentation.
func pages(t *testing.T) []*page {
	t.Helper()
	var all []*page
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			rel, err := filepath.Rel(root, name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, parse(t, filepath.ToSlash(rel), string(text)))
		}
	}
	return all
}

// pageNamed returns one page.
func pageNamed(t *testing.T, name string) *page {
	t.Helper()
	for _, p := range pages(t) {
		if p.name == name {
			return p
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

var (
	linkForm = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	codeForm = regexp.MustCompile("`([^`]+)`")
)

// parse reads the parts of a page that the tests know.
func parse(t *testing.T, name, text string) *page {
	t.Helper()
	p := &page{name: name, text: text}
	var open *block
	var rows *table
	for i, line := range strings.Split(text, "\n") {
		at := i + 1
		switch info, fence := strings.CutPrefix(line, "```"); {
		case fence && open == nil:
			open = newBlock(at, info)
			p.blocks = append(p.blocks, open)
		case fence:
			open = nil
		case open != nil:
			open.text += line + "\n"
		case strings.HasPrefix(line, "#"):
			p.headings = append(p.headings, strings.TrimSpace(strings.TrimLeft(line, "#")))
		}
		isRow := open == nil && strings.HasPrefix(line, "|")
		switch {
		case !isRow:
			rows = nil
		case rows == nil:
			rows = &table{at: at, header: cells(line)}
			if n := len(p.headings); n > 0 {
				rows.heading = p.headings[n-1]
			}
			p.tables = append(p.tables, rows)
		case strings.Trim(line, "|-: ") != "":
			rows.rows = append(rows.rows, cells(line))
		}
		if open == nil && !strings.HasPrefix(line, "```") {
			for _, m := range codeForm.FindAllStringSubmatch(line, -1) {
				p.code = append(p.code, m[1])
			}
			for _, m := range linkForm.FindAllStringSubmatch(codeForm.ReplaceAllString(line, ""), -1) {
				p.links = append(p.links, link{at, m[1]})
			}
		}
	}
	if open != nil {
		t.Errorf("%s:%d: the block is not closed", name, open.at)
	}
	return p
}

func newBlock(at int, info string) *block {
	b := &block{at: at, words: map[string]string{}}
	for i, word := range strings.Fields(info) {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case i == 0:
			b.lang = word
		case i == 1 && value == "":
			b.kind = word
		default:
			b.words[key] = value
		}
	}
	return b
}

func (b *block) has(word string) bool {
	_, ok := b.words[word]
	return ok
}

// number returns the number of a word such as line=3, 0 if it is not there.
func (b *block) number(t *testing.T, word string) int {
	t.Helper()
	if !b.has(word) {
		return 0
	}
	n, err := strconv.Atoi(b.words[word])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// cells splits a row of a table. A bar between backquotes, or after a
// backslash, belongs to the cell.
func cells(row string) []string {
	var out []string
	cell, code := "", false
	for i, r := range row {
		switch {
		case r == '`':
			code = !code
		case r == '|' && !code && (i == 0 || row[i-1] != '\\'):
			out = append(out, strings.TrimSpace(cell))
			cell = ""
			continue
		}
		cell += string(r)
	}
	if len(out) == 0 {
		return nil
	}
	return out[1:]
}

// plain returns a cell without the backquotes around it.
func plain(cell string) string { return strings.Trim(cell, "`") }

// base returns the text of the block that the tables of a page are about.
func (p *page) base(t *testing.T) string {
	t.Helper()
	for _, b := range p.blocks {
		if b.has("base") {
			return b.text
		}
	}
	t.Fatalf("%s: no block is marked as base", p.name)
	return ""
}
