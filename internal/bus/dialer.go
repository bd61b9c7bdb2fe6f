package bus

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// dialer makes network connections that can all be cut at once: the library
// holds a lock while it connects, which would keep Close waiting.
type dialer struct {
	net.Dialer
	life context.Context
	cut  context.CancelFunc

	// made counts the connections that were begun. Whoever sees the same number
	// twice knows that all he sent in between went to one connection.
	made atomic.Uint64

	mu  sync.Mutex // guards what follows
	err error
}

func newDialer(ctx context.Context, timeout time.Duration) *dialer {
	d := &dialer{Dialer: net.Dialer{Timeout: timeout}}
	d.life, d.cut = context.WithCancel(context.WithoutCancel(ctx))
	return d
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	d.made.Add(1)
	conn, err := d.DialContext(d.life, network, address)
	d.mu.Lock()
	d.err = err
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return d.keep(conn), nil
}

// keep returns a connection that ends with the dialer.
func (d *dialer) keep(conn net.Conn) net.Conn {
	release := context.AfterFunc(d.life, func() { _ = conn.Close() })
	return &wire{Conn: conn, release: release}
}

// lastError returns why the server that was tried last was not reached, nil if
// it was.
func (d *dialer) lastError() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// wire is a network connection of a dialer.
type wire struct {
	net.Conn
	release func() bool
}

// Write writes to the connection and closes it if that fails: the library
// forgets what it could not write, and must not go on as if nothing happened.
func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil {
		_ = w.Close()
	}
	return n, err
}

// Close closes the connection and lets its dialer forget it.
func (w *wire) Close() error {
	w.release()
	return w.Conn.Close()
}

// inProcess connects to a server of this process.
type inProcess struct {
	dialer *dialer
	server *Server
}

var _ nats.InProcessConnProvider = inProcess{}

// InProcessConn implements nats.InProcessConnProvider.
func (p inProcess) InProcessConn() (net.Conn, error) {
	p.dialer.made.Add(1)
	if err := p.dialer.life.Err(); err != nil {
		return nil, err
	}
	conn, err := p.server.ns.InProcessConn()
	if err != nil {
		return nil, err
	}
	return p.dialer.keep(conn), nil
}
