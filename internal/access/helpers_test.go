package access_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dsiem/internal/access"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// logbook keeps log lines.
type logbook struct {
	mu      sync.Mutex
	lines   []string
	changed chan struct{} // closed at the next line
}

func newLogbook() *logbook { return &logbook{changed: make(chan struct{})} }

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.TrimSpace(string(p)))
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// with returns the lines that contain all texts.
func (l *logbook) with(texts ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.lines), func(line string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) })
	})
}

// wait waits for n lines that contain all texts.
func (l *logbook) wait(t *testing.T, n int, texts ...string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if len(l.with(texts...)) >= n {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("no %d lines with %q in:\n%s", n, texts, strings.Join(l.with(), "\n"))
		}
	}
}

// write writes a file that only its owner may read.
func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// authFile writes a file of rights.
func authFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.json")
	write(t, path, content)
	return path
}

// load returns the Guard of a file.
func load(t testing.TB, content string) *access.Guard {
	t.Helper()
	g, err := access.Load(authFile(t, content), nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// run runs a part until the end of the test.
func run(t *testing.T, part interface{ Run(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- part.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// pass lets time go by, in a bubble.
func pass(d time.Duration) { <-time.After(d) }

// sha returns the SHA-256 of a token as the file holds it.
func sha(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// ok answers 200 with the name of the user.
func ok(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello "+access.User(r)) }

// ask sends a request with some Authorization headers.
func ask(h http.Handler, authorization ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/events", strings.NewReader("{}"))
	r.Header["Authorization"] = authorization
	if len(authorization) == 0 {
		r.Header.Del("Authorization")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// basic returns a header of basic authentication.
func basic(name, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(name, password)
	return r.Header.Get("Authorization")
}

// pipes is a listener of connections in memory, which a bubble can wait for.
type pipes struct {
	in     chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{in: make(chan net.Conn, 16), closed: make(chan struct{})} }

// dial puts a connection into the queue of those to accept.
func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.in <- server
	return client
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.in:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.IPAddr{} }
