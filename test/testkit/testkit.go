package testkit

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long a test waits for what must happen.
const Patience = 30 * time.Second

// Logbook keeps log lines.
type Logbook struct {
	mu      sync.Mutex
	lines   []string
	changed chan struct{} // closed at the next line
}

func NewLogbook() *Logbook { return &Logbook{changed: make(chan struct{})} }

func (l *Logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.TrimSpace(string(p)))
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

func (l *Logbook) Logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// With returns the lines that contain all texts.
func (l *Logbook) With(texts ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.lines), func(line string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) })
	})
}

// Wait waits for n lines that contain all texts.
func (l *Logbook) Wait(t *testing.T, n int, texts ...string) {
	t.Helper()
	timeout := time.After(Patience)
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if len(l.With(texts...)) >= n {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("no %d lines with %q in:\n%s", n, texts, strings.Join(l.With(), "\n"))
		}
	}
}

// WriteFile writes a file that only its owner may read.
func WriteFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Run runs a part until the end of the test.
func Run(t *testing.T, part interface{ Run(context.Context) error }) {
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

// Pass lets time go by, in a bubble.
func Pass(d time.Duration) { <-time.After(d) }

// Pipes is a listener of connections in memory, which a bubble can wait for.
type Pipes struct {
	in     chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func NewPipes() *Pipes { return &Pipes{in: make(chan net.Conn, 16), closed: make(chan struct{})} }

// Dial puts a connection into the queue of those to accept.
func (p *Pipes) Dial() net.Conn {
	client, server := net.Pipe()
	p.Put(server)
	return client
}

// Put puts a connection into the queue of those to accept.
func (p *Pipes) Put(c net.Conn) { p.in <- c }

func (p *Pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.in:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *Pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *Pipes) Addr() net.Addr { return &net.IPAddr{} }

// Ask sends a request without a body and returns the answer.
func Ask(t *testing.T, method, url string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// WriterFunc is a Write as an io.Writer.
type WriterFunc func([]byte) (int, error)

// Write calls the function.
func (f WriterFunc) Write(p []byte) (int, error) { return f(p) }
