package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCitations checks that all that the repository cites of docs/spec is there.
//
// It looks at Go comments, at the names of test functions and of cases in test
// files, at the text before the first section and the comments of .txtar files,
// at comments of .yaml, .yml and .sh files, and at the text of .md files without
// code. A citation is
//
//	spec/NAME.md, docs/spec/NAME.md
//	    a file of docs/spec
//	§2.4.1, §6.4.1–6, §1.3, 9
//	    a section; or item 1 of the list of section 2.4, items 1 and 6 of that of
//	    section 6.4, row 9 of the table of section 1.3. Not behind "RFC 9110"
//	D9, D09, T1, P1, C1, C1a, B01, E1, X1, V1
//	    a decision, mistake or check. Function names have them behind Test, as in
//	    TestT08_Tags or TestT15D68AFile. Names of cases begin with them ("T33 no
//	    JSON"), end with them ("port 0, B38") or have them in brackets ("(B04)")
//	row 30, scenario 30
//	    a row of section 13.1; "row" in .txtar files only
//
// § and D are of the file that was named before them in the same paragraph; on
// a page of docs/spec, of that page. Where no file was named, one of them must
// have it. What the code of a Go file has as a name, such as P99, is none.
func TestCitations(t *testing.T) {
	t.Parallel()
	root := moduleRoot(t)
	have := readSpecs(t, root)
	found := map[string]int{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, name)
		rel = filepath.ToSlash(rel)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (rel != "." && strings.HasPrefix(entry.Name(), ".") || slices.Contains(leftBehind, rel)):
			return filepath.SkipDir
		case entry.IsDir() || entry.Name() == "citations_test.go":
			return nil
		}
		for _, p := range piecesOf(t, name, rel) {
			for _, c := range p.citations() {
				if p.page == "" {
					found[c.kind()]++
				}
				if !have.has(c) {
					t.Errorf("%s:%d: %s is not in docs/spec", rel, c.line, c)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for kind := range strings.FieldsSeq("file § D T P C B E V row scenario") {
		if found[kind] == 0 {
			t.Errorf("no citation of kind %s was found: the test is blind", kind)
		}
	}
	if !t.Failed() {
		t.Logf("found %v", found)
	}
}

// leftBehind are directories of .gitignore.
var leftBehind = []string{"bin", "dist", "configs", "logs"}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "docs", "spec")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("there is no docs/spec above this directory")
		}
		dir = filepath.Dir(dir)
	}
}

// specs is what the files of docs/spec have, by the name of the file without
// ".md": "§2.4.1", "D9", "row 30".
type specs map[string]map[string]bool

func readSpecs(t *testing.T, root string) specs {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "docs", "spec", "*.md"))
	if err != nil || len(names) == 0 {
		t.Fatalf("docs/spec: %d files, %v", len(names), err)
	}
	all := specs{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".md")] = itemsOf(string(text))
	}
	return all
}

var (
	sectionHeading = regexp.MustCompile(`^#+ (\d+(?:\.\d+)*) `)
	listItem       = regexp.MustCompile(`^(\d+)\. `)
	decisionItem   = regexp.MustCompile(`^(?:\* )?\*\*([A-Z]\d+[a-z]?)\*\* `)
	firstCell      = regexp.MustCompile(`^\| ([^|]*?) \|`)
	number         = regexp.MustCompile(`^\d+$`)
	identifier     = regexp.MustCompile(`^[A-Z]\d+[a-z]?$`)
)

// itemsOf returns what a page of docs/spec has: its sections; items of their
// lists and numbered rows of their tables, as §section.item; what a list or the
// first column of a table defines; and rows of a table whose first column is
// called T or Row.
func itemsOf(text string) map[string]bool {
	items := map[string]bool{}
	section, column := "", ""
	for line := range strings.SplitSeq(text, "\n") {
		first := func(form *regexp.Regexp) string {
			if m := form.FindStringSubmatch(line); m != nil {
				return m[1]
			}
			return ""
		}
		switch cell := first(firstCell); {
		case !strings.HasPrefix(line, "|"):
			column = ""
		case column == "":
			column = cell
		case identifier.MatchString(cell):
			items[cell] = true
		case number.MatchString(cell):
			items["§"+section+"."+cell] = true
			switch column {
			case "T":
				items["T"+cell] = true
			case "Row":
				items["row "+cell] = true
				items["scenario "+cell] = true
			}
		}
		if n := first(sectionHeading); n != "" {
			section = n
			items["§"+n] = true
		}
		if n := first(listItem); n != "" {
			items["§"+section+"."+n] = true
		}
		if id := first(decisionItem); id != "" {
			items[id] = true
		}
	}
	return items
}

// has reports whether what is cited exists.
func (s specs) has(c citation) bool {
	if c.id == "" {
		return s[c.file] != nil
	}
	for name, items := range s {
		if (c.file == "" || c.file == name) && items[c.id] {
			return true
		}
	}
	return false
}

// citation is of a file, of an id in any file, or of an id in one file.
type citation struct {
	line     int
	file, id string
}

func (c citation) String() string {
	switch {
	case c.file == "":
		return c.id
	case c.id == "":
		return c.file + ".md"
	}
	return c.file + ".md " + c.id
}

func (c citation) kind() string {
	if c.id == "" {
		return "file"
	}
	if word, _, ok := strings.Cut(c.id, " "); ok {
		return word
	}
	return string([]rune(c.id)[:1])
}

// piece is a part of a file that may cite something.
type piece struct {
	line int
	text string
	page string // the page of docs/spec that it is from
	rows bool   // whether "row 30" is a citation
	skip map[string]bool
}

var (
	// What a text may say, in this order: a file; a section; an id; a row.
	citationForm = regexp.MustCompile(`(spec/)?\b([a-z]+)\.md\b` +
		`|(RFC \d+ )?§ ?(\d+(?:\.\d+)*)(?:–(\d+)\b)?(?:, (\d+)\b)?` +
		`|(?:^|[^\w.%/$-])([DTPCBEXV]\d{1,3}[a-z]?)\b` +
		`|\b([Rr]ow|[Ss]cenario)s? (\d+)(?: and (\d+))?\b`)
	newParagraph = regexp.MustCompile(`\n(?:\s*\n|\s*(?:\||[*-] |\d+\. ))`)
	lastItem     = regexp.MustCompile(`\d+$`)
)

// citations returns all that a piece cites.
func (p piece) citations() []citation {
	var out []citation
	file, at := p.page, 0
	for _, m := range citationForm.FindAllStringSubmatchIndex(p.text, -1) {
		group := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return p.text[m[2*i]:m[2*i+1]]
		}
		if newParagraph.MatchString(p.text[at:m[0]]) {
			file = p.page
		}
		at = m[0]
		line := p.line + strings.Count(p.text[:m[1]], "\n")
		add := func(file, id string) { out = append(out, citation{line, file, id}) }
		name, section, id := group(2), group(4), withoutZeros(group(7))
		switch {
		case name != "" && (group(1) != "" || p.page != "" && slices.Contains(pagesOfSpec, name)):
			file = name
			add(name, "")
		case name != "" || group(3) != "" || p.skip[group(7)]:
		case section != "":
			add(file, "§"+section)
			if end := group(5); end != "" {
				add(file, "§"+lastItem.ReplaceAllString(section, end))
			}
			if row := group(6); row != "" {
				add(file, "§"+section+"."+row)
			}
		case strings.HasPrefix(id, "D"):
			add(file, id)
		case id != "":
			add("", id)
		case strings.EqualFold(group(8), "scenario") || p.rows:
			for _, n := range []string{group(9), group(10)} {
				if n != "" {
					add("", strings.ToLower(group(8))+" "+n)
				}
			}
		}
	}
	return out
}

// pagesOfSpec are the pages that name each other without "spec/".
var pagesOfSpec = []string{"correlation", "interfaces", "tools"}

var (
	inlineCode = regexp.MustCompile("`[^`\n]*`")
	hashMark   = regexp.MustCompile(`(?:^|\s)#(.*)`)
)

// piecesOf returns what of a file may cite something.
func piecesOf(t *testing.T, name, rel string) []piece {
	t.Helper()
	form := path.Ext(rel)
	if !slices.Contains([]string{".go", ".txtar", ".md", ".yaml", ".yml", ".sh"}, form) {
		return nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	switch form {
	case ".go":
		return goPieces(t, rel, text)
	case ".md":
		p := piece{line: 1, text: withoutCode(string(text))}
		if path.Dir(rel) == "docs/spec" {
			p.page = strings.TrimSuffix(path.Base(rel), ".md")
		}
		return []piece{p}
	case ".txtar":
		return []piece{{line: 1, text: txtarText(string(text)), rows: true}}
	}
	return []piece{{line: 1, text: hashComments(string(text))}}
}

// withoutCode empties what is code on a page; its lines stay.
func withoutCode(text string) string {
	lines := strings.Split(text, "\n")
	fenced := false
	for i, line := range lines {
		fence := strings.HasPrefix(line, "```")
		if fence || fenced {
			lines[i] = ""
		}
		fenced = fenced != fence
	}
	return inlineCode.ReplaceAllStringFunc(strings.Join(lines, "\n"), func(code string) string {
		return "`" + strings.Repeat(" ", len(code)-2) + "`"
	})
}

// hashComments leaves comments behind #.
func hashComments(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if m := hashMark.FindStringSubmatch(line); m != nil {
			lines[i] = m[1]
		} else {
			lines[i] = ""
		}
	}
	return strings.Join(lines, "\n")
}

// txtarText leaves the text before the first section, and comments. A text with
// comments in it is a script: there only these count.
func txtarText(text string) string {
	comments := hashComments(text)
	head := len(text)
	if strings.HasPrefix(text, "-- ") {
		head = 0
	} else if i := strings.Index(text, "\n-- "); i >= 0 {
		head = i
	}
	if strings.Contains(text[:head], "#") {
		return comments
	}
	n := strings.Count(text[:head], "\n")
	return text[:head] + "\n" + strings.Join(strings.Split(comments, "\n")[min(n+1, strings.Count(comments, "\n")):], "\n")
}

var (
	testFunction = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark)((?:_?[DTPCBEX]\d+)+)`)
	inName       = regexp.MustCompile(`[DTPCBEX]\d+`)
	caseName     = regexp.MustCompile(`^((?:[DTPCBEX]\d{1,3}[a-z]? )+)|\(([DTPCBEXV]\d{1,3}[a-z]?)\)|, ([DTPCBEXV]\d{1,3}[a-z]?)$`)
)

// goPieces returns the comments of a Go file; of a test file also the ids in
// the names of functions and cases.
func goPieces(t *testing.T, rel string, text []byte) []piece {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, rel, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	at := func(n ast.Node) int { return files.Position(n.Pos()).Line }
	var out []piece
	names := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if ident, ok := n.(*ast.Ident); ok {
			names[ident.Name] = true
		}
		if !strings.HasSuffix(rel, "_test.go") {
			return true
		}
		switch n := n.(type) {
		case *ast.FuncDecl:
			if m := testFunction.FindStringSubmatch(n.Name.Name); m != nil {
				for _, id := range inName.FindAllString(m[1], -1) {
					out = append(out, piece{line: at(n), text: id})
				}
			}
		case *ast.BasicLit:
			name, err := strconv.Unquote(n.Value)
			if n.Kind != token.STRING || err != nil || strings.Contains(name, "\n") {
				return true
			}
			for _, m := range caseName.FindAllStringSubmatch(name, -1) {
				out = append(out, piece{line: at(n), text: m[1] + m[2] + m[3]})
			}
		}
		return true
	})
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if strings.HasPrefix(comment.Text, "/*") {
				out = append(out, piece{line: at(comment), text: comment.Text, skip: names})
			}
		}
		out = append(out, piece{line: at(group), text: lineComments(group), skip: names})
	}
	return out
}

// lineComments returns the text behind // of the lines of a group.
func lineComments(group *ast.CommentGroup) string {
	var lines []string
	for _, comment := range group.List {
		rest, ok := strings.CutPrefix(comment.Text, "//")
		if !ok {
			rest = strings.Repeat("\n", strings.Count(comment.Text, "\n"))
		}
		lines = append(lines, rest)
	}
	return strings.Join(lines, "\n")
}

// withoutZeros returns the id of a check as docs/spec has it: T08 is T8. Ids
// with D and B have zeros of their own.
func withoutZeros(id string) string {
	if id == "" || id[0] == 'D' || id[0] == 'B' {
		return id
	}
	return id[:1] + strings.TrimLeft(id[1:], "0")
}

// TestCitationsAreFound checks the finder.
func TestCitationsAreFound(t *testing.T) {
	t.Parallel()
	const page = "# Page\n\n## 2 Two\n\n### 2.4 Four\n\n1. One\n2. Two\n\n| No. | What |\n|---|---|\n| V9b | x |\n| 7 | x |\n\n" +
		"| Row | What |\n|---|---|\n| 30 | x |\n\n| T | What |\n|---|---|\n| 5 | x |\n\n* **D1** x\n**D28** y\n"
	want := map[string]bool{
		"§2": true, "§2.4": true, "§2.4.1": true, "§2.4.2": true, "V9b": true, "§2.4.7": true, "row 30": true,
		"scenario 30": true, "§2.4.30": true, "T5": true, "§2.4.5": true, "D1": true, "D28": true,
	}
	if diff := cmp.Diff(want, itemsOf(page)); diff != "" {
		t.Errorf("items: want - got +:\n%s", diff)
	}
	all := specs{"correlation": itemsOf(page), "interfaces": {"§9": true, "D02": true}}
	for _, test := range []struct {
		name, file, text string
		cited, missing   []string
	}{
		{"a section of a file", "a.go", "package a\n\n// See docs/spec/correlation.md §2.4, §9 and D2.\n", []string{"3 correlation.md", "3 correlation.md §2.4", "3 correlation.md §9", "3 correlation.md D2"}, []string{"3 correlation.md §9", "3 correlation.md D2"}},
		{"the file is on the line before", "a.go", "package a\n\n// See docs/spec/correlation.md\n// §2.4.\n", []string{"3 correlation.md", "4 correlation.md §2.4"}, nil},
		{"no file", "a.go", "package a // §2.4.2, §9 (D02, D03), B7\n", []string{"1 §2.4.2", "1 §9", "1 D02", "1 D03", "1 B7"}, []string{"1 D03", "1 B7"}},
		{"another paragraph", "a.go", "package a\n\n// docs/spec/interfaces.md §9.\n//\n// §2.4.\n", []string{"3 interfaces.md", "3 interfaces.md §9", "5 §2.4"}, nil},
		{"an unknown file", "a.go", "package a // spec/other.md §2\n", []string{"1 other.md", "1 other.md §2"}, []string{"1 other.md", "1 other.md §2"}},
		{"ranges and rows", "a.go", "package a // §2.4.1–2, §2.4–§2.5, §2.4, 7\n", []string{"1 §2.4.1", "1 §2.4.2", "1 §2.4", "1 §2.5", "1 §2.4", "1 §2.4.7"}, []string{"1 §2.5"}},
		{"none of ours", "a.go", "package a // RFC 9110 §13.1, %C3, x.D4, utf-C8, 0xB42, README.md\n", nil, nil},
		{"a name of the code", "a.go", "package a\n\n// P99 is a quantile, D99 is none.\nconst P99 = 1\n", []string{"3 D99"}, []string{"3 D99"}},
		{"function names", "a_test.go", "package a\n\nfunc TestT05_T27D02Nine() {}\n\nfunc TestX10(){}\n", []string{"3 T5", "3 T27", "3 D02", "5 X10"}, []string{"3 T27", "5 X10"}},
		{"case names", "a_test.go", "package a\n\nvar a = []string{\"T5 D1 one\", \"two (B04)\", \"port 0, B38\", \"D9\"}\n", []string{"3 T5", "3 D1", "3 B04", "3 B38"}, []string{"3 B04", "3 B38"}},
		{"strings are no cases elsewhere", "a.go", "package a\n\nvar a = \"T9 x\"\n", nil, nil},
		{"a scenario", "a.txtar", "Row 30: something (§2.4,\nD1; row 31), scenarios 30 and 32.\n-- run --\ne1 D99\n# D98\n", []string{"1 row 30", "1 §2.4", "2 D1", "2 row 31", "2 scenario 30", "2 scenario 32", "5 D98"}, []string{"2 row 31", "2 scenario 32", "5 D98"}},
		{"a script", "a.txtar", "exec x D99\n# T5\n-- run --\nD99\n", []string{"2 T5"}, nil},
		{"rows elsewhere", "a.go", "package a // row 99, scenario 30, T05\n", []string{"1 scenario 30", "1 T5"}, nil},
		{"a page", "docs/a.md", "a `D99` D1\n```\nD98\n```\n| b | D02, D97 |\n", []string{"1 D1", "5 D02", "5 D97"}, []string{"5 D97"}},
		{"a page of the specification", "docs/spec/correlation.md", "§2.4, §9 and [interfaces.md](interfaces.md) §9\n\n* D02\n", []string{"1 correlation.md §2.4", "1 correlation.md §9", "1 interfaces.md", "1 interfaces.md", "1 interfaces.md §9", "3 correlation.md D02"}, []string{"1 correlation.md §9", "3 correlation.md D02"}},
		{"yaml", "a.yaml", "a: D99 # D1\n# §7\n", []string{"1 D1", "2 §7"}, []string{"2 §7"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(t.TempDir(), path.Base(test.file))
			if err := os.WriteFile(name, []byte(test.text), 0o644); err != nil {
				t.Fatal(err)
			}
			var cited, missing []string
			for _, p := range piecesOf(t, name, test.file) {
				for _, c := range p.citations() {
					text := strconv.Itoa(c.line) + " " + c.String()
					cited = append(cited, text)
					if !all.has(c) {
						missing = append(missing, text)
					}
				}
			}
			if diff := cmp.Diff(test.cited, cited); diff != "" {
				t.Errorf("cited: want - got +:\n%s", diff)
			}
			if diff := cmp.Diff(test.missing, missing); diff != "" {
				t.Errorf("missing: want - got +:\n%s", diff)
			}
		})
	}
}
