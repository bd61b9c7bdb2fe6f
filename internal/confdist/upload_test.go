package confdist_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dsiem/internal/confdist"
	"dsiem/test/testkit"
)

func TestT21AnUploadIsStoredAsItIs(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil, func(o *confdist.ServerOptions) { o.User = func(*http.Request) string { return "alice" } })
	a := n.want(t, 201, uploaded("assets_x.json"), "POST", "/config/assets_x.json", oneAsset)
	testkit.Equal(t, a.header.Get("ETag"), n.do(t, "GET", "/config/assets_x.json", "").header.Get("ETag"))
	testkit.Equal(t, tree(t, n.dir), map[string]string{"assets_x.json": oneAsset})
	testkit.Equal(t, mode(t, filepath.Join(n.dir, "assets_x.json")), fs.FileMode(0o600))
	line := n.log.With("level=INFO", `msg="configuration file uploaded"`, "name=assets_x.json", fmt.Sprintf("size=%d", len(oneAsset)), "peer=127.0.0.1:", "user=alice")
	if len(line) != 1 {
		t.Errorf("the log is %q", n.log.All())
	}

	// A longer and a shorter one take its place and keep its mode.
	if err := os.Chmod(filepath.Join(n.dir, "assets_x.json"), 0o664); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"\n" + oneAsset + strings.Repeat("\n", 100), `{"assets": [1]}`} {
		n.want(t, 201, uploaded("assets_x.json"), "POST", "/config/assets_x.json", text, "Content-Type", "application/x-www-form-urlencoded")
		testkit.Equal(t, tree(t, n.dir), map[string]string{"assets_x.json": text})
		testkit.Equal(t, mode(t, filepath.Join(n.dir, "assets_x.json")), fs.FileMode(0o664))
	}
}

func TestT22D50ContentThatIsRefused(t *testing.T) {
	t.Parallel()
	const noEntry = "content doesn't have a valid entry"
	n := newNode(t, map[string]string{"assets_x.json": "old"})
	for _, c := range []struct{ name, text, want string }{
		{"assets_x.json", `{"assets":[]}`, noEntry},
		{"assets_x.json", `{"assets": [ ] , "more":1}`, noEntry},
		{"assets_x.json", `{"assets":null}`, noEntry},
		{"assets_x.json", `{"Assets":[],"asset":[1]}`, noEntry},
		{"assets_x.json", `{}`, noEntry},
		{"assets_x.json", `{"assets":1}`, noEntry},
		{"assets_x.json", `[1]`, noEntry},
		{"assets_x.json", `"assets"`, noEntry},
		{"assets_x.json", `{"directives":[1]}`, noEntry},
		{"directives_x.json", `{"assets":[1]}`, noEntry},
		{"directives_x.json", `{"directives":[]}`, noEntry},
		{"intel_x.json", `{"intel":[1],"intel_sources":[]}`, noEntry},
		{"vuln_x.json", `{"intel_sources":[1]}`, noEntry},
		{"assets_x.json", `{"assets":["wrong"]}`, errRejected.Error()},
		{"vuln_x.json", `{"vuln_sources":["wrong"`, errRejected.Error()},
		{"assets_x.json", `{"assets":[1`, "assets_x.json:1:13: not valid JSON: unexpected EOF"},
		{"assets_x.json", `{"assets"`, "assets_x.json:1:10: not valid JSON: unexpected EOF"},
		{"assets_x.json", ``, "the content is empty"},
		{"other.json", ``, "the content is empty"},
		{"other.json", " \n", "the content is empty"},
		{"other.json", "{\n  \"é\": tru\n}", "other.json:2:11: not valid JSON: invalid character '\\n' in literal true (expecting 'e')"},
		{"other.json", `{} {}`, "the content is not valid JSON: something follows the end of the value"},
		{"other.json", `{} x`, "other.json:1:4: not valid JSON: invalid character 'x' at start of value"},
		{"other.json", "\xef\xbb\xbf{}", "other.json:1:1: not valid JSON: invalid character '\\ufeff' at start of value"},
		{"other.json", "<html></html>", "other.json:1:1: not valid JSON: invalid character '<' at start of value"},
	} {
		n.want(t, 418, contentError+c.want+"\n", "POST", "/config/"+c.name, c.text)
		a := n.do(t, "POST", "/config/"+c.name, c.text, "Accept", "application/json")
		if a.status != 418 || !strings.Contains(a.body, `"status": 418`) {
			t.Errorf("got %v", a)
		}
		testkit.Equal(t, tree(t, n.dir), map[string]string{"assets_x.json": "old"})
	}
	a := n.do(t, "POST", "/config/other.json", "\xff", "Accept", "application/json")
	if a.status != 418 || !strings.Contains(a.body, "not valid JSON") {
		t.Errorf("got %v", a)
	}
}

func TestContentThatIsTaken(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"assets_x.json":     `{"assets":[1],"assets":[]}`,
		"directives_x.json": `{"DIRECTIVES":[{}]}`,
		"intel_x.json":      `{"x":{"intel_sources":[]},"intel_sources":[[]]}`,
		"vuln_x.json":       `{"vuln_sources":null,"vuln_sources":[null]}`,
		"other.json":        `"any value"`,
		"assets.json":       `{"assets":[]}`,
		"xassets_.json":     `"wrong"`,
		"number.json":       "1\n",
	}
	n := newNode(t, nil, func(o *confdist.ServerOptions) { o.Check = nil })
	for name, text := range files {
		n.want(t, 201, uploaded(name), "POST", "/config/"+name, text)
	}
	testkit.Equal(t, tree(t, n.dir), files)
}

func TestT23ADeletedFileIsGone(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"assets_x.json": oneAsset, "b.json": "{}"})
	n.want(t, 200, "", "DELETE", "/config/assets_x.json", "")
	n.want(t, 400, "cannot delete assets_x.json", "DELETE", "/config/assets_x.json", "")
	testkit.Equal(t, tree(t, n.dir), map[string]string{"b.json": "{}"})
	if len(n.log.With("level=INFO", `msg="configuration file deleted"`, "name=assets_x.json", fmt.Sprintf("size=%d", len(oneAsset)), "peer=127.0.0.1:")) != 1 {
		t.Errorf("the log is %q", n.log.All())
	}
	if lines := n.log.With("user="); len(lines) > 0 {
		t.Errorf("nobody made the request: %q", lines)
	}
}

func TestASymbolicLinkWithinTheFolderBecomesAFile(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.json": "1"})
	if err := os.Symlink("a.json", filepath.Join(n.dir, "b.json")); err != nil {
		t.Fatal(err)
	}
	n.want(t, 201, "File b.json uploaded successfully\n", "POST", "/config/b.json", "2")
	testkit.Equal(t, tree(t, n.dir), map[string]string{"a.json": "1", "b.json": "2"})
	testkit.Equal(t, mode(t, filepath.Join(n.dir, "b.json")), fs.FileMode(0o640))
}

func TestWhatAKilledUploadLeftIsRemovedByTheNext(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{".a.json123": "{", ".a.json": "1", ".a.json1x": "2", ".ab.json1": "3", "a.json1": "4"})
	n.want(t, 201, "File a.json uploaded successfully\n", "POST", "/config/a.json", "{}")
	testkit.Equal(t, tree(t, n.dir), map[string]string{"a.json": "{}", ".a.json": "1", ".a.json1x": "2", ".ab.json1": "3", "a.json1": "4"})
}

func TestAnUploadThatIsTooLarge(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.json": "old"}, func(o *confdist.ServerOptions) { o.MaxSize = 10 })
	const want = "Error when parsing request: the body is larger than 10 bytes\n"
	for _, head := range []string{
		"Content-Length: 11\r\n\r\n\"123456789\"",
		"Content-Length: 11\r\n\r\n",           // not waited for
		"Content-Length: 999999999999\r\n\r\n", // nor is there memory for it
		"Content-Length: 11\r\nExpect: 100-continue\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\nb\r\n\"123456789\"\r\n0\r\n\r\n",
	} {
		a := readAnswer(t, n.dial(t, "POST /config/a.json HTTP/1.1\r\nHost: x\r\n"+head))
		if a.status != 413 || a.body != want {
			t.Errorf("%q: got %v", head, a)
		}
	}
	testkit.Equal(t, tree(t, n.dir), map[string]string{"a.json": "old"})
	n.want(t, 201, "File a.json uploaded successfully\n", "POST", "/config/a.json", `"12345678"`)
}

// The files that nodes load have a limit together; what a file replaces does not count,
// nor do files that nobody loads.
func TestUploadMakesTheFolderTooLarge(t *testing.T) {
	t.Parallel()
	const list = `{"assets":[{}]}`
	n := newNode(t, map[string]string{"assets_a.json": list, "assets_b.json": list, "notes.json": strings.Repeat(" ", 1000) + "{}"},
		func(o *confdist.ServerOptions) { o.MaxFolder = int64(3 * len(list)) })
	for _, c := range []struct {
		name, content string
		status        int
	}{
		{"assets_b.json", list + strings.Repeat(" ", len(list)), http.StatusCreated},
		{"assets_a.json", list + " ", http.StatusRequestEntityTooLarge},
		{"assets_c.json", list, http.StatusRequestEntityTooLarge},
		{"assets_b.json", list, http.StatusCreated},
		{"assets_c.json", list, http.StatusCreated},
		{"assets_d.json", list + strings.Repeat(" ", 3*len(list)), http.StatusRequestEntityTooLarge},
	} {
		if got := n.do(t, http.MethodPost, "/config/"+c.name, c.content); got.status != c.status {
			t.Errorf("%s with %d bytes is answered %d %s, want %d", c.name, len(c.content), got.status, got.body, c.status)
		}
	}
}

func TestABodyThatEndsEarlyChangesNothing(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.json": "old"})
	for _, body := range []string{
		"Content-Length: 3\r\n\r\n{}", // JSON as far as it goes
		"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
		"Transfer-Encoding: chunked\r\n\r\nxx\r\n",
	} {
		conn := n.dial(t, "POST /config/a.json HTTP/1.1\r\nHost: x\r\n"+body)
		if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		a := readAnswer(t, conn)
		if a.status != 400 || a.body != "Error when parsing request: the body ended early\n" {
			t.Errorf("%q: got %v", body, a)
		}
		if !a.closes {
			t.Error("the connection stays open in the middle of a body")
		}
	}
	testkit.Equal(t, tree(t, n.dir), map[string]string{"a.json": "old"})
}

func TestABodyThatComesTooSlowly(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.json": "old"}, func(o *confdist.ServerOptions) { o.Timeout = 20 * time.Millisecond })
	a := readAnswer(t, n.dial(t, "POST /config/a.json HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{}"))
	if a.status != 408 || a.body != "Error when parsing request: the body did not arrive in time\n" {
		t.Errorf("got %v", a)
	}
	testkit.Equal(t, tree(t, n.dir), map[string]string{"a.json": "old"})
}

func TestAFileHasMoreTimeThanOtherRequests(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	n.Close()
	n.Server = httptest.NewUnstartedServer(routes(n.server, true))
	n.Config.ReadHeaderTimeout, n.Config.IdleTimeout = time.Minute, time.Minute
	n.Config.ReadTimeout, n.Config.WriteTimeout = 1, 1 // over before a handler is called
	n.Start()
	t.Cleanup(n.Close)
	for range 20 { // one after another on a connection that is kept
		n.want(t, 201, "File a.json uploaded successfully\n", "POST", "/config/a.json", oneAsset)
		n.want(t, 200, oneAsset, "GET", "/config/a.json", "")
	}
}

func TestUploadsTogetherHaveABoundInMemory(t *testing.T) {
	t.Parallel()
	checking, goOn := make(chan struct{}), make(chan struct{})
	n := newNode(t, nil, func(o *confdist.ServerOptions) {
		o.MaxSize = 100
		o.Check = func(string, []byte) error {
			checking <- struct{}{}
			<-goOn
			return nil
		}
	})
	large := `{"assets":[1]}` + strings.Repeat(" ", 86)
	answers := make(chan answer)
	for i := range 2 {
		go func() {
			a, _ := n.try("POST", fmt.Sprintf("/config/assets_%d.json", i), large)
			answers <- a
		}()
		<-checking
	}
	a := n.want(t, 503, "Error when parsing request: too many uploads at once\n", "POST", "/config/a.json", "{}")
	testkit.Equal(t, a.header.Get("Retry-After"), "1")
	for range 2 {
		goOn <- struct{}{}
		if a := <-answers; a.status != 201 {
			t.Errorf("got %v", a)
		}
	}
	n.want(t, 201, "File a.json uploaded successfully\n", "POST", "/config/a.json", "{}")
}

// A change that the folder must not have is refused as bad content is, and leaves
// everything as it was. The folder is asked about as it is, once at a time.
func TestChangesThatTheFolderMustNotHave(t *testing.T) {
	t.Parallel()
	var asked []string
	before := map[string]string{"assets_x.json": oneAsset, "intel_x.json": "{}"}
	n := newNode(t, before, func(o *confdist.ServerOptions) {
		o.CheckChange = func(c confdist.Change) error {
			now, err := fs.ReadFile(c.Dir, "assets_x.json")
			asked = append(asked, fmt.Sprintf("%s %q %t %q %v", c.Name, c.Content, c.Delete, now, err))
			if c.Delete && c.Name == "assets_x.json" || strings.Contains(string(c.Content), "2") {
				return errors.New("assets_*.json: the change is wrong")
			}
			return nil
		}
	})
	const refused = contentError + "assets_*.json: the change is wrong\n"
	tag := n.do(t, "GET", "/config/assets_x.json", "").header.Get("ETag")
	n.want(t, 418, refused, "POST", "/config/assets_x.json", `{"assets":[2]}`, "If-Match", tag)
	n.want(t, 418, refused, "POST", "/config/directives_new.json", `{"directives":[2]}`)
	n.want(t, 418, refused, "DELETE", "/config/assets_x.json", "")
	testkit.Equal(t, tree(t, n.dir), before)
	// What fails for another reason, or is loaded by nobody, is not asked about.
	n.do(t, "POST", "/config/assets_x.json", `{"assets":[2]}`, "If-Match", `"another"`)
	n.do(t, "POST", "/config/assets_x.json", `{"assets":["wrong"]}`)
	n.do(t, "DELETE", "/config/assets_none.json", "")
	n.want(t, 201, "File other.json uploaded successfully\n", "POST", "/config/other.json", "2")
	n.want(t, 201, uploaded("assets_y.json"), "POST", "/config/assets_y.json", `{"assets":[1]}`)
	n.want(t, 200, "", "DELETE", "/config/intel_x.json", "")
	now := fmt.Sprintf(" %q <nil>", oneAsset)
	testkit.Equal(t, asked, []string{
		`assets_x.json "{\"assets\":[2]}" false` + now, `directives_new.json "{\"directives\":[2]}" false` + now, `assets_x.json "" true` + now,
		`assets_y.json "{\"assets\":[1]}" false` + now, `intel_x.json "" true` + now,
	})
}

// It is not parallel: the limit is the process's.
func TestADiskThatIsFullLeavesTheOldFile(t *testing.T) {
	n := newNode(t, map[string]string{"a.json": "old"})
	restore := testkit.SmallFiles(t, 1<<20) // more than go test itself writes meanwhile
	a, err := n.try("POST", "/config/a.json", `"`+strings.Repeat("x", 2<<20)+`"`)
	restore()
	if err != nil || a.status != 500 || a.body != "Cannot write to target file location\n" {
		t.Errorf("got %v, error %v", a, err)
	}
	testkit.Equal(t, tree(t, n.dir), map[string]string{"a.json": "old"})
	if len(n.log.With("level=ERROR", "configuration request failed", "file too large")) != 1 {
		t.Errorf("the log is %q", n.log.All())
	}
}
