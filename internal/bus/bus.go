// Package bus talks to the other nodes of a cluster over core NATS: frontends
// publish events and take overload signals, backends the other way round. It
// also holds the server for nodes that bring their own, and the rule that
// decides when a backend signals overload.
//
// A Conn owns its connection, its goroutines and its subscriptions; what is
// handed to a subscriber belongs to the subscriber, what is published stays the
// publisher's. A Server owns the clients' connections. The package never decodes
// an event and never drops one without counting it. Delivery is at most once:
// what is published while a node is away is lost for it, which the node finds out
// by the numbers of what it gets later, or by what frontends say is their last one.
//
// Source of the behaviour: docs/spec/interfaces.md §4.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"dsiem/internal/observe/log"
)

// The subjects of the protocol (docs/spec/interfaces.md §4.1). They are fixed: the
// nodes of a cluster may be of different Dsiem generations.
const (
	EventsSubject   = "dsiem_events"
	OverloadSubject = "dsiem_overload_signals"
	NumbersSubject  = "dsiem_event_numbers"
)

const (
	defaultRetry          = 3 * time.Second
	defaultReconnectWait  = 2 * time.Second
	defaultTimeout        = 5 * time.Second
	defaultReportInterval = 10 * time.Second
	defaultNumberInterval = time.Second
)

// Options say where NATS is and how to talk to it. Either URL or
// Server must be given; everything else may be left zero.
type Options struct {
	// URL is the server, or a list of servers separated by commas, of one
	// cluster: nats://host:4222, tls://host:4222, host:4222. A server may carry
	// user:password@ or token@; special characters in these must be
	// percent-encoded.
	URL string
	// Server is a server of this process to connect to, without a network and
	// whatever it asks of clients over TCP. URL and the files for keys and
	// certificates are not used then.
	Server *Server
	// Name is what the server shows for this connection.
	Name string
	// CredsFile is a file with a user JWT and its key, NKeyFile one with the
	// seed of a user key. At most one of them.
	CredsFile, NKeyFile string
	// CAFile holds the certificates, in PEM, that sign the server's; without it
	// the system's are used. CertFile and KeyFile are the client's own
	// certificate and key. Any of them makes TLS mandatory.
	CAFile, CertFile, KeyFile string
	// FrontendID makes this connection that of a frontend: it is what event.FrontendID
	// returns, another one for each connection. Messages that are published (see
	// event.AppendMessage) say then that they are from there, and which one they
	// are: event.AppendOrigin. With "" they are published as they are.
	FrontendID string
	// NoEcho keeps what this connection publishes from its own subscriptions.
	NoEcho bool

	// Retry is the wait between two attempts to connect at the start (default
	// 3 s), ReconnectWait that between two rounds through the servers after the
	// connection was lost (default 2 s, plus some jitter).
	Retry, ReconnectWait time.Duration
	// Timeout is the longest that one attempt on one server may take (default
	// 5 s, once to reach it and once to log in), and that it may take to take or
	// confirm what is sent to it.
	Timeout time.Duration
	// ReportInterval is the time between two reports of dropped events (default
	// 10 s).
	ReportInterval time.Duration
	// NumberInterval is the time without events after which a frontend says what the
	// number of its last message is, again and again (default 1 s).
	NumberInterval time.Duration

	// Logger gets connection changes, losses and refused messages; nil is
	// silence.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&o.Retry, defaultRetry},
		{&o.ReconnectWait, defaultReconnectWait},
		{&o.Timeout, defaultTimeout},
		{&o.ReportInterval, defaultReportInterval},
		{&o.NumberInterval, defaultNumberInterval},
	} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Server != nil {
		o.URL = inProcessURL
	}
	return o
}

// Conn is a connection to NATS. It reconnects by itself for ever.
// Close it. Its methods may be called from any goroutine.
type Conn struct {
	nc        *nats.Conn
	log       *slog.Logger
	timeout   time.Duration
	dialer    *dialer
	publisher *publisher
	overload  overload
	arrivals  *arrivals
	// Limits of warnings: of what others can cause, and of messages that did not come.
	warnings, missedWarnings log.Limit

	connected   atomic.Bool
	ending      atomic.Bool // no reconnect is worth waiting for
	closing     atomic.Bool // the end is ours
	stopped     atomic.Bool // nothing is handed over any more
	received    atomic.Uint64
	disconnects atomic.Uint64
	reconnects  atomic.Uint64

	mu       sync.Mutex      // guards what follows
	up       context.Context // ends when the connection is lost
	lose     context.CancelFunc
	events   *nats.Subscription
	dropped  uint64 // of events, as last seen
	reported uint64 // the part of dropped that is in the log

	closed     chan struct{} // after the last callback
	stopReport chan struct{}
	reporter   sync.WaitGroup
	drainOnce  sync.Once
	drainErr   error
	closeOnce  sync.Once
	closeErr   error
}

// Stats are counts since Connect.
type Stats struct {
	// Connected is false while the connection is lost.
	Connected bool
	// Disconnects and Reconnects count losses and recoveries of the connection.
	Disconnects, Reconnects uint64
	// Received is the number of events handed to the subscriber, Dropped that
	// of events thrown away because the subscriber was too slow.
	Received, Dropped uint64
	// Pending is the number of events that wait for the subscriber now,
	// including the one it works on.
	Pending int
	// Published is the number of events for which PublishEvents returned nil,
	// Failed that of those for which it returned an error, each time.
	Published, Failed uint64
}

// Stats returns the counts of now. It does not wait for the network.
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count()
	return Stats{
		Connected:   c.Connected(),
		Disconnects: c.disconnects.Load(),
		Reconnects:  c.reconnects.Load(),
		Received:    c.received.Load(),
		Dropped:     c.dropped,
		Pending:     c.pending(),
		Published:   c.publisher.published.Load(),
		Failed:      c.publisher.failed.Load(),
	}
}

// Missed returns how many messages of each frontend were published and did not
// come, as far as is known. Frontends of other generations do not number theirs.
func (c *Conn) Missed() []Missed { return c.arrivals.all() }

// MaxPayload returns the size in bytes of the largest message that the server takes,
// or took before the connection was lost.
func (c *Conn) MaxPayload() int { return int(c.publisher.largest.Load()) }

// Connected reports whether the connection is up, as far as is known.
func (c *Conn) Connected() bool { return c.connected.Load() }

// Closed returns a channel that is closed when the connection has ended: after
// Close, or because the server ended it with an error that no reconnect heals,
// which is logged.
func (c *Conn) Closed() <-chan struct{} { return c.closed }

// Drain stops the intake and the publishing of events. It waits for the
// server's answer to what PublishEvents has accepted, hands over what the server
// has sent so far, then unsubscribes. After it no subscriber is called any more
// and PublishEvents returns ErrClosed, but signals can still be published. If
// the context ends first, the connection is cut and the error says how many
// events were not handed over; a subscriber that is at work then is not
// interrupted.
func (c *Conn) Drain(ctx context.Context) error {
	c.drainOnce.Do(func() { c.drainErr = c.drain(ctx) })
	return c.drainErr
}

func (c *Conn) drain(ctx context.Context) error {
	defer context.AfterFunc(ctx, c.dialer.cut)()
	c.ending.Store(true)
	defer c.ending.Store(false)
	if !c.Connected() {
		// Nothing more can come, and an attempt to reconnect would hold us up.
		c.dialer.cut()
	}
	unconfirmed := c.publisher.close(ctx)
	if c.Connected() {
		if err := c.flushInHalf(ctx); err != nil {
			c.log.Debug("message queue does not answer while draining", "error", err)
		}
	}
	done := make(chan struct{})
	err := c.nc.Barrier(func() {
		c.stop()
		close(done)
	})
	if err == nil {
		select {
		case <-done:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	left := c.stop()
	c.mu.Lock()
	events := c.events
	c.mu.Unlock()
	if events != nil {
		if err := events.Unsubscribe(); err != nil {
			c.log.Debug("unsubscribing failed", "error", err)
		}
	}
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("draining the message queue, %d events not taken: %w", left, err)
	}
	if unconfirmed != nil {
		return fmt.Errorf("draining the message queue: %w", unconfirmed)
	}
	return nil
}

// stop ends the handing over of messages, and the counting of what comes from
// here on. It returns the number of events that still waited.
func (c *Conn) stop() (left int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	left = c.pending()
	c.count()
	c.stopped.Store(true)
	return left
}

// Close drains the connection if Drain has not been called, sends what was
// published, and closes it. It ends when the context does, at the latest, then
// with an error; the connection is closed in any case. Events dropped since the
// last report are reported. A second call returns what the first returned.
func (c *Conn) Close(ctx context.Context) error {
	c.closeOnce.Do(func() { c.closeErr = c.close(ctx) })
	return c.closeErr
}

func (c *Conn) close(ctx context.Context) error {
	err := c.Drain(ctx)
	c.ending.Store(true)
	defer context.AfterFunc(ctx, c.dialer.cut)()
	if c.Connected() && err == nil {
		if e := c.flush(ctx); e != nil {
			err = fmt.Errorf("sending the last signals to the message queue: %w", e)
		}
	}
	c.closing.Store(true)
	if !c.Connected() {
		c.dialer.cut()
	}
	c.nc.Close()
	c.dialer.cut()
	<-c.publisher.stopped
	close(c.stopReport)
	c.reporter.Wait()
	c.report()
	c.reportMissed(func() bool { return true })
	c.overload.abandon(c.log)
	<-c.closed
	c.connected.Store(false)
	return err
}

// flush returns when the server has seen everything sent so far, which also
// means that everything it sent before has arrived. It fails when the connection
// is lost.
func (c *Conn) flush(outer context.Context) error {
	ctx, cancel := context.WithTimeout(outer, c.timeout)
	defer cancel()
	c.mu.Lock()
	up := c.up
	c.mu.Unlock()
	if up.Err() != nil {
		return ErrNotConnected
	}
	defer context.AfterFunc(up, cancel)() //nolint:contextcheck // the end of either context ends it
	err := c.nc.FlushWithContext(ctx)
	switch {
	case err == nil:
		return nil
	case outer.Err() != nil: // which may be why the connection was cut
		return context.Cause(outer)
	case up.Err() != nil:
		return ErrNotConnected
	}
	return err
}

// isUp notes that the connection is up.
func (c *Conn) isUp() {
	c.mu.Lock()
	c.up, c.lose = context.WithCancel(context.Background())
	c.mu.Unlock()
	c.connected.Store(true)
}

// isDown notes that the connection is lost and ends what waits for it.
func (c *Conn) isDown() {
	c.connected.Store(false)
	c.mu.Lock()
	c.lose()
	c.mu.Unlock()
	c.publisher.lost()
	if c.ending.Load() {
		c.dialer.cut()
	}
}

// flushInHalf is flush in half the time that the context has left.
func (c *Conn) flushInHalf(ctx context.Context) error {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/2)
		defer cancel()
	}
	return c.flush(ctx)
}
