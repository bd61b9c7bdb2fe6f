package bus

import (
	"io"
	"log/slog"
	"net"

	"github.com/nats-io/nats-server/v2/server"
)

// Quote is what makes values safe in the configuration of a server.
var Quote = quote

// Waiting returns the number of events in the batch that is being filled.
func (c *Conn) Waiting() int {
	c.publisher.mu.Lock()
	defer c.publisher.mu.Unlock()
	return len(c.publisher.next.ends)
}

// Redialled makes the connection look as if the library had lost it and made
// another one, before anybody was told.
func (c *Conn) Redialled() { c.dialer.made.Add(1) }

// FullBatch is the number of events that may wait.
const FullBatch = maxBatchEvents

// NewServerLog returns where a server's log goes.
func NewServerLog(log *slog.Logger) server.Logger { return newServerLog(log) }

// Wire returns a connection as the dialer makes it.
func Wire(conn net.Conn) io.Writer { return &wire{Conn: conn, release: func() bool { return true }} }
