package httpin

import (
	"context"
	"sync"
	"time"
)

// patience is a request's context with a deadline of its own. Unlike that of
// context.WithTimeout it costs nothing as long as nobody waits for it, and most
// events are taken without a wait.
type patience struct {
	context.Context // of the request
	end             time.Time

	mu     sync.Mutex      // guards what follows
	inner  context.Context // nil while nobody waits
	cancel context.CancelFunc
}

func newPatience(ctx context.Context, wait time.Duration) *patience {
	end := time.Now().Add(wait)
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(end) {
		end = earlier
	}
	return &patience{Context: ctx, end: end}
}

// Deadline returns the end of patience.
func (p *patience) Deadline() (time.Time, bool) { return p.end, true }

// Done returns a channel that is closed at the deadline, or when the sender has
// gone, at the latest when the request is answered.
func (p *patience) Done() <-chan struct{} { return p.waiting().Done() }

// Err says why Done is closed, nil if it is not.
func (p *patience) Err() error { return p.waiting().Err() }

// waiting returns the context of someone who waits, or wants to know about it.
func (p *patience) waiting() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inner == nil {
		p.inner, p.cancel = context.WithDeadline(p.Context, p.end)
	}
	return p.inner
}

// stop frees what the context holds. Who asks for it later learns from the
// request's context that it is over.
func (p *patience) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel != nil {
		p.cancel()
	}
}
