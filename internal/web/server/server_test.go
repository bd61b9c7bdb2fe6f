package server_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/web/server"
	"dsiem/test/testkit"

	"github.com/google/go-cmp/cmp"
)

// serve serves connections in memory until the end of the test.
func serve(t *testing.T, h http.Handler, l net.Listener) {
	t.Helper()
	server := server.New(h, nil)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// trickle sends a text and then, each second, a byte, until the server ends the
// connection. It returns what the server has sent and after which time it ended.
func trickle(t *testing.T, c net.Conn, text, drop string) (answer string, after time.Duration) {
	t.Helper()
	begin := time.Now()
	got := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(c)
		after = time.Since(begin)
		got <- string(all)
	}()
	if _, err := io.WriteString(c, text); err != nil {
		drop = "" // the server has closed already
	}
	for drop != "" {
		testkit.Pass(time.Second)
		if _, err := io.WriteString(c, drop); err != nil {
			break
		}
	}
	answer = <-got
	return answer, after
}

// Clients that never finish are cut off after the time that they have.
func TestServerDoesNotWaitForSlowClients(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text, drop string
		after            time.Duration
		answer           string // its beginning
	}{
		{"nothing is sent", "", "", 10 * time.Second, ""},
		{"a header without end", "POST /events HTTP/1.1\r\nHost: a\r\n", "X: y\r\n", 10 * time.Second, ""},
		{"a large header", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", 40<<10), "", 0, "HTTP/1.1 431 "},
		{"a body without end", "POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", "x", 30 * time.Second, "HTTP/1.1 408 "},
		{"an upload without end", "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", "x", 5 * time.Minute, "HTTP/1.1 408 "},
		{"no second request", "POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", "", 2 * time.Minute, "HTTP/1.1 200 "},
	} {
		synctest.Test(t, func(t *testing.T) {
			read := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.ReadAll(r.Body); err != nil {
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("%s: reading ends with %v", c.name, err)
					}
					w.Header().Set("Connection", "close")
					w.WriteHeader(http.StatusRequestTimeout)
				}
			})
			mux := http.NewServeMux()
			mux.Handle("/events", read)
			mux.Handle("/upload", server.ReadWithin(5*time.Minute, read))
			l := testkit.NewPipes()
			serve(t, mux, l)
			client := l.Dial()
			defer client.Close()
			answer, after := trickle(t, client, c.text, c.drop)
			if after.Truncate(time.Second) != c.after || !strings.HasPrefix(answer, c.answer) || c.answer == "" && answer != "" {
				t.Errorf("%s: %q after %v, want %q after %v", c.name, answer, after, c.answer, c.after)
			}
		})
	}
}

// A client that does not read its answer is cut off too. Until then a handler
// may take its time: nothing looks as if the client had left.
func TestAnswersHaveTheirTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		request string
		want    time.Duration
	}{
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", time.Minute},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", time.Minute},
		{"GET /long HTTP/1.1\r\nHost: a\r\n\r\n", 6 * time.Minute},
		{"POST /long HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", 6 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan time.Duration, 1)
			slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				begin := time.Now()
				if _, err := io.ReadAll(r.Body); err != nil {
					t.Error(err)
				}
				select {
				case <-time.After(c.want - time.Second):
				case <-r.Context().Done():
					t.Errorf("%q: the context ends after %v", c.request, time.Since(begin))
				}
				for {
					if _, err := w.Write(make([]byte, 64<<10)); err != nil {
						ended <- time.Since(begin)
						return
					}
				}
			})
			mux := http.NewServeMux()
			mux.Handle("/", slow)
			mux.Handle("/long", server.ReadWithin(5*time.Minute, slow))
			l := testkit.NewPipes()
			serve(t, mux, l)
			client := l.Dial()
			defer client.Close()
			if _, err := io.WriteString(client, c.request); err != nil {
				t.Error(err)
			}
			if got := <-ended; got != c.want {
				t.Errorf("%q: %v, want %v", c.request, got, c.want)
			}
		})
	}
}

func TestReadWithinServesWithoutDeadlinesToo(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	server.ReadWithin(time.Second, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	if w.Code != http.StatusOK {
		t.Errorf("answer %d", w.Code)
	}
}

// More clients than allowed wait until another one has gone; none is refused.
func TestConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := testkit.NewPipes()
		l := server.LimitConnections(in, 2)
		accepted := make(chan net.Conn, 16)
		ended := make(chan error, 1)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					ended <- err
					return
				}
				accepted <- c
			}
		}()
		var open []net.Conn
		expect := func(accepts, isOpen int) {
			t.Helper()
			synctest.Wait()
			for range len(accepted) {
				open = append(open, <-accepted)
				accepts--
			}
			if accepts != 0 || l.Open() != isOpen {
				t.Errorf("%d open, %d not as wanted", l.Open(), accepts)
			}
		}
		for range 5 {
			in.Dial()
		}
		expect(2, 2)
		for range 3 { // closing twice frees one place
			if err := open[0].Close(); err != nil {
				t.Error(err)
			}
		}
		expect(1, 2)
		open[1].Close()
		expect(1, 2)
		open[2].Close()
		expect(1, 2)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept ends with %v", err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
		open[3].Close()
		open[4].Close()
		expect(0, 0)
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after the end: %v", err)
		}
	})
}

func TestConnectionsWithoutLimitAreCounted(t *testing.T) {
	t.Parallel()
	in := testkit.NewPipes()
	l := server.LimitConnections(in, 0)
	defer l.Close()
	var open []net.Conn
	for range 10 {
		in.Dial()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	if l.Open() != 10 {
		t.Errorf("%d open", l.Open())
	}
	for _, c := range open {
		c.Close()
	}
	if l.Open() != 0 {
		t.Errorf("%d open", l.Open())
	}
}

// A real server behind a limit of one serves its clients one after the other.
func TestServerBehindTheLimitServesEverybody(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	tcp, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	content := strings.Repeat("0123456789", 100_000)
	file := filepath.Join(t.TempDir(), "content")
	testkit.WriteFile(t, file, content)
	serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }), server.LimitConnections(tcp, 1))
	var clients []net.Conn
	var d net.Dialer
	for range 3 {
		c, err := d.DialContext(t.Context(), "tcp", tcp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range clients {
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("client %d: %v, %v", i, resp, err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != content || err != nil {
			t.Errorf("client %d: %d bytes of the file, %v", i, len(body), err)
		}
		resp.Body.Close()
		c.Close()
	}
}

func TestExposed(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"127.0.0.1:8080": false, "127.1.2.3:0": false, "[::1]:8080": false, "::1": false, "[::1]": false, "127.0.0.1": false,
		"localhost:8080": false, "LocalHost": false, "[::ffff:127.0.0.1]:1": false,
		"": true, ":8080": true, "0.0.0.0:8080": true, "[::]:8080": true, "::": true, "10.0.0.1:80": true, "192.168.0.1": true,
		"[fe80::1%eth0]:80": true, "[::ffff:10.0.0.1]:80": true, "dsiem.example.org:80": true, "localhost.example.org:80": true, "127.0.0.1.example.org:1": true,
	} {
		if got := server.Exposed(in); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	server.SecurityHeaders(server.UIPolicy, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Referrer-Policy", "origin")
	})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	want := http.Header{
		"Content-Security-Policy":      {server.UIPolicy},
		"X-Content-Type-Options":       {"nosniff"},
		"X-Frame-Options":              {"SAMEORIGIN"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Referrer-Policy":              {"origin"}, // the handler's own
	}
	if diff := cmp.Diff(want, w.Header()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, directive := range []string{"default-src 'self'", "object-src 'none'", "base-uri ", "form-action 'self'", "frame-ancestors "} {
		if !strings.Contains("; "+server.UIPolicy, "; "+directive) {
			t.Errorf("%s lacks %s", server.UIPolicy, directive)
		}
	}
}
