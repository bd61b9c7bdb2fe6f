// Package feed is the websocket that tells browsers the rate of events four
// times a second.
//
// A Feed owns its clients; their goroutines end with Run. It never measures
// anything, never waits for a slow client and never acts on what clients send.
//
// Source of the contract: docs/spec/interfaces.md §3.6.
package feed

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Limits of a client of the feed.
const (
	feedEvery     = 250 * time.Millisecond
	feedClients   = 64
	feedWriteTime = 3 * time.Second
	feedPingEvery = 15 * time.Second
	feedPingTime  = 10 * time.Second
	feedStopTime  = time.Second // for all clients together, when the feed ends
	// feedQueue is the number of frames that may wait for one client: those of
	// a little more than feedWriteTime.
	feedQueue = 16
)

// The reasons why a client has to go.
var (
	errFeedEnds   = errors.New("the server is shutting down")
	errFeedSlow   = errors.New("the client reads too slowly")
	errFeedLost   = errors.New("the client does not answer")
	errFeedClosed = errors.New("the client has gone")
)

// Options says what a Feed sends. The zero value sends a rate of 0.
type Options struct {
	// EPS is the rate to send, as Meter.EPS; it is called from the goroutine of
	// Run.
	EPS func() int64
	// MaxClients is how many clients there may be at a time; 0 is 64.
	MaxClients int
	// Logger gets, at DEBUG, who was dropped and why; nil is none.
	Logger *slog.Logger
}

// Feed is the websocket of /eps/: it sends the frame {"eps":123} and a newline,
// as text, four times a second, and each one to every client (D45;
// docs/spec/interfaces.md §3.6). What clients send is ignored, up to 32 KiB a
// message. A client that reads too slowly or answers no ping is dropped.
//
// A browser may connect only from a page of the same host: the rate is nobody
// else's business, and the credentials that a browser adds by itself must not
// open it to other sites. Programs, which send no Origin, may always.
//
// Register it as GET /eps/, with a redirect of its own from /eps, and keep Run
// running. It is safe for concurrent use.
type Feed struct {
	o      Options
	joined chan struct{} // there is a client where there was none

	mu      sync.Mutex
	clients map[*feedClient]struct{}
	ended   bool
	serving sync.WaitGroup // one per client; nobody comes after ended
}

// feedClient is a client. Its handler's goroutine sends to it.
type feedClient struct {
	frames chan []byte
	// leave tells it to go, for a reason; leaving is done then. cut closes its
	// connection at once.
	leaving context.Context
	leave   context.CancelCauseFunc
	wire    context.Context
	cut     context.CancelFunc
}

// New returns a feed without clients.
func New(o Options) *Feed {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.EPS == nil {
		o.EPS = func() int64 { return 0 }
	}
	if o.MaxClients <= 0 {
		o.MaxClients = feedClients
	}
	return &Feed{o: o, joined: make(chan struct{}, 1), clients: map[*feedClient]struct{}{}}
}

// Run sends until the end of ctx, then closes all connections as going away and
// waits for their handlers, for little more than a second. Clients that come
// later get 503. It sends, and wakes up, only while there are clients. It
// returns nil.
func (f *Feed) Run(ctx context.Context) error {
	ticker := time.NewTicker(feedEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			f.end()
			return nil
		case <-f.joined:
			ticker.Reset(feedEvery)
		case <-ticker.C:
			if f.broadcast() == 0 {
				ticker.Stop()
			}
		}
	}
}

// broadcast hands one frame to every client and returns their number.
func (f *Feed) broadcast() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.clients) == 0 {
		return 0
	}
	frame := strconv.AppendInt([]byte(`{"eps":`), f.o.EPS(), 10)
	frame = append(frame, "}\n"...)
	for c := range f.clients {
		select {
		case c.frames <- frame:
		default:
			c.drop(errFeedSlow)
		}
	}
	return len(f.clients)
}

// end tells all clients to leave and waits for them.
func (f *Feed) end() {
	f.mu.Lock()
	f.ended = true
	clients := slices.Collect(maps.Keys(f.clients))
	f.mu.Unlock()
	for _, c := range clients {
		c.leave(errFeedEnds)
	}
	defer time.AfterFunc(feedStopTime, func() {
		for _, c := range clients {
			c.cut()
		}
	}).Stop()
	f.serving.Wait()
}

// join makes room for a client, unless there is none. After it comes part.
func (f *Feed) join(ctx context.Context) (*feedClient, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || len(f.clients) >= f.o.MaxClients {
		return nil, false
	}
	// What ends the request does not end the connection that it became.
	ctx = context.WithoutCancel(ctx)
	c := &feedClient{frames: make(chan []byte, feedQueue)}
	c.leaving, c.leave = context.WithCancelCause(ctx)
	c.wire, c.cut = context.WithCancel(ctx)
	if len(f.clients) == 0 {
		select {
		case f.joined <- struct{}{}:
		default:
		}
	}
	f.clients[c] = struct{}{}
	f.serving.Add(1)
	return c, true
}

func (f *Feed) part(c *feedClient) {
	c.cut()
	c.leave(nil)
	f.mu.Lock()
	delete(f.clients, c)
	f.mu.Unlock()
	f.serving.Done()
}

// ServeHTTP makes a request a client, for as long as the connection lasts.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, ok := f.join(r.Context())
	if !ok {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "Too many clients, or the server is shutting down", http.StatusServiceUnavailable)
		return
	}
	defer f.part(c)
	// Until the connection is ours the server's limits hold, if it has some.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(feedWriteTime))
	conn, err := websocket.Accept(w, r, nil) // without options: the same origin only, no compression
	if err != nil {
		f.o.Logger.Debug("websocket refused", "client", r.RemoteAddr, "error", err)
		return
	}
	if why := c.serve(conn); !errors.Is(why, errFeedClosed) {
		f.o.Logger.Debug("websocket closed", "client", r.RemoteAddr, "reason", why.Error())
	}
}

// serve sends frames until the client has to go, and returns why.
func (c *feedClient) serve(conn *websocket.Conn) error {
	var beside sync.WaitGroup
	beside.Go(func() { c.ignore(conn) })
	beside.Go(func() { c.ping(conn) })
	c.send(conn)
	why := context.Cause(c.leaving)
	if errors.Is(why, errFeedEnds) {
		_ = conn.Close(websocket.StatusGoingAway, why.Error()) // it goes either way
	}
	c.cut()
	_ = conn.CloseNow()
	beside.Wait()
	return why
}

// drop makes the client go at once. The reason is given before the connection
// is cut, because cutting it gives others.
func (c *feedClient) drop(why error) {
	c.leave(why)
	c.cut()
}

// send writes frames until the client has to go.
func (c *feedClient) send(conn *websocket.Conn) {
	for {
		select {
		case <-c.leaving.Done():
			return
		case frame := <-c.frames:
			slow := time.AfterFunc(feedWriteTime, func() { c.drop(errFeedSlow) })
			if err := conn.Write(c.wire, websocket.MessageText, frame); err != nil {
				c.leave(errFeedClosed)
			}
			slow.Stop()
		}
	}
}

// ignore reads until the connection is closed: the answers to pings and the
// client's own close frame are found by reading only.
func (c *feedClient) ignore(conn *websocket.Conn) {
	for {
		_, message, err := conn.Reader(c.wire)
		if err == nil {
			_, err = io.Copy(io.Discard, message)
		}
		if err != nil {
			c.leave(errFeedClosed)
			return
		}
	}
}

// ping asks now and then whether the client is still there. One whose machine
// was cut off would stay for as long as its buffers take frames.
func (c *feedClient) ping(conn *websocket.Conn) {
	ticker := time.NewTicker(feedPingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-c.leaving.Done():
			return
		case <-ticker.C:
		}
		lost := time.AfterFunc(feedPingTime, func() { c.drop(errFeedLost) })
		err := conn.Ping(c.wire)
		lost.Stop()
		if err != nil {
			c.leave(errFeedClosed)
			return
		}
	}
}
