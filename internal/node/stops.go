package node

import (
	"context"
	"errors"
	"slices"
)

// stops is what has to be stopped, in the order in which it was started.
type stops []func(context.Context) error

// push adds what stops something that has been started.
func (s *stops) push(stop func(context.Context) error) { *s = append(*s, stop) }

// stop stops everything, what was started last first, and joins the errors.
// After that there is nothing to stop.
func (s *stops) stop(ctx context.Context) error {
	var errs []error
	for _, stop := range slices.Backward(*s) {
		errs = append(errs, stop(ctx))
	}
	*s = nil
	return errors.Join(errs...)
}

// run starts parts, and stops them in their turn: all at once, so that their last
// seconds are the same. failed is called when one ends with an error. The end of a
// context is none.
func (s *stops) run(ctx context.Context, failed func(), parts ...func(context.Context) error) {
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan error, len(parts))
	for _, part := range parts {
		go func() {
			err := part(ctx)
			if errors.Is(err, context.Canceled) {
				err = nil
			}
			if err != nil {
				failed()
			}
			results <- err
		}()
	}
	s.push(func(context.Context) error {
		cancel()
		errs := make([]error, 0, len(parts))
		for range parts {
			errs = append(errs, <-results)
		}
		return errors.Join(errs...)
	})
}
