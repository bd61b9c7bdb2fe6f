package node

import (
	"context"
	"errors"
)

// Part is something that runs beside others.
type Part struct {
	cancel context.CancelFunc
	done   chan error
}

func (p *Part) Start(ctx context.Context, run func(context.Context) error) {
	ctx, p.cancel = context.WithCancel(ctx)
	p.done = make(chan error, 1)
	go func() { p.done <- run(ctx) }()
}

// End tells a part to end and waits for it. The end of a context is no error,
// and neither is a part that was never started.
func (p *Part) End() error {
	if p.cancel == nil {
		return nil
	}
	p.cancel()
	if err := <-p.done; err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
