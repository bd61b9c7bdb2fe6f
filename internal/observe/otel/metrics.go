package otel

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/grpc"
)

// Readings are the values of the metrics at a moment. Those of the first group
// are what a watchdog report says (docs/spec/interfaces.md §5.3, §8.2), those of the
// second are counted since the start.
type Readings struct {
	// EPS is the mean of events per second since the start.
	EPS float64
	// AvgProcTimeMS is the mean time for one event, in milliseconds.
	AvgProcTimeMS float64
	// QueueLength is the number of events that wait.
	QueueLength int
	// Directives are the loaded directives, ActiveDirectives those of them that
	// have backlogs, Backlogs the live backlogs.
	Directives, ActiveDirectives, Backlogs int
	// EventsReceived, EventsMatched and BacklogsTimedOut count since the
	// previous readings.
	EventsReceived, EventsMatched, BacklogsTimedOut uint64

	// EventsDropped are the events that were lost, by reason. A reason should be
	// there from the first readings on, even with 0.
	EventsDropped map[string]uint64
	// AlarmsWritten are the alarm lines handed to the alarm file.
	AlarmsWritten uint64
}

// floatGauge and intGauge are metrics and where their values are.
type floatGauge struct {
	name, help  string
	correlation bool // not in a frontend
	value       func(*Readings) float64
}

type intGauge struct {
	name, help  string
	correlation bool
	value       func(*Readings) int64
}

// floatGauges and intGauges return the gauges of docs/spec/interfaces.md §8.2. None
// has a unit, which collectors would append to its name.
func floatGauges() []floatGauge {
	return []floatGauge{
		{"dsiem_eps", "Mean of events per second since the start.", false, func(r *Readings) float64 { return r.EPS }},
		{
			"dsiem_avg_proc_time_ms", "Mean time for one event, in milliseconds.", true,
			func(r *Readings) float64 { return r.AvgProcTimeMS },
		},
	}
}

func intGauges() []intGauge {
	return []intGauge{
		{"dsiem_queue_length", "Events that wait.", false, func(r *Readings) int64 { return int64(r.QueueLength) }},
		{"dsiem_directives_ttl", "Loaded directives.", true, func(r *Readings) int64 { return int64(r.Directives) }},
		{
			"dsiem_directives_active", "Directives that have backlogs.", true,
			func(r *Readings) int64 { return int64(r.ActiveDirectives) },
		},
		{
			"dsiem_events_rcvd", "Events received since the previous export.", false,
			func(r *Readings) int64 { return signed(r.EventsReceived) },
		},
		{
			"dsiem_events_matched", "Events that a backlog took since the previous export.", true,
			func(r *Readings) int64 { return signed(r.EventsMatched) },
		},
		{"dsiem_backlogs", "Live backlogs.", true, func(r *Readings) int64 { return int64(r.Backlogs) }},
		{
			"dsiem_backlogs_timedout", "Backlogs that did not answer in time, since the previous export.", true,
			func(r *Readings) int64 { return signed(r.BacklogsTimedOut) },
		},
	}
}

// signed returns a count as OTLP has it.
func signed(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// observe records values in one collection.
type observe func(metric.Observer, *Readings)

// instruments makes the metrics of a node and returns them, and how to observe
// them.
func instruments(m metric.Meter, mode string) ([]metric.Observable, []observe, error) {
	var all []metric.Observable
	var observes []observe
	for _, g := range floatGauges() {
		if g.correlation && mode == ModeFrontend {
			continue
		}
		i, err := m.Float64ObservableGauge(g.name, metric.WithDescription(g.help))
		if err != nil {
			return nil, nil, fmt.Errorf("making metric %s: %w", g.name, err)
		}
		all = append(all, i)
		observes = append(observes, func(o metric.Observer, r *Readings) { o.ObserveFloat64(i, g.value(r)) })
	}
	for _, g := range intGauges() {
		if g.correlation && mode == ModeFrontend {
			continue
		}
		i, err := m.Int64ObservableGauge(g.name, metric.WithDescription(g.help))
		if err != nil {
			return nil, nil, fmt.Errorf("making metric %s: %w", g.name, err)
		}
		all = append(all, i)
		observes = append(observes, func(o metric.Observer, r *Readings) { o.ObserveInt64(i, g.value(r)) })
	}
	counters, observeCounters, err := counters(m, mode)
	return append(all, counters...), append(observes, observeCounters), err
}

// counters makes what counts since the start.
func counters(m metric.Meter, mode string) ([]metric.Observable, observe, error) {
	const droppedName, alarmsName = "dsiem_events_dropped_total", "dsiem_alarms_written_total"
	dropped, err := m.Int64ObservableCounter(droppedName, metric.WithDescription("Events that were lost, by reason."))
	if err != nil {
		return nil, nil, fmt.Errorf("making metric %s: %w", droppedName, err)
	}
	observeDropped := func(o metric.Observer, r *Readings) {
		for _, reason := range slices.Sorted(maps.Keys(r.EventsDropped)) {
			o.ObserveInt64(dropped, signed(r.EventsDropped[reason]),
				metric.WithAttributes(attribute.String("reason", fit(reason))))
		}
	}
	if mode == ModeFrontend {
		return []metric.Observable{dropped}, observeDropped, nil
	}
	alarms, err := m.Int64ObservableCounter(alarmsName, metric.WithDescription("Alarm lines written."))
	if err != nil {
		return nil, nil, fmt.Errorf("making metric %s: %w", alarmsName, err)
	}
	return []metric.Observable{dropped, alarms}, func(o metric.Observer, r *Readings) {
		observeDropped(o, r)
		o.ObserveInt64(alarms, signed(r.AlarmsWritten))
	}, nil
}

func newMetricExporter(ctx context.Context, conn *grpc.ClientConn, o *Options) (sdkmetric.Exporter, error) {
	return otlpmetricgrpc.New(ctx,
		otlpmetricgrpc.WithGRPCConn(conn),
		otlpmetricgrpc.WithTimeout(o.Timeout),
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{
			Enabled: true, InitialInterval: firstRetry, MaxInterval: maxRetry, MaxElapsedTime: o.Timeout,
		}),
		otlpmetricgrpc.WithTemporalitySelector(sdkmetric.DefaultTemporalitySelector),
		otlpmetricgrpc.WithAggregationSelector(sdkmetric.DefaultAggregationSelector),
	)
}

// metricPipeline takes readings and exports them at regular times. It does so
// itself, with the library's manual reader: the periodic one tells the whole
// process what goes wrong.
type metricPipeline struct {
	reader   *sdkmetric.ManualReader
	exporter sdkmetric.Exporter
	ledger   *ledger
	timeout  time.Duration

	life   context.Context    // of exports
	giveUp context.CancelFunc // makes exports fail at once
	stop   chan struct{}      // closed to end run
	ended  chan struct{}      // closed when run has ended
}

// openMetrics starts a pipeline that owns the exporter. The options are
// complete.
func openMetrics(exporter sdkmetric.Exporter, o *Options, about *resource.Resource) (*metricPipeline, error) {
	p := &metricPipeline{
		reader: sdkmetric.NewManualReader(), exporter: exporter,
		ledger: newLedger(o.Logger.With("signal", "metrics")), timeout: o.Timeout,
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(p.reader), sdkmetric.WithResource(about))
	meter := provider.Meter(scope, metric.WithInstrumentationVersion(o.Version))
	all, observes, err := instruments(meter, o.Mode)
	if err != nil {
		return nil, err
	}
	if _, err := meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		r := o.Readings()
		for _, observe := range observes {
			observe(to, &r)
		}
		return nil
	}, all...); err != nil {
		return nil, fmt.Errorf("making metrics: %w", err)
	}
	p.life, p.giveUp = context.WithCancel(context.Background())
	go p.run(o.MetricsEvery)
	return p, nil
}

// run exports readings until the pipeline is stopped, and then the last ones.
func (p *metricPipeline) run(every time.Duration) {
	defer close(p.ended)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.export()
		case <-p.stop:
			p.export()
			return
		}
	}
}

// export takes readings, sends them and takes down what became of them.
func (p *metricPipeline) export() {
	ctx, cancel := context.WithTimeout(p.life, p.timeout)
	defer cancel()
	ctx, refused := withRefusal(ctx)
	var values metricdata.ResourceMetrics
	// The time is for the collector, and readings never wait.
	err := p.reader.Collect(context.WithoutCancel(ctx), &values)
	if err == nil {
		err = p.exporter.Export(ctx, &values)
	}
	p.ledger.settle(time.Now(), points(&values), refused, err)
}

// shutdown exports the last readings, until ctx ends, and returns when nothing
// runs any more. What got lost is in the ledger.
func (p *metricPipeline) shutdown(ctx context.Context) {
	defer p.giveUp()
	keep := context.AfterFunc(ctx, p.giveUp)
	defer keep()
	close(p.stop)
	<-p.ended
	// Neither holds anything now; what they have to say is that ctx ended.
	_ = p.reader.Shutdown(ctx)
	_ = p.exporter.Shutdown(ctx)
	p.ledger.close()
}

// points returns the number of data points.
func points(rm *metricdata.ResourceMetrics) int {
	n := 0
	for _, s := range rm.ScopeMetrics {
		for _, m := range s.Metrics {
			switch values := m.Data.(type) {
			case metricdata.Gauge[int64]:
				n += len(values.DataPoints)
			case metricdata.Gauge[float64]:
				n += len(values.DataPoints)
			case metricdata.Sum[int64]:
				n += len(values.DataPoints)
			}
		}
	}
	return n
}
