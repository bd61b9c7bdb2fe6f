package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"dsiem/internal/event"
)

// Reasons why PublishEvents fails.
var (
	// ErrNotConnected is that there is no connection to NATS now.
	// The events were not published.
	ErrNotConnected = errors.New("not connected to the message queue")
	// ErrUnconfirmed is that NATS has not confirmed the events:
	// it may have taken all of them, some or none.
	ErrUnconfirmed = errors.New("not confirmed by the message queue")
	// ErrTooLarge is that an event is larger than NATS takes, see Conn.MaxPayload. No
	// event of the call was published, and no retry with it helps.
	ErrTooLarge = errors.New("event is larger than the message queue takes")
	// ErrClosed is that the connection was drained or closed. The events were
	// not published.
	ErrClosed = errors.New("connection to the message queue is closed")
)

// A batch that has this many bytes or events takes no more calls. With one in
// front of it that is being published, it is all that waits in memory, plus the
// call that crossed the limit.
const (
	maxBatchBytes  = 1 << 20
	maxBatchEvents = 16 << 10
)

// PublishEvents publishes events to all backends (docs/spec/interfaces.md §4.1), one
// message for each payload, in this order. It may be called from any number of
// goroutines: what they publish at the same time shares one confirmation.
//
// It returns nil when the server has answered that it has processed all
// payloads: each lies in the server's memory for every backend that was
// connected and subscribed at that moment. It does not say that a backend has
// it. Core NATS still loses an event, later or at once,
//
//   - for backends that were away or had not subscribed yet; with no backend
//     at all, it is lost;
//   - for a backend whose connection breaks before it has read the event, also
//     because it was too slow for too long and the server cut it off;
//   - for a backend whose own queue is full (Stats.Dropped there);
//   - if the server ends before it has sent it on, which includes sending it to
//     other servers of its NATS cluster for the backends there.
//
// After an error the caller may publish the same events again: backends know
// an event by its id. ErrTooLarge says that this is of no use, ErrNotConnected
// and ErrClosed that nothing was published, ErrUnconfirmed that something may
// have been. While the connection is lost it fails at once; nothing is kept for
// later. If too much is waiting, it waits for room. The end of ctx ends all
// waiting, with the context's error and, where it applies, ErrUnconfirmed.
//
// With Options.FrontendID each message is numbered in the order in which NATS gets
// them. A number counts when NATS has confirmed it: those of a batch that it has
// not confirmed are given again, so that a backend misses only what somebody was
// told has been published, and the events of a refused request never. While
// nothing is published, it says again and again which number was the last one.
//
// The payloads are the caller's again when PublishEvents returns, with an error
// or without.
func (c *Conn) PublishEvents(ctx context.Context, payloads [][]byte) error {
	p := c.publisher
	if err := p.publish(ctx, c, payloads); err != nil {
		p.failed.Add(uint64(len(payloads)))
		return fmt.Errorf("publishing %d events: %w", len(payloads), err)
	}
	p.published.Add(uint64(len(payloads)))
	return nil
}

// publisher publishes what all callers want to publish at the same time, from
// one goroutine. Callers copy their payloads into a batch; while one batch is
// on its way, the next is filled.
type publisher struct {
	published, failed atomic.Uint64
	largest           atomic.Int64 // payload that the server takes, in bytes

	frontend string // what messages are from, "" for nothing
	// confirmed is the number of the last message that the server has confirmed, quiet
	// that of the whole intervals in which nothing was published, -1 if something was
	// in this one. They and stamped, the memory of one message, belong to the
	// goroutine.
	confirmed uint64
	quiet     int
	stamped   []byte
	// silenced says that the server does not permit the last number to be published.
	silenced atomic.Bool

	work    chan struct{} // holds something when there is something in next
	quit    chan struct{} // closed when nothing more will come
	stopped chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex // guards what follows
	closed  bool
	next    *batch
	current *batch // the one that is on its way, nil for none
	spare   texts
}

// texts are payloads, one behind the other.
type texts struct {
	bytes []byte
	ends  []int // of each payload in bytes
}

func (t *texts) full() bool { return len(t.bytes) >= maxBatchBytes || len(t.ends) >= maxBatchEvents }

func (t *texts) add(payloads [][]byte) {
	for _, p := range payloads {
		t.bytes = append(t.bytes, p...)
		t.ends = append(t.ends, len(t.bytes))
	}
}

// emptied returns the same without payloads, for reuse unless it is very big.
func (t texts) emptied() texts {
	if cap(t.bytes) > 4*maxBatchBytes || cap(t.ends) > 4*maxBatchEvents {
		return texts{}
	}
	return texts{bytes: t.bytes[:0], ends: t.ends[:0]}
}

// batch is what is published and confirmed together.
type batch struct {
	texts

	begun   chan struct{} // closed when nothing more can be added
	done    chan struct{} // closed when err is known
	settled bool          // done is closed
	err     error
}

func newBatch(t texts) *batch {
	return &batch{texts: t, begun: make(chan struct{}), done: make(chan struct{})}
}

// settle tells the callers the outcome, if they do not know one. The caller
// holds mu of the publisher.
func (b *batch) settle(err error) {
	if !b.settled {
		b.settled, b.err = true, err
		close(b.done)
	}
}

func newPublisher(frontend string) *publisher {
	return &publisher{
		frontend: frontend,
		work:     make(chan struct{}, 1), quit: make(chan struct{}), stopped: make(chan struct{}),
		next: newBatch(texts{}),
	}
}

// start starts the goroutine. It ends after close.
func (p *publisher) start(c *Conn, interval time.Duration) {
	p.largest.Store(c.nc.MaxPayload())
	go func() {
		defer close(p.stopped)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-p.work:
				p.commit(c)
			case <-ticker.C:
				p.tick(c, interval)
			case <-p.quit:
				p.commit(c)
				p.tell(c, interval)
				return
			}
		}
	}()
}

// close lets no further call in and waits until those that are in are answered.
// It is an error if the context ends before.
func (p *publisher) close(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.quit)
	}
	p.mu.Unlock()
	select {
	case <-p.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for events to be confirmed: %w", context.Cause(ctx))
	}
}

// publish has payloads published and waits for the outcome.
func (p *publisher) publish(ctx context.Context, c *Conn, payloads [][]byte) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case len(payloads) == 0:
		return nil
	}
	grows := 0
	if p.frontend != "" {
		grows = event.OriginSize
	}
	for _, payload := range payloads {
		if largest := p.largest.Load(); int64(len(payload)+grows) > largest {
			return fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(payload)+grows, largest)
		}
	}
	b, err := p.add(ctx, c, payloads)
	if err != nil {
		return err
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
	}
	select {
	case <-b.done:
		return b.err
	default:
		return fmt.Errorf("%w: %w", ErrUnconfirmed, context.Cause(ctx))
	}
}

// add puts payloads into the next batch, when it has room, and returns it.
func (p *publisher) add(ctx context.Context, c *Conn, payloads [][]byte) (*batch, error) {
	for {
		b, added, err := p.tryAdd(c, payloads)
		if added || err != nil {
			return b, err
		}
		select {
		case <-b.begun:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for room: %w", context.Cause(ctx))
		}
	}
}

// tryAdd returns the next batch and whether it had room for the payloads.
func (p *publisher) tryAdd(c *Conn, payloads [][]byte) (b *batch, added bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch b = p.next; {
	case p.closed:
		return nil, false, ErrClosed
	case !c.Connected():
		return nil, false, ErrNotConnected
	case b.full():
		return b, false, nil
	}
	if len(b.ends) == 0 {
		select {
		case p.work <- struct{}{}:
		default: // It will look anyway.
		}
	}
	b.add(payloads)
	return b, true, nil
}

// lost answers everybody who waits: the connection is lost.
func (p *publisher) lost() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil {
		p.current.settle(fmt.Errorf("%w: %w", ErrUnconfirmed, nats.ErrDisconnected))
	}
	if b := p.next; len(b.ends) > 0 {
		b.settle(ErrNotConnected)
		close(b.begun)
		p.next = newBatch(b.emptied())
	}
}

// commit publishes the next batch, if there is something in it.
func (p *publisher) commit(c *Conn) {
	b := p.take()
	if b == nil {
		return
	}
	p.quiet = -1
	err := p.send(c, b)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = nil
	p.spare = b.emptied()
	b.settle(err)
}

func (p *publisher) take() *batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.next
	if len(b.ends) == 0 {
		return nil
	}
	close(b.begun)
	p.current, p.next, p.spare = b, newBatch(p.spare), texts{}
	return b
}

// send publishes a batch and waits for the server's confirmation. The library
// reconnects by itself and goes on with another connection, so send makes sure
// that everything went to one.
func (p *publisher) send(c *Conn, b *batch) error {
	made, before := c.dialer.made.Load(), c.nc.LastError()
	p.largest.Store(c.nc.MaxPayload())
	begin := 0
	for i, end := range b.ends {
		err := c.nc.Publish(EventsSubject, p.stamp(b.bytes[begin:end], i))
		switch {
		case i == 0 && errors.Is(err, nats.ErrReconnectBufExceeded):
			return ErrNotConnected
		case err == nil && c.dialer.made.Load() != made:
			err = nats.ErrDisconnected
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
		}
		begin = end
	}
	err := c.nc.FlushTimeout(c.timeout)
	if err == nil && c.dialer.made.Load() != made {
		err = nats.ErrDisconnected
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	if err := c.refusal(before); err != nil {
		return err
	}
	p.confirmed += uint64(len(b.ends))
	return nil
}

// stamp returns message i of a batch as it is published, until the next call.
func (p *publisher) stamp(message []byte, i int) []byte {
	if p.frontend == "" {
		return message
	}
	p.stamped = event.AppendOrigin(p.stamped[:0], message, p.frontend, p.confirmed+uint64(i)+1) //nolint:gosec // an index
	return p.stamped
}

// refusal returns the server's answer if it does not permit events to be
// published and has said so since the library's last error was before.
func (c *Conn) refusal(before error) error {
	err := c.nc.LastError()
	if violates(err, "Publish", EventsSubject) && err != before { //nolint:errorlint // each has its own, what counts is whether it is another one
		return err
	}
	return nil
}
