package httpin_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
)

type key struct{}

// serve runs one request under ctx, whose events deliver takes.
func serve(ctx context.Context, deliver func(ctx context.Context) error) {
	h := httpin.New(httpin.Options{Deliver: func(ctx context.Context, _ *event.Batch) error { return deliver(ctx) }})
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/events", strings.NewReader(ev("a")))
	h.Events(httptest.NewRecorder(), r)
}

func TestTheContextOfDeliver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent := context.WithValue(t.Context(), key{}, "value")
		begin := time.Now()
		serve(parent, func(ctx context.Context) error {
			if end, ok := ctx.Deadline(); !ok || !end.Equal(begin.Add(3*time.Second)) {
				t.Errorf("deadline %v, %v", end, ok)
			}
			if ctx.Value(key{}) != "value" {
				t.Error("the request's value is gone")
			}
			if ctx.Err() != nil {
				t.Error(ctx.Err())
			}
			derived, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			<-derived.Done()
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) || !errors.Is(derived.Err(), context.DeadlineExceeded) {
				t.Errorf("it ended with %v", ctx.Err())
			}
			return ctx.Err()
		})
		if got := time.Since(begin); got != 3*time.Second {
			t.Errorf("it ended after %v", got)
		}
	})
}

func TestAnEarlierDeadlineOfTheRequestCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		parent, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		serve(parent, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if got := time.Since(begin); got != time.Second {
			t.Errorf("it ended after %v", got)
		}
	})
}

// Whoever still waits when the request is answered is let go.
func TestTheContextEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		request, end := context.WithCancel(t.Context()) // net/http ends it
		var early, late context.Context
		serve(request, func(ctx context.Context) error {
			early = ctx
			ctx.Done()
			return nil
		})
		<-early.Done()
		serve(request, func(ctx context.Context) error {
			late = ctx
			return nil
		})
		end()
		<-late.Done()
		if got := time.Since(begin); got != 0 || late.Err() == nil {
			t.Errorf("it ended after %v with %v", got, late.Err())
		}
	})
}
