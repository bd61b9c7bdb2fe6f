package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"dsiem/internal/text"
)

const (
	// unboundedPending is the number of events that may wait when the operator
	// set no limit (docs/spec/interfaces.md §5.2).
	unboundedPending = 1_000_000

	// Many small events must never be stopped by the limit on bytes; it only
	// keeps a flood of events of the largest size, 1 MiB, from eating all memory.
	bytesPerEvent = 4 << 10
	minBytes      = 64 << 20

	// loggedPayload is how much the log shows, in characters, of what is no overload
	// signal, or no last number.
	loggedPayload = 32
)

// Subscribe takes events from now on (docs/spec/interfaces.md §4.1): every backend
// gets every event. It returns when the server has confirmed the subscription,
// waiting for a lost connection if need be, or with an error when the context
// ends or the server denies it. A Conn takes one subscription of events.
//
// Each payload goes to handle, unchanged and in order of arrival, from one
// goroutine, and belongs to it. While handle does not return, up to pending
// events wait, including the one handle works on (0 or less is 1,000,000);
// further ones are dropped, counted in Stats and reported in the log. What frontends
// say about their last messages is taken with them, see Missed.
func (c *Conn) Subscribe(ctx context.Context, pending int, handle func(data []byte)) error {
	c.mu.Lock()
	taken := c.events != nil
	c.mu.Unlock()
	if taken {
		return fmt.Errorf("subscribing to %s: it is subscribed already", EventsSubject)
	}
	sub, err := c.subscribe(ctx, EventsSubject, pending, func(m *nats.Msg) {
		c.received.Add(1)
		c.arrivals.see(m.Data)
		handle(m.Data)
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.events = sub
	c.mu.Unlock()
	// After the events: what was published before them is not missed.
	if err := c.subscribeNumbers(); err != nil {
		return err
	}
	c.log.Info("listening for new events", "subject", EventsSubject)
	return nil
}

// SubscribeOverload takes overload signals from now on, from all backends, with
// the guarantees of Subscribe. Anything but the five and four letters of false
// and true is ignored with a log line (docs/spec/interfaces.md §4.4); a flood of
// such messages is not logged one by one.
func (c *Conn) SubscribeOverload(ctx context.Context, handle func(overloaded bool)) error {
	_, err := c.subscribe(ctx, OverloadSubject, 0, func(m *nats.Msg) {
		switch string(m.Data) {
		case "true":
			handle(true)
		case "false":
			handle(false)
		default:
			if c.warnings.Allow(time.Now()) {
				c.log.Warn("overload signal is neither true nor false, ignoring it", "payload", strconv.Quote(text.ClipRunes(m.Data, loggedPayload)))
			}
		}
	})
	if err != nil {
		return err
	}
	c.log.Info("listening for new back pressure signal", "subject", OverloadSubject)
	return nil
}

// subscribe subscribes to a subject and waits until the server has confirmed it.
func (c *Conn) subscribe(ctx context.Context, subject string, pending int, handle nats.MsgHandler) (*nats.Subscription, error) {
	sub, err := c.listen(subject, pending, handle)
	if err != nil {
		return nil, err
	}
	if err := c.confirm(ctx, subject); err != nil {
		return nil, fmt.Errorf("subscribing to %s: %w", subject, errors.Join(err, sub.Unsubscribe()))
	}
	return sub, nil
}

// listen subscribes to a subject, which the server need not permit.
func (c *Conn) listen(subject string, pending int, handle nats.MsgHandler) (*nats.Subscription, error) {
	if pending <= 0 {
		pending = unboundedPending
	}
	sub, err := c.nc.Subscribe(subject, func(m *nats.Msg) {
		if !c.stopped.Load() {
			handle(m)
		}
	})
	if err == nil {
		err = sub.SetPendingLimits(pending, max(minBytes, pending*bytesPerEvent))
	}
	if err != nil {
		return nil, fmt.Errorf("subscribing to %s: %w", subject, err)
	}
	return sub, nil
}

// confirm waits until the server has taken the subscription of a subject. If
// the connection is lost meanwhile, the library subscribes anew.
func (c *Conn) confirm(ctx context.Context, subject string) error {
	for {
		err := c.flush(ctx)
		if err == nil {
			return c.denied(subject)
		}
		c.log.Debug("message queue did not confirm the subscription yet", "subject", subject, "error", err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.closed:
			return nats.ErrConnectionClosed
		case <-time.After(c.timeout / 100):
		}
	}
}

// denied returns the server's answer if it does not permit a subscription.
func (c *Conn) denied(subject string) error {
	if err := c.nc.LastError(); violates(err, "Subscription", subject) {
		return err
	}
	return nil
}

// count reads the number of dropped events. Callers hold mu.
func (c *Conn) count() {
	if c.events == nil || c.stopped.Load() {
		return
	}
	if n, err := c.events.Dropped(); err == nil && n > 0 {
		c.dropped = uint64(n)
	}
}

// pending returns the number of events that wait. Callers hold mu.
func (c *Conn) pending() int {
	if c.events == nil || c.stopped.Load() {
		return 0
	}
	n, _, err := c.events.Pending()
	if err != nil {
		return 0
	}
	return n
}
