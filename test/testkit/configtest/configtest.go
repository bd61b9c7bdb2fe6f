// Package configtest plays cases of configuration files: what loads, and what
// users are told of the rest. It is test support.
package configtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dsiem/internal/jsonfile"
	"dsiem/test/testkit"

	"github.com/google/go-cmp/cmp"
)

// Case is a txtar archive: a comment, configuration files, a section "loaded"
// with what loads of them, and a section "problems" with what is reported, as
// it is shown to users.
type Case struct {
	text string
	// Files are the sections with configuration, in their order.
	Files []File
}

// File is a configuration file of a case.
type File struct{ Name, Text string }

// A section starts with a line "-- name --".
const (
	markerStart = "\n-- "
	markerEnd   = " --\n"
)

// Cases runs a test for every case in testdata/load: play loads the files and
// returns what was loaded, a line each. With update, the results are written into
// the cases instead of being compared.
func Cases(t *testing.T, update bool, play func(files []*jsonfile.File, report *jsonfile.Report) string) {
	t.Helper()
	names, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("there are no cases", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			c := Parse(string(content))
			var report jsonfile.Report
			files := make([]*jsonfile.File, len(c.Files))
			for i, f := range c.Files {
				files[i] = jsonfile.NewFile(f.Name, []byte(f.Text))
			}
			loaded := play(files, &report)
			got := c.With(loaded, &report)
			switch {
			case update:
				testkit.WriteFile(t, name, got)
			case got != c.text:
				t.Errorf("-want +got:\n%s", cmp.Diff(strings.Split(results(c.text), "\n"), strings.Split(results(got), "\n")))
			}
		})
	}
}

// Parse splits a case into its files.
func Parse(text string) *Case {
	c := &Case{text: text}
	for part := range strings.SplitSeq(text, markerStart) {
		name, content, isSection := strings.Cut(part, markerEnd)
		if isSection && strings.HasSuffix(name, ".json") {
			if content != "" || !strings.HasSuffix(part, markerEnd) {
				content += "\n"
			}
			c.Files = append(c.Files, File{Name: name, Text: content})
		}
	}
	return c
}

// With returns the text of the case with other results.
func (c *Case) With(loaded string, report *jsonfile.Report) string {
	report.Sort()
	var b strings.Builder
	files, _, _ := strings.Cut(c.text, markerStart+"loaded"+markerEnd)
	b.WriteString(files + markerStart + "loaded" + markerEnd + loaded + markerStart[1:] + "problems" + markerEnd)
	for i := range report.Problems {
		if err := report.Problems[i].Write(&b); err != nil {
			b.WriteString(err.Error())
		}
	}
	return b.String()
}

// results returns the part of a case that is compared.
func results(text string) string {
	_, after, _ := strings.Cut(text, markerStart+"loaded"+markerEnd)
	return after
}
