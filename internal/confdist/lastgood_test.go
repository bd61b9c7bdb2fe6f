package confdist_test

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/confdist"
	"dsiem/test/testkit"
)

// A frontend that is down costs a node with a whole configuration a quarter of a
// minute.
func TestTheLastGoodConfigurationStays(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": "{}", "directives_dsiem-backend-1_a.json": "{}"})
	dir := t.TempDir()
	o, log := options(f, dir)
	mustDownload(t, o)
	f.Close()
	synctest.Test(t, func(t *testing.T) {
		o := o
		attempts := 0
		o.RetryInterval, o.GiveUp = 0, 0 // as in a backend
		o.Client = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			attempts++
			return nil, syscall.ECONNREFUSED
		})}
		start := time.Now()
		mustStay(t, o, "connection refused")
		if took := time.Since(start); attempts != 4 || took < 12*time.Second || took > 16*time.Second {
			t.Errorf("%d attempts in %v", attempts, took)
		}
	})
	testkit.Equal(t, content(t, dir), f.files)
	if lines := log.With("level=WARN", "error downloading config, retrying"); len(lines) != 3 {
		t.Errorf("%d warnings for 4 attempts, the last of which is the result", len(lines))
	}
}

// What is not whole, or of another node, is nothing to go on with.
func TestWhatIsNoLastGoodConfiguration(t *testing.T) {
	const name = "directives_dsiem-backend-1_a.json"
	for what, spoil := range map[string]func(t *testing.T, dir string, o *confdist.Options){
		"a file is gone": func(t *testing.T, dir string, _ *confdist.Options) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		},
		"an installation was cut off": func(t *testing.T, dir string, _ *confdist.Options) {
			write(t, dir, ".dsiem-managed.json", `{"files":["assets_a.json","`+name+`"]}`)
		},
		"the list is damaged": func(t *testing.T, dir string, _ *confdist.Options) {
			write(t, dir, ".dsiem-managed.json", `{"files":`)
		},
		"the node has another name": func(_ *testing.T, _ string, o *confdist.Options) { o.Node = "other" },
		"the folder is another one": func(t *testing.T, _ string, o *confdist.Options) { o.Dir = t.TempDir() },
	} {
		t.Run(what, func(t *testing.T) {
			f := newFrontend(t, map[string]string{"assets_a.json": "{}", name: "{}"})
			dir := t.TempDir()
			o, _ := options(f, dir)
			mustDownload(t, o)
			f.set(func(f *frontend) { f.answer = fails("/config/", 500, "") })
			spoil(t, dir, &o)
			mustFail(t.Context(), t, o, "status 500")
		})
	}
}

// An installation that fails in the middle leaves nothing to go on with.
func TestAnInstallationThatIsCutOff(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": "{}"})
	dir := t.TempDir()
	o, _ := options(f, dir)
	mustDownload(t, o)
	if err := os.MkdirAll(filepath.Join(dir, "assets_b.json", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	f.set(func(f *frontend) {
		f.files = map[string]string{"assets_a.json": `{"new":1}`, "assets_b.json": "{}"}
	})
	mustFail(t.Context(), t, o, "installing a download")
	f.Close()
	mustFail(t.Context(), t, o, "connection refused")
}

// A configuration is looked at before it replaces anything, together with what stays
// of the folder.
func TestAConfigurationIsCheckedBeforeItIsUsed(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": "{}", "assets_b.json": "{}"})
	dir := t.TempDir()
	write(t, dir, "assets_mine.json", `{"mine":1}`)
	o, log := options(f, dir)
	o.GiveUp = time.Hour
	var seen map[string]string
	var verdict error
	o.Check = func(folder fs.FS) error {
		seen = map[string]string{}
		names, err := fs.Glob(folder, "assets_*.json")
		for _, name := range names {
			text, e := fs.ReadFile(folder, name)
			seen[name], err = string(text), errors.Join(err, e)
		}
		if !slices.IsSorted(names) {
			t.Errorf("names %q", names)
		}
		return errors.Join(err, verdict)
	}
	mustDownload(t, o)
	testkit.Equal(t, seen, map[string]string{"assets_a.json": "{}", "assets_b.json": "{}", "assets_mine.json": `{"mine":1}`})
	before := content(t, dir)

	f.set(func(f *frontend) {
		f.files = map[string]string{"assets_a.json": `{"new":1}`, "assets_c.json": `{"new":2}`}
	})
	verdict = errors.New("loading assets: no")
	mustStay(t, o, "loading assets: no")
	testkit.Equal(t, seen, map[string]string{"assets_a.json": `{"new":1}`, "assets_c.json": `{"new":2}`, "assets_mine.json": `{"mine":1}`})
	testkit.Equal(t, content(t, dir), before)
	if lines := log.With("retrying"); len(lines) > 0 {
		t.Errorf("another attempt changes nothing: %q", lines)
	}

	verdict = nil
	if result := mustDownload(t, o); result.Outdated != nil || !slices.Equal(result.Removed, []string{"assets_b.json"}) {
		t.Errorf("got %+v", result)
	}
	testkit.Equal(t, content(t, dir), seen)

	// A first one that is refused is an error, and leaves nothing.
	verdict, o.Dir = errors.New("loading assets: no"), t.TempDir()
	if _, err := confdist.Download(t.Context(), o); !errors.Is(err, verdict) {
		t.Errorf("got error %v", err)
	}
	testkit.Equal(t, content(t, o.Dir), map[string]string{})
}
