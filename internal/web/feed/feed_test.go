package feed_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/web/feed"
	"dsiem/test/testkit"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// feeding is a feed that runs behind an HTTP server in a bubble of synctest.
type feeding struct {
	*feed.Feed

	t      *testing.T
	pipes  *testkit.Pipes
	client *http.Client
	end    context.CancelFunc
	ended  chan error
}

func startFeed(t *testing.T, o feed.Options) *feeding {
	t.Helper()
	feed := feed.New(o)
	f := &feeding{Feed: feed, t: t, pipes: testkit.NewPipes(), ended: make(chan error, 1)}
	ctx, end := context.WithCancel(t.Context())
	f.end = end
	mux := http.NewServeMux()
	mux.Handle("GET /eps/", feed)
	// The limits of a server for short requests must not end a connection.
	server := &http.Server{Handler: mux, ReadTimeout: time.Second, WriteTimeout: time.Hour}
	served := make(chan error, 1)
	go func() { served <- server.Serve(f.pipes) }()
	go func() { f.ended <- feed.Run(ctx) }()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return f.pipes.Dial(), nil }}
	f.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		end()
		transport.CloseIdleConnections()
		server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		synctest.Wait()
	})
	synctest.Wait()
	return f
}

// handshake asks for a websocket and returns it, or nil, and the answer, whose
// body is of no use.
func handshake(t *testing.T, url string, o *websocket.DialOptions) (*websocket.Conn, int, http.Header) {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), url, o) //nolint:bodyclose // the library closes it
	if resp == nil {
		t.Fatal(err)
	}
	return conn, resp.StatusCode, resp.Header
}

func (f *feeding) dial() *websocket.Conn {
	f.t.Helper()
	conn, code, _ := handshake(f.t, "ws://dsiem/eps/", &websocket.DialOptions{HTTPClient: f.client})
	if conn == nil {
		f.t.Fatalf("the feed answers %d", code)
	}
	f.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// watch reads until the connection ends.
type watch struct {
	mu     sync.Mutex
	frames []string
	times  []time.Duration // since the start
	err    error
}

func (f *feeding) watch(conn *websocket.Conn) *watch {
	w, start := &watch{}, time.Now()
	go func() {
		for {
			kind, frame, err := conn.Read(f.t.Context())
			w.mu.Lock()
			if err != nil {
				w.err = err
				w.mu.Unlock()
				return
			}
			if kind != websocket.MessageText {
				frame = append([]byte("not text: "), frame...)
			}
			w.frames, w.times = append(w.frames, string(frame)), append(w.times, time.Since(start))
			w.mu.Unlock()
		}
	}()
	return w
}

func (w *watch) seen() ([]string, []time.Duration, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.frames, w.times, w.err
}

func TestFeedSendsEveryFrameToEveryClient(t *testing.T) { // D45
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var eps atomic.Int64
		f := startFeed(t, feed.Options{EPS: func() int64 { return eps.Add(1) }})
		one, two := f.watch(f.dial()), f.watch(f.dial())
		testkit.Pass(1100 * time.Millisecond)
		wantFrames := []string{"{\"eps\":1}\n", "{\"eps\":2}\n", "{\"eps\":3}\n", "{\"eps\":4}\n"}
		wantTimes := []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond, time.Second}
		for name, w := range map[string]*watch{"one": one, "two": two} {
			frames, times, err := w.seen()
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if diff := cmp.Diff(wantFrames, frames); diff != "" {
				t.Errorf("%s frames (-want +got):\n%s", name, diff)
			}
			if diff := cmp.Diff(wantTimes, times); diff != "" {
				t.Errorf("%s times (-want +got):\n%s", name, diff)
			}
		}
		if n := f.Clients(); n != 2 {
			t.Errorf("%d clients", n)
		}
	})
}

func TestFeedAsksForNothingWithoutClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		f := startFeed(t, feed.Options{EPS: func() int64 { return asked.Add(1) }})
		testkit.Pass(time.Hour)
		if n := asked.Load(); n != 0 {
			t.Errorf("asked %d times before the first client", n)
		}
		conn := f.dial()
		w := f.watch(conn)
		testkit.Pass(time.Second)
		if frames, _, _ := w.seen(); len(frames) != 4 {
			t.Errorf("frames %q in the first second", frames)
		}
		if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := f.Clients(); n != 0 {
			t.Errorf("%d clients after the last one left", n)
		}
		before := asked.Load()
		testkit.Pass(time.Hour)
		if n := asked.Load(); n != before {
			t.Errorf("asked %d times after the last client", n-before)
		}
		again := f.watch(f.dial())
		testkit.Pass(time.Second)
		if frames, _, _ := again.seen(); len(frames) != 4 {
			t.Errorf("the next client sees %q", frames)
		}
	})
}

func TestFeedIgnoresWhatClientsSend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, feed.Options{})
		conn := f.dial()
		w := f.watch(conn)
		for _, message := range []string{"", "hello", strings.Repeat("x", 32<<10)} {
			if err := conn.Write(t.Context(), websocket.MessageBinary, []byte(message)); err != nil {
				t.Error(err)
			}
		}
		testkit.Pass(time.Second)
		frames, _, err := w.seen()
		if diff := cmp.Diff([]string{"{\"eps\":0}\n", "{\"eps\":0}\n", "{\"eps\":0}\n", "{\"eps\":0}\n"}, frames); diff != "" || err != nil {
			t.Errorf("error %v, frames (-want +got):\n%s", err, diff)
		}
		_ = conn.Write(t.Context(), websocket.MessageBinary, make([]byte, 64<<10))
		synctest.Wait()
		if _, _, err := w.seen(); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
			t.Errorf("after a message that is too large: %v", err)
		}
		if n := f.Clients(); n != 0 {
			t.Errorf("%d clients", n)
		}
	})
}

func TestFeedDropsAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, feed.Options{})
		slow := f.dial() // a pipe holds nothing: the first frame waits for it
		fast := f.watch(f.dial())
		testkit.Pass(3200 * time.Millisecond)
		if n := f.Clients(); n != 2 {
			t.Errorf("%d clients before the time is up", n)
		}
		testkit.Pass(100 * time.Millisecond)
		if n := f.Clients(); n != 1 {
			t.Errorf("%d clients after it", n)
		}
		if _, _, err := slow.Read(t.Context()); err == nil {
			t.Error("the slow client is still connected")
		}
		if frames, _, err := fast.seen(); len(frames) != 13 || err != nil {
			t.Errorf("the other client got %d frames, error %v", len(frames), err)
		}
	})
}

// raw asks for a websocket and reads nothing, not even the answer.
func (f *feeding) raw() net.Conn {
	f.t.Helper()
	conn := f.pipes.Dial()
	f.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "GET /eps/ HTTP/1.1\r\nHost: dsiem\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"); err != nil {
		f.t.Fatal(err)
	}
	synctest.Wait()
	return conn
}

// deaf reads frames but answers no ping, as a machine whose way back is cut.
func (f *feeding) deaf() {
	conn := f.raw()
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	synctest.Wait()
}

func TestFeedDropsAClientForWhomTooMuchWaits(t *testing.T) {
	t.Parallel()
	for name, reads := range map[string]bool{"nothing": false, "only the handshake, and late": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := startFeed(t, feed.Options{})
				conn := f.raw()
				testkit.Pass(2900 * time.Millisecond) // eleven frames wait for it now
				if reads {
					if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil { //nolint:bodyclose // there is none
						t.Fatal(err)
					}
				}
				testkit.Pass(1500 * time.Millisecond)
				if n := f.Clients(); n != 1 {
					t.Errorf("%d clients with a queue that is full", n)
				}
				testkit.Pass(100 * time.Millisecond)
				if n := f.Clients(); n != 0 {
					t.Errorf("%d clients after it", n)
				}
			})
		})
	}
}

func TestFeedDropsAClientThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, feed.Options{})
		f.deaf()
		alive := f.watch(f.dial())
		testkit.Pass(24 * time.Second)
		if n := f.Clients(); n != 2 {
			t.Errorf("%d clients before the time is up", n)
		}
		testkit.Pass(2 * time.Second)
		if n := f.Clients(); n != 1 {
			t.Errorf("%d clients after it", n)
		}
		testkit.Pass(time.Minute)
		if frames, _, err := alive.seen(); len(frames) != 4*86 || err != nil {
			t.Errorf("the other client got %d frames, error %v", len(frames), err)
		}
	})
}

func TestFeedTakesABoundedNumberOfClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, feed.Options{MaxClients: 2})
		first := f.dial()
		f.watch(first)
		f.watch(f.dial())
		refused := func(when string) {
			t.Helper()
			conn, code, header := handshake(t, "ws://dsiem/eps/", &websocket.DialOptions{HTTPClient: f.client})
			if conn != nil || code != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
				t.Errorf("%s: %d %v", when, code, header)
			}
		}
		refused("one client too many")
		if err := first.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		f.watch(f.dial())
		f.end()
		if err := <-f.ended; err != nil {
			t.Error(err)
		}
		refused("after the end")
	})
}

func TestFeedSaysGoodbye(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, feed.Options{})
		polite := f.watch(f.dial())
		stuck := f.dial() // reads nothing, not even the goodbye
		f.deaf()
		testkit.Pass(300 * time.Millisecond)
		begun := time.Now()
		f.end()
		if err := <-f.ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the end took %v", took)
		}
		_, _, err := polite.seen()
		closed, ok := errors.AsType[websocket.CloseError](err)
		if !ok || closed.Code != websocket.StatusGoingAway || closed.Reason != "the server is shutting down" {
			t.Errorf("the client was told %v", err)
		}
		if n := f.Clients(); n != 0 {
			t.Errorf("%d clients left", n)
		}
		if _, _, err := stuck.Read(t.Context()); err == nil {
			t.Error("a client that reads nothing is still connected")
		}
	})
}

// The real thing once: TCP, and what a browser sends.
func TestFeedOverTCP(t *testing.T) {
	t.Parallel()
	feed := feed.New(feed.Options{EPS: func() int64 { return 123 }})
	mux := http.NewServeMux()
	mux.Handle("GET /eps/", feed)
	mux.Handle("GET /eps", http.RedirectHandler("/eps/", http.StatusMovedPermanently))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	testkit.Run(t, feed)
	for origin, want := range map[string]int{
		"":                   http.StatusSwitchingProtocols,
		server.URL:           http.StatusSwitchingProtocols,
		"http://evil.test":   http.StatusForbidden,
		"null":               http.StatusForbidden,
		server.URL + ".evil": http.StatusForbidden,
	} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		// Through the redirect, as old pages do.
		conn, code, _ := handshake(t, server.URL+"/eps", &websocket.DialOptions{HTTPHeader: header})
		if code != want {
			t.Fatalf("origin %q: %d", origin, code)
		}
		if want != http.StatusSwitchingProtocols {
			continue
		}
		if kind, frame, err := conn.Read(t.Context()); err != nil || kind != websocket.MessageText || string(frame) != "{\"eps\":123}\n" {
			t.Errorf("origin %q: %v %q %v", origin, kind, frame, err)
		}
		if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
	}
	if code, _ := testkit.Ask(t, http.MethodGet, server.URL+"/eps/"); code != http.StatusUpgradeRequired {
		t.Errorf("GET without upgrade: %d", code)
	}
}
