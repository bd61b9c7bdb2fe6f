package node

import (
	"context"
	"fmt"

	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
	"dsiem/internal/live"
)

// deliverer hands the events of a request to those who correlate them.
type deliverer interface {
	// deliver hands on all events of a batch, or none. It takes the batch over
	// unless it returns an error.
	deliver(ctx context.Context, b *event.Batch) error
	// ready returns why events cannot be handed on now.
	ready(ctx context.Context) error
}

// unavailable is the error of a way that is closed for now.
func unavailable(why error) error {
	return fmt.Errorf("%w: message queue: %w", httpin.ErrUnavailable, why)
}

// toQueue is the way to the backend of this process.
type toQueue struct {
	queue *live.Queue
	// taken returns why the backend takes no events, written why it writes no alarm
	// lines.
	taken   func(ctx context.Context) error
	written func() error
}

// errQueueFull says that the engines are behind.
var errQueueFull = fmt.Errorf("%w: the event queue is full", httpin.ErrUnavailable)

func (q toQueue) ready(ctx context.Context) error {
	if err := q.taken(ctx); err != nil {
		return unavailable(err)
	}
	if err := q.written(); err != nil {
		return httpin.OutageError("alarm lines cannot be written: " + err.Error())
	}
	if !q.queue.HasRoom() {
		return errQueueFull
	}
	return nil
}

func (q toQueue) deliver(_ context.Context, b *event.Batch) error {
	if !q.queue.Reserve(b) {
		return errQueueFull
	}
	q.queue.PutBatch(b)
	return nil
}

// toBus is the way to backends elsewhere, over NATS.
type toBus struct {
	conn     *connection
	encoders chan *encoder // those that are not in use
}

func newToBus(conn *connection) toBus {
	return toBus{conn: conn, encoders: make(chan *encoder, spareEncoders)}
}

func (n toBus) ready(context.Context) error {
	if err := n.conn.up(); err != nil {
		return unavailable(err)
	}
	return nil
}

func (n toBus) deliver(ctx context.Context, b *event.Batch) error {
	if err := n.publish(ctx, b); err != nil {
		return err
	}
	b.Release()
	return nil
}

// publish sends events to the backends and waits until NATS has them.
func (n toBus) publish(ctx context.Context, b *event.Batch) error {
	var e *encoder
	select {
	case e = <-n.encoders:
	default:
		e = &encoder{}
	}
	// One may be too large for NATS: another server than that of the moment when it was
	// read takes less. Who sends it again learns which one.
	err := n.conn.Load().PublishEvents(ctx, e.encode(b))
	if cap(e.data) <= spareEncoder {
		select {
		case n.encoders <- e:
		default:
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", httpin.ErrUnavailable, err)
	}
	return nil
}

// toBoth is the way to the backend of this process and to others.
type toBoth struct {
	toQueue
	toBus toBus
}

func (w toBoth) deliver(ctx context.Context, b *event.Batch) error {
	if !w.queue.Reserve(b) {
		return errQueueFull
	}
	if err := w.toBus.publish(ctx, b); err != nil {
		w.queue.Cancel(b)
		return err
	}
	w.queue.PutBatch(b)
	return nil
}

// encoder holds the messages of one request.
type encoder struct {
	data     []byte
	ends     []int
	payloads [][]byte
}

// spareEncoders is the number of encoders that are kept, and spareEncoder the
// size from which one is not.
const (
	spareEncoders = 64
	spareEncoder  = 1 << 20
)

func (e *encoder) encode(b *event.Batch) [][]byte {
	e.data, e.ends, e.payloads = e.data[:0], e.ends[:0], e.payloads[:0]
	for i := range b.Len() {
		e.data = b.AppendMessage(e.data, i)
		e.ends = append(e.ends, len(e.data))
	}
	start := 0
	for _, end := range e.ends {
		e.payloads = append(e.payloads, e.data[start:end:end])
		start = end
	}
	return e.payloads
}
