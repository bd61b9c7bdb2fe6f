package bus

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go"
)

// overload keeps the signal that waits for the connection to come back. Only
// the last one matters to a frontend.
type overload struct {
	mu      sync.Mutex // guards what follows and is held while one is sent
	waiting string     // "" for none
}

// abandon reports a signal that will not be sent any more.
func (o *overload) abandon(log *slog.Logger) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting != "" {
		log.Warn("overload signal not sent, there was no connection", "payload", o.waiting)
		o.waiting = ""
	}
}

// PublishOverload tells all frontends that this backend is overloaded, or that
// it no longer is. While the connection is lost the signal waits in memory for
// the next one, and a later signal takes its place; it may wait for an attempt
// to reconnect that is under way (docs/spec/interfaces.md §4.1, §4.6). It returns
// ErrClosed when the connection has ended.
func (c *Conn) PublishOverload(overloaded bool) error {
	payload := "false"
	if overloaded {
		payload = "true"
	}
	if err := c.publishOverload(payload); err != nil {
		return fmt.Errorf("publishing overload signal %s: %w", payload, err)
	}
	if overloaded {
		c.log.Info("overload = true signal sent to frontend")
	} else {
		c.log.Info("overload = false signal sent to frontend")
	}
	return nil
}

func (c *Conn) publishOverload(payload string) error {
	c.overload.mu.Lock()
	defer c.overload.mu.Unlock()
	err := nats.ErrReconnectBufExceeded
	switch {
	case c.closing.Load() || c.ended():
		return ErrClosed
	case c.Connected():
		err = c.nc.Publish(OverloadSubject, []byte(payload))
	}
	if errors.Is(err, nats.ErrReconnectBufExceeded) { // which is how the library says that there is no connection
		c.overload.waiting = payload
		return nil
	}
	c.overload.waiting = "" // This one is newer.
	return err
}

// sendOverload sends the signal that waits, if one does. The connection is up
// again.
func (c *Conn) sendOverload() {
	c.overload.mu.Lock()
	defer c.overload.mu.Unlock()
	if c.overload.waiting == "" {
		return
	}
	err := c.nc.Publish(OverloadSubject, []byte(c.overload.waiting))
	switch {
	case err == nil:
		c.overload.waiting = ""
	case !errors.Is(err, nats.ErrReconnectBufExceeded): // or else it waits for the next time
		c.log.Warn("overload signal not sent", "error", err)
	}
}

// ended reports whether the connection has ended.
func (c *Conn) ended() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}
