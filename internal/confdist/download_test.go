package confdist_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dsiem/internal/confdist"
	"dsiem/test/testkit"
)

func TestT24ABackendDownloadsWhatConcernsIt(t *testing.T) {
	f := newFrontend(t, map[string]string{
		"directives_dsiem-backend-1_a.json":  `{"directives":[1]}`,
		"directives_dsiem-backend-10_a.json": `{"directives":[10]}`,
		"directives_dsiem-backend-1.json":    `{"directives":[0]}`,
		"assets_a.json":                      `{"assets":[]}`,
		"intel_a.json":                       `{"intel_sources":[]}`,
		"vuln_a.json":                        "{\n  \"vuln_sources\": []\n}\n",
		"kingdom.json":                       `{}`,
	})
	dir := filepath.Join(t.TempDir(), "configs")
	o, log := options(f, dir)
	result := mustDownload(t, o)

	want := map[string]string{}
	for _, name := range []string{"assets_a.json", "directives_dsiem-backend-1_a.json", "intel_a.json", "vuln_a.json"} {
		want[name] = f.files[name]
	}
	testkit.Equal(t, content(t, dir), want)
	testkit.Equal(t, result, confdist.Result{Files: []string{"assets_a.json", "directives_dsiem-backend-1_a.json", "intel_a.json", "vuln_a.json"}})
	testkit.Equal(t, f.asked(), []string{"/config/", "/config/assets_a.json", "/config/directives_dsiem-backend-1_a.json", "/config/intel_a.json", "/config/vuln_a.json"})
	if n := len(log.With("level=INFO", `msg="downloading `+f.URL+`/config/`)); n != 4 {
		t.Errorf("%d lines say what is downloaded", n)
	}
	if n := len(log.With("level=DEBUG", "not for this node")); n != 3 {
		t.Errorf("%d lines say what is ignored", n)
	}
	if lines := log.With("level=WARN"); len(lines) > 0 {
		t.Errorf("warnings: %q", lines)
	}
}

func TestT25AFileThatTheFrontendCannotServe(t *testing.T) {
	bodies := map[string]struct {
		status int
		body   string
		want   string
	}{
		"error status":      {http.StatusInternalServerError, `{"assets":["error"]}`, "status 500"},
		"G's bad request":   {http.StatusBadRequest, "cannot open intel_a.json", "status 400"},
		"teapot":            {http.StatusTeapot, "Not a valid filename", "status 418"},
		"no content":        {http.StatusNoContent, "", "status 204"},
		"HTML":              {http.StatusOK, "<html><body>Bad gateway</body></html>", "not valid JSON"},
		"empty":             {http.StatusOK, "", "empty"},
		"cut":               {http.StatusOK, `{"assets":[`, "not valid JSON"},
		"something follows": {http.StatusOK, `{"assets":[]} {}`, "something follows"},
		"garbage follows":   {http.StatusOK, `{"assets":[]} x`, "not valid JSON"},
	}
	for name, b := range bodies {
		t.Run(name, func(t *testing.T) {
			f := newFrontend(t, map[string]string{"assets_a.json": "{}", "intel_a.json": "{}"})
			dir := t.TempDir()
			o, log := options(f, dir)
			mustDownload(t, o)

			f.set(func(f *frontend) {
				f.files = map[string]string{"assets_a.json": `{"new":1}`, "assets_b.json": `{"new":2}`, "intel_a.json": "{}", "vuln_a.json": `{"new":3}`}
				f.answer = fails("/config/intel_a.json", b.status, b.body)
			})
			mustStay(t, o, b.want)
			testkit.Equal(t, content(t, dir), map[string]string{"assets_a.json": "{}", "intel_a.json": "{}"})
			attempts := -1 // without the first download
			for _, path := range f.asked() {
				if path == "/config/intel_a.json" {
					attempts++
				}
			}
			if n := len(log.With("level=WARN", "error downloading config", "/config/intel_a.json")); n != attempts-1 {
				t.Errorf("%d warnings for %d attempts, the last of which is the error", n, attempts)
			}

			f.set(func(f *frontend) { f.answer = nil })
			mustDownload(t, o)
			testkit.Equal(t, content(t, dir), f.files)
		})
	}
}

func TestT26NamesThatLeadElsewhereAreIgnored(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": "{}"})
	f.listed = []string{
		"assets_/../../evil.json", "../assets_evil.json", "/etc/assets_evil.json", "assets_evil.json/..", `assets_\..\evil.json`,
		"assets_%2e%2e%2fevil.json", "assets_evil.json\n", "assets_evil.json\x00", "assets_evilXjson", "assets_a.b.json", "assets_é.json",
		"assets_" + strings.Repeat("x", 300) + ".json", "", "assets_a.json", "assets_a.json",
	}
	top := t.TempDir()
	dir := filepath.Join(top, "a", "b")
	o, _ := options(f, dir)
	result := mustDownload(t, o)
	testkit.Equal(t, result.Files, []string{"assets_a.json"})
	testkit.Equal(t, content(t, dir), map[string]string{"assets_a.json": "{}"})
	testkit.Equal(t, f.asked(), []string{"/config/", "/config/assets_a.json"})
	var files []string
	if err := filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, top))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	testkit.Equal(t, files, []string{"/a/b/.dsiem-managed.json", "/a/b/assets_a.json"})
}

func TestT27ATrailingSlashOfTheFrontend(t *testing.T) {
	for _, suffix := range []string{"", "/", "//"} {
		f := newFrontend(t, map[string]string{"assets_a.json": "{}"})
		o, _ := options(f, t.TempDir())
		o.Frontend += suffix
		mustDownload(t, o)
		testkit.Equal(t, f.asked(), []string{"/config/", "/config/assets_a.json"})
	}
}

func TestAFrontendBehindAPath(t *testing.T) {
	f := newFrontend(t, nil)
	f.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = w.Write([]byte(`{"files":[{"filename":"assets_a.json"}]}`))
		return true
	}
	o, _ := options(f, t.TempDir())
	o.Frontend += "/dsiem/"
	mustDownload(t, o)
	testkit.Equal(t, f.asked(), []string{"/dsiem/config/", "/dsiem/config/assets_a.json"})
}

func TestAListThatIsNone(t *testing.T) {
	for body, want := range map[string]string{
		"<html></html>":                 "not a list of configuration files",
		"":                              "not a list of configuration files",
		"{}":                            `"files" is missing`,
		`{"error":"x"}`:                 `"files" is missing`,
		"[]":                            "not a list of configuration files",
		`{"files":"x"}`:                 "not a list of configuration files",
		`{"files":[{"filename":1}]}`:    "not a list of configuration files",
		`{"files":["assets_a.json"]}`:   "not a list of configuration files",
		`{"files":[]} trailing garbage`: "not a list of configuration files",
	} {
		t.Run(body, func(t *testing.T) {
			f := newFrontend(t, nil)
			f.answer = fails("/config/", http.StatusOK, body)
			dir := t.TempDir()
			o, _ := options(f, dir)
			mustFail(t.Context(), t, o, want)
			testkit.Equal(t, content(t, dir), map[string]string{})
		})
	}
}

func TestAnEmptyListIsOneWithoutFiles(t *testing.T) {
	for _, body := range []string{`{"files":[]}`, `{"files":null}`, `{"files":[{}]}`, `{"files":[{"filename":""}],"more":1}`} {
		f := newFrontend(t, nil)
		f.answer = fails("/config/", http.StatusOK, body)
		o, log := options(f, t.TempDir())
		if result := mustDownload(t, o); len(result.Files) > 0 {
			t.Errorf("%s: downloaded %q", body, result.Files)
		}
		if len(log.With("level=WARN", "no directives for this node", "directives_dsiem-backend-1_*.json")) != 1 {
			t.Errorf("%s: no warning in %q", body, log.All())
		}
	}
}

func TestAFileThatIsTooLarge(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": `{"a":"` + strings.Repeat("x", 1000) + `"}`})
	dir := t.TempDir()
	o, _ := options(f, dir)
	o.MaxFileSize = int64(len(f.files["assets_a.json"])) - 1
	mustFail(t.Context(), t, o, "larger than")
	testkit.Equal(t, content(t, dir), map[string]string{})
	o.MaxFileSize++
	mustDownload(t, o)
	testkit.Equal(t, content(t, dir), f.files)
}

func TestKeysGivenTwiceAreLeftToTheReader(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": `{"assets":[],"assets":[]}`})
	dir := t.TempDir()
	o, _ := options(f, dir)
	mustDownload(t, o)
	testkit.Equal(t, content(t, dir), f.files)
}

func TestManyFilesNeedFewOpenOnes(t *testing.T) {
	files := map[string]string{}
	for i := range 300 {
		files["directives_dsiem-backend-1_"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+strings.Repeat("y", i/26)+".json"] = "{}"
	}
	f := newFrontend(t, files)
	dir := t.TempDir()
	o, _ := options(f, dir)

	testkit.FewOpenFiles(t, 64)
	mustDownload(t, o)
	testkit.Equal(t, content(t, dir), files)
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"a.json": true, "assets_testing.json": true, "any_N4m3-that_you_want.json": true, "9_-.json": true,
		"": false, ".json": false, "_.json": false, "-a.json": false, ".x.json": false, "a.b.json": false, "x.exe": false,
		"foojson": false, "fooXjson": false, "test.json.foo": false, "..dot.json": false, "a.jsonx": false, "a.JSON": false,
		"a/b.json": false, `a\b.json`: false, "a.json\n": false, "\na.json": false, "é.json": false, "a b.json": false, "a.json/": false,
	} {
		if got := confdist.ValidName(name); got != want {
			t.Errorf("ValidName(%q) is %v", name, got)
		}
	}
}

func FuzzValidName(f *testing.F) {
	f.Add("assets_a.json")
	f.Add("assets_/../../evil.json")
	f.Fuzz(func(t *testing.T, name string) {
		if confdist.ValidName(name) && (!filepath.IsLocal(name) || filepath.Base(name) != name || name[0] == '.') {
			t.Errorf("%q leaves its folder or hides in it", name)
		}
	})
}
