package bus_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"dsiem/internal/bus"
)

// peer is a fake server that confirms what it is told to.
type peer struct {
	pings  chan string   // what came before each ping
	answer chan string   // to the next ping
	end    chan struct{} // closed when each ping is answered at once
}

// connectToPeer returns a fake server and a connection to it.
func connectToPeer(t *testing.T, change func(*bus.Options)) (*peer, *bus.Conn) {
	t.Helper()
	p := &peer{pings: make(chan string, 100), answer: make(chan string, 100), end: make(chan struct{})}
	var seen []string
	o, _ := options(fake(t, func(line string) string {
		if line != "PING" {
			seen = append(seen, line)
			return ""
		}
		before := strings.Join(seen, "|")
		seen = nil
		if strings.HasPrefix(before, "CONNECT") {
			return "PONG\r\n"
		}
		p.pings <- before
		select {
		case text := <-p.answer:
			return text
		case <-p.end:
			return "PONG\r\n"
		}
	}))
	if change != nil {
		change(&o)
	}
	c, err := bus.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(p.end)
		_ = c.Close(context.Background()) // The connection may be lost.
	})
	return p, c
}

// proxy stands between a connection and its server, and can be cut.
type proxy struct {
	listener net.Listener
	down     atomic.Bool

	mu     sync.Mutex
	server string
	open   []net.Conn
}

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, server: server}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.connect(&all, client)
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.cut()
		all.Wait()
	})
	return p
}

func (p *proxy) connect(all *sync.WaitGroup, client net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	server, err := net.Dial("tcp", p.server)
	if err != nil || p.down.Load() {
		client.Close()
		if err == nil {
			server.Close()
		}
		return
	}
	p.open = append(p.open, client, server)
	for from, to := range map[net.Conn]net.Conn{client: server, server: client} {
		all.Go(func() {
			defer from.Close()
			defer to.Close()
			_, _ = io.Copy(to, from)
		})
	}
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

// to sends new connections to another server.
func (p *proxy) to(server string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = server
}

// cut cuts all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.open {
		conn.Close()
	}
	p.open = nil
}
