package bus

import (
	"io"
	"log/slog"
	"net"
	"time"

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

// Arrivals is what finds the messages that did not come.
type Arrivals struct{ *arrivals }

// The bounds and times of Arrivals.
const (
	Grace        = grace
	MaxGaps      = maxGaps
	MaxFrontends = maxFrontends
	MaxNames     = maxNames
	MaxGap       = maxGap
)

func NewArrivals(now time.Time) Arrivals { return Arrivals{newArrivals(now)} }

func (a Arrivals) See(message []byte) { a.see(message) }
func (a Arrivals) Tick(now time.Time) { a.tick(now) }
func (a Arrivals) All() []Missed      { return a.all() }

// Told notes what a frontend says is its last number, and for how many seconds.
func (a Arrivals) Told(id string, number, idle uint64) { a.told(lastNumber{id, number, idle}) }

// TickArrivals is the tick of a moment.
func (c *Conn) TickArrivals(now time.Time) { c.arrivals.tick(now) }

// TickNumbers is the end of an interval, for a connection that has very long ones.
func (c *Conn) TickNumbers(interval time.Duration) { c.publisher.tick(c, interval) }
