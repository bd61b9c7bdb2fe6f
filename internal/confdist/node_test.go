package confdist_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dsiem/internal/confdist"
	"dsiem/test/testkit"
)

// node is a frontend with a real Server and its routes.
type node struct {
	*httptest.Server

	server *confdist.Server
	dir    string
	log    *testkit.Logbook
}

// errRejected is what the fake check says of a file with the word "wrong".
var errRejected = errors.New("assets_x.json:2:3: asset 1: the cidr is wrong\nassets_x.json:4:5: asset 2: the value is wrong")

func rejectWrong(_ string, content []byte) error {
	if strings.Contains(string(content), "wrong") {
		return errRejected
	}
	return nil
}

func settings() confdist.Settings {
	return confdist.Settings{Status: []string{"Open", "Closed"}, Tags: []string{"Identified Threat", "False Positive"}}
}

// uploaded is the answer to an upload.
func uploaded(name string) string {
	text := "File " + name + " uploaded successfully\n"
	for _, prefix := range []string{"assets_", "directives_", "intel_", "vuln_"} {
		if strings.HasPrefix(name, prefix) {
			text += "Running nodes do not have it yet: they load it when they start.\n"
		}
	}
	return text
}

// newNode starts a writable node with files; change may change its options.
func newNode(t testing.TB, files map[string]string, change ...func(*confdist.ServerOptions)) *node {
	t.Helper()
	n := &node{dir: filepath.Join(t.TempDir(), "configs"), log: new(testkit.Logbook)}
	if err := os.Mkdir(n.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	o := confdist.ServerOptions{Dir: n.dir, Writable: true, Check: rejectWrong, Settings: settings(), Logger: n.log.Logger()}
	for _, f := range change {
		f(&o)
	}
	n.server = confdist.NewServer(o)
	n.Server = httptest.NewServer(routes(n.server, o.Writable))
	t.Cleanup(n.Close)
	return n
}

// routes registers the handlers as the program does.
func routes(s *confdist.Server, writable bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /config", s.List)
	mux.HandleFunc("GET /config/{$}", s.List)
	mux.HandleFunc("GET /config/{name}", s.Download)
	if writable {
		mux.HandleFunc("POST /config/{name}", s.Upload)
		mux.HandleFunc("DELETE /config/{name}", s.Delete)
	}
	return mux
}

// answer is what a server said.
type answer struct {
	status int
	header http.Header
	body   string
	closes bool // the server closes the connection
}

func (a answer) String() string { return fmt.Sprintf("%d %q", a.status, a.body) }

// do makes a request. Headers are pairs of name and value.
func (n *node) do(t testing.TB, method, path, body string, headers ...string) answer {
	t.Helper()
	a, err := n.try(method, path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (n *node) try(method, path, body string, headers ...string) (answer, error) {
	req, err := http.NewRequest(method, n.URL+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := n.Client().Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text), resp.Close}, err
}

// want makes a request and compares status and body.
func (n *node) want(t testing.TB, status int, text, method, path, body string, headers ...string) answer {
	t.Helper()
	a := n.do(t, method, path, body, headers...)
	if a.status != status || a.body != text {
		t.Errorf("%s %s: got %v, want %d %q", method, path, a, status, text)
	}
	return a
}

// dial opens a connection and sends text, unchanged.
func (n *node) dial(t testing.TB, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", n.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// raw sends a request line with a path that no client would send.
func (n *node) raw(t testing.TB, method, path string) answer {
	t.Helper()
	conn := n.dial(t, method+" "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
	return readAnswer(t, conn)
}

func readAnswer(t testing.TB, conn net.Conn) answer {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text), resp.Close}
}

// tree returns every file below the folder's parent, hidden ones too, with its
// content, and what else there is with its type.
func tree(t testing.TB, top string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(top, path)
		switch {
		case err != nil || d.IsDir():
			return err
		case !d.Type().IsRegular():
			found[name] = d.Type().String()
			return nil
		}
		text, err := os.ReadFile(path)
		found[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func mode(t testing.TB, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

const (
	nameError       = "Not a valid filename, should be in any_N4m3-that_you_want.json format\n"
	uploadNameError = "Not a valid filename, should be in any_N4m3_you_want.json format\n"
	contentError    = "Invalid content detected, parsing error message is: "
	oneAsset        = `{"assets":[{"name":"a","cidr":"10.0.0.0/8","value":1}]}`
)
