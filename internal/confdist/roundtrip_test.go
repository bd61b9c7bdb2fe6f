package confdist_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dsiem/internal/confdist"
	"dsiem/test/testkit"
)

func TestABackendDownloadsWhatWasUploaded(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"directives_other_a.json": "{}"})
	files := map[string]string{
		"assets_a.json":                     oneAsset,
		"directives_dsiem-backend-1_a.json": "{ \"directives\":[ {\"id\":12345678901234567890} ]}\n",
		"intel_a.json":                      `{"intel_sources":[1]}`,
		"vuln_a.json":                       `{"vuln_sources":[1]}`,
	}
	for name, text := range files {
		n.want(t, 201, uploaded(name), "POST", "/config/"+name, text)
	}
	dir, log := t.TempDir(), new(testkit.Logbook)
	o := confdist.Options{Frontend: n.URL + "/", Node: "dsiem-backend-1", Dir: dir, Logger: log.Logger()}
	mustDownload(t, o)
	testkit.Equal(t, content(t, dir), files)
	if lines := log.With("level=WARN"); len(lines) > 0 {
		t.Errorf("warnings: %q", lines)
	}

	n.want(t, 200, "", "DELETE", "/config/intel_a.json", "")
	n.want(t, 201, uploaded("vuln_a.json"), "POST", "/config/vuln_a.json", `{"vuln_sources":[2]}`)
	testkit.Equal(t, mustDownload(t, o).Removed, []string{"intel_a.json"})
	testkit.Equal(t, content(t, dir)["vuln_a.json"], `{"vuln_sources":[2]}`)
}

func TestABackendKeepsItsFilesWhileTheFrontendsFolderIsMissing(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"assets_a.json": oneAsset})
	dir := t.TempDir()
	o := confdist.Options{Frontend: n.URL, Node: "b0", Dir: dir, RetryInterval: 1, GiveUp: 1}
	mustDownload(t, o)
	if err := os.Rename(n.dir, n.dir+"-unmounted"); err != nil {
		t.Fatal(err)
	}
	mustStay(t, o, "status 500")
	testkit.Equal(t, content(t, dir), map[string]string{"assets_a.json": oneAsset})
}

// FuzzServerNames makes sure that no name reads or writes outside the folder,
// and that the names of the rule, and no others, are accepted.
func FuzzServerNames(f *testing.F) {
	for _, name := range []string{
		"assets_a.json", "a.json", "new.json", "dsiem_config.json", "../secret.json", "/etc/passwd", "sub/secret.json", "sub", ".", "..", "",
		"\x00.json", "out.json", ".dsiem-managed.json", "\xff.json", "a.json\n", "foojson", strings.Repeat("x", 226) + ".json",
	} {
		f.Add(name)
	}
	const secret = "top secret"
	top := f.TempDir()
	dir := filepath.Join(top, "configs")
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		f.Fatal(err)
	}
	for _, file := range []string{"secret.json", "configs/sub/secret.json", "configs/.dsiem-managed.json", "configs/assets_a.json"} {
		if err := os.WriteFile(filepath.Join(top, file), []byte(secret), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	if err := os.Symlink("../secret.json", filepath.Join(dir, "out.json")); err != nil {
		f.Fatal(err)
	}
	server := confdist.NewServer(confdist.ServerOptions{Dir: dir, Writable: true})

	f.Fuzz(func(t *testing.T, name string) {
		ask := func(method, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, "/config/x", strings.NewReader(body))
			r.SetPathValue("name", name)
			w := httptest.NewRecorder()
			switch method {
			case "GET":
				server.Download(w, r)
			case "POST":
				server.Upload(w, r)
			case "DELETE":
				server.Delete(w, r)
			}
			return w
		}
		before := tree(t, top)
		if got := ask("GET", ""); (got.Code != 418) != confdist.ValidName(name) {
			t.Errorf("GET %q: %d", name, got.Code)
		} else if got.Body.String() == secret && name != "assets_a.json" {
			t.Errorf("GET %q reads another file", name)
		}
		if name == "assets_a.json" || name == "out.json" || name == confdist.SettingsName {
			return // known to be there
		}
		const text = `{"assets":[1],"directives":[1],"intel_sources":[1],"vuln_sources":[1]}`
		if got := ask("POST", text); (got.Code == 201) != confdist.ValidName(name) {
			t.Errorf("POST %q: %d", name, got.Code)
		} else if got.Code == 201 {
			before[filepath.Join("configs", name)] = text
		}
		testkit.Equal(t, tree(t, top), before)
		if got := ask("DELETE", ""); (got.Code == 200) != confdist.ValidName(name) {
			t.Errorf("DELETE %q: %d", name, got.Code)
		}
		if confdist.ValidName(name) {
			delete(before, filepath.Join("configs", name))
		}
		testkit.Equal(t, tree(t, top), before)
	})
}

// FuzzUploadedContent makes sure that what is taken can be downloaded by a
// backend, which wants JSON, and that nothing makes the check fall over.
func FuzzUploadedContent(f *testing.F) {
	for _, text := range []string{oneAsset, `{"assets":[]}`, `{"Assets":[{}]`, `[]`, ``, `{"a":[{"assets":[1]}],"assets":null}`, "\xff", `{"assets":[1]} {}`} {
		f.Add("assets_a.json", text)
		f.Add("a.json", text)
	}
	dir := f.TempDir()
	handler := routes(confdist.NewServer(confdist.ServerOptions{Dir: dir, Writable: true}), true)
	server := httptest.NewServer(handler)
	f.Cleanup(server.Close)
	f.Fuzz(func(t *testing.T, name, text string) {
		if !confdist.ValidName(name) || !strings.HasPrefix(name, "assets_") && name != "a.json" {
			return
		}
		r := httptest.NewRequest("POST", "/config/"+name, strings.NewReader(text))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		file := filepath.Join(dir, name)
		if w.Code != 201 {
			if _, err := os.Stat(file); err == nil || w.Code != 418 {
				t.Errorf("%d, error of stat: %v", w.Code, err)
			}
			return
		}
		defer func() {
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		}()
		if !strings.HasPrefix(name, "assets_") {
			return
		}
		to := t.TempDir()
		mustDownload(t, confdist.Options{Frontend: server.URL, Node: "b0", Dir: to})
		testkit.Equal(t, content(t, to), map[string]string{name: text})
	})
}

func BenchmarkServerDownload(b *testing.B) {
	text := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	n := newNode(b, map[string]string{"a.json": text})
	handler := routes(n.server, false)
	tag := n.do(b, "GET", "/config/a.json", "").header.Get("ETag")
	for name, header := range map[string]string{"new": `"x"`, "unchanged": tag} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/config/a.json", nil)
			r.Header.Set("If-None-Match", header)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
