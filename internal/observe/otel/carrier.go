package otel

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"dsiem/internal/event"
)

// maxState is the longest trace state that is passed on, in bytes: as long as
// W3C Trace Context asks for. A longer one, which anybody may send, is left out,
// so that messages and exports stay small.
const maxState = 512

// parentOf returns a context with the span that a carrier names. A carrier that
// is malformed, as everything may be that comes from outside, is as good as
// none.
func parentOf(c event.Carrier) context.Context {
	ctx := context.Background()
	if c.TraceParent == "" {
		return ctx
	}
	if len(c.TraceState) > maxState {
		c.TraceState = ""
	}
	// The span keeps parts of the text, which may be a small part of its event.
	c.TraceState = strings.Clone(c.TraceState)
	return propagation.TraceContext{}.Extract(ctx, (*fields)(&c))
}

// unwanted reports whether a context has a span that whoever began the trace
// does not want to be recorded.
func unwanted(ctx context.Context) bool {
	parent := trace.SpanContextFromContext(ctx)
	return parent.IsValid() && !parent.IsSampled()
}

// carrierOf returns the carrier of a context's span.
func carrierOf(ctx context.Context) event.Carrier {
	var c event.Carrier
	propagation.TraceContext{}.Inject(ctx, (*fields)(&c))
	return c
}

// fields is a Carrier as the library wants it.
type fields event.Carrier

var _ propagation.TextMapCarrier = (*fields)(nil)

const (
	parentKey = "traceparent"
	stateKey  = "tracestate"
)

// Get returns the value of a key, "" if it has none.
func (f *fields) Get(key string) string {
	switch key {
	case parentKey:
		return f.TraceParent
	case stateKey:
		return f.TraceState
	}
	return ""
}

// Set sets the value of a key.
func (f *fields) Set(key, value string) {
	switch key {
	case parentKey:
		f.TraceParent = value
	case stateKey:
		f.TraceState = value
	}
}

// Keys returns all keys.
func (*fields) Keys() []string { return []string{parentKey, stateKey} }
