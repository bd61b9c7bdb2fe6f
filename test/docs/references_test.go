package docs

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/test/testkit/programs"
)

// TestLinks checks that every relative link leads to a file, and to a heading of
// it if it names one.
func TestLinks(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for _, p := range all {
		for _, l := range p.links {
			if strings.Contains(l.target, "://") {
				continue
			}
			file, anchor, _ := strings.Cut(l.target, "#")
			target := p.name
			if file != "" {
				target = path.Join(path.Dir(p.name), file)
			}
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
				t.Errorf("%s:%d: there is no %s", p.name, l.at, target)
				continue
			}
			i := slices.IndexFunc(all, func(p *page) bool { return p.name == target })
			if anchor != "" && (i < 0 || !slices.ContainsFunc(all[i].headings, func(h string) bool { return slug(h) == anchor })) {
				t.Errorf("%s:%d: %s has no heading #%s", p.name, l.at, target, anchor)
			}
		}
	}
}

var notInSlug = regexp.MustCompile(`[^a-z0-9 _-]`)

// slug returns the anchor of a heading, as GitHub makes it.
func slug(heading string) string {
	return strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

var (
	helpCommand = regexp.MustCompile(`(?m)^  ([a-z]+)  `)
	helpFlag    = regexp.MustCompile(`(?m)^ {2,6}(?:-[a-zA-Z], )?--(\[no-\])?([a-z0-9-]+)`)
	flagForm    = regexp.MustCompile(`--[a-z][a-z0-9-]*`)
	dsiemLine   = regexp.MustCompile(`\b(dsiem(?:-backend|-frontend)?) ([a-z]+)([^|;&]*)`)
)

// optionsPage is made from the table of the options of serve, and has all flags.
const optionsPage = "docs/options.md"

// help returns the flags of every command of a program; those of the program
// itself are under "".
func help(t *testing.T, program string) map[string][]string {
	t.Helper()
	of := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), programs.Path(t, program), append(args, "--help")...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	flags := func(text string) []string {
		var out []string
		for _, m := range helpFlag.FindAllStringSubmatch(text, -1) {
			out = append(out, "--"+m[2])
			if m[1] != "" {
				out = append(out, "--no-"+m[2])
			}
		}
		return out
	}
	top := of()
	all := map[string][]string{"": flags(top)}
	_, commands, _ := strings.Cut(top, "Commands:\n")
	for _, m := range helpCommand.FindAllStringSubmatch(commands, -1) {
		all[m[1]] = flags(of(m[1]))
	}
	return all
}

// TestFlags checks that documented flags exist, and that every command has a
// section with a table of all its flags.
func TestFlags(t *testing.T) {
	t.Parallel()
	programs := map[string]map[string][]string{}
	for _, name := range []string{"dsiem", "dsiem-backend", "dsiem-frontend"} {
		programs[name] = help(t, name)
	}
	union := []string{"--user"} // which is curl's
	for _, commands := range programs {
		for _, f := range commands {
			union = append(union, f...)
		}
	}
	for _, p := range pages(t) {
		for _, code := range p.code {
			if !isOurs(code) {
				continue
			}
			for _, flag := range flagForm.FindAllString(code, -1) {
				if !slices.Contains(union, flag) {
					t.Errorf("%s: `%s`: there is no flag %s", p.name, code, flag)
				}
			}
		}
		for _, b := range p.blocks {
			if b.lang == "sh" || b.lang == "console" {
				checkCommands(t, p, b, programs)
			}
		}
	}
	for command, want := range programs["dsiem"] {
		if command != "" {
			checkFlagTable(t, command, want)
		}
	}
}

// isOurs reports whether a text between backquotes is about our programs: one
// that begins with the name of another is not.
func isOurs(code string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(code, "go run ./cmd/"), " ")
	return !otherProgram.MatchString(first) || strings.HasPrefix(first, "dsiem")
}

var otherProgram = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// checkCommands checks the command lines of a block.
func checkCommands(t *testing.T, p *page, b *block, programs map[string]map[string][]string) {
	t.Helper()
	text := strings.ReplaceAll(b.text, "\\\n", " ")
	for _, m := range dsiemLine.FindAllStringSubmatch(text, -1) {
		flags, command, rest := programs[m[1]], m[2], strings.SplitN(m[3], "\n", 2)[0]
		if flags[command] == nil {
			t.Errorf("%s:%d: there is no command %q", p.name, b.at, command)
		}
		for _, flag := range flagForm.FindAllString(rest, -1) {
			if !slices.Contains(flags[command], flag) && !b.has("mistakes") {
				t.Errorf("%s:%d: %s %s has no flag %s", p.name, b.at, m[1], command, flag)
			}
		}
	}
}

// checkFlagTable checks that a command has a section, and that its table has
// all flags. Those of serve are on a page of their own.
func checkFlagTable(t *testing.T, command string, want []string) {
	t.Helper()
	heading := "dsiem " + command
	if !slices.ContainsFunc(pages(t), func(p *page) bool { return slices.Contains(p.headings, heading) }) {
		t.Errorf("no page has a heading %q", heading)
	}
	got := []string{"--help"}
	for _, table := range tablesOf(t, "Flag") {
		if table.heading == heading {
			for _, row := range table.rows {
				got = append(got, flagForm.FindAllString(row[0], -1)...)
			}
		}
	}
	if command == "serve" {
		got, want = nil, slices.DeleteFunc(want, func(f string) bool { return strings.HasPrefix(f, "--no-") })
		for _, row := range firstColumn(t, optionsPage, "Setting") {
			got = append(got, flagForm.FindAllString(row, -1)...)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("dsiem %s: real - documented +:\n%s", command, diff)
	}
}

// tablesOf returns the tables of all pages whose header begins so.
func tablesOf(t *testing.T, first string) []*table {
	t.Helper()
	var out []*table
	for _, p := range pages(t) {
		for _, table := range p.tables {
			if table.header[0] == first {
				out = append(out, table)
			}
		}
	}
	return out
}

// TestSummaryFields checks the table of what replay --json prints.
func TestSummaryFields(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range pageNamed(t, "README.md").blocks {
		if b.kind == "assets" || b.kind == "directives" {
			write(path.Base(b.words["file"]), b.text)
		}
	}
	write("events.ndjson", "")
	cmd := exec.CommandContext(t.Context(), programs.Path(t, "dsiem"), "replay", "--json", "--config", ".", "events.ndjson")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, key := range keysOf(t, out) {
		if inner := member(t, out, key); len(inner) > 0 && inner[0] == '{' && key != "rejected" && key != "alarms" {
			for _, k := range keysOf(t, inner) {
				want = append(want, key+"."+k)
			}
			continue
		}
		want = append(want, key)
	}
	if diff := cmp.Diff(want, firstColumn(t, "docs/replay.md", "Field of the summary")); diff != "" {
		t.Errorf("real - documented +:\n%s", diff)
	}
	if !json.Valid(out) {
		t.Errorf("no JSON: %s", out)
	}
}

var (
	testName = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`)
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
)

// TestNamesExist checks that the tests that pages name exist.
func TestNamesExist(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	for _, dir := range []string{"internal", "test"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(name string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, "_test.go") {
				return err
			}
			text, err := os.ReadFile(name)
			for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
				tests[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range pages(t) {
		for _, code := range p.code {
			for _, name := range testName.FindAllString(code, -1) {
				if !tests[name] {
					t.Errorf("%s: there is no %s", p.name, name)
				}
			}
		}
	}
}

var pathForm = regexp.MustCompile(`^(?:internal|cmd|test|docs|tools)/[\w./@-]*$`)

// TestPathsExist checks that the files and directories of the repository that pages
// name between backquotes exist.
func TestPathsExist(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, p := range pages(t) {
		for _, code := range p.code {
			if !pathForm.MatchString(code) {
				continue
			}
			seen++
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(code))); err != nil {
				t.Errorf("%s: there is no %s", p.name, code)
			}
		}
	}
	if seen == 0 {
		t.Error("no page names a path")
	}
}

// TestPackages checks that the packages of docs/ARCHITECTURE.md exist, and that
// all packages of the program are there.
func TestPackages(t *testing.T) {
	t.Parallel()
	documented := firstColumn(t, "docs/ARCHITECTURE.md", "Package")
	for _, name := range documented {
		if files, err := filepath.Glob(filepath.Join(root, name, "*.go")); err != nil || len(files) == 0 {
			t.Errorf("docs/ARCHITECTURE.md: there is no package %s", name)
		}
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if .Module}}{{if .Module.Main}}{{.ImportPath}}{{end}}{{end}}", "./cmd/...")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		if _, dir, _ := strings.Cut(name, "/"); !slices.Contains(documented, dir) {
			t.Errorf("docs/ARCHITECTURE.md does not have package %s", dir)
		}
	}
}

// literals returns the texts in the program's code below a directory, without tests.
func literals(t *testing.T, below string) []string {
	t.Helper()
	var texts []string
	err := filepath.WalkDir(filepath.Join(root, below), func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					texts = append(texts, text)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}
