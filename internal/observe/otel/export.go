package otel

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

const (
	// batchSize is the number of spans in one export. With the longest texts
	// and trace states it stays far below the 4 MiB that collectors take.
	batchSize = 512
	// firstRetry and maxRetry are the bounds of the time between two attempts.
	firstRetry = 500 * time.Millisecond
	maxRetry   = 5 * time.Second
)

func newSpanExporter(ctx context.Context, conn *grpc.ClientConn, o *Options) (sdktrace.SpanExporter, error) {
	return otlptrace.New(ctx, otlptracegrpc.NewClient(
		otlptracegrpc.WithGRPCConn(conn),
		otlptracegrpc.WithTimeout(o.Timeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{
			Enabled: true, InitialInterval: firstRetry, MaxInterval: maxRetry, MaxElapsedTime: o.Timeout,
		}),
	))
}

// spanPipeline makes spans, collects those that have ended in a bounded queue
// and exports them in batches. The library's batch processor does the work; its
// own queue is never full, since spanPipeline lets in no more than it holds,
// and it hears of no error, since it would tell the whole process.
type spanPipeline struct {
	tracer  trace.Tracer
	batches sdktrace.SpanProcessor
	ledger  *ledger

	// giveUp makes exports fail at once; ended is closed when there will be no
	// more of them.
	giveUp context.CancelFunc
	ended  chan struct{}

	limit int64
	// waiting is the number of spans in batches; afterShutdown when there will
	// be no more.
	waiting atomic.Int64
}

const afterShutdown = math.MaxInt64

var _ sdktrace.SpanProcessor = (*spanPipeline)(nil)

// openSpans starts a pipeline that owns the exporter. The options are complete.
func openSpans(exporter sdktrace.SpanExporter, o *Options, about *resource.Resource) *spanPipeline {
	p := &spanPipeline{
		limit: int64(o.Queue), ledger: newLedger(o.Logger.With("signal", "traces")), ended: make(chan struct{}),
	}
	life, giveUp := context.WithCancel(context.Background())
	p.giveUp = giveUp
	p.batches = sdktrace.NewBatchSpanProcessor(
		&spanExporter{next: exporter, pipeline: p, life: life, timeout: o.Timeout},
		sdktrace.WithMaxQueueSize(o.Queue),
		sdktrace.WithMaxExportBatchSize(min(batchSize, o.Queue)),
		sdktrace.WithBatchTimeout(o.Every),
	)
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(p),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(o.SampleRatio))),
		sdktrace.WithResource(about),
	)
	p.tracer = provider.Tracer(scope, trace.WithInstrumentationVersion(o.Version))
	return p
}

// OnStart does nothing.
func (*spanPipeline) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd queues a span, or counts it as dropped if there is no room.
func (p *spanPipeline) OnEnd(s sdktrace.ReadOnlySpan) {
	for {
		n := p.waiting.Load()
		if n >= p.limit {
			p.ledger.full.Add(1)
			return
		}
		if p.waiting.CompareAndSwap(n, n+1) {
			p.batches.OnEnd(s)
			return
		}
	}
}

// ForceFlush exports what waits.
func (p *spanPipeline) ForceFlush(ctx context.Context) error { return p.batches.ForceFlush(ctx) }

// Shutdown exports what waits, until ctx ends, and returns when nothing runs any
// more. What got lost is in the ledger; the error is always nil.
func (p *spanPipeline) Shutdown(ctx context.Context) error {
	defer p.giveUp()
	keep := context.AfterFunc(ctx, p.giveUp)
	defer keep()
	_ = p.batches.Shutdown(ctx) // that ctx ended, or what the exporter has to say to its own end
	<-p.ended
	if left := p.waiting.Swap(afterShutdown); left != afterShutdown {
		p.ledger.full.Add(uint64(left)) //nolint:gosec // not negative
	}
	p.ledger.close()
	return nil
}

// spanExporter is the exporter as the batch processor sees it: one that never
// fails.
type spanExporter struct {
	next     sdktrace.SpanExporter
	pipeline *spanPipeline
	life     context.Context // of the pipeline; the processor cannot hand it over
	timeout  time.Duration
}

var _ sdktrace.SpanExporter = (*spanExporter)(nil)

// ExportSpans sends spans and takes down what became of them. It has its own
// time, and ends early when the pipeline does.
func (e *spanExporter) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithTimeout(e.life, e.timeout)
	defer cancel()
	ctx, refused := withRefusal(ctx)
	err := e.next.ExportSpans(ctx, spans) //nolint:contextcheck // the processor's context ends too late
	e.pipeline.waiting.Add(-int64(len(spans)))
	e.pipeline.ledger.settle(time.Now(), len(spans), refused, err)
	return nil
}

// Shutdown is called once, after the last export.
func (e *spanExporter) Shutdown(ctx context.Context) error {
	defer close(e.pipeline.ended)
	return e.next.Shutdown(ctx)
}

// refusal is what a collector said about an export of which it did not take
// everything.
type refusal struct {
	items  int64
	reason string
}

type refusalKey struct{}

// withRefusal returns a context for an export, and where noteRefusal puts what
// it notes.
func withRefusal(ctx context.Context) (context.Context, *refusal) {
	r := &refusal{}
	return context.WithValue(ctx, refusalKey{}, r), r
}

// noteRefusal is an interceptor that takes partial success out of a collector's
// answer: the exporters would turn it into an error like that of an export which
// failed.
func noteRefusal(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	err := invoke(ctx, method, request, reply, conn, options...)
	noted, ok := ctx.Value(refusalKey{}).(*refusal)
	if !ok {
		return err
	}
	switch reply := reply.(type) {
	case *collectortrace.ExportTraceServiceResponse:
		said := reply.GetPartialSuccess()
		*noted = refusal{items: said.GetRejectedSpans(), reason: said.GetErrorMessage()}
		reply.PartialSuccess = nil
	case *collectormetrics.ExportMetricsServiceResponse:
		said := reply.GetPartialSuccess()
		*noted = refusal{items: said.GetRejectedDataPoints(), reason: said.GetErrorMessage()}
		reply.PartialSuccess = nil
	}
	return err
}
