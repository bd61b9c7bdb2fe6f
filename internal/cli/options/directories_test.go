package options

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// locations are the directories of a node.
type locations struct{ Root, Config, Log, Web string }

func locate(t *testing.T, mode modeSet, given locations, executable string) (locations, *resolved, error) {
	t.Helper()
	s := &settings{rootDir: given.Root}
	s.ConfigDir, s.LogDir, s.HTTP.WebDir = given.Config, given.Log, given.Web
	r := &resolved{mode: mode}
	err := s.locate(r, &System{
		Executable: func() (string, error) {
			if executable == "" {
				return "", errors.New("nobody knows")
			}
			return executable, nil
		},
		Directory: func() (string, error) { return filepath.FromSlash("/home/me"), nil },
	})
	return locations{s.rootDir, s.ConfigDir, s.LogDir, s.HTTP.WebDir}, r, err
}

// TestDirectories: those that are given, or those below the one that is given, or
// those beside the real file of the program. A mode has no others than it needs.
func TestDirectories(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dsiem"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "dsiem-backend")
	if err := os.Symlink(filepath.Join(dir, "dsiem"), link); err != nil {
		t.Skip(err)
	}
	in := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	for _, tt := range []struct {
		mode        modeSet
		given, want locations
		executable  string
	}{
		{standaloneMode, locations{}, locations{Config: in("configs"), Log: in("logs"), Web: in("web", "dist")}, link},
		{frontendMode, locations{}, locations{Config: in("configs"), Log: in("logs"), Web: in("web", "dist")}, link},
		{backendMode, locations{}, locations{Config: in("configs"), Log: in("logs")}, link},
		{backendMode, locations{Config: "c"}, locations{Config: "c", Log: in("logs")}, link},
		{standaloneMode, locations{Root: "r", Log: "l"}, locations{"r", filepath.Join("r", "configs"), "l", filepath.Join("r", "web", "dist")}, ""},
		{backendMode, locations{Config: "c", Log: "l"}, locations{Config: "c", Log: "l"}, ""},
		{frontendMode, locations{Config: "c", Log: "l", Web: "w"}, locations{Config: "c", Log: "l", Web: "w"}, ""},
		{standaloneMode, locations{"", "c", "l", "w"}, locations{"", "c", "l", "w"}, ""},
	} {
		got, r, err := locate(t, tt.mode, tt.given, tt.executable)
		if err != nil || len(r.notes) > 0 {
			t.Errorf("%v, %+v: %v, remarks %v", tt.mode.names(), tt.given, err, r.notes)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v, %+v: want -, got +:\n%s", tt.mode.names(), tt.given, diff)
		}
	}
	if _, _, err := locate(t, standaloneMode, locations{Config: "c", Log: "l"}, ""); err == nil || !strings.Contains(err.Error(), "--root-dir") {
		t.Errorf("error %v, want one that names --root-dir", err)
	}
}

// TestGoRun: a program of go run finds its directories where the user is, and
// says so.
func TestGoRun(t *testing.T) {
	t.Parallel()
	const cached = "/root/.cache/go-build/54/544c9ad0afcfe0db8732438e2d1a6372b3f63e622317541051ab13dc3f7d76db-d/dsiem"
	for executable, want := range map[string]bool{
		"/tmp/go-build620030722/b001/exe/dsiem":  true,
		cached:                                   true,
		"/home/me/go-build/dsiem":                false,
		"/srv/go-build1/b001/exe/bin/dsiem":      false,
		"/usr/local/bin/dsiem":                   false,
		"/opt/my-go-build620030722/b001/e/dsiem": false,
		"/opt/54/544c9ad0/dsiem":                 false,
	} {
		got, r, err := locate(t, standaloneMode, locations{}, filepath.FromSlash(executable))
		if err != nil {
			t.Errorf("%s: %v", executable, err)
		}
		root := filepath.Dir(filepath.FromSlash(executable))
		if want {
			root = filepath.FromSlash("/home/me")
		}
		if got.Config != filepath.Join(root, "configs") || got.Web != filepath.Join(root, "web", "dist") || (len(r.notes) == 1) != want {
			t.Errorf("%s: %+v, remarks %v", executable, got, r.notes)
		}
		if want && (r.notes[0].Message != "started by go run: directories are those of the working directory" || r.notes[0].Attrs[0].Value.String() != root) {
			t.Errorf("%s: remark %+v", executable, r.notes[0])
		}
		got, r, _ = locate(t, standaloneMode, locations{Root: "r"}, filepath.FromSlash(executable))
		if got.Config != filepath.Join("r", "configs") || len(r.notes) > 0 {
			t.Errorf("%s with --root-dir: %+v, remarks %v", executable, got, r.notes)
		}
	}
}
