package confdist_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/confdist"
	"dsiem/test/testkit"
)

func TestT13TheListNamesTheFiles(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"assets_testing.json": "{}", "directives_dsiem-backend-0_testing1.json": "{}", "zz.json": "{}"})
	a := n.want(t, 200, `{
  "files": [
    {
      "filename": "assets_testing.json"
    },
    {
      "filename": "directives_dsiem-backend-0_testing1.json"
    },
    {
      "filename": "dsiem_config.json"
    },
    {
      "filename": "zz.json"
    }
  ]
}`, "GET", "/config/", "")
	testkit.Equal(t, a.header.Get("Content-Type"), "application/json")
	n.want(t, 304, "", "GET", "/config/", "", "If-None-Match", a.header.Get("ETag"))
	if a := n.do(t, "HEAD", "/config/", ""); a.status != 200 || a.body != "" {
		t.Errorf("HEAD: got %v", a)
	}
}

func TestT14TheListWithoutASlash(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"assets_testing.json": "{}"})
	n.want(t, 200, n.do(t, "GET", "/config/", "").body, "GET", "/config", "")
	// The proxy's or operator's slash too many is redirected (D24).
	n.want(t, 200, n.do(t, "GET", "/config/", "").body, "GET", "//config/", "")
}

func TestD48OnlyFilesThatCanBeDownloadedAreListed(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{
		"assets_a.json": "{}", ".hidden.json": "{}", ".dsiem-managed.json": "{}", "a.b.json": "{}", "x.exe": "x", "_.json": "{}",
		"é.json": "{}", "a b.json": "{}", "fooXjson": "{}", "a.json~": "{}", "README": "x", strings.Repeat("x", 231) + ".json": "{}",
	})
	for _, link := range [][2]string{ // Kubernetes: name -> ..data/name, ..data -> ..2024
		{"..2024", "..data"},
		{"..data/assets_map.json", "assets_map.json"},
		{"../secret.json", "out.json"},
		{filepath.Join(n.dir, "assets_a.json"), "absolute.json"},
		{"gone.json", "broken.json"},
		{"circle.json", "circle.json"},
		{"..2024", "folderlink.json"},
	} {
		if err := os.Symlink(link[0], filepath.Join(n.dir, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"..2024", "folder.json"} {
		if err := os.Mkdir(filepath.Join(n.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(n.dir, "..2024"), "assets_map.json", `{"map":1}`)
	write(t, filepath.Dir(n.dir), "secret.json", "secret")
	testkit.Fifo(t, filepath.Join(n.dir, "pipe.json"))

	names := listedNames(t, n)
	testkit.Equal(t, names, []string{"assets_a.json", "assets_map.json", "dsiem_config.json"})
	for _, name := range names {
		if a := n.do(t, "GET", "/config/"+name, ""); a.status != 200 {
			t.Errorf("%s is listed and gives %v", name, a)
		}
	}
	n.want(t, 200, `{"map":1}`, "GET", "/config/assets_map.json", "")

	before := tree(t, filepath.Dir(n.dir))
	for _, name := range []string{"out.json", "absolute.json", "broken.json", "circle.json", "folderlink.json", "folder.json", "pipe.json"} {
		n.want(t, 400, "cannot open "+name, "GET", "/config/"+name, "")
		n.want(t, 400, "cannot delete "+name, "DELETE", "/config/"+name, "")
		n.want(t, 500, "Cannot open target file location\n", "POST", "/config/"+name, "{}")
		if len(n.log.With("level=WARN", "configuration file is not listed", "name="+name)) == 0 {
			t.Errorf("nothing says why %s is not listed", name)
		}
	}
	testkit.Equal(t, tree(t, filepath.Dir(n.dir)), before)
	if _, err := os.Stat(filepath.Join(n.dir, "folder.json")); err != nil {
		t.Error(err)
	}
}

// listedNames returns what a node lists, in its order.
func listedNames(t *testing.T, n *node) []string {
	t.Helper()
	var names []string
	for line := range strings.Lines(n.do(t, "GET", "/config/", "").body) {
		if _, rest, found := strings.Cut(line, `"filename": "`); found {
			names = append(names, strings.TrimRight(rest, "\",\n"))
		}
	}
	return names
}

func TestT15D68AFileIsServedByteByByte(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"assets_testing.json": "{\"z\": 1,\r\n\t\"a\":12345678901234567890.0e-0, \"a\":\"\\u00e9\"}\n\n",
		"no-json.json":        "this is what the operator put there\x00\xff",
		"empty.json":          "",
		"large.json":          strings.Repeat("0123456789abcdef", 1<<17), // 2 MiB
	}
	n := newNode(t, files)
	for name, text := range files {
		a := n.want(t, 200, text, "GET", "/config/"+name, "")
		testkit.Equal(t, a.header.Get("Content-Type"), "application/json")
		testkit.Equal(t, a.header.Get("X-Content-Type-Options"), "nosniff")
		tag := a.header.Get("ETag")
		if len(tag) != 66 || tag[0] != '"' {
			t.Errorf("%s: the ETag is %s", name, tag)
		}
		n.want(t, 304, "", "GET", "/config/"+name, "", "If-None-Match", `"x", W/`+tag)
		if a := n.do(t, "HEAD", "/config/"+name, ""); a.status != 200 || a.body != "" || a.header.Get("ETag") != tag {
			t.Errorf("HEAD %s: got %v with %v", name, a, a.header)
		}
	}
	n.want(t, 206, files["large.json"][1<<20:], "GET", "/config/large.json", "", "Range", "bytes=1048576-")
	if a, b := n.do(t, "GET", "/config/empty.json", ""), n.do(t, "GET", "/config/large.json", ""); a.header.Get("ETag") == b.header.Get("ETag") {
		t.Error("two files have the same ETag")
	}
	write(t, n.dir, "empty.json", "{}")
	if a := n.do(t, "GET", "/config/empty.json", "", "If-None-Match", `"x"`); a.status != 200 {
		t.Errorf("a changed file gives %v", a)
	}
}

func TestT16AMissingFile(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	a := n.want(t, 400, "cannot open nope.json", "GET", "/config/nope.json", "")
	testkit.Equal(t, a.header.Get("Content-Type"), "text/plain; charset=utf-8")
	n.want(t, 400, "", "HEAD", "/config/nope.json", "")
}

func TestT17D49NamesThatNoFileCanHave(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"foojson": "{}", "fooXjson": "{}", "foo.exe": "{}", "..dot.json": "{}"})
	for _, name := range []string{
		"foo.exe", "_.json", "test.json.foo", "..dot.json", ".x.json", "a.b.json", "foojson", "fooXjson", "a.JSON",
		"%C3%A9.json", "a%20b.json", "a.json%0A", "a+b.json", "-.json", strings.Repeat("x", 226) + ".json", strings.Repeat("x", 5000) + ".json",
	} {
		n.want(t, 418, nameError, "GET", "/config/"+name, "")
		n.want(t, 418, uploadNameError, "POST", "/config/"+name, "{}")
		n.want(t, 418, nameError, "DELETE", "/config/"+name, "")
	}
	longest := strings.Repeat("x", 225) + ".json"
	n.want(t, 201, "File "+longest+" uploaded successfully\n", "POST", "/config/"+longest, "{}")
	n.want(t, 200, "{}", "GET", "/config/"+longest, "")
}

func TestT18NoPathLeavesTheFolder(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"assets_a.json": "{}"})
	write(t, filepath.Dir(n.dir), "secret.json", "root:x:0:0")
	if err := os.Mkdir(filepath.Join(n.dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(n.dir, "sub"), "json", "root:x:0:0")
	write(t, filepath.Join(n.dir, "sub"), "secret.json", "root:x:0:0")
	before := tree(t, filepath.Dir(n.dir))
	for _, path := range []string{
		"/config/..%2f..%2fetc%2fpasswd", "/config/..%2fsecret.json", "/config/%2e%2e%2fsecret.json", "/config/%2E%2E/secret.json",
		"/config/../secret.json", "/config/../../etc/passwd", "/config//etc/passwd", "/config/%2fetc%2fpasswd", "/config/sub%2Fjson",
		"/config/sub%2fsecret.json", "/config/sub/secret.json", "/config/sub", "/config/sub/", "/config/..", "/config/.", "/config/%2e%2e",
		"/config/..%5csecret.json", "/config/..%c0%afsecret.json", "/config/%00", "/config/secret.json%00", "/config/%00assets_a.json",
		"/config/assets_a.json%00.json", "/config/assets_a.json%2f..", "/config/assets_a.json/", "/config/assets_a.json%2f", "/config/%ff%fe.json",
		"/config/..;/secret.json", "//config/..%2fsecret.json", "/config/%252e%252e%252fsecret.json", "/Config/assets_a.json",
		"/config/" + strings.Repeat("%2e%2e%2f", 500) + "etc/passwd", "/config/" + strings.Repeat("a", 9000) + ".json",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
			if method == "HEAD" {
				continue // has no body to look at
			}
			a := n.raw(t, method, path)
			redirected := a.status == 307 && !strings.Contains(a.header.Get("Location"), "://")
			if a.status != 404 && a.status != 418 && a.status != 405 && !redirected || strings.Contains(a.body, "root:") {
				t.Errorf("%s %.80s: got %v", method, path, a)
			}
		}
	}
	testkit.Equal(t, tree(t, filepath.Dir(n.dir)), before)
	n.want(t, 200, "{}", "GET", "/config/assets_a.json", "")
}

func TestAPathThatIsNotCleanIsRedirected(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"assets_a.json": "{}"})
	for path, want := range map[string]string{
		"//config/": "/config/", "/config//": "/config/", "/config/./assets_a.json": "/config/assets_a.json", "/x/../config": "/config",
	} {
		if a := n.raw(t, "GET", path); a.status != 307 || a.header.Get("Location") != want {
			t.Errorf("%s: got %v to %q, want %q", path, a, a.header.Get("Location"), want)
		}
	}
}

func TestT19T20WhatIsNotRegisteredIsNotAllowed(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"assets_a.json": "{}"})
	readOnly := newNode(t, map[string]string{"assets_a.json": "{}"}, func(o *confdist.ServerOptions) { o.Writable = false })
	for _, c := range []struct {
		node          *node
		method, allow string
	}{
		{n, "PUT", "DELETE, GET, HEAD, POST"},
		{n, "PATCH", "DELETE, GET, HEAD, POST"},
		{readOnly, "PUT", "GET, HEAD"},
		{readOnly, "POST", "GET, HEAD"},
		{readOnly, "DELETE", "GET, HEAD"},
	} {
		a := c.node.do(t, c.method, "/config/assets_a.json", oneAsset)
		if a.status != 405 || a.header.Get("Allow") != c.allow {
			t.Errorf("%s: got %v, Allow is %q", c.method, a, a.header.Get("Allow"))
		}
		testkit.Equal(t, content(t, c.node.dir), map[string]string{"assets_a.json": "{}"})
	}
}

func TestAServerThatIsNotWritableRefusesEvenIfRegistered(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.json": "{}"}, func(o *confdist.ServerOptions) { o.Writable = false })
	n.Config.Handler = routes(n.server, true)
	for _, method := range []string{"POST", "DELETE"} {
		a := n.want(t, 405, "Method Not Allowed\n", method, "/config/a.json", "{}")
		testkit.Equal(t, a.header.Get("Allow"), "GET, HEAD")
	}
	testkit.Equal(t, content(t, n.dir), map[string]string{"a.json": "{}"})
}

func TestErrorsAreJSONForWhoPrefersIt(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	const asJSON = "{\n  \"error\": \"cannot open nope.json\",\n  \"status\": 400\n}\n"
	for accept, want := range map[string]string{
		"application/json":                            asJSON,
		"application/json, text/plain, */*":           asJSON,
		"APPLICATION/JSON; charset=utf-8":             asJSON,
		"text/html, application/json;q=0.9, */*;q=.8": asJSON,
		"application/*":                               asJSON,
		"application/json;q=0.5, text/plain":          "cannot open nope.json",
		"application/json;q=0":                        "cannot open nope.json",
		"application/json;q=x":                        "cannot open nope.json",
		"application/json;q=nan":                      "cannot open nope.json",
		"*/*":                                         "cannot open nope.json",
		"text/html":                                   "cannot open nope.json",
		";;,,application/":                            "cannot open nope.json",
		"":                                            "cannot open nope.json",
	} {
		a := n.do(t, "GET", "/config/nope.json", "", "Accept", accept)
		kind := "text/plain; charset=utf-8"
		if want == asJSON {
			kind = "application/json"
		}
		if a.status != 400 || a.body != want || a.header.Get("Content-Type") != kind {
			t.Errorf("%s: got %v as %s", accept, a, a.header.Get("Content-Type"))
		}
	}
}

func TestAFileThatCannotBeReadIsTheServersFault(t *testing.T) {
	t.Parallel()
	// A folder that is a file.
	n := newNode(t, nil, func(o *confdist.ServerOptions) {
		o.Dir += "/file"
		if err := os.WriteFile(o.Dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	n.want(t, 500, "Error reading config directory", "GET", "/config/", "")
	n.want(t, 500, "cannot open a.json", "GET", "/config/a.json", "")
	n.want(t, 500, "cannot delete a.json", "DELETE", "/config/a.json", "")
	n.want(t, 500, "Cannot open target file location\n", "POST", "/config/a.json", "{}")
	if len(n.log.With("level=ERROR", "configuration request failed", "not a directory")) != 4 {
		t.Errorf("the log is %q", n.log.All())
	}
}

// editing is a response writer during whose first write somebody edits a file.
type editing struct {
	http.ResponseWriter
	edit func()
}

func (e *editing) Write(p []byte) (int, error) {
	if e.edit != nil {
		e.edit()
		e.edit = nil
	}
	return e.ResponseWriter.Write(p)
}

func TestAnAnswerDuringWhichTheFileChangesIsCutOff(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	n := newNode(t, map[string]string{"a.json": strings.Repeat("a", size)})
	handler := n.Config.Handler
	n.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(&editing{w, func() { write(t, n.dir, "a.json", strings.Repeat("b", size+1)) }}, r)
	})
	a, err := n.try("GET", "/config/a.json", "")
	if err == nil || a.status != 200 || strings.Contains(a.body, "b") || len(a.body) >= size {
		t.Errorf("got %d bytes and error %v", len(a.body), err)
	}
}

func TestChangesAreCountedByAction(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	reg := prometheus.NewPedanticRegistry()
	n.server.Register(reg)
	testkit.Equal(t, testkit.Samples(t, reg), []string{
		`dsiem_config_changes_total{action="delete"} 0`, `dsiem_config_changes_total{action="upload"} 0`,
	})
	n.do(t, "POST", "/config/a.json", "{}")
	n.do(t, "POST", "/config/a.json", "{}")
	n.do(t, "POST", "/config/a.json", "{")
	n.do(t, "GET", "/config/a.json", "")
	n.do(t, "DELETE", "/config/a.json", "")
	n.do(t, "DELETE", "/config/a.json", "")
	testkit.Equal(t, testkit.Samples(t, reg), []string{
		`dsiem_config_changes_total{action="delete"} 1`, `dsiem_config_changes_total{action="upload"} 2`,
	})
}
