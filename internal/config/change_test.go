package config

import (
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"dsiem/test/testkit"
)

// withID is the directive of a scan with another id, and a name to tell texts of one
// id apart.
func withID(id string) string {
	return strings.Replace(string(testkit.ScanConfig()["directives_a.json"].Data), `"id": 1,`, `"id": `+id+`,`, 1)
}

const network = `{"assets": [{"name": "net", "cidr": "10.0.0.0/8", "value": 5}]}`

// A change is refused for what it makes worse, and for nothing else.
func TestChangeOfAFolder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what    string
		perNode bool
		folder  map[string]string
		// name and content are the change; no content is a deletion.
		name, content string
		want          string // in the refusal, none if ""
	}{
		{what: "a new id", folder: map[string]string{"directives_a.json": withID("1")}, name: "directives_b.json", content: withID("2")},
		{
			what: "an id of another file", folder: map[string]string{"directives_a.json": withID("1")},
			name: "directives_b.json", content: withID("1"), want: "directives_b.json:1:",
		},
		{
			what: "an id of a file that comes later", folder: map[string]string{"directives_b.json": withID("1")},
			name: "directives_a.json", content: withID("1"), want: "this id is already used by the directive at directives_a.json:1",
		},
		{what: "the same file again", folder: map[string]string{"directives_a.json": withID("1")}, name: "directives_a.json", content: withID("1") + "\n"},
		{
			what: "a folder that stays as broken as it is", folder: map[string]string{"directives_a.json": withID("1"), "directives_b.json": withID("1")},
			name: "directives_b.json", content: "\n\n" + withID("1"),
		},
		{
			what: "one of three of one id is repaired", folder: map[string]string{
				"directives_a.json": withID("1"), "directives_b.json": withID("1"), "directives_c.json": withID("1"),
			},
			name: "directives_a.json", content: withID("2"),
		},
		{
			what: "one more of one id", folder: map[string]string{"directives_a.json": withID("1"), "directives_b.json": withID("1")},
			name: "directives_0.json", content: withID("1"), want: "this id is already used",
		},
		{
			what: "one id is repaired and another one repeated", folder: map[string]string{
				"directives_a.json": withID("1"), "directives_b.json": withID("1"), "directives_c.json": withID("3"),
			},
			name: "directives_b.json", content: withID("3"), want: "directive 3",
		},
		{
			what: "a good file beside a broken one", folder: map[string]string{"directives_a.json": withID("1"), "directives_b.json": "[]"},
			name: "directives_c.json", content: withID("2"),
		},
		{
			what: "a broken file is replaced", folder: map[string]string{"directives_a.json": withID("1"), "directives_b.json": "[]"},
			name: "directives_b.json", content: withID("2"),
		},
		{what: "a broken file is deleted", folder: map[string]string{"directives_a.json": withID("1"), "directives_b.json": "[]"}, name: "directives_b.json"},
		{what: "one of two files is deleted", folder: map[string]string{"directives_a.json": withID("1"), "directives_b.json": withID("2")}, name: "directives_b.json"},
		{
			what: "the last directives are deleted", folder: map[string]string{"directives_a.json": withID("1")},
			name: "directives_a.json", want: "there is no directive file",
		},
		{what: "one of two files of assets is deleted", folder: map[string]string{"assets_a.json": network, "assets_b.json": network}, name: "assets_b.json"},
		{what: "the last assets are deleted", folder: map[string]string{"assets_a.json": network}, name: "assets_a.json", want: "there is no asset file"},
		{
			what: "the last assets of a frontend are deleted", perNode: true, folder: map[string]string{"assets_a.json": network},
			name: "assets_a.json", want: "there is no asset file",
		},
		{what: "the last assets, which are broken, are deleted", folder: map[string]string{"assets_a.json": "[]"}, name: "assets_a.json", want: "there is no asset file"},
		{what: "the last service is deleted", folder: map[string]string{"intel_a.json": `{"intel_sources": []}`}, name: "intel_a.json"},
		{what: "a file that nobody loads", folder: map[string]string{"notes.json": "1"}, name: "notes.json"},
		{what: "a file that nobody loads for its name", folder: map[string]string{}, name: "directives.json", content: "[]"},
		// A frontend has the files of several backends.
		{
			what: "an id of another backend", perNode: true, folder: map[string]string{"directives_n1_a.json": withID("1")},
			name: "directives_n2_a.json", content: withID("1"),
		},
		{
			what: "an id of the same backend", perNode: true, folder: map[string]string{"directives_n1_a.json": withID("1")},
			name: "directives_n1_b.json", content: withID("1"), want: "this id is already used by the directive at directives_n1_a.json:1",
		},
		{
			what: "the same of a standalone node", folder: map[string]string{"directives_n1_a.json": withID("1")},
			name: "directives_n2_a.json", content: withID("1"), want: "this id is already used",
		},
		{
			what: "a node whose name begins like another one", perNode: true, folder: map[string]string{"directives_n1_a.json": withID("1")},
			name: "directives_n10_a.json", content: withID("1"),
		},
		{
			what: "names of nodes with underscores", perNode: true, folder: map[string]string{"directives_site_a_x.json": withID("1")},
			name: "directives_site_b_x.json", content: withID("1"),
		},
		{
			what: "a file of a node that gets the other one too", perNode: true, folder: map[string]string{"directives_n1_web_a.json": withID("1")},
			name: "directives_n1_b.json", content: withID("1"), want: "this id is already used",
		},
		{
			what: "the other way round", perNode: true, folder: map[string]string{"directives_n1_b.json": withID("1")},
			name: "directives_n1_web_a.json", content: withID("1"), want: "this id is already used",
		},
		{
			what: "a file for no backend", perNode: true, folder: map[string]string{"directives_n1_a.json": withID("1"), "directives_a.json": withID("1")},
			name: "directives_b.json", content: withID("1"),
		},
		{what: "the last file of a backend, which is gone", perNode: true, folder: map[string]string{"directives_n1_a.json": withID("1")}, name: "directives_n1_a.json"},
	} {
		dir := fstest.MapFS{}
		for name, content := range c.folder {
			dir[name] = &fstest.MapFile{Data: []byte(content)}
		}
		before := maps.Clone(dir)
		change := Change{Dir: dir, Name: c.name, Content: []byte(c.content), Delete: c.content == "", PerNode: c.perNode}
		err := change.Check()
		if refused := err != nil; refused != (c.want != "") || refused && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the refusal is %v, want %q", c.what, err, c.want)
		}
		if !maps.Equal(before, dir) {
			t.Errorf("%s: the folder was changed", c.what)
		}
	}
}

// Whoever may change a file need not be allowed to read the others.
func TestRefusalsShowNothingOfOtherFiles(t *testing.T) {
	t.Parallel()
	dir := fstest.MapFS{"directives_b.json": &fstest.MapFile{Data: []byte(withID("1"))}}
	change := Change{Dir: dir, Name: "directives_a.json", Content: []byte(withID("1"))}
	err := change.Check()
	if err == nil || strings.Contains(err.Error(), "priority") || strings.Contains(err.Error(), "\n") {
		t.Errorf("the refusal is %v, want one line", err)
	}
	change.Name = "directives_c.json"
	if err := change.Check(); err == nil || !strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "directives_c.json:1:") {
		t.Errorf("the refusal is %v, want it with the line of the file itself", err)
	}
}
