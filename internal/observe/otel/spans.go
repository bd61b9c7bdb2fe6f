package otel

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"dsiem/internal/event"
	"dsiem/internal/text"
)

// The names of spans and of their attributes (docs/spec/interfaces.md §8.2).
const (
	frontendSpan     = "frontend handler"
	backendSpan      = "backend handler"
	distributionSpan = "event distribution"
	backlogSpan      = "backlog processing"

	connID      = "conn.id"
	eventIDKey  = "event.id"
	directiveID = "directive.id"
	backlogID   = "backlog.id"
)

// Span is an event on its way through a frontend. The zero Span is that of a
// Tracer that is off. It may be copied; whoever has a copy may end it once.
type Span struct {
	span    trace.Span
	carrier event.Carrier
}

// StartEvent begins the span of an event that a frontend took at the time
// start, over the connection with a number, and with the carrier that came with
// it, if one did. Without a usable one the event begins a trace of its own.
// Spans need not be ended, but only those that are ended are sent.
func (t *Tracer) StartEvent(eventID string, conn uint64, start time.Time, parent event.Carrier) Span {
	if t == nil || t.spans == nil {
		return Span{}
	}
	return t.spans.startEvent(eventID, conn, start, parent)
}

func (p *spanPipeline) startEvent(eventID string, conn uint64, start time.Time, parent event.Carrier) Span {
	ctx := parentOf(parent)
	options := []trace.SpanStartOption{trace.WithTimestamp(start), trace.WithSpanKind(trace.SpanKindProducer)}
	if !unwanted(ctx) {
		options = append(options, trace.WithAttributes(number(connID, conn), attribute.String(eventIDKey, fit(eventID))))
	}
	ctx, span := p.tracer.Start(ctx, frontendSpan, options...)
	s := Span{carrier: carrierOf(ctx)}
	if span.IsRecording() {
		s.span = span
	}
	return s
}

// Carrier returns what the message of the event has to carry. It is set even if
// the trace is not recorded, which it then says.
func (s Span) Carrier() event.Carrier { return s.carrier }

// End ends the span now, with an error if the event could not be delivered.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, fit(err.Error()))
	}
	s.span.End()
}

// Match is a backlog that took an event.
type Match struct {
	// Directive is the id of the directive, Backlog that of the backlog (the
	// alarm's).
	Directive uint64
	Backlog   string
}

// Handle records what a backend did with an event, once the engines are done
// with it: a span that continues the carrier's trace, from the time the event
// was received until the time done, and below it, if backlogs took the event,
// one for its distribution and one for each of them. All have the same times,
// since the engines play many events at once. It keeps neither the strings nor
// the slice.
func (t *Tracer) Handle(c event.Carrier, eventID string, received, done time.Time, matched []Match) {
	if t == nil || t.spans == nil {
		return
	}
	t.spans.handle(c, eventID, received, done, matched)
}

func (p *spanPipeline) handle(c event.Carrier, eventID string, received, done time.Time, matched []Match) {
	ctx := parentOf(c)
	if unwanted(ctx) { // spares all that follows
		return
	}
	if done.Before(received) {
		done = received
	}
	id := attribute.String(eventIDKey, fit(eventID))
	times := spanTimes{start: trace.WithTimestamp(received), end: trace.WithTimestamp(done)}
	ctx, span := p.tracer.Start(ctx, backendSpan, times.start,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(id))
	defer span.End(times.end)
	if len(matched) > 0 && span.IsRecording() {
		p.distributed(ctx, id, times, matched)
	}
}

// spanTimes are the times of the spans of an event.
type spanTimes struct {
	start, end trace.SpanEventOption
}

// distributed records the backlogs that took an event.
func (p *spanPipeline) distributed(ctx context.Context, id attribute.KeyValue, times spanTimes, matched []Match) {
	ctx, span := p.tracer.Start(ctx, distributionSpan, times.start,
		trace.WithSpanKind(trace.SpanKindInternal), trace.WithAttributes(id))
	defer span.End(times.end)
	for _, m := range matched {
		_, one := p.tracer.Start(ctx, backlogSpan, times.start, trace.WithSpanKind(trace.SpanKindInternal),
			trace.WithAttributes(number(directiveID, m.Directive), attribute.String(backlogID, fit(m.Backlog)), id))
		one.End(times.end)
	}
}

// number returns an attribute of an unsigned number. OTLP has signed ones only.
func number(key string, n uint64) attribute.KeyValue {
	if n > math.MaxInt64 {
		return attribute.String(key, strconv.FormatUint(n, 10))
	}
	return attribute.Int64(key, int64(n))
}

// maxText is the longest text of an attribute, in bytes. Event ids come from
// outside and may be very long.
const maxText = 256

// fit returns a copy of a text that is fit for an attribute: cut if it is too
// long, and valid UTF-8, without which a whole export would fail.
func fit(s string) string { return valid(text.Start(s, maxText)) }

// maxReason is the longest text of an error in the log, in bytes: a collector
// may have said it.
const maxReason = 512

// reason returns the beginning of the text of an error.
func reason(s string) string { return valid(text.Clip(s, maxReason)) }

// valid returns a copy of a text in which U+FFFD stands for what is not UTF-8.
func valid(s string) string {
	if utf8.ValidString(s) {
		return strings.Clone(s) // it may be a small part of something large
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
