package server

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
)

// LimitedListener is a listener that has a number of connections open at most.
type LimitedListener struct {
	net.Listener
	slots  chan struct{} // nil if there is no limit
	closed chan struct{}
	close  func() error
	open   atomic.Int64
}

// LimitConnections returns a listener that accepts a connection only while fewer
// than n are open; n of 0 or less is no limit. More clients wait in the
// operating system's queue until one of the others ends, rather than being
// turned away: they are senders that would try again at once. It belongs below
// TLS, so that handshakes count too. The deadlines of its connections hold, but
// cost next to nothing while clients are quick.
func LimitConnections(l net.Listener, n int) *LimitedListener {
	limited := &LimitedListener{Listener: l, closed: make(chan struct{})}
	limited.close = sync.OnceValue(func() error {
		close(limited.closed)
		return l.Close()
	})
	if n > 0 {
		limited.slots = make(chan struct{}, n)
	}
	return limited
}

// Open returns the number of connections that are open.
func (l *LimitedListener) Open() int { return int(l.open.Load()) }

// Close ends the listener, and an Accept that waits. Open connections stay.
func (l *LimitedListener) Close() error { return l.close() }

// Accept waits until fewer than n connections are open, and then for the next
// one.
func (l *LimitedListener) Accept() (net.Conn, error) {
	if !l.acquire() {
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		l.release()
		return nil, err
	}
	l.open.Add(1)
	limited := &limitedConn{end: sync.OnceFunc(func() {
		l.open.Add(-1)
		l.release()
	})}
	limited.init(c)
	return limited, nil
}

// acquire waits for a slot. It returns false when the listener is closed.
func (l *LimitedListener) acquire() bool {
	if l.slots == nil {
		return true
	}
	select {
	case l.slots <- struct{}{}:
		return true
	case <-l.closed:
		return false
	}
}

func (l *LimitedListener) release() {
	if l.slots != nil {
		<-l.slots
	}
}

// limitedConn is a connection that counts until it is closed.
type limitedConn struct {
	patientConn

	end func()
}

// Close closes the connection and lets the next client in.
func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.end()
	return err
}

// Exposed reports whether a server that listens on an address, host:port or a
// host alone, can be reached from other machines. Only loopback addresses and
// the name localhost cannot; an empty host is every address of the machine, and
// when in doubt the answer is yes.
func Exposed(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]")
	}
	if strings.EqualFold(host, "localhost") {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.Unmap().IsLoopback()
}
