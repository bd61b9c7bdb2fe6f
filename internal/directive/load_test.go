package directive_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dsiem/internal/directive"
	"dsiem/internal/jsonfile"
	"dsiem/test/testkit/configtest"
)

var update = flag.Bool("update", false, "write the results of the cases in testdata/load into them")

// TestLoad plays testdata/load: files of directives, the ids of those that
// load, and what is reported of the others.
func TestLoad(t *testing.T) {
	configtest.Cases(t, *update, func(files []*jsonfile.File, report *jsonfile.Report) string {
		var loaded strings.Builder
		for _, d := range directive.Load(files, report) {
			fmt.Fprintln(&loaded, d.ID)
			if p := compileAlone(d); len(p.Stages) != len(d.Rules) {
				t.Errorf("directive %d: %d stages of %d rules", d.ID, len(p.Stages), len(d.Rules))
			}
		}
		return loaded.String()
	})
}

// file is a file of testdata/valid.
type file struct {
	name    string
	content []byte
}

func validFiles(t testing.TB) []file {
	t.Helper()
	names, err := filepath.Glob("testdata/valid/*.json")
	if err != nil || len(names) == 0 {
		t.Fatal("no files", err)
	}
	var files []file
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file{filepath.Base(name), content})
	}
	return files
}

// loadFile loads one file and returns its directives and what is reported.
func loadFile(name string, content []byte) ([]*directive.Directive, *jsonfile.Report) {
	var report jsonfile.Report
	loaded := directive.Load([]*jsonfile.File{jsonfile.NewFile(name, content)}, &report)
	report.Sort()
	return loaded, &report
}

// Configurations that are valid but unusual load without any error, however
// they are laid out.
func TestLoadTakesUnusualFiles(t *testing.T) {
	for _, f := range validFiles(t) {
		t.Run(f.name, func(t *testing.T) {
			loaded, report := loadFile(f.name, f.content)
			if err := report.Err(); err != nil || len(loaded) == 0 {
				t.Fatal(len(loaded), err)
			}
			var compact, indented bytes.Buffer
			if err := errors.Join(json.Compact(&compact, f.content), json.Indent(&indented, f.content, "", "\t")); err != nil {
				t.Fatal(err)
			}
			for layout, content := range map[string][]byte{
				"CRLF": bytes.ReplaceAll(f.content, []byte("\n"), []byte("\r\n")), "compact": compact.Bytes(), "indented": indented.Bytes(),
			} {
				other, report := loadFile(f.name, content)
				if err := report.Err(); err != nil {
					t.Errorf("%s: %v", layout, err)
				}
				if diff := cmp.Diff(loaded, other, cmpopts.IgnoreFields(directive.Directive{}, "PriorityAt")); diff != "" {
					t.Errorf("%s:\n%s", layout, diff)
				}
				for i, d := range other {
					if len(compileAlone(d).Stages) != len(loaded[i].Rules) {
						t.Errorf("%s: directive %d does not compile", layout, d.ID)
					}
				}
			}
		})
	}
}

// Windows line ends change neither what is reported nor how it is shown.
func TestLoadShowsProblemsOfCRLFFilesAlike(t *testing.T) {
	cases, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
	for _, name := range cases {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		shown := func(lineEnd string) string {
			var report jsonfile.Report
			var files []*jsonfile.File
			for _, f := range configtest.Parse(string(text)).Files {
				files = append(files, jsonfile.NewFile(f.Name, []byte(strings.ReplaceAll(f.Text, "\n", lineEnd))))
			}
			directive.Load(files, &report)
			report.Sort()
			var b strings.Builder
			for i := range report.Problems {
				if err := report.Problems[i].Write(&b); err != nil {
					t.Fatal(err)
				}
			}
			return b.String()
		}
		if diff := cmp.Diff(shown("\n"), shown("\r\n")); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// §2.3, §2.6.6, C6: what a rule may leave out.
func TestLoadFillsInDefaults(t *testing.T) {
	content, err := os.ReadFile("testdata/valid/directives_minimal.json")
	if err != nil {
		t.Fatal(err)
	}
	loaded, _ := loadFile("directives_minimal.json", content)
	want := []*directive.Directive{{
		ID: 1, Name: "D", Kingdom: "K", Category: "C", Priority: 1, File: "directives_minimal.json", PriorityAt: 74,
		Rules: []directive.Rule{
			{Stage: 1, Occurrence: 1, From: "ANY", To: "ANY", PortFrom: "ANY", PortTo: "ANY", Protocol: "ANY", PluginID: 1, PluginSID: []uint64{1}},
			{Stage: 2, Occurrence: 1, From: "ANY", To: "ANY", PortFrom: "ANY", PortTo: "ANY", Protocol: "ANY", PluginID: 1, PluginSID: []uint64{1}},
		},
	}}
	if diff := cmp.Diff(want, loaded); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// §4: every value of sticky_different has a name that reads back.
func TestStickyNames(t *testing.T) {
	for sticky := directive.NoSticky; sticky <= directive.StickyCustomData3; sticky++ {
		if got, ok := directive.ParseSticky(sticky.String()); got != sticky || !ok {
			t.Errorf("%q: %v, %v", sticky, got, ok)
		}
	}
	if _, ok := directive.ParseSticky("PROTOCOL"); ok {
		t.Error("PROTOCOL is a field")
	}
}
