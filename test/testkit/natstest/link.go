package natstest

import (
	"io"
	"net"
	"sync"
	"testing"

	"dsiem/test/testkit"
)

// Link stands between a client and a server, and can be cut. Its methods may be
// called from any goroutine of the test.
type Link struct {
	listener net.Listener
	copies   sync.WaitGroup

	mu     sync.Mutex // guards what follows
	server string
	down   bool
	open   []net.Conn
}

// NewLink returns a link to the address of a server. It ends with the test.
func NewLink(tb testing.TB, server string) *Link {
	tb.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	testkit.Check(tb, err)
	l := &Link{listener: listener, server: server}
	l.copies.Go(l.accept)
	tb.Cleanup(func() {
		_ = listener.Close()
		l.Down()
		l.copies.Wait()
	})
	return l
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.connect(client)
	}
}

func (l *Link) connect(client net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	server, err := net.Dial("tcp", l.server) //nolint:noctx // it is on this machine
	if err != nil || l.down {
		_ = client.Close()
		if err == nil {
			_ = server.Close()
		}
		return
	}
	l.open = append(l.open, client, server)
	for from, to := range map[net.Conn]net.Conn{client: server, server: client} {
		l.copies.Go(func() {
			_, _ = io.Copy(to, from)
			_, _ = from.Close(), to.Close()
		})
	}
}

// URL returns the URL for clients.
func (l *Link) URL() string { return "nats://" + l.listener.Addr().String() }

// To sends new connections to another server.
func (l *Link) To(server string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server = server
}

// Cut cuts all connections. Others can be made at once.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut()
}

// Down cuts all connections, and those that are made until Up.
func (l *Link) Down() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	l.cut()
}

// Up lets connections through again.
func (l *Link) Up() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

// cut cuts all connections. Callers hold mu.
func (l *Link) cut() {
	for _, conn := range l.open {
		_ = conn.Close()
	}
	l.open = nil
}
