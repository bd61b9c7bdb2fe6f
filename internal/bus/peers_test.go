package bus_test

import (
	"context"
	"strings"
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
