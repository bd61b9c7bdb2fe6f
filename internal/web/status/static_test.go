package status_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dsiem/internal/web/status"
	"dsiem/test/testkit"

	"github.com/google/go-cmp/cmp"
)

// ui is a folder behind a server, as an app registers it.
func ui(t *testing.T, dir string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("GET /ui", http.RedirectHandler("/ui/", http.StatusMovedPermanently))
	mux.Handle("GET /ui/", status.Static(dir))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// folder makes files below a new directory web/dist and returns it.
func folder(t *testing.T, contents map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "web", "dist")
	write(t, dir, contents)
	return dir
}

func write(t *testing.T, dir string, contents map[string]string) {
	t.Helper()
	for name, content := range contents {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStaticServesFiles(t *testing.T) {
	t.Parallel()
	base := ui(t, folder(t, map[string]string{
		"index.html": "<!doctype html>home", "main.3f2a9c1b.js": "code", "docs/index.html": "the docs",
		"a b/c:d/index.html": "odd", "assets/config/esconfig.json": `{"elasticsearch":"http://a:9200"}`,
		"img/empty/pixel.gif": "GIF89a", "README": "plain",
	}))
	for _, test := range []struct {
		path, want, location string
		code                 int
	}{
		{path: "/ui/", code: 200, want: "<!doctype html>home"},
		{path: "/ui/index.html", code: 200, want: "<!doctype html>home"},
		{path: "/ui/?x=1", code: 200, want: "<!doctype html>home"},
		{path: "/ui/main.3f2a9c1b.js", code: 200, want: "code"},
		{path: "/ui/docs/", code: 200, want: "the docs"},
		{path: "/ui/README", code: 200, want: "plain"},
		{path: "/ui/a%20b/c:d/", code: 200, want: "odd"},
		{path: "/ui/assets/config/esconfig.json", code: 200, want: `{"elasticsearch":"http://a:9200"}`}, // T61
		{path: "/ui", code: 301, location: "/ui/"},
		{path: "/ui/docs", code: 301, location: "/ui/docs/"},
		{path: "/ui/docs?q=1", code: 301, location: "/ui/docs/?q=1"},
		{path: "/ui/a%20b/c:d", code: 301, location: "/ui/a%20b/c:d/"},
		{path: "/ui/img", code: 404}, // no listing
		{path: "/ui/img/", code: 404},
		{path: "/ui/img/empty/", code: 404},
		{path: "/ui/nope.js", code: 404},
		{path: "/ui/docs/nope/", code: 404},
		{path: "/ui/index.html/", code: 404},
		{path: "/ui/README/x", code: 404},
	} {
		resp, body := get(t, base+test.path)
		if resp.StatusCode != test.code || test.code == 200 && body != test.want {
			t.Errorf("%s: %d %q", test.path, resp.StatusCode, body)
		}
		if test.location != "" {
			from, err := url.Parse(base + test.path)
			if err != nil {
				t.Fatal(err)
			}
			to, err := from.Parse(resp.Header.Get("Location")) // as a browser does
			if err != nil || to.String() != base+test.location {
				t.Errorf("%s: to %v, error %v", test.path, to, err)
			}
		}
		if test.code == 404 && strings.Contains(body, "pixel.gif") {
			t.Errorf("%s lists the folder: %s", test.path, body)
		}
	}
}

// asked is what the handler alone answers to a path as it is, without a mux or
// a client that cleans it.
func asked(t *testing.T, handler http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, "/", nil)
	req.URL = &url.URL{Path: path}
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)
	return rec
}

func TestStaticStaysInItsFolder(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"index.html": "home", "sub/page.html": "page", ".env": "SECRET", ".git/config": "SECRET", "sub/.hidden/x.html": "SECRET",
		"..data/esconfig.json": "mounted", "fine..name.txt": "fine",
	})
	write(t, filepath.Dir(dir), map[string]string{"secret.txt": "SECRET", "dist-old/secret.txt": "SECRET"})
	for link, target := range map[string]string{
		"link.txt": "../secret.txt", "absolute.txt": filepath.Join(filepath.Dir(dir), "secret.txt"), "up": "..",
		"inside.html": "sub/page.html", "esconfig.json": "..data/esconfig.json", "loop": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	handler := status.Static(dir)
	for path, want := range map[string]string{
		// As volumes of Kubernetes are mounted: a link to a name with a dot.
		"/ui/esconfig.json":  "mounted",
		"/ui/inside.html":    "page",
		"/ui/fine..name.txt": "fine",

		"/ui/link.txt":                      "",
		"/ui/absolute.txt":                  "",
		"/ui/up/secret.txt":                 "",
		"/ui/up/":                           "",
		"/ui/up":                            "",
		"/ui/loop":                          "",
		"/ui/../secret.txt":                 "",
		"/ui/sub/../../secret.txt":          "",
		"/ui/../dist-old/secret.txt":        "",
		"/ui/..":                            "",
		"/ui/.":                             "",
		"/ui//index.html":                   "",
		"/ui//etc/passwd":                   "",
		"/ui/..\\secret.txt":                "",
		"/ui/sub\\page.html":                "",
		"/ui/index.html\x00.js":             "",
		"/ui/.env":                          "",
		"/ui/.git/config":                   "",
		"/ui/sub/.hidden/x.html":            "",
		"/ui/..data/esconfig.json":          "",
		"/ui/sub/./page.html":               "",
		"/other/index.html":                 "",
		"/ui":                               "",
		"":                                  "",
		"/ui/" + strings.Repeat("x/", 5000): "",
		"/ui/" + strings.Repeat("x", 5000):  "",
	} {
		rec := asked(t, handler, http.MethodGet, path)
		switch body := rec.Body.String(); {
		case want == "" && (rec.Code != http.StatusNotFound || strings.Contains(body, "SECRET")):
			t.Errorf("%.60q: %d %q", path, rec.Code, body)
		case want != "" && (rec.Code != http.StatusOK || body != want):
			t.Errorf("%.60q: %d %q", path, rec.Code, body)
		}
	}
	// Encoded on the way, through a mux.
	base := ui(t, dir)
	for _, path := range []string{"/ui/..%2fsecret.txt", "/ui/%2e%2e/secret.txt", "/ui/%2e%2e%2fsecret.txt", "/ui/sub%2f..%2f..%2fsecret.txt", "/ui/%2eenv"} {
		if resp, body := get(t, base+path); resp.StatusCode == http.StatusOK || strings.Contains(body, "SECRET") {
			t.Errorf("%s: %d %q", path, resp.StatusCode, body)
		}
	}
}

func TestStaticServesFilesOnly(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"index.html": "home"})
	testkit.Fifo(t, filepath.Join(dir, "pipe.js"))
	if rec := asked(t, status.Static(dir), http.MethodGet, "/ui/pipe.js"); rec.Code != http.StatusNotFound { // and does not hang
		t.Errorf("%d", rec.Code)
	}
	rec := asked(t, status.Static(dir), http.MethodPost, "/ui/index.html")
	if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", rec.Code, rec.Header())
	}
	rec = asked(t, status.Static(dir), http.MethodHead, "/ui/")
	if rec.Code != http.StatusOK || rec.Body.Len() != 0 || rec.Header().Get("Content-Length") != "4" {
		t.Errorf("HEAD: %d %q %v", rec.Code, rec.Body, rec.Header())
	}
}

func TestStaticWithoutFolderSaysWhatToDo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "web", "dist")
	base := ui(t, dir)
	helpful := func(when string) {
		t.Helper()
		resp, body := get(t, base+"/ui/")
		if resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "There is no web UI here") || !strings.Contains(body, "web/dist") {
			t.Errorf("%s: %d %s", when, resp.StatusCode, body)
		}
		if strings.Contains(body, dir) {
			t.Errorf("%s: the answer shows where the program lives: %s", when, body)
		}
	}
	helpful("no folder")
	write(t, dir, map[string]string{"main.js": "code"})
	helpful("no index")
	if resp, body := get(t, base+"/ui/main.js"); resp.StatusCode != http.StatusOK || body != "code" {
		t.Errorf("a folder that came later: %d %s", resp.StatusCode, body)
	}
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"index.html": "new"})
	if resp, body := get(t, base+"/ui/"); resp.StatusCode != http.StatusOK || body != "new" {
		t.Errorf("a folder that was replaced: %d %s", resp.StatusCode, body)
	}
	if resp, body := get(t, base+"/ui/main.js"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a file of the old folder: %d %s", resp.StatusCode, body)
	}
	// A file in its place, and no name at all.
	if rec := asked(t, status.Static(filepath.Join(dir, "index.html")), http.MethodGet, "/ui/"); rec.Code != http.StatusNotFound {
		t.Errorf("a file: %d", rec.Code)
	}
	if rec := asked(t, status.Static(""), http.MethodGet, "/ui/"); rec.Code != http.StatusNotFound {
		t.Errorf(`"": %d`, rec.Code)
	}
}

func TestStaticServesByteRanges(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789", 200_000) // is not read into memory
	base := ui(t, folder(t, map[string]string{"small.txt": "0123456789", "large.bin": large, "main-5KXQHJ2Z.js": "0123456789"}))
	for _, test := range []struct {
		file, in, want, contentRange string
		code                         int
	}{
		{"small.txt", "bytes=2-4", "234", "bytes 2-4/10", 206},
		{"small.txt", "bytes=-2", "89", "bytes 8-9/10", 206},
		{"small.txt", "bytes=8-", "89", "bytes 8-9/10", 206},
		{"main-5KXQHJ2Z.js", "bytes=0-0", "0", "bytes 0-0/10", 206},
		{"large.bin", "bytes=1999995-", "56789", "bytes 1999995-1999999/2000000", 206},
		{"large.bin", "bytes=2000000-", "invalid range: failed to overlap\n", "bytes */2000000", 416},
		{"small.txt", "lines=1", "invalid range\n", "", 416},
	} {
		resp, body := get(t, base+"/ui/"+test.file, "Range", test.in)
		if resp.StatusCode != test.code || body != test.want || resp.Header.Get("Content-Range") != test.contentRange {
			t.Errorf("%s %s: %d %q %q", test.file, test.in, resp.StatusCode, body, resp.Header.Get("Content-Range"))
		}
	}
	resp, body := get(t, base+"/ui/large.bin")
	if resp.StatusCode != http.StatusOK || body != large || resp.Header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("the whole: %d, %d bytes, %v", resp.StatusCode, len(body), resp.Header)
	}
}

func TestStaticTellsBrowsersWhatToKeep(t *testing.T) {
	t.Parallel()
	const forEver, ask = "max-age=31536000, immutable", "no-cache"
	names := map[string]string{
		"main.3f2a9c1b.js":               forEver,
		"main.3f2a9c1b4d5e6f708192.js":   forEver,
		"main-es2015.3f2a9c1b4d5e6f7.js": forEver,
		"styles-5KXQHJ2Z.css":            forEver,
		"chunk-5KXQHJ2Z.js.map":          forEver,
		"font.0a1b2c3d.woff2":            forEver,
		"app.3f2a9c1b.min.js":            forEver,
		"ui-1a2b3c4d5e6f7a8b_bg.wasm":    ask,
		"index.html":                     ask,
		"docs/index.html":                ask,
		"favicon.ico":                    ask,
		"main.js":                        ask,
		"jquery-3.4.1.min.js":            ask,
		"report-20240131.js":             ask, // a date
		"lib-datetime.js":                ask, // words
		"lib-FACADE.js":                  ask,
		"lib-DEADBEEF.js":                ask,
		"3f2a9c1b.js":                    ask,
		"main-3f2a9c1b":                  ask,
		"assets/config/esconfig.json":    ask,
	}
	contents := map[string]string{}
	for name := range names {
		contents[name] = "x"
	}
	base := ui(t, folder(t, contents))
	for name, want := range names {
		resp, _ := get(t, base+"/ui/"+name)
		if got := resp.Header.Get("Cache-Control"); resp.StatusCode != http.StatusOK || got != want {
			t.Errorf("%s: %d %q, want %q", name, resp.StatusCode, got, want)
		}
	}
	if resp, _ := get(t, base+"/ui/main.99999999aa.js"); resp.StatusCode != http.StatusNotFound || resp.Header.Get("Cache-Control") != "" {
		t.Errorf("a missing file: %d %v", resp.StatusCode, resp.Header)
	}
}

// All files of an image may have the same time, that of the version before.
func TestStaticNoticesANewVersionWithTheTimeOfTheOldOne(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"index.html": "version 1"})
	base, file := ui(t, dir), filepath.Join(dir, "index.html")
	built := time.Unix(1, 0)
	if err := os.Chtimes(file, built, built); err != nil {
		t.Fatal(err)
	}
	first, _ := get(t, base+"/ui/")
	tag := first.Header.Get("ETag")
	if again, body := get(t, base+"/ui/", "If-None-Match", tag); tag == "" || again.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("the same version with tag %q: %d %q", tag, again.StatusCode, body)
	}
	write(t, dir, map[string]string{"index.html": "version 2"})
	if err := os.Chtimes(file, built, built); err != nil {
		t.Fatal(err)
	}
	if second, body := get(t, base+"/ui/", "If-None-Match", tag); second.StatusCode != http.StatusOK || body != "version 2" {
		t.Errorf("the new version: %d %q", second.StatusCode, body)
	}
}

func TestStaticKnowsTheTypesOfTheWeb(t *testing.T) {
	t.Parallel()
	types := map[string]string{
		"a.html": "text/html; charset=utf-8", "a.css": "text/css; charset=utf-8", "a.js": "text/javascript; charset=utf-8",
		"a.mjs": "text/javascript; charset=utf-8", "a.json": "application/json; charset=utf-8", "a.js.map": "application/json; charset=utf-8",
		"a.txt": "text/plain; charset=utf-8", "a.svg": "image/svg+xml", "a.png": "image/png", "a.jpg": "image/jpeg", "a.gif": "image/gif",
		"a.ico": "image/x-icon", "a.wasm": "application/wasm", "a.webmanifest": "application/manifest+json",
		"a.woff": "font/woff", "a.woff2": "font/woff2", "a.ttf": "font/ttf", "a.eot": "application/vnd.ms-fontobject",
		"A.HTML": "text/html; charset=utf-8", "noext": "application/octet-stream", "a.odd-extension": "application/octet-stream",
	}
	contents := map[string]string{}
	for name := range types {
		contents[name] = "<script>alert(1)</script>" // never guessed from the content
	}
	base, got := ui(t, folder(t, contents)), map[string]string{}
	for name := range types {
		resp, _ := get(t, base+"/ui/"+name)
		got[name] = resp.Header.Get("Content-Type")
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be sniffed", name)
		}
	}
	if diff := cmp.Diff(types, got); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
}

func FuzzStaticStaysInItsFolder(f *testing.F) {
	top := f.TempDir()
	dir := filepath.Join(top, "dist")
	if err := os.MkdirAll(filepath.Join(dir, ".hidden"), 0o750); err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"secret.txt", "dist/.hidden/secret.txt", "dist/.secret.txt"} {
		if err := os.WriteFile(filepath.Join(top, name), []byte("SECRET"), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	for _, path := range []string{"/ui/../secret.txt", "/ui/.hidden/secret.txt", "/ui/.secret.txt", "/ui//../secret.txt", "/ui/a/%2e./secret.txt", "/ui/\\..\\secret.txt"} {
		f.Add(path)
	}
	handler := status.Static(dir)
	f.Fuzz(func(t *testing.T, path string) {
		if rec := asked(t, handler, http.MethodGet, path); rec.Code != http.StatusNotFound || strings.Contains(rec.Body.String(), "SECRET") {
			t.Errorf("%q: %d %s", path, rec.Code, rec.Body)
		}
	})
}

func BenchmarkStatic(b *testing.B) {
	dir := b.TempDir()
	for _, name := range []string{"main.3f2a9c1b.js", "index.html"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 64<<10), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	handler := status.Static(dir)
	for _, name := range []string{"main.3f2a9c1b.js", "index.html"} {
		b.Run(name, func(b *testing.B) {
			req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/ui/"+name, nil)
			b.ReportAllocs()
			for b.Loop() {
				rec := httptest.NewRecorder()
				handler.ServeHTTP(rec, req)
				if rec.Code != http.StatusOK {
					b.Fatal(rec.Code)
				}
			}
		})
	}
}
