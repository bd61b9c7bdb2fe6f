package jsonfile_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"dsiem/internal/jsonfile"

	"github.com/google/go-cmp/cmp"
)

// shown returns the problem of the byte offset at which mark stands in text,
// the mark left out, as it is shown to users.
func shown(t *testing.T, text, mark string) string {
	t.Helper()
	offset := strings.Index(text, mark)
	if offset < 0 {
		t.Fatalf("no %q in %q", mark, text)
	}
	file := jsonfile.NewFile("f.json", []byte(strings.Replace(text, mark, "", 1)))
	p := file.Problem(jsonfile.Error, offset, "", "x")
	var b strings.Builder
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestProblemShowsTheSourceLineWithACaret(t *testing.T) {
	long := strings.Repeat("0123456789", 30)
	for _, c := range []struct{ name, in, want string }{
		{"indented line", "{\n    \"port\": ^\"80a\"\n}", "f.json:2:13: x\n  2 | \"port\": \"80a\"\n    |         ^\n"},
		{"first column", "^{}", "f.json:1:1: x\n  1 | {}\n    | ^\n"},
		{"after the last column", "{}^", "f.json:1:3: x\n  1 | {}\n    |   ^\n"},
		{"in the indentation", "  ^  {}", "f.json:1:3: x\n  1 |   {}\n    | ^\n"},
		{"wide line number", strings.Repeat("\n", 99) + "ab^c", "f.json:100:3: x\n  100 | abc\n      |   ^\n"},
		{"CRLF", "{\r\n  \"a\": ^1,\r\n}\r\n", "f.json:2:8: x\n  2 | \"a\": 1,\n    |      ^\n"},
		{"end of a CRLF line", "{\r\n  \"a\": 1^\r\n}\r\n", "f.json:2:9: x\n  2 | \"a\": 1\n    |       ^\n"},
		{"tabs before the line", "\t\t\"a\": ^1", "f.json:1:8: x\n  1 | \"a\": 1\n    |      ^\n"},
		{"tabs inside the line", "\t\"a\":\t\t^1", "f.json:1:8: x\n  1 | \"a\":\t\t1\n    |     \t\t^\n"},
		{"characters of several bytes", `{"ä€😀": ^"x"}`, "f.json:1:9: x\n  1 | {\"ä€😀\": \"x\"}\n    |         ^\n"},
		{"empty line", "{\n^\n}", "f.json:2:1: x\n"},
		{"end of file", "{\n^", "f.json:2:1: x\n"},
		{"control characters", "{\"a\x1b[31m\x00\": ^1}", "f.json:1:13: x\n  1 | {\"a\ufffd[31m\ufffd\": 1}\n    |             ^\n"},
		{"bytes that are not UTF-8", "{\"\xff\": ^1}", "f.json:1:7: x\n  1 | {\"\ufffd\": 1}\n    |       ^\n"},
		{"line of 120 characters", long[:60] + "^" + long[60:120], "f.json:1:61: x\n  1 | " + long[:120] + "\n    | " + strings.Repeat(" ", 60) + "^\n"},
		{"start of a long line", long[:5] + "^" + long[5:], "f.json:1:6: x\n  1 | " + long[:120] + "…\n    |      ^\n"},
		{"middle of a long line", long[:150] + "^" + long[150:], "f.json:1:151: x\n  1 | …" + long[90:210] + "…\n    |  " + strings.Repeat(" ", 60) + "^\n"},
		{"end of a long line", long + "^\n", "f.json:1:301: x\n  1 | …" + long[240:] + "\n    |  " + strings.Repeat(" ", 60) + "^\n"},
		{"long line between short ones", "{\n" + long[:150] + "^" + long[150:] + "\n}", "f.json:2:151: x\n  2 | …" + long[90:210] + "…\n    |  " + strings.Repeat(" ", 60) + "^\n"},
		{
			"long line of characters of several bytes", strings.Repeat("ä", 150) + "^" + strings.Repeat("😀", 150),
			"f.json:1:151: x\n  1 | …" + strings.Repeat("ä", 60) + strings.Repeat("😀", 60) + "…\n    |  " + strings.Repeat(" ", 60) + "^\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, shown(t, c.in, "^")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestMinifiedFileIsShownAroundThePlace(t *testing.T) {
	element := `{"id":1,"name":"Ünïcode","rules":[]},`
	text := `{"items":[` + strings.Repeat(element, 100_000) + `^80a` + strings.Repeat(element, 1000)
	lines := strings.SplitAfter(shown(t, text, "^"), "\n")
	if want := "f.json:1:3700011: x\n"; lines[0] != want {
		t.Errorf("got %s, want %s", lines[0], want)
	}
	source := []rune(strings.TrimPrefix(strings.TrimSuffix(lines[1], "\n"), "  1 | "))
	caret := strings.Index(lines[2], "^") - len("    | ")
	if len(source) != 120+2 || source[0] != '…' || source[121] != '…' || string(source[caret:caret+3]) != "80a" {
		t.Errorf("got\n%s", strings.Join(lines, ""))
	}
}

func TestPositionCountsCharacters(t *testing.T) {
	// Long enough for several blocks, with characters across their borders.
	text := strings.Repeat("ä€😀\n", 1000) + strings.Repeat("xä€😀", 3000) + "\n\n" + strings.Repeat("y", 5000)
	file := jsonfile.NewFile("f", []byte(text))
	line, column := 1, 1
	for offset, r := range text {
		if gotLine, gotColumn := file.Position(offset); gotLine != line || gotColumn != column {
			t.Fatalf("offset %d: %d:%d, want %d:%d", offset, gotLine, gotColumn, line, column)
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
	}
	for _, offset := range []int{len(text), len(text) + 1, math.MaxInt} {
		if gotLine, gotColumn := file.Position(offset); gotLine != line || gotColumn != column {
			t.Errorf("offset %d: %d:%d, want %d:%d", offset, gotLine, gotColumn, line, column)
		}
	}
	if gotLine, gotColumn := file.Position(-1); gotLine != 1 || gotColumn != 1 {
		t.Errorf("offset -1: %d:%d", gotLine, gotColumn)
	}
}

func TestReportSortsInTheOrderOfReading(t *testing.T) {
	var report jsonfile.Report
	for _, name := range []string{"b.json", "a.json", "c.json"} {
		jsonfile.NewFile(name, []byte("{\n\"x\": 1, \"y\": 1}")).Each(&report, "items", func(int, *jsonfile.Value) {})
	}
	report.Add(
		jsonfile.Problem{File: "items_*.json", Msg: "of all"},
		jsonfile.Problem{File: "c.json", Line: 2, Column: 1, Msg: "later"},
		jsonfile.Problem{File: "a.json", Msg: "of the whole file"},
	)
	report.Sort()
	var got []string
	for i := range report.Problems {
		got = append(got, report.Problems[i].Error())
	}
	var want []string
	for _, name := range []string{"b.json", "a.json", "c.json"} {
		if name == "a.json" {
			want = append(want, "a.json: of the whole file")
		}
		want = append(want, name+`:1:1: the list "items" is missing; write {"items": [...]}`,
			name+`:2:1: warning: unknown key "x" is ignored; only "items" is read here [unknown-key]`)
		if name == "c.json" {
			want = append(want, "c.json:2:1: later")
		}
		want = append(want, name+`:2:9: warning: unknown key "y" is ignored; only "items" is read here [unknown-key]`)
	}
	want = append(want, "items_*.json: of all")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	sorted := slices.Clone(report.Problems)
	report.Sort()
	if diff := cmp.Diff(sorted, report.Problems); diff != "" {
		t.Errorf("sorting again changes the order:\n%s", diff)
	}
}

func TestReportErrListsErrorsOnly(t *testing.T) {
	var report jsonfile.Report
	report.Add(jsonfile.Problem{File: "a", Line: 1, Column: 2, Severity: jsonfile.Warning, Msg: "odd"})
	if err := report.Err(); err != nil {
		t.Errorf("warnings are an error: %v", err)
	}
	report.Add(
		jsonfile.Problem{File: "a", Line: 3, Column: 4, Where: "asset 1", Msg: "wrong"},
		jsonfile.Problem{File: "b", Msg: "missing"},
	)
	var asReport *jsonfile.ReportError
	err := report.Err()
	if !errors.As(err, &asReport) || asReport.Report != &report {
		t.Fatalf("got %#v", err)
	}
	if want := "a:3:4: asset 1: wrong\nb: missing"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if e, w := report.Count(jsonfile.Error), report.Count(jsonfile.Warning); e != 2 || w != 1 {
		t.Errorf("%d errors, %d warnings", e, w)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestProblemWriteReturnsTheWritersError(t *testing.T) {
	for _, p := range []jsonfile.Problem{{Msg: "x"}, {Msg: "x", Source: "y"}} {
		if err := p.Write(failingWriter{}); err == nil {
			t.Errorf("%+v: no error", p)
		}
	}
}
