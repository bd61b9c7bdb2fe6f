package otel

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"pgregory.net/rapid"

	"dsiem/internal/event"
	"dsiem/internal/text"
)

// fakeExporter does with spans what export says. It ends when the pipeline's
// time is over, if export does not.
type fakeExporter struct {
	export func(ctx context.Context, spans int) error
	ended  bool
}

func (f *fakeExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	return f.export(ctx, len(spans))
}

func (f *fakeExporter) Shutdown(context.Context) error {
	f.ended = true
	return errors.New("nobody hears this")
}

// fakeTracer returns a Tracer whose spans go to a function.
func fakeTracer(tb testing.TB, o Options, export func(ctx context.Context, spans int) error) (*Tracer, *fakeExporter) {
	tb.Helper()
	if err := o.complete(); err != nil {
		tb.Fatal(err)
	}
	e, err := parseEndpoint("")
	if err != nil {
		tb.Fatal(err)
	}
	conn, err := e.dial(&o) // nobody uses it
	if err != nil {
		tb.Fatal(err)
	}
	exporter := &fakeExporter{export: export}
	return &Tracer{conn: conn, spans: openSpans(exporter, &o, resource.Empty())}, exporter
}

// hang is an export that never ends by itself.
func hang(ctx context.Context, _ int) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestCallersNeverWaitForAnExport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		tracer, _ := fakeTracer(t, Options{Queue: 8, Logger: lines(&out)}, hang)
		const calls = 1000
		begun := time.Now()
		for range calls {
			tracer.Handle(event.Carrier{}, "e", begun, begun, nil)
		}
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("the calls took %v", waited)
		}
		if got := tracer.Stats().Spans; got != (Delivery{QueueFull: calls - 8}) {
			t.Errorf("got %+v", got)
		}
		<-time.After(time.Second + 10*time.Second) // virtual: one export and its time
		synctest.Wait()
		if got := tracer.Stats().Spans; got != (Delivery{QueueFull: calls - 8, Failed: 8}) {
			t.Errorf("got %+v", got)
		}
		if err := tracer.Shutdown(t.Context()); err != nil {
			t.Errorf("nothing was left to lose: %v", err)
		}
		want := "level=WARN msg=\"telemetry lost\" signal=traces lost=1000 reason=\"context deadline exceeded\"" +
			" queue_full_total=992 failed_total=8 refused_total=0\n"
		if d := cmp.Diff(want, out.String()); d != "" {
			t.Error(d)
		}
	})
}

func TestShutdownGivesUpWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tracer, exporter := fakeTracer(t, Options{}, hang)
		const calls = 3*batchSize + 1
		for range calls {
			tracer.Handle(event.Carrier{}, "e", time.Now(), time.Now(), nil)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		begun := time.Now()
		err := tracer.Shutdown(ctx)
		if err == nil || err.Error() != "flushing traces: 1537 spans lost" {
			t.Errorf("got error %v", err)
		}
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("took %v", took)
		}
		if got := tracer.Stats().Spans; got != (Delivery{Failed: calls}) || !exporter.ended {
			t.Errorf("got %+v, exporter ended: %v", got, exporter.ended)
		}
	})
}

func TestASpanWaitsNoLongerThanAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var exported []time.Time
		tracer, _ := fakeTracer(t, Options{Every: 3 * time.Second}, func(context.Context, int) error {
			exported = append(exported, time.Now())
			return nil
		})
		begun := time.Now()
		tracer.Handle(event.Carrier{}, "e", begun, begun, nil)
		<-time.After(time.Minute) // virtual
		if err := tracer.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if len(exported) != 1 || exported[0].Sub(begun) != 3*time.Second {
			t.Errorf("begun at %v, exported at %v", begun, exported)
		}
	})
}

func TestEverySpanIsAccountedFor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		queue := rapid.IntRange(1, 64).Draw(rt, "queue")
		fates := rapid.SliceOfN(rapid.SampledFrom([]string{"sent", "failed", "slow"}), 1, 8).Draw(rt, "fates")
		callers := rapid.IntRange(1, 4).Draw(rt, "callers")
		each := rapid.IntRange(0, 200).Draw(rt, "spans of each")
		early := rapid.Bool().Draw(rt, "Shutdown while there are calls")
		n := 0
		tracer, _ := fakeTracer(t, Options{Queue: queue, Every: time.Microsecond}, func(ctx context.Context, _ int) error {
			n++
			switch fates[n%len(fates)] {
			case "failed":
				return errors.New("no")
			case "slow":
				ctx, cancel := context.WithTimeout(ctx, 10*time.Microsecond)
				defer cancel()
				return hang(ctx, 0)
			}
			return nil
		})
		var calls sync.WaitGroup
		for range callers {
			calls.Go(func() {
				for range each {
					tracer.StartEvent("e", 1, time.Time{}, event.Carrier{}).End(nil)
				}
			})
		}
		if !early {
			calls.Wait()
		}
		_ = tracer.Shutdown(t.Context()) // says what the statistics say
		calls.Wait()
		got := tracer.Stats().Spans
		if total := got.Sent + got.Lost(); total != uint64(callers*each) {
			rt.Fatalf("%d spans are accounted for, want %d: %+v", total, callers*each, got)
		}
	})
}

// fakeMetricExporter does with metrics what export says.
type fakeMetricExporter struct {
	sdkmetric.Exporter
	export func(ctx context.Context) error
	ended  bool
}

func (f *fakeMetricExporter) Export(ctx context.Context, _ *metricdata.ResourceMetrics) error {
	return f.export(ctx)
}

func (f *fakeMetricExporter) Shutdown(context.Context) error {
	f.ended = true
	return errors.New("nobody hears this")
}

func openFakeMetrics(t *testing.T, exporter *fakeMetricExporter) *metricPipeline {
	t.Helper()
	o := Options{Metrics: true, Mode: ModeFrontend, Readings: func() Readings { return Readings{} }}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	p, err := openMetrics(exporter, &o, resource.Empty())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// frontendPoints is the number of data points of a frontend that has dropped
// nothing.
const frontendPoints = 3

func TestMetricsAreExportedEveryTenSecondsAndAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var exported []time.Duration
		exporter := &fakeMetricExporter{export: func(context.Context) error {
			exported = append(exported, time.Since(begun))
			return nil
		}}
		p := openFakeMetrics(t, exporter)
		<-time.After(25 * time.Second) // virtual
		p.shutdown(t.Context())
		want := []time.Duration{10 * time.Second, 20 * time.Second, 25 * time.Second}
		if d := cmp.Diff(want, exported); d != "" {
			t.Error(d)
		}
		if got := p.ledger.delivery(); got != (Delivery{Sent: 3 * frontendPoints}) || !exporter.ended {
			t.Errorf("got %+v, exporter ended: %v", got, exporter.ended)
		}
	})
}

func TestAnExportOfMetricsEndsWithItsTimeOrThePipeline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := openFakeMetrics(t, &fakeMetricExporter{export: func(ctx context.Context) error { return hang(ctx, 0) }})
		<-time.After(21 * time.Second) // virtual: the first is over, the second under way
		synctest.Wait()
		if got := p.ledger.delivery(); got != (Delivery{Failed: frontendPoints}) {
			t.Errorf("got %+v", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		p.shutdown(ctx)
		if took := time.Since(begun); took != time.Second {
			t.Errorf("took %v", took)
		}
		if got := p.ledger.delivery(); got != (Delivery{Failed: 3 * frontendPoints}) {
			t.Errorf("got %+v", got)
		}
	})
}

func lines(out *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

func TestLossesAreToldAtMostOnceAMinute(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := newLedger(lines(&out))
	failed := errors.New("connection refused")
	none := &refusal{}
	now := time.Unix(0, 0)
	after := func(d time.Duration) time.Time {
		now = now.Add(d)
		return now
	}
	told := func(want string) {
		t.Helper()
		if d := cmp.Diff(want, out.String()); d != "" {
			t.Error(d)
		}
		out.Reset()
	}
	l.settle(now, 5, none, nil)
	told("")
	l.settle(after(time.Second), 5, none, failed)
	told("level=WARN msg=\"telemetry lost\" lost=5 reason=\"connection refused\" queue_full_total=0 failed_total=5 refused_total=0\n")
	l.full.Add(7)
	l.settle(after(time.Minute-1), 5, none, failed)
	told("")
	l.settle(after(1), 5, none, failed)
	told("level=WARN msg=\"telemetry lost\" lost=17 reason=\"connection refused\" queue_full_total=7 failed_total=15 refused_total=0\n")
	l.full.Add(1)
	l.settle(after(time.Second), 5, none, nil)
	told("level=INFO msg=\"telemetry is exported again\" lost_meanwhile=1\n")
	l.settle(after(time.Second), 5, none, nil)
	l.full.Add(2)
	l.settle(after(time.Second), 5, none, nil)
	told("")
	l.settle(after(time.Hour), 5, none, nil)
	told("level=WARN msg=\"telemetry lost\" lost=2 reason=\"too much waits\" queue_full_total=10 failed_total=15 refused_total=0\n")
	l.settle(after(time.Hour), 5, &refusal{items: 3, reason: "too old"}, nil)
	told("level=WARN msg=\"telemetry lost\" lost=3 reason=\"too old\" queue_full_total=10 failed_total=15 refused_total=3\n")
	l.settle(after(time.Hour), 5, &refusal{items: 1}, nil)
	told("level=WARN msg=\"telemetry lost\" lost=1 reason=\"the collector refuses them\" queue_full_total=10 failed_total=15 refused_total=4\n")
	l.settle(after(time.Second), 5, none, failed)
	told("")
	l.close()
	told("level=WARN msg=\"telemetry lost\" lost=5 reason=\"connection refused\" queue_full_total=10 failed_total=20 refused_total=4\n")
	l.close()
	told("")
	want := Delivery{Sent: 7*5 - 4, QueueFull: 10, Failed: 20, Refused: 4}
	if got := l.delivery(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseEndpoint(t *testing.T) {
	t.Parallel()
	const want = "want http://host:port or https://host:port"
	for _, c := range []struct {
		in, out, err string
	}{
		{in: "", out: "http://localhost:4317"},
		{in: "http://collector:4317", out: "http://collector:4317"},
		{in: "HTTP://collector:1/", out: "http://collector:1"},
		{in: "https://collector", out: "https://collector:4317"},
		{in: "https://[::1]:65535", out: "https://[::1]:65535"},
		{in: "http://unix:4317", out: "http://unix:4317"},
		{in: "collector:4317", err: `"collector:4317" does not begin with http:// or https://`},
		{in: "grpc://collector:4317", err: `"grpc://collector:4317" does not begin with http:// or https://`},
		{in: "http:collector", err: `"http:collector" does not begin with http:// or https://`},
		{in: strings.Repeat("x", 100), err: `"` + strings.Repeat("x", 64) + `…" does not begin with http:// or https://`},
		{in: "x" + strings.Repeat("é", 100), err: `"x` + strings.Repeat("é", 31) + `…" does not begin with http:// or https://`},
		{in: "http://", err: "no host, " + want},
		{in: "http://:4317", err: "no host, " + want},
		{in: "http://collector:0", err: "port 0 is not in 1 to 65535"},
		{in: "http://collector:65536", err: "port 65536 is not in 1 to 65535"},
		{in: "http://collector:x", err: `invalid port ":x" after host, ` + want},
		{in: "http://collector:4317/v1/traces", err: "something follows the port, " + want},
		{in: "http://collector:4317?key=1", err: "something follows the port, " + want},
		{in: "http://collector:4317?", err: "something follows the port, " + want},
		{in: "http://user:secret@collector:4317", err: "user name and password are not supported, " + want},
		{in: "http://us er:sec/ret@collector:4317", err: "user name and password are not supported, " + want},
		{in: "http://coll ector", err: `invalid character " " in host name, ` + want},
		{in: "http://a\x00", err: "net/url: invalid control character in URL, " + want},
	} {
		got, err := parseEndpoint(c.in)
		switch {
		case err == nil && (c.err != "" || got.String() != c.out):
			t.Errorf("%q: got %s, want %s %s", c.in, got, c.out, c.err)
		case err != nil && err.Error() != c.err:
			t.Errorf("%q: got error %s, want %s", c.in, err, c.err)
		}
	}
}

func TestTextsAreCutAndValid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		most int
		want string
	}{
		{"", 3, ""},
		{"abc", 3, "abc"},
		{"abcd", 3, "abc"},
		{"aéé", 4, "aé"},
		{"aéé", 3, "aé"},
		{"aéé", 2, "a"},
		{"𝄞𝄞", 7, "𝄞"},
		{"𝄞", 3, ""},
		{"a\xff\xfeb", 4, "a\uFFFDb"},
		{"\x80\x80\x80\x80\x80\x80", 5, "\uFFFD"},
		{"\x80\x80", 1, ""},
	} {
		if got := valid(text.Start(c.in, c.most)); got != c.want {
			t.Errorf("the start of %q, %d bytes, is %q, want %q", c.in, c.most, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOf(rapid.Byte()).Draw(t, "text"))
		most := rapid.IntRange(1, 32).Draw(t, "most")
		got := valid(text.Start(in, most))
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > most {
			t.Fatalf("got %q", got)
		}
		if utf8.ValidString(in) && (!strings.HasPrefix(in, got) || len(in) <= most && got != in) {
			t.Fatalf("got %q", got)
		}
	})
}

func TestATracerThatIsOffAllocatesNothing(t *testing.T) {
	var off *Tracer
	matched := []Match{{Directive: 1, Backlog: "b1"}}
	carrier := event.Carrier{TraceParent: sampledParent}
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() {
		span := off.StartEvent("e1", 1, now, carrier)
		carrier = span.Carrier()
		span.End(nil)
		off.Handle(carrier, "e1", now, now, matched)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

const (
	sampledParent   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	unsampledParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

func benchmarkTracers(b *testing.B, run func(t *Tracer, c event.Carrier)) {
	on, _ := fakeTracer(b, Options{}, func(context.Context, int) error { return nil })
	b.Cleanup(func() { _ = on.Shutdown(context.Background()) })
	for _, c := range []struct {
		name    string
		tracer  *Tracer
		carrier event.Carrier
	}{
		{"off", nil, event.Carrier{}},
		{"on", on, event.Carrier{}},
		{"sampled", on, event.Carrier{TraceParent: sampledParent}},
		{"state", on, event.Carrier{TraceParent: sampledParent, TraceState: "vendor=a,other=b"}},
		{"unsampled", on, event.Carrier{TraceParent: unsampledParent}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				run(c.tracer, c.carrier)
			}
		})
	}
}

func BenchmarkStartEvent(b *testing.B) {
	now := time.Now()
	benchmarkTracers(b, func(t *Tracer, c event.Carrier) { t.StartEvent("0123456789abcdef", 1, now, c).End(nil) })
}

func BenchmarkHandle(b *testing.B) {
	now := time.Now()
	benchmarkTracers(b, func(t *Tracer, c event.Carrier) { t.Handle(c, "0123456789abcdef", now, now, nil) })
}

func BenchmarkHandleMatched(b *testing.B) {
	now := time.Now()
	matched := []Match{{Directive: 1, Backlog: "0123456789abcdef"}}
	benchmarkTracers(b, func(t *Tracer, c event.Carrier) { t.Handle(c, "0123456789abcdef", now, now, matched) })
}
