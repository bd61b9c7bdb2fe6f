package node

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/bus"
	"dsiem/internal/observe/log"
	"dsiem/internal/observe/otel"
	"dsiem/internal/output/rejects"
	"dsiem/internal/web/server"
)

// The time that the parts of a stop may take; together they stay below the
// grace of the references' containers (docs/spec/interfaces.md §5.6).
const (
	drainTime = time.Second
	closeTime = 2 * time.Second
)

// basis is what backend and frontend stand on: settings, log, metrics, traces, NATS
// and the clock.
type basis struct {
	options  *Options
	logger   *slog.Logger
	registry *prometheus.Registry
	tracer   *otel.Tracer // nil if there is nothing to trace
	conn     connection
	rejects  *rejects.File
	browsers *server.Browsers
	clock    func() time.Time
	memory   *memory
	// frontendID is what messages are from that this node publishes, "" if it
	// publishes none.
	frontendID string
}

func (c *basis) target(name string) *slog.Logger { return log.WithTarget(c.logger, name) }

// listens reports whether other nodes may connect to the NATS server of this one.
func (c *basis) listens() bool { return c.options.Listen.URL != "" }

// connection is the connection to NATS, once there is one.
type connection struct{ atomic.Pointer[bus.Conn] }

// dropped returns the number of events that the client threw away.
func (c *connection) dropped() uint64 {
	if conn := c.Load(); conn != nil {
		return conn.Stats().Dropped
	}
	return 0
}

// up returns why the connection cannot be used.
func (c *connection) up() error {
	if conn := c.Load(); conn == nil || !conn.Connected() {
		return errors.New("not connected")
	}
	return nil
}

// connect connects to NATS, trying until ctx ends. server is the one in this
// process, nil if there is none.
func (c *basis) connect(ctx context.Context, name string, server *bus.Server) (*bus.Conn, error) {
	o := c.options
	conn, err := bus.Connect(ctx, bus.Options{
		URL: o.NATS, Name: name + " " + o.Node, Server: server, NoEcho: server != nil, FrontendID: c.frontendID,
		CredsFile: o.NATSCreds, NKeyFile: o.NATSNKey, CAFile: o.NATSCA, CertFile: o.NATSCert, KeyFile: o.NATSKey,
		Logger: c.target("worker"),
	})
	if err != nil {
		return nil, err
	}
	c.conn.Store(conn)
	return conn, nil
}

// errClosed is why a node ends that NATS does not want any more.
var errClosed = errors.New("the message queue closed the connection for good")
