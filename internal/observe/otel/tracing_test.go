package otel_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"dsiem/internal/event"
	"dsiem/internal/observe/otel"
	"dsiem/test/testkit/oteltest"

	"github.com/google/go-cmp/cmp"
)

// soon are options under which a test does not wait for batches to fill.
func soon(c *oteltest.Collector) otel.Options {
	return otel.Options{
		Traces: true, Endpoint: c.Endpoint(), Node: "node-1", Version: "v1.2.3", Mode: "cluster-backend",
		Every: time.Millisecond, MetricsEvery: time.Millisecond, RootCAs: c.RootCAs(),
	}
}

// start returns a Tracer that ends with its test, if the test does not end it.
func start(t testing.TB, o otel.Options) *otel.Tracer {
	t.Helper()
	tracer, err := otel.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = tracer.Shutdown(ended) // at once; what it could not send is not what the test is about
	})
	return tracer
}

// flush ends a Tracer, which must not lose anything.
func flush(t *testing.T, tracer *otel.Tracer) {
	t.Helper()
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := tracer.Stats(); s.Spans.Lost() != 0 || s.Points.Lost() != 0 {
		t.Fatalf("something got lost: %+v", s)
	}
}

// only returns the only span with a name.
func only(t *testing.T, spans []oteltest.Span, name string) oteltest.Span {
	t.Helper()
	var found []oteltest.Span
	for _, s := range spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans are %q, want one, in %v", len(found), name, spans)
	}
	return found[0]
}

var at = time.Date(2024, 1, 1, 0, 0, 0, 123456789, time.UTC)

// The check T63 of docs/spec/interfaces.md §11.
func TestT63FrontendAndBackendSpansAreLinkedThroughTheCarrier(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	options := soon(c)
	options.Node, options.Mode = "front", otel.ModeFrontend
	frontend := start(t, options)
	options.Node, options.Mode = "back", "cluster-backend"
	backend := start(t, options)

	span := frontend.StartEvent("e1", 7, at, event.Carrier{})
	backend.Handle(span.Carrier(), "e1", at.Add(time.Second), at.Add(3*time.Second), nil)
	span.End(nil)
	flush(t, frontend)
	flush(t, backend)

	spans := c.Spans()
	if len(spans) != 2 {
		t.Fatalf("%d spans, want 2: %v", len(spans), spans)
	}
	front, back := only(t, spans, "frontend handler"), only(t, spans, "backend handler")
	want := fmt.Sprintf("00-%s-%s-01", front.TraceID, front.SpanID)
	if got := span.Carrier(); got != (event.Carrier{TraceParent: want}) {
		t.Errorf("carrier %+v, want %s", got, want)
	}
	if front.ParentID != "" || back.ParentID != front.SpanID || back.TraceID != front.TraceID || back.SpanID == front.SpanID {
		t.Errorf("not linked: %+v, %+v", front, back)
	}
	if front.Kind != "producer" || back.Kind != "consumer" || front.Failed || back.Failed {
		t.Errorf("wrong kind or status: %+v, %+v", front, back)
	}
	if d := cmp.Diff(oteltest.Attributes{"conn.id": int64(7), "event.id": "e1"}, front.Attributes); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(oteltest.Attributes{"event.id": "e1"}, back.Attributes); d != "" {
		t.Error(d)
	}
	if !front.Start.Equal(at) || !front.End.After(at) {
		t.Errorf("frontend span from %v to %v", front.Start, front.End)
	}
	if !back.Start.Equal(at.Add(time.Second)) || !back.End.Equal(at.Add(3*time.Second)) {
		t.Errorf("backend span from %v to %v", back.Start, back.End)
	}
	for _, one := range []struct {
		span       oteltest.Span
		node, mode string
	}{{front, "front", "cluster-frontend"}, {back, "back", "cluster-backend"}} {
		r := one.span.Resource
		if r["service.name"] != one.node || r["service.version"] != "v1.2.3" || r["dsiem.role"] != one.mode {
			t.Errorf("resource %v, want %+v", r, one)
		}
	}
}

func TestMatchesAreSpansBelowTheDistribution(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	tracer := start(t, soon(c))
	matched := []otel.Match{{Directive: 1, Backlog: "b1"}, {Directive: 1<<64 - 1, Backlog: "b2"}}
	tracer.Handle(event.Carrier{}, "e1", at, at.Add(time.Second), matched)
	flush(t, tracer)

	spans := c.Spans()
	if len(spans) != 4 {
		t.Fatalf("%d spans, want 4: %v", len(spans), spans)
	}
	root, distribution := only(t, spans, "backend handler"), only(t, spans, "event distribution")
	if root.ParentID != "" || distribution.ParentID != root.SpanID {
		t.Errorf("not linked: %+v, %+v", root, distribution)
	}
	got := map[any]oteltest.Attributes{}
	for _, s := range spans {
		if s.TraceID != root.TraceID || !s.Start.Equal(at) || !s.End.Equal(at.Add(time.Second)) {
			t.Errorf("other trace or time: %+v", s)
		}
		if s.Name == "backlog processing" {
			got[s.Attributes["backlog.id"]] = s.Attributes
			if s.ParentID != distribution.SpanID || s.Kind != "internal" {
				t.Errorf("not below the distribution: %+v", s)
			}
		}
	}
	want := map[any]oteltest.Attributes{
		"b1": {"event.id": "e1", "directive.id": int64(1), "backlog.id": "b1"},
		"b2": {"event.id": "e1", "directive.id": "18446744073709551615", "backlog.id": "b2"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestAnEventThatWasNotDeliveredFails(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	tracer := start(t, soon(c))
	span := tracer.StartEvent("e1", 1, time.Now(), event.Carrier{})
	span.End(errors.New("no\xff servers"))
	span.End(nil) // once is enough
	tracer.StartEvent("never ended", 1, time.Now(), event.Carrier{})
	flush(t, tracer)
	got := only(t, c.Spans(), "frontend handler")
	if !got.Failed || got.Message != "no\uFFFD servers" {
		t.Errorf("got %+v", got)
	}
}

func TestAFrontendContinuesTheTraceThatAnEventCameWith(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	tracer := start(t, soon(c))
	parent := event.Carrier{
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", TraceState: "vendor=a,other=b",
	}
	span := tracer.StartEvent("e1", 1, time.Now(), parent)
	span.End(nil)
	flush(t, tracer)
	got := only(t, c.Spans(), "frontend handler")
	if got.TraceID != "0af7651916cd43dd8448eb211c80319c" || got.ParentID != "b7ad6b7169203331" || got.TraceState != parent.TraceState {
		t.Errorf("got %+v", got)
	}
	want := event.Carrier{
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-" + got.SpanID + "-01", TraceState: parent.TraceState,
	}
	if span.Carrier() != want {
		t.Errorf("carrier %+v, want %+v", span.Carrier(), want)
	}
}

func TestABadCarrierBeginsANewTrace(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	tracer := start(t, soon(c))
	bad := []string{
		"", "garbage", "\xff\x00", strings.Repeat("0", 1<<16),
		"00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
		"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
	}
	for i, parent := range bad {
		carrier := event.Carrier{TraceParent: parent, TraceState: "vendor=a"}
		tracer.StartEvent(fmt.Sprint(i), 1, at, carrier).End(nil)
		tracer.Handle(carrier, fmt.Sprint(i), at, at, nil)
	}
	flush(t, tracer)
	spans, traces := c.Spans(), map[string]bool{}
	for _, s := range spans {
		traces[s.TraceID] = true
		if s.ParentID != "" || s.TraceState != "" {
			t.Errorf("not a root: %+v", s)
		}
	}
	if len(spans) != 2*len(bad) || len(traces) != len(spans) {
		t.Errorf("%d spans in %d traces, want %d in as many", len(spans), len(traces), 2*len(bad))
	}
}

func TestABadTraceStateIsLeftOut(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	tracer := start(t, soon(c))
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, state := range []string{"no value", "a=\x00", "a=" + strings.Repeat("x", 1<<12)} {
		span := tracer.StartEvent("e1", 1, at, event.Carrier{TraceParent: parent, TraceState: state})
		span.End(nil)
		if got := span.Carrier(); got.TraceState != "" || !strings.Contains(got.TraceParent, "0af7651916cd43dd8448eb211c80319c") {
			t.Errorf("%q: carrier %+v", state, got)
		}
	}
	flush(t, tracer)
}

func TestLongAndInvalidTextsAreCutAndRepaired(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	options := soon(c)
	options.Node = "node\xff"
	tracer := start(t, options)
	tracer.Handle(event.Carrier{}, strings.Repeat("é", 1<<16), at, at, []otel.Match{{Directive: 1, Backlog: "b\xff"}})
	flush(t, tracer)
	got := only(t, c.Spans(), "backlog processing")
	want := oteltest.Attributes{"event.id": strings.Repeat("é", 128), "directive.id": int64(1), "backlog.id": "b\uFFFD"}
	if d := cmp.Diff(want, got.Attributes); d != "" {
		t.Error(d)
	}
	if got.Resource["service.name"] != "node\uFFFD" {
		t.Errorf("resource %v", got.Resource)
	}
}

func TestTimesThatGoBackMakeAnEmptySpan(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	tracer := start(t, soon(c))
	tracer.Handle(event.Carrier{}, "e1", at, at.Add(-time.Hour), nil)
	flush(t, tracer)
	if got := only(t, c.Spans(), "backend handler"); !got.Start.Equal(at) || !got.End.Equal(at) {
		t.Errorf("from %v to %v, want %v", got.Start, got.End, at)
	}
}

func TestSamplingIsDecidedWhereATraceBegins(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	options := soon(c)
	options.Node, options.SampleRatio = "none", -1
	none := start(t, options)
	options.Node, options.SampleRatio = "all", 1
	all := start(t, options)

	unsampled := none.StartEvent("e1", 1, at, event.Carrier{})
	unsampled.End(nil)
	if got := unsampled.Carrier(); !strings.HasSuffix(got.TraceParent, "-00") || len(got.TraceParent) != 55 {
		t.Errorf("carrier %+v does not say that the trace is not recorded", got)
	}
	all.Handle(unsampled.Carrier(), "e1", at, at, []otel.Match{{Directive: 1, Backlog: "b1"}})
	relayed := all.StartEvent("e1", 1, at, unsampled.Carrier())
	relayed.End(nil)
	if got := relayed.Carrier(); !strings.HasSuffix(got.TraceParent, "-00") || got.TraceParent[:35] != unsampled.Carrier().TraceParent[:35] {
		t.Errorf("carrier %+v does not pass on %+v", got, unsampled.Carrier())
	}

	sampled := all.StartEvent("e2", 1, at, event.Carrier{})
	sampled.End(nil)
	none.Handle(sampled.Carrier(), "e2", at, at, nil)
	flush(t, none)
	flush(t, all)
	for _, s := range c.Spans() {
		if s.Attributes["event.id"] != "e2" {
			t.Errorf("recorded, though its trace is not: %+v", s)
		}
	}
	if n := len(c.Spans()); n != 2 {
		t.Errorf("%d spans, want 2", n)
	}
}

func TestASampleRatioKeepsSomeTraces(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	options := soon(c)
	options.SampleRatio = 0.5
	tracer := start(t, options)
	const events = 1000
	want := 0
	for range events {
		span := tracer.StartEvent("e", 1, at, event.Carrier{})
		span.End(nil)
		if strings.HasSuffix(span.Carrier().TraceParent, "-01") {
			want++
		}
	}
	flush(t, tracer)
	if got := len(c.Spans()); got != want || got == 0 || got == events {
		t.Errorf("%d of %d spans, the carriers say %d", got, events, want)
	}
}

func TestHeadersComeFromTheEnvironment(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=sec%20ret, Other = x=y ")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment=test")
	c := oteltest.Start(t)
	tracer := start(t, soon(c))
	tracer.Handle(event.Carrier{}, "e1", at, at, nil)
	flush(t, tracer)
	got := only(t, c.Spans(), "backend handler")
	if got.Resource["service.name"] != "node-1" || got.Resource["deployment"] != "test" {
		t.Errorf("resource %v", got.Resource)
	}
	headers := c.Headers()
	if d := cmp.Diff([]string{"sec ret", "x=y"}, append(headers.Get("api-key"), headers.Get("other")...)); d != "" {
		t.Error(d)
	}
	if agent := headers.Get("user-agent"); len(agent) != 1 || !strings.HasPrefix(agent[0], "dsiem/v1.2.3 ") {
		t.Errorf("user agent %q", agent)
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	readings := func() otel.Readings { return otel.Readings{} }
	for _, c := range []struct {
		name string
		in   otel.Options
		want string
	}{
		{"no readings", otel.Options{Metrics: true}, "metrics are to be sent, but there are no readings"},
		{"ratio", otel.Options{Traces: true, SampleRatio: 1.5}, "the share of traces to send is 1.5, want 0 to 1"},
		{"scheme", otel.Options{Metrics: true, Readings: readings, Endpoint: "localhost:4317"}, `reading the OpenTelemetry endpoint: "localhost:4317" does not begin with http:// or https://`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tracer, err := otel.New(t.Context(), c.in)
			if tracer != nil || err == nil || err.Error() != c.want {
				t.Errorf("got %v, %v, want %s", tracer, err, c.want)
			}
		})
	}
}

func TestAMalformedEnvironmentIsRefusedWithoutShowingIt(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"OTEL_EXPORTER_OTLP_HEADERS", "a=b,secret", "header 2 is not name=value with a percent-encoded value"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "key=secret%zz", "header 1 is not name=value with a percent-encoded value"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "key=sec%0aret", "header 1 is not name=value with a percent-encoded value"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "key=secret\nmore", "header 1 is not name=value with a percent-encoded value"},
		{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "=secret", "header 1 is not name=value with a percent-encoded value"},
		{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "se cret=x", "header 1 is not name=value with a percent-encoded value"},
		{"OTEL_EXPORTER_OTLP_METRICS_HEADERS", "GRPC-secret=x", "header 1 is not name=value with a percent-encoded value"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://us er:secret@host", "it is no URL, and not used: unset it"},
	} {
		t.Run(c.name+" "+c.value, func(t *testing.T) {
			t.Setenv(c.name, c.value)
			tracer, err := otel.New(t.Context(), otel.Options{Traces: true})
			if want := "reading " + c.name + ": " + c.want; tracer != nil || err == nil || err.Error() != want {
				t.Errorf("got %v, %v, want %s", tracer, err, want)
			}
		})
	}
}

func TestATracerThatIsOffDoesNothing(t *testing.T) {
	t.Parallel()
	tracer, err := otel.New(t.Context(), otel.Options{Endpoint: "not looked at", SampleRatio: 7})
	if tracer != nil || err != nil {
		t.Fatalf("got %v, %v", tracer, err)
	}
	span := tracer.StartEvent("e1", 1, at, event.Carrier{TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
	span.End(errors.New("whatever"))
	tracer.Handle(event.Carrier{}, "e1", at, at, []otel.Match{{}})
	if span.Carrier() != (event.Carrier{}) || tracer.Tracing() || tracer.Stats() != (otel.Stats{}) {
		t.Errorf("not off: %+v, %+v", span, tracer.Stats())
	}
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// quietChild makes the test binary run what TestNothingIsWrittenToStderr is about.
// failInEveryWay is what the library would complain of.
var parentForm = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-0[0-3]$`)

func FuzzCarrier(f *testing.F) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	f.Add(good, "vendor=a,b=c")
	f.Add(good[:54]+"0", "")
	f.Add("01"+good[2:]+"-more", "a=b")
	f.Add("", "a=b")
	f.Add("00-é", "=\x00,")
	f.Add(good, strings.Repeat("a=b,", 200))
	c := oteltest.Start(f)
	tracer, err := otel.New(f.Context(), otel.Options{Traces: true, Endpoint: c.Endpoint()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := tracer.Shutdown(context.Background()); err != nil && tracer.Stats().Spans.Failed > 0 {
			f.Errorf("a carrier made an export fail: %v", err)
		}
	})
	f.Fuzz(func(t *testing.T, parent, state string) {
		in := event.Carrier{TraceParent: parent, TraceState: state}
		span := tracer.StartEvent("e", 1, at, in)
		tracer.Handle(in, "e", at, at, []otel.Match{{}})
		span.End(nil)
		out := span.Carrier()
		got := parentForm.FindStringSubmatch(out.TraceParent)
		if got == nil || len(out.TraceState) > 512 {
			t.Fatalf("%q, %q: invalid carrier %+v", parent, state, out)
		}
		if valid := parentForm.FindStringSubmatch(parent); valid != nil &&
			strings.Trim(valid[1], "0") != "" && strings.Trim(valid[2], "0") != "" && (got[1] != valid[1] || got[2] == valid[2]) {
			t.Fatalf("%q: carrier %+v does not continue the trace", parent, out)
		}
		again := tracer.StartEvent("e", 1, at, out)
		again.End(nil)
		if c := again.Carrier(); c.TraceParent[:35] != out.TraceParent[:35] || c.TraceState != out.TraceState {
			t.Fatalf("%+v became %+v", out, c)
		}
	})
}
