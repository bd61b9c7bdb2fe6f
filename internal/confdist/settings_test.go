package confdist_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dsiem/internal/confdist"
	"dsiem/test/testkit"
)

const settingsText = `{
  "status": [
    "Open",
    "Closed"
  ],
  "tags": [
    "Identified Threat",
    "False Positive"
  ]
}
`

func TestD51SettingsHoldNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// What the original left.
	write(t, dir, "dsiem_config.json", `{"msq":"nats://user:s3cret@nats:4222","status":"Open"}`)
	write(t, dir, ".dsiem_config.json42", `left by a run that was killed`)
	write(t, dir, ".dsiem_config.json4x", `the operator's`)
	if err := confdist.WriteSettings(dir, settings()); err != nil {
		t.Fatal(err)
	}
	testkit.Equal(t, content(t, dir), map[string]string{"dsiem_config.json": settingsText, ".dsiem_config.json4x": "the operator's"})
	testkit.Equal(t, mode(t, filepath.Join(dir, "dsiem_config.json")), fs.FileMode(0o644))
}

func TestSettingsThatAreThereAlreadyAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "dsiem_config.json")
	stat := func() os.FileInfo {
		if err := confdist.WriteSettings(dir, settings()); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := stat()
	if !os.SameFile(first, stat()) {
		t.Error("the same content was written again")
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.Equal(t, stat().Mode(), fs.FileMode(0o644))
	write(t, dir, "dsiem_config.json", strings.ToUpper(settingsText))
	stat()
	testkit.Equal(t, content(t, dir), map[string]string{"dsiem_config.json": settingsText})
}

func TestEmptySettingsAreEmptyLists(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := confdist.WriteSettings(dir, confdist.Settings{Tags: []string{"\"\xff\n"}}); err != nil {
		t.Fatal(err)
	}
	testkit.Equal(t, content(t, dir), map[string]string{"dsiem_config.json": "{\n  \"status\": [],\n  \"tags\": [\n    \"\\\"\uFFFD\\n\"\n  ]\n}\n"})
}

func TestD11T28SettingsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	occupied := t.TempDir()
	if err := os.Mkdir(filepath.Join(occupied, "dsiem_config.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{missing, occupied} {
		err := confdist.WriteSettings(dir, settings())
		if err == nil || !strings.HasPrefix(err.Error(), "writing dsiem_config.json: ") {
			t.Errorf("got error %v", err)
		}
		n := newNode(t, nil, func(o *confdist.ServerOptions) { o.Dir = dir })
		n.want(t, 200, settingsText, "GET", "/config/dsiem_config.json", "")
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("the missing folder was made")
	}
	testkit.Equal(t, len(tree(t, occupied)), 0)

	// A backend would take a list without files for the deletion of all.
	n := newNode(t, nil, func(o *confdist.ServerOptions) { o.Dir = missing })
	n.want(t, 500, "Error reading config directory", "GET", "/config/", "")
	n.want(t, 400, "cannot open assets_a.json", "GET", "/config/assets_a.json", "")
	n.want(t, 500, "Cannot open target file location\n", "POST", "/config/a.json", "{}")
	n.want(t, 400, "cannot delete a.json", "DELETE", "/config/a.json", "")
	// It comes later.
	if err := os.Mkdir(missing, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, missing, "assets_a.json", "{}")
	testkit.Equal(t, listedNames(t, n), []string{"assets_a.json", "dsiem_config.json"})
	n.want(t, 200, "{}", "GET", "/config/assets_a.json", "")
}

func TestT29TheSettingsOfAnOlderStartAreNotServed(t *testing.T) {
	t.Parallel()
	old := `{"msq":"nats://user:s3cret@nats:4222","status":"Open"}`
	n := newNode(t, map[string]string{"dsiem_config.json": old})
	a := n.want(t, 200, settingsText, "GET", "/config/dsiem_config.json", "")
	testkit.Equal(t, a.header.Get("Content-Type"), "application/json")
	n.want(t, 304, "", "GET", "/config/dsiem_config.json", "", "If-None-Match", a.header.Get("ETag"))
	testkit.Equal(t, listedNames(t, n), []string{"dsiem_config.json"})

	const refused = "dsiem_config.json cannot be changed here, the node writes it from its options status and tags when it starts\n"
	n.want(t, 403, refused, "POST", "/config/dsiem_config.json", settingsText)
	n.want(t, 403, refused, "DELETE", "/config/dsiem_config.json", "")
	testkit.Equal(t, content(t, n.dir), map[string]string{"dsiem_config.json": old})
}
