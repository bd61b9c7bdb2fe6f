package otel

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/grpc"
)

// DefaultEndpoint is where traces and metrics go when Options name no other
// place (docs/spec/interfaces.md §1.3, 27).
const DefaultEndpoint = "http://localhost:4317"

// ModeFrontend is the mode of a node that correlates nothing, and therefore has
// no metrics of that.
const ModeFrontend = "cluster-frontend"

// The defaults of Options.
const (
	defaultQueue = 16384
	maxQueue     = 1 << 20
	defaultEvery = time.Second
	// metricsEvery and exportTimeout are those of the Rust backend
	// (docs/spec/interfaces.md §8.2).
	metricsEvery  = 10 * time.Second
	exportTimeout = 10 * time.Second
	// linesEvery is the time between two warnings about what was lost.
	linesEvery = time.Minute
	// scope is the name of the instrumentation.
	scope = "dsiem"
)

// Options say what to send, and where. With the zero value nothing is sent.
type Options struct {
	// Traces and Metrics turn on what is sent.
	Traces, Metrics bool
	// Endpoint is the collector's URL, http://host:port for plain text or
	// https://host:port for TLS; "" is DefaultEndpoint, and without a port it is
	// 4317.
	Endpoint string
	// Node is the name of the node and becomes service.name; "" is "dsiem".
	// Version becomes service.version, Mode (that of serve) dsiem.role, unless they
	// are "".
	Node, Version, Mode string
	// Logger is told what gets lost; nil is nobody.
	Logger *slog.Logger
	// Readings returns the current values of the metrics. It is needed with
	// Metrics. One goroutine calls it every MetricsEvery and once at the end; it
	// must not wait for anything.
	Readings func() Readings

	// SampleRatio is the share of the traces that begin in this node which are
	// sent, from 0 to 1; 0 is 1, all, and a negative one sends none. Events that
	// come with a carrier are sent if it says so.
	SampleRatio float64
	// Queue is the number of spans that may wait or be on the way; 0 is 16384,
	// about 25 MB, and at most 2^20 may.
	Queue int
	// Every is the longest that a finished span waits for others to be sent
	// with; 0 is one second. MetricsEvery is the time between two exports of
	// metrics; 0 is 10 s.
	Every, MetricsEvery time.Duration
	// Timeout is the time for one export with all its attempts; 0 is 10 s.
	Timeout time.Duration
	// RootCAs are the authorities that https trusts; nil are the system's.
	RootCAs *x509.CertPool
}

// Delivery counts what became of one kind of telemetry. The numbers only grow.
type Delivery struct {
	// Sent is what the collector took.
	Sent uint64
	// QueueFull was dropped because too much waited, or after Shutdown.
	QueueFull uint64
	// Failed was given up because the collector could not be reached in time or
	// answered with an error.
	Failed uint64
	// Refused was not taken by a collector that took the rest.
	Refused uint64
}

// Lost is what did not get to the collector.
func (d Delivery) Lost() uint64 { return d.QueueFull + d.Failed + d.Refused }

// Stats counts what became of spans and of the data points of metrics.
type Stats struct{ Spans, Points Delivery }

// Tracer sends traces and metrics. Use New; a nil Tracer sends nothing.
type Tracer struct {
	conn   *grpc.ClientConn
	spans  *spanPipeline   // nil without traces
	points *metricPipeline // nil without metrics

	stop    sync.Once
	stopped error
}

// New returns a Tracer, or nil if neither traces nor metrics are wanted: then
// it looks at no other option. It does not wait for the collector, which need
// not be there. It fails if an option makes no sense; the error never shows
// credentials. Call Shutdown at the end.
func New(ctx context.Context, o Options) (*Tracer, error) {
	if !o.Traces && !o.Metrics {
		return nil, nil //nolint:nilnil // a nil Tracer is one that is off
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	collector, err := parseEndpoint(o.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("reading the OpenTelemetry endpoint: %w", err)
	}
	if err := checkEnvironment(); err != nil {
		return nil, err
	}
	about, err := describe(ctx, &o)
	if err != nil {
		return nil, fmt.Errorf("describing the node for OpenTelemetry: %w", err)
	}
	conn, err := collector.dial(&o)
	if err != nil {
		return nil, fmt.Errorf("preparing the connection to the OpenTelemetry collector: %w", err)
	}
	o.Logger = o.Logger.With("endpoint", collector.String())
	t := &Tracer{conn: conn}
	if err := t.open(ctx, &o, about); err != nil {
		return nil, errors.Join(fmt.Errorf("preparing the export to OpenTelemetry: %w", err), t.Shutdown(ctx))
	}
	o.Logger.Info("telemetry is exported", "traces", o.Traces, "metrics", o.Metrics)
	return t, nil
}

// complete checks options and fills in defaults.
func (o *Options) complete() error {
	switch {
	case math.IsNaN(o.SampleRatio) || o.SampleRatio > 1:
		return fmt.Errorf("the share of traces to send is %v, want 0 to 1", o.SampleRatio)
	case o.Metrics && o.Readings == nil:
		return errors.New("metrics are to be sent, but there are no readings")
	}
	if o.SampleRatio == 0 {
		o.SampleRatio = 1
	}
	if o.Queue <= 0 {
		o.Queue = defaultQueue
	}
	o.Queue = min(o.Queue, maxQueue)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Every = positive(o.Every, defaultEvery)
	o.MetricsEvery = positive(o.MetricsEvery, metricsEvery)
	o.Timeout = positive(o.Timeout, exportTimeout)
	return nil
}

func positive(given, otherwise time.Duration) time.Duration {
	return cmp.Or(max(given, 0), otherwise)
}

// describe returns what all traces and metrics of the node have in common.
func describe(ctx context.Context, o *Options) (*resource.Resource, error) {
	attributes := []attribute.KeyValue{attribute.String("service.name", fit(cmp.Or(o.Node, scope)))}
	if o.Version != "" {
		attributes = append(attributes, attribute.String("service.version", fit(o.Version)))
	}
	if o.Mode != "" {
		attributes = append(attributes, attribute.String("dsiem.role", fit(o.Mode)))
	}
	return resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(attributes...))
}

// open starts what is wanted.
func (t *Tracer) open(ctx context.Context, o *Options, about *resource.Resource) error {
	if o.Traces {
		exporter, err := newSpanExporter(ctx, t.conn, o)
		if err != nil {
			return err
		}
		t.spans = openSpans(exporter, o, about)
	}
	if o.Metrics {
		exporter, err := newMetricExporter(ctx, t.conn, o)
		if err != nil {
			return err
		}
		t.points, err = openMetrics(exporter, o, about) //nolint:contextcheck // exports go on when New has returned
		return err
	}
	return nil
}

// Tracing reports whether spans are made.
func (t *Tracer) Tracing() bool { return t != nil && t.spans != nil }

// Stats returns what became of spans and data points so far.
func (t *Tracer) Stats() Stats {
	var s Stats
	if t != nil && t.spans != nil {
		s.Spans = t.spans.ledger.delivery()
	}
	if t != nil && t.points != nil {
		s.Points = t.points.ledger.delivery()
	}
	return s
}

// Shutdown sends what waits and the last metrics, gives up when ctx ends, and
// closes the connection. It returns an error if something did not get out. All
// goroutines of the Tracer have ended then. Spans that end later are dropped
// and counted. Further calls wait for the first one and return the same.
func (t *Tracer) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	t.stop.Do(func() { t.stopped = t.shutdown(ctx) })
	return t.stopped
}

func (t *Tracer) shutdown(ctx context.Context) error {
	before := t.Stats()
	// At the same time, so that a collector that does not answer to one of them
	// does not take the time of the other.
	var done sync.WaitGroup
	if t.spans != nil {
		done.Go(func() { _ = t.spans.Shutdown(ctx) })
	}
	if t.points != nil {
		done.Go(func() { t.points.shutdown(ctx) })
	}
	done.Wait()
	var errs []error
	after := t.Stats()
	if lost := after.Spans.Lost() - before.Spans.Lost(); lost > 0 {
		errs = append(errs, fmt.Errorf("flushing traces: %d spans lost", lost))
	}
	if lost := after.Points.Lost() - before.Points.Lost(); lost > 0 {
		errs = append(errs, fmt.Errorf("flushing metrics: %d data points lost", lost))
	}
	if err := t.conn.Close(); err != nil {
		errs = append(errs, fmt.Errorf("closing the connection to the OpenTelemetry collector: %w", err))
	}
	return errors.Join(errs...)
}
