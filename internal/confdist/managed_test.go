package confdist_test

import (
	"os"
	"path/filepath"
	"testing"

	"dsiem/test/testkit"
)

func TestD23StaleManagedFilesAreRemoved(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": "{}", "directives_dsiem-backend-1_a.json": "{}", "directives_dsiem-backend-1_b.json": "{}"})
	dir := t.TempDir()
	write(t, dir, "directives_dsiem-backend-1_mine.json", `{"mine":1}`)
	write(t, dir, "kingdom.json", `{"mine":2}`)
	o, log := options(f, dir)
	mustDownload(t, o)

	f.set(func(f *frontend) { delete(f.files, "directives_dsiem-backend-1_b.json") })
	result := mustDownload(t, o)
	testkit.Equal(t, result.Removed, []string{"directives_dsiem-backend-1_b.json"})
	testkit.Equal(t, content(t, dir), map[string]string{
		"assets_a.json": "{}", "directives_dsiem-backend-1_a.json": "{}",
		"directives_dsiem-backend-1_mine.json": `{"mine":1}`, "kingdom.json": `{"mine":2}`,
	})
	if len(log.With("level=INFO", "removed configuration file", "directives_dsiem-backend-1_b.json")) != 1 {
		t.Errorf("the removal is not in the log: %q", log.All())
	}

	// Every file that came is gone when the frontend has none left.
	f.set(func(f *frontend) { f.files = nil })
	mustDownload(t, o)
	testkit.Equal(t, content(t, dir), map[string]string{"directives_dsiem-backend-1_mine.json": `{"mine":1}`, "kingdom.json": `{"mine":2}`})
}

func TestNothingIsRemovedByADownloadThatFails(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": "{}", "assets_b.json": "{}"})
	dir := t.TempDir()
	o, _ := options(f, dir)
	mustDownload(t, o)
	f.set(func(f *frontend) {
		delete(f.files, "assets_b.json")
		f.answer = fails("/config/assets_a.json", 500, "")
	})
	mustStay(t, o, "status 500")
	testkit.Equal(t, content(t, dir), map[string]string{"assets_a.json": "{}", "assets_b.json": "{}"})
}

func TestAFileThatIsNowForAnotherNodeStays(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": "{}", "directives_dsiem-backend-1_a.json": "{}"})
	dir := t.TempDir()
	o, log := options(f, dir)
	mustDownload(t, o)

	o.Node = "other"
	if result := mustDownload(t, o); len(result.Removed) > 0 {
		t.Errorf("removed %q, which may be the frontend's own", result.Removed)
	}
	testkit.Equal(t, content(t, dir), f.files)
	if len(log.With("level=WARN", "downloaded for another node", "directives_dsiem-backend-1_a.json")) != 1 {
		t.Errorf("no warning in %q", log.All())
	}

	f.set(func(f *frontend) { f.files = map[string]string{"assets_a.json": "{}"} })
	testkit.Equal(t, mustDownload(t, o).Removed, []string{"directives_dsiem-backend-1_a.json"})
}

func TestTheListOfManagedFilesCannotNameOthers(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": "{}"})
	top := t.TempDir()
	dir := filepath.Join(top, "configs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, top, "mine.json", "{}")
	write(t, dir, ".hidden.json", "{}")
	write(t, dir, ".dsiem-managed.json", `{"files":["../mine.json",".hidden.json","","gone.json",".dsiem-managed.json"]}`)
	o, _ := options(f, dir)
	if result := mustDownload(t, o); len(result.Removed) > 0 {
		t.Errorf("removed %q", result.Removed)
	}
	testkit.Equal(t, content(t, dir), map[string]string{"assets_a.json": "{}", ".hidden.json": "{}"})
	if _, err := os.Stat(filepath.Join(top, "mine.json")); err != nil {
		t.Error(err)
	}
}

func TestACorruptListOfManagedFilesIsNoObstacle(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": "{}"})
	dir := t.TempDir()
	write(t, dir, ".dsiem-managed.json", `{"files":[`)
	write(t, dir, "assets_old.json", `{}`)
	o, log := options(f, dir)
	mustDownload(t, o)
	testkit.Equal(t, content(t, dir), map[string]string{"assets_a.json": "{}", "assets_old.json": "{}"})
	if len(log.With("level=WARN", "cannot read the list of downloaded files")) != 1 {
		t.Errorf("no warning in %q", log.All())
	}
	f.set(func(f *frontend) { f.files = map[string]string{"assets_b.json": "{}"} })
	testkit.Equal(t, mustDownload(t, o).Removed, []string{"assets_a.json"})
}

func TestWhatAKilledRunLeftIsCleanedUp(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": "{}"})
	dir := t.TempDir()
	staging := filepath.Join(dir, ".dsiem-download")
	if err := os.Mkdir(staging, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, staging, "assets_a.json", "{")
	write(t, staging, "assets_old.json", "{")
	o, _ := options(f, dir)
	mustDownload(t, o)
	testkit.Equal(t, content(t, dir), f.files)
}

func TestAFolderThatCannotBeWrittenEndsItAtOnce(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": "{}"})
	top := t.TempDir()
	write(t, top, "configs", "a file")
	o, log := options(f, filepath.Join(top, "configs"))
	o.GiveUp = 0 // a minute
	mustFail(t.Context(), t, o, "making the folder for downloads")
	if lines := log.With("retrying"); len(lines) > 0 {
		t.Errorf("retried: %q", lines)
	}

	// A folder in the place of a file.
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "assets_a.json", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	o, _ = options(f, dir)
	o.GiveUp = 0
	mustFail(t.Context(), t, o, "installing a download")
}
