// Package testkit is what tests of several packages need: logs that can be read
// and waited for, processes, certificates, requests, waiting, and configurations
// with their events. It is test support, and all that it starts ends with the test
// that asked for it.
//
// This package imports nothing of the module, so that every package can use it
// within its own tests. What needs more is below: the built programs (programs),
// a curl for documented examples (curl), a NATS server (natstest), a collector of
// OpenTelemetry (oteltest) and cases of configuration files (configtest).
package testkit

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Patience is the longest that anything may take that is expected to happen.
const Patience = 30 * time.Second

// Check ends a test if there is an error.
func Check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// Equal compares what a test got with what it wants.
func Equal(tb testing.TB, got, want any) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("-want +got:\n%s", diff)
	}
}

// Eventually waits for something that nothing announces: until found returns more
// than a zero value, which it returns then. What can be waited for in a List, on a
// channel or in a bubble of testing/synctest is better waited for there.
func Eventually[T comparable](tb testing.TB, what string, found func() T) (is T) {
	tb.Helper()
	var none T
	if !Soon(func() bool { is = found(); return is != none }) {
		tb.Fatalf("waited in vain: %s", what)
	}
	return is
}

// Soon waits as Eventually does, and reports whether it came true.
func Soon(is func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(Patience); !is(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// Receive takes one value from a channel.
func Receive[T any](tb testing.TB, from <-chan T) (value T) {
	tb.Helper()
	select {
	case value = <-from:
	case <-time.After(Patience):
		tb.Fatal("nothing came")
	}
	return value
}

// WriteFile writes a file that only its owner may read.
func WriteFile(t testing.TB, path, content string) {
	t.Helper()
	Check(t, os.WriteFile(path, []byte(content), 0o600))
}

// Run runs a part until the end of the test.
func Run(t testing.TB, part interface{ Run(context.Context) error }) {
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

// Pass lets time go by in a bubble of testing/synctest, and what is due then
// happen.
func Pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

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
func Ask(t testing.TB, method, url string) (code int, body string) {
	t.Helper()
	return Send(t, method, url, "")
}

// Send sends a request with a body and returns the answer.
func Send(t testing.TB, method, url, content string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(content))
	Check(t, err)
	resp, err := http.DefaultClient.Do(req)
	Check(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	Check(t, err)
	return resp.StatusCode, string(text)
}

// Get returns the body of an answer with the status 200.
func Get(t testing.TB, url string) string {
	t.Helper()
	code, body := Ask(t, http.MethodGet, url)
	if code != http.StatusOK {
		t.Fatalf("%s: status %d\n%s", url, code, body)
	}
	return body
}

// WriterFunc is a Write as an io.Writer.
type WriterFunc func([]byte) (int, error)

// Write calls the function.
func (f WriterFunc) Write(p []byte) (int, error) { return f(p) }
