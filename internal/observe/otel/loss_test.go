package otel_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"dsiem/internal/event"
	"dsiem/internal/observe/otel"
	"dsiem/test/testkit/oteltest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestTLSTrustsTheGivenAuthorities(t *testing.T) {
	t.Parallel()
	c := oteltest.StartTLS(t)
	tracer := start(t, soon(c))
	tracer.Handle(event.Carrier{}, "e1", at, at, nil)
	flush(t, tracer)
	only(t, c.Spans(), "backend handler")
}

func TestTLSDoesNotTrustOthers(t *testing.T) {
	t.Parallel()
	c := oteltest.StartTLS(t)
	for _, change := range []func(*otel.Options){
		func(o *otel.Options) { o.RootCAs = nil },
		func(o *otel.Options) { o.Endpoint = strings.Replace(o.Endpoint, "https", "http", 1) },
	} {
		options := soon(c)
		options.Timeout = 50 * time.Millisecond
		change(&options)
		tracer := start(t, options)
		tracer.Handle(event.Carrier{}, "e1", at, at, nil)
		err := tracer.Shutdown(t.Context())
		if err == nil || err.Error() != "flushing traces: 1 spans lost" {
			t.Errorf("got error %v", err)
		}
		if got := tracer.Stats().Spans; got != (otel.Delivery{Failed: 1}) {
			t.Errorf("got %+v", got)
		}
	}
	if n := len(c.Spans()); n != 0 {
		t.Errorf("%d spans came through", n)
	}
}

func TestNoCollectorStopsNothing(t *testing.T) {
	t.Parallel()
	options := soon(oteltest.Reserve(t))
	options.Queue, options.Metrics, options.Readings = 64, true, func() otel.Readings { return otel.Readings{} }
	tracer := start(t, options)
	const events = 1000
	for range events {
		span := tracer.StartEvent("e", 1, at, event.Carrier{})
		tracer.Handle(span.Carrier(), "e", at, at, nil)
		span.End(nil)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tracer.Shutdown(ended); err == nil || !strings.Contains(err.Error(), "spans lost") {
		t.Errorf("got error %v", err)
	}
	got := tracer.Stats().Spans
	if got.Sent != 0 || got.Lost() != 2*events || got.QueueFull < 2*events-2*64 {
		t.Errorf("got %+v, want %d lost", got, 2*events)
	}
	// The end is the end.
	tracer.Handle(event.Carrier{}, "late", at, at, nil)
	tracer.StartEvent("late", 1, at, event.Carrier{}).End(nil)
	if late := tracer.Stats().Spans; late.QueueFull != got.QueueFull+2 || late.Failed != got.Failed {
		t.Errorf("got %+v after %+v, want two more dropped", late, got)
	}
	if err := tracer.Shutdown(t.Context()); err == nil {
		t.Error("a second Shutdown forgets the error of the first")
	}
}

func TestASilentCollectorEndsWithShutdown(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	defer c.Hold()()
	options := soon(c)
	options.Metrics, options.Readings = true, func() otel.Readings { return otel.Readings{} }
	tracer := start(t, options)
	tracer.Handle(event.Carrier{}, "e1", at, at, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := tracer.Shutdown(ctx); err == nil {
		t.Error("what was lost is no error")
	}
	if got := tracer.Stats().Spans; got != (otel.Delivery{Failed: 1}) {
		t.Errorf("got %+v", got)
	}
}

func TestACollectorThatComesLateGetsWhatWaits(t *testing.T) {
	t.Parallel()
	c := oteltest.Reserve(t)
	tracer := start(t, soon(c))
	tracer.Handle(event.Carrier{}, "e1", at, at, nil)
	c.Restart()
	c.WaitForSpans(1)
	c.Stop()
	tracer.Handle(event.Carrier{}, "e2", at, at, nil)
	c.Restart()
	c.WaitForSpan("the second", func(s oteltest.Span) bool { return s.Attributes["event.id"] == "e2" })
	flush(t, tracer)
}

func TestWhatACollectorRefusesIsCounted(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	options := soon(c)
	options.Metrics, options.Readings = true, func() otel.Readings { return otel.Readings{} }
	options.Every, options.MetricsEvery = time.Hour, time.Hour
	options.Mode = otel.ModeFrontend
	tracer := start(t, options)
	c.Refuse(oteltest.Refusal{Items: 2, Reason: "too old"})
	for range 5 {
		tracer.Handle(event.Carrier{}, "e", at, at, nil)
	}
	err := tracer.Shutdown(t.Context())
	if want := "flushing traces: 2 spans lost\nflushing metrics: 2 data points lost"; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	want := otel.Stats{
		Spans:  otel.Delivery{Sent: 3, Refused: 2},
		Points: otel.Delivery{Sent: 1, Refused: 2},
	}
	if got := tracer.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWhatACollectorSaysOfARefusalOfNothingIsIgnored(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	tracer := start(t, soon(c))
	for _, r := range []oteltest.Refusal{{Reason: "a hint"}, {Items: -5}} {
		c.Refuse(r)
		tracer.Handle(event.Carrier{}, "e", at, at, nil)
		c.WaitForSpans(1)
	}
	flush(t, tracer)
}

func TestAnAbsurdRefusalCountsTheWholeExport(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	c.Refuse(oteltest.Refusal{Items: 1 << 62})
	tracer := start(t, soon(c))
	tracer.Handle(event.Carrier{}, "e", at, at, nil)
	if err := tracer.Shutdown(t.Context()); err == nil {
		t.Error("a refusal is no error")
	}
	if got := tracer.Stats().Spans; got != (otel.Delivery{Refused: 1}) {
		t.Errorf("got %+v", got)
	}
}

func TestAnErrorOfTheCollectorIsCountedAndNotRepeated(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	c.Fail(status.Error(codes.PermissionDenied, "no"))
	tracer := start(t, soon(c))
	tracer.Handle(event.Carrier{}, "e", at, at, nil)
	if err := tracer.Shutdown(t.Context()); err == nil {
		t.Error("an export that failed is no error")
	}
	if got := tracer.Stats().Spans; got != (otel.Delivery{Failed: 1}) {
		t.Errorf("got %+v", got)
	}
}

const quietChild = "DSIEM_TRACING_TEST_QUIET"

func TestNothingIsWrittenToStderr(t *testing.T) {
	t.Parallel()
	if os.Getenv(quietChild) != "" {
		failInEveryWay(t)
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNothingIsWrittenToStderr$")
	child.Env = append(os.Environ(), quietChild+"=1")
	var stdout, stderr strings.Builder
	child.Stdout, child.Stderr = &stdout, &stderr
	if err := child.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout.String(), stderr.String())
	}
	if stderr.Len() > 0 {
		t.Errorf("the library wrote to stderr:\n%s", stderr.String())
	}
}

func failInEveryWay(t *testing.T) {
	readings := func() otel.Readings { return otel.Readings{EventsDropped: map[string]uint64{"\xff": 1}} }
	for _, prepare := range []func(*oteltest.Collector){
		func(c *oteltest.Collector) { c.Stop() },
		func(c *oteltest.Collector) { c.Refuse(oteltest.Refusal{Items: 1, Reason: "no"}) },
		func(c *oteltest.Collector) { c.Fail(status.Error(codes.Internal, "no")) },
		func(c *oteltest.Collector) { t.Cleanup(c.Hold()) },
	} {
		c := oteltest.Start(t)
		prepare(c)
		options := soon(c)
		options.Queue, options.Timeout = 4, 20*time.Millisecond
		options.Metrics, options.Readings = true, readings
		tracer := start(t, options)
		for tracer.Stats().Points.Lost() == 0 || tracer.Stats().Spans.Lost() == 0 {
			tracer.Handle(event.Carrier{TraceParent: "\xff"}, "\xff", at, at, []otel.Match{{Backlog: "\xff"}})
		}
		_ = tracer.Shutdown(t.Context()) // an error if there is something left to lose
	}
}
