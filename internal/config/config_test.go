package config

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"dsiem/test/testkit"

	"github.com/google/go-cmp/cmp"
)

// lockedFS is a file system that does not let some files be read.
type lockedFS struct {
	fstest.MapFS
	locked string
}

func (l lockedFS) Open(name string) (fs.File, error) {
	if name == l.locked {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return l.MapFS.Open(name)
}

// ReadFile is not that of fstest.MapFS, which does not use Open.
func (l lockedFS) ReadFile(name string) ([]byte, error) {
	if name == l.locked {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return l.MapFS.ReadFile(name)
}

func TestLoadConfiguration(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		locked string
		change func(fstest.MapFS)
		want   []string
	}{
		{name: "good"},
		{
			name: "a file that cannot be read beside others", locked: "directives_b.json",
			change: func(files fstest.MapFS) { files["directives_b.json"] = files["directives_a.json"] },
			want:   []string{"configs/directives_b.json: the file cannot be read: permission denied"},
		},
		{
			name: "the only file of assets cannot be read", locked: "assets_a.json",
			want: []string{"configs/assets_a.json: the file cannot be read: permission denied"},
		},
		{
			name: "the only file of directives cannot be read", locked: "directives_a.json",
			want: []string{"configs/directives_a.json: the file cannot be read: permission denied"},
		},
		{
			name:   "a directory with the name of a file",
			change: func(files fstest.MapFS) { files["directives_x.json"] = &fstest.MapFile{Mode: fs.ModeDir} },
			want:   []string{"configs/directives_x.json: the file cannot be read: "},
		},
		{
			name: "a silent directive",
			change: func(files fstest.MapFS) {
				text := strings.ReplaceAll(string(files["directives_a.json"].Data), `"priority": 5`, `"priority": 1`)
				text = strings.ReplaceAll(text, `"reliability": 10`, `"reliability": 4`)
				files["directives_a.json"] = &fstest.MapFile{Data: []byte(text)}
			},
			want: []string{"configs/directives_a.json:1:88: warning: directive 1, priority: the directive can never raise an alarm: " +
				"priority 1 × reliability 4 × the highest asset value 5 is below 25; raise one of them"},
		},
		{
			name: "other files do not matter",
			change: func(files fstest.MapFS) {
				for _, name := range []string{
					"notes.txt", "notes.json", "directives.md", "directives_a.json.bak", "directives_a.json~", "sub/directives_b.json", "yaml",
				} {
					files[name] = &fstest.MapFile{Data: []byte("nonsense")}
				}
				files["kingdom.json"] = &fstest.MapFile{Data: []byte(`{"kingdom": [{"directives": []}], "assets": "none"}`)}
				files["list.json"] = &fstest.MapFile{Data: []byte(`[{"assets": []}]`)}
				files["intel_x.json"] = &fstest.MapFile{Data: []byte(`{"directives": []}`)}
				files["assets.json"] = &fstest.MapFile{Mode: fs.ModeDir}
				files["directive.json"] = &fstest.MapFile{Mode: fs.ModeNamedPipe}
				files["directives.json"] = &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("nowhere.json")}
			},
		},
		{
			name: "files that are not read for their names",
			change: func(files fstest.MapFS) {
				for _, name := range []string{
					"Assets_b.JSON", "assets.json", "directive_b.json", "directives-c.json", "directives.yaml", "directives_d.json.txt", "Directives.YML",
				} {
					files[name] = &fstest.MapFile{Data: []byte("nonsense")}
				}
				files["vpn.json"] = &fstest.MapFile{Data: []byte(`{"version": {"assets": []}, "directives": []}`)}
				files["directives.json"] = &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("vpn.json")}
				files["hosts.Json"] = &fstest.MapFile{Data: []byte(`{"assets": [`)}
			},
			want: []string{
				"configs/Assets_b.JSON: warning: this file is not read; rename it to assets_*.json, in small letters",
				"configs/Directives.YML: warning: this file is not read; write directives as JSON, into files called directives_*.json",
				"configs/assets.json: warning: this file is not read; rename it to assets_*.json, in small letters",
				"configs/directive_b.json: warning: this file is not read; rename it to directives_*.json, in small letters",
				"configs/directives-c.json: warning: this file is not read; rename it to directives_*.json, in small letters",
				"configs/directives.json: warning: this file is not read; rename it to directives_*.json, in small letters",
				"configs/directives.yaml: warning: this file is not read; write directives as JSON, into files called directives_*.json",
				"configs/directives_d.json.txt: warning: this file is not read; rename it to directives_*.json, in small letters",
				"configs/hosts.Json: warning: this file is not read; rename it to assets_*.json, in small letters",
				"configs/vpn.json: warning: this file is not read; rename it to directives_*.json, in small letters",
			},
		},
		{
			name: "a file that is not read and cannot be", locked: "vpn.json",
			change: func(files fstest.MapFS) { files["vpn.json"] = &fstest.MapFile{Data: []byte(`{"directives": []}`)} },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := testkit.ScanConfig()
			if test.change != nil {
				test.change(files)
			}
			c, err := Load(lockedFS{files, test.locked}, "configs")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range c.Report.Problems {
				got = append(got, c.Report.Problems[i].Error())
			}
			// Why a directory cannot be read is in the system's words.
			if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
				t.Errorf("problems (-want +got):\n%s", cmp.Diff(test.want, got))
			}
		})
	}
}

func TestLoadConfigurationNames(t *testing.T) {
	t.Parallel()
	files := testkit.ScanConfig()
	files["directives_a.json"] = &fstest.MapFile{Data: []byte("[]")}
	for name, want := range map[string]string{"": "directives_a.json:1:1: ", "etc/dsiem": "etc/dsiem/directives_a.json:1:1: "} {
		c, err := Load(files, name)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Report.Problems) == 0 || !strings.HasPrefix(c.Report.Problems[0].Error(), want) {
			t.Errorf("%q: the problems are %v, want one at %s", name, c.Report.Problems, want)
		}
	}
}
