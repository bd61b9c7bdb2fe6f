// Package oteltest gives tests an OpenTelemetry collector: a real OTLP/gRPC
// server on the loopback interface that keeps what it is sent, and can be
// stopped, started again, made to refuse and made to hang.
package oteltest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"dsiem/test/testkit"
)

// Collector is an OTLP/gRPC server that ends with its test.
type Collector struct {
	tb    testing.TB
	port  int // 0 before the first start
	roots *x509.CertPool
	creds credentials.TransportCredentials // nil for plain text

	server *grpc.Server
	served chan struct{} // closed when server has ended

	spans  testkit.List[Span]
	points testkit.List[Metric]

	mu      sync.Mutex // guards what follows
	headers metadata.MD
	refuse  Refusal
	fail    error
	hold    chan struct{} // nil unless requests wait
}

// Refusal is how a collector answers that does not take everything.
type Refusal struct {
	// Items is the number of spans or data points that it says it refuses, of
	// each request.
	Items int64
	// Reason is what it says.
	Reason string
}

// Start starts a collector on a free port.
func Start(tb testing.TB) *Collector {
	tb.Helper()
	return start(&Collector{tb: tb})
}

// StartTLS starts a collector that speaks TLS only, with a certificate for
// 127.0.0.1 from an authority of its own.
func StartTLS(tb testing.TB) *Collector {
	tb.Helper()
	c := &Collector{tb: tb}
	authority := testkit.NewAuthority(tb)
	c.roots = authority.Pool()
	c.creds = credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{authority.Server()}, MinVersion: tls.VersionTLS12})
	return start(c)
}

func start(c *Collector) *Collector {
	c.tb.Helper()
	c.tb.Cleanup(c.Stop)
	c.Restart()
	return c
}

// Reserve returns a collector that is not started: its endpoint is known, and
// nothing answers there until Restart.
func Reserve(tb testing.TB) *Collector {
	tb.Helper()
	c := Start(tb)
	c.Stop()
	return c
}

// Restart starts the collector on the port that it had before.
func (c *Collector) Restart() {
	c.tb.Helper()
	listener, err := c.listen()
	if err != nil {
		c.tb.Fatalf("starting a collector: %v", err)
	}
	c.port = listener.Addr().(*net.TCPAddr).Port
	var options []grpc.ServerOption
	if c.creds != nil {
		options = append(options, grpc.Creds(c.creds))
	}
	c.server, c.served = grpc.NewServer(options...), make(chan struct{})
	collectortrace.RegisterTraceServiceServer(c.server, traces{Collector: c})
	collectormetrics.RegisterMetricsServiceServer(c.server, metrics{Collector: c})
	server, served := c.server, c.served
	go func() {
		defer close(served)
		_ = server.Serve(listener) // nil after Stop; before that the test fails for want of spans
	}()
}

func (c *Collector) listen() (listener net.Listener, err error) {
	var config net.ListenConfig
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port))
	// Another process may hold the port for a moment.
	testkit.Soon(func() bool {
		listener, err = config.Listen(context.Background(), "tcp", address)
		return err == nil
	})
	return listener, err
}

// Stop ends the collector and its connections; what it was sent stays. It does
// nothing if it has ended.
func (c *Collector) Stop() {
	if c.server != nil {
		c.server.Stop()
		<-c.served
		c.server = nil
	}
}

// Endpoint returns the URL for clients.
func (c *Collector) Endpoint() string {
	scheme := "http://"
	if c.creds != nil {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port))
}

// RootCAs returns the authority that signed the certificate of StartTLS.
func (c *Collector) RootCAs() *x509.CertPool { return c.roots }

// Refuse makes the collector answer further requests so; the zero Refusal takes
// everything again. It keeps what it says it refuses.
func (c *Collector) Refuse(r Refusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = r
}

// Fail makes the collector answer further requests with an error and keep
// nothing; nil ends that.
func (c *Collector) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = err
}

// Hold makes the collector take requests and answer none until release is
// called, or the client gives up.
func (c *Collector) Hold() (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	hold := make(chan struct{})
	c.hold = hold
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		close(hold)
		c.hold = nil
	})
}

// Spans returns the spans so far, in the order in which they came.
func (c *Collector) Spans() []Span { return c.spans.All() }

// Metrics returns the data points so far, in the order in which they came.
func (c *Collector) Metrics() []Metric { return c.points.All() }

// Headers returns the metadata of the last request.
func (c *Collector) Headers() metadata.MD {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.headers.Copy()
}

// WaitForSpans waits until there are at least n spans and returns them all.
func (c *Collector) WaitForSpans(n int) []Span {
	c.tb.Helper()
	if !c.spans.Until(func(spans []Span) bool { return len(spans) >= n }) {
		c.tb.Fatalf("the collector has %d spans, want %d", len(c.Spans()), n)
	}
	return c.Spans()
}

// WaitForSpan waits for a span that is right and returns the first one.
func (c *Collector) WaitForSpan(what string, right func(Span) bool) Span {
	c.tb.Helper()
	found, ok := waitFor(&c.spans, right)
	if !ok {
		c.tb.Fatalf("the collector has no span that is %s: %v", what, c.Spans())
	}
	return found
}

// WaitForMetric waits for a data point of a metric that is right and returns the
// first one; nil accepts any.
func (c *Collector) WaitForMetric(name string, right func(Metric) bool) Metric {
	c.tb.Helper()
	found, ok := waitFor(&c.points, func(m Metric) bool { return m.Name == name && (right == nil || right(m)) })
	if !ok {
		c.tb.Fatalf("the collector has no right data point of %s: %v", name, c.Metrics())
	}
	return found
}

// waitFor waits for the first item that is right.
func waitFor[T any](list *testkit.List[T], right func(T) bool) (found T, ok bool) {
	ok = list.Until(func(items []T) bool {
		i := slices.IndexFunc(items, right)
		if i >= 0 {
			found = items[i]
		}
		return i >= 0
	})
	return found, ok
}

// answer waits if the collector is held, and then keeps what came and returns
// how to answer.
func (c *Collector) answer(ctx context.Context, keep func()) (Refusal, error) {
	c.mu.Lock()
	hold := c.hold
	c.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return Refusal{}, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers, _ = metadata.FromIncomingContext(ctx)
	if c.fail != nil {
		return Refusal{}, c.fail
	}
	keep()
	return c.refuse, nil
}
