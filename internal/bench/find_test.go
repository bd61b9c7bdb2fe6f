package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The program to measure is the one that is named, or else the one beside us.
func TestFindServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	beside, other := filepath.Join(dir, serverName), filepath.Join(dir, "other")
	for _, path := range []string{beside, other} {
		if err := os.WriteFile(path, nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for named, want := range map[string]string{"": beside, other: other} {
		path, remove, err := findServer(t.Context(), named, filepath.Join(dir, programName))
		if err != nil || path != want {
			t.Errorf("%q: %s, error %v, want %s", named, path, err, want)
			continue
		}
		if err := remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("what was found is gone: %v", err)
		}
	}
}

// Where there is none, as for go run, it is built from the source around the
// working directory, and removed at the end.
func TestServerIsBuilt(t *testing.T) {
	t.Parallel()
	path, remove, err := findServer(t.Context(), "", filepath.Join(t.TempDir(), programName))
	if err != nil {
		t.Fatal(err)
	}
	if version, err := versionOf(t.Context(), path); err != nil || !strings.Contains(version, "go1.") || strings.Contains(version, serverName) {
		t.Errorf("version %q, error %v", version, err)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
}

// What is neither beside us nor can be built is an error that says what to do.
func TestServerThatIsNowhere(t *testing.T) {
	t.Chdir(t.TempDir())
	_, _, err := findServer(t.Context(), "", filepath.Join(t.TempDir(), programName))
	for _, text := range []string{"there is no program to measure: no ", "dsiem, and go build", "use --dsiem=FILE"} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want one with %q", err, text)
		}
	}
}
