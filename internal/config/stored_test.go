package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"dsiem/test/testkit"
)

// countingFS counts the files that are read.
type countingFS struct {
	fstest.MapFS
	read *int
}

func (c countingFS) ReadFile(name string) ([]byte, error) {
	*c.read++
	return c.MapFS.ReadFile(name)
}

// The hash of what is stored is that of what was loaded until something that a node
// loads changes, and again when it is changed back.
func TestHashOfWhatIsStored(t *testing.T) {
	t.Parallel()
	old := time.Unix(1_000_000, 0)
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text), ModTime: old} }
	files := testkit.ScanConfig()
	for _, f := range files {
		f.ModTime = old
	}
	files["intel_a.json"], files["vuln_a.json"] = file(`{"intel_sources":[]}`), file(`{"vuln_sources":[]}`)
	reads := 0
	c, err := LoadAll(files, "configs")
	if err != nil {
		t.Fatal(err)
	}
	stored := NewStored(countingFS{files, &reads})
	now := old
	for _, step := range []struct {
		what   string
		change func()
		same   bool
		reads  int
	}{
		{"nothing", func() {}, true, 4},
		{"nothing, but all is new", func() { now = now.Add(time.Second) }, true, 4},
		{"nothing, when all is old", func() { now = now.Add(time.Hour) }, true, 4},
		{"nothing again", func() { now = now.Add(time.Hour) }, true, 0},
		{"a file that no node loads", func() { files["notes.json"] = file("1") }, true, 0},
		{"a content of the same size and time, a moment later", func() {
			files["intel_a.json"] = &fstest.MapFile{Data: []byte(`{"intel_sources":[]}`), ModTime: now}
		}, true, 4},
		{"the same within the tick", func() { files["intel_a.json"].Data = []byte(`{"intel_sourceX":[]}`) }, false, 4},
		{"changed back", func() { files["intel_a.json"].Data = []byte(`{"intel_sources":[]}`) }, true, 4},
		{"a longer file", func() { files["vuln_a.json"] = file(`{"vuln_sources":[]} `) }, false, 4},
		{"a file less", func() { delete(files, "vuln_a.json") }, false, 3},
		{"a file of another name", func() { files["vuln_b.json"] = file(`{"vuln_sources":[]}`) }, false, 4},
		{"as it was", func() { files["vuln_a.json"] = files["vuln_b.json"]; delete(files, "vuln_b.json") }, true, 4},
		{"a folder in the place of a file", func() { files["vuln_a.json"] = &fstest.MapFile{Mode: fs.ModeDir, ModTime: old} }, false, 3},
		{"no file", func() { clear(files) }, false, 0},
	} {
		step.change()
		reads = 0
		got := stored.Hash(now)
		if same := got == c.Hash; same != step.same || reads != step.reads {
			t.Errorf("%s: the hash is %q, loaded is %q; %d files are read, want %d", step.what, got, c.Hash, reads, step.reads)
		}
	}
	if len(c.Hash) != hashDigits || stored.Hash(now) != "" {
		t.Errorf("the hashes are %q and %q", c.Hash, stored.Hash(now))
	}
}

// A directory of the disk, and one that is not there.
func TestHashOfADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, f := range testkit.ScanConfig() {
		if err := os.WriteFile(filepath.Join(dir, name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := LoadAll(os.DirFS(dir), dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := NewStored(os.DirFS(dir)).Hash(time.Now()); got != c.Hash || got == "" {
		t.Errorf("stored is %q, loaded %q", got, c.Hash)
	}
	if got := NewStored(os.DirFS(filepath.Join(dir, "none"))).Hash(time.Now()); got != "" {
		t.Errorf("stored in no directory is %q", got)
	}
}

func TestLeftOut(t *testing.T) {
	t.Parallel()
	files := testkit.ScanConfig()
	files["directives_b.json"] = &fstest.MapFile{Data: []byte(withID("1"))}
	files["directives_c.json"] = &fstest.MapFile{Data: []byte(`{"directives": [{}, {"id": 7}, 8]}`)}
	files["directives_d.json"] = &fstest.MapFile{Data: []byte(`[]`)}
	files["assets_b.json"] = &fstest.MapFile{Data: []byte(`[]`)}
	c, err := LoadAll(files, "configs")
	if err != nil {
		t.Fatal(err)
	}
	want := []LeftOut{
		{"directives_b.json", "directive 1"},
		{"directives_c.json", "directive number 1 of the file"},
		{"directives_c.json", "directive 7"},
		{"directives_c.json", "directive number 3 of the file"},
		{"directives_d.json", ""},
	}
	if diff := cmp.Diff(want, c.LeftOut()); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
}
