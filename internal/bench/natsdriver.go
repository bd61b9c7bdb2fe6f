package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// eventsSubject is where backends expect events (docs/spec/interfaces.md §4.1).
	eventsSubject = "dsiem_events"
	// window is the number of events that may be on their way at full speed: far
	// less than the server has room for, far more than are under way when it does
	// its best.
	window = 32_768
	// stallTime is how long no line may come while some are expected.
	stallTime = 10 * time.Second
)

// natsDriver publishes events.
type natsDriver struct {
	conn    *nats.Conn
	stream  *stream
	watcher *watcher
	// flood lets all events go without a look at how far the server is.
	flood bool
	buf   []byte
}

// dialNATS connects to NATS.
func dialNATS(url string, p *plan, w *watcher, flood bool) (*natsDriver, error) {
	conn, err := nats.Connect(url, nats.Name("dsiem-bench"), nats.NoReconnect())
	if err != nil {
		return nil, fmt.Errorf("connecting to the message queue: %w", err)
	}
	return &natsDriver{conn: conn, stream: p.stream(0), watcher: w, flood: flood}, nil
}

func (d *natsDriver) close() { d.conn.Close() }

// send sends the events of a course.
func (d *natsDriver) send(ctx context.Context, courses []*course) error {
	c := courses[0]
	for ctx.Err() == nil {
		now := time.Now()
		events, wait := c.next(now, burst)
		switch {
		case wait > 0:
			pause(ctx, wait)
			continue
		case events == 0:
			return d.failed(d.conn.FlushTimeout(stallTime))
		case !d.room(c.sent):
			if err := d.watcher.await(ctx, stallTime, func() bool { return d.room(c.sent) }); err != nil {
				return err
			}
			continue
		}
		d.stream.setTime(now)
		for range events {
			d.buf = d.stream.append(d.buf[:0], c.sent)
			if err := d.conn.Publish(eventsSubject, d.buf); err != nil {
				return d.failed(err)
			}
			c.sent++
		}
	}
	return context.Cause(ctx)
}

// room reports whether the next event may go.
func (d *natsDriver) room(n uint64) bool {
	return d.flood || n-min(n, d.watcher.seen[0].Load()) < window
}

func (d *natsDriver) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("publishing events: %w", errors.Join(err, d.conn.LastError()))
}

// refused is for drivers whose server can say no.
func (d *natsDriver) refused() uint64 { return 0 }

// pause waits for a while, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
