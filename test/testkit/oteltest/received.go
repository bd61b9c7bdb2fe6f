package oteltest

import (
	"context"
	"encoding/hex"
	"math"
	"strings"
	"time"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlpmetrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	otlptrace "go.opentelemetry.io/proto/otlp/trace/v1"
)

// Attributes are values by name: string, int64, float64 or bool.
type Attributes map[string]any

// Span is a span as it came.
type Span struct {
	// TraceID, SpanID and ParentID are in lower-case hexadecimal digits;
	// ParentID is "" for a root.
	TraceID, SpanID, ParentID string
	// TraceState is that of W3C Trace Context.
	TraceState string
	Name       string
	// Kind is producer, consumer, internal, server or client.
	Kind       string
	Start, End time.Time
	Attributes Attributes
	// Failed says that the span's status is an error, Message what it says.
	Failed  bool
	Message string
	// Resource is what the span's node says of itself.
	Resource Attributes
}

// Metric is a data point of a metric as it came.
type Metric struct {
	Name string
	// Counter says that it is a sum that only grows, from a start that does not
	// change. Otherwise it is a gauge.
	Counter bool
	// Value is an int64 or a float64.
	Value      any
	Attributes Attributes
	// Resource is what the metric's node says of itself.
	Resource Attributes
}

// traces is the service for spans.
type traces struct {
	collectortrace.UnimplementedTraceServiceServer
	*Collector
}

// Export keeps spans.
func (s traces) Export(ctx context.Context, r *collectortrace.ExportTraceServiceRequest) (*collectortrace.ExportTraceServiceResponse, error) {
	refusal, err := s.answer(ctx, func() {
		for _, of := range r.GetResourceSpans() {
			resource := attributes(of.GetResource().GetAttributes())
			for _, scope := range of.GetScopeSpans() {
				for _, one := range scope.GetSpans() {
					s.spans.Add(span(one, resource))
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	answer := &collectortrace.ExportTraceServiceResponse{}
	if refusal != (Refusal{}) {
		answer.PartialSuccess = &collectortrace.ExportTracePartialSuccess{
			RejectedSpans: refusal.Items, ErrorMessage: refusal.Reason,
		}
	}
	return answer, nil
}

func span(s *otlptrace.Span, resource Attributes) Span {
	return Span{
		TraceID: hex.EncodeToString(s.GetTraceId()), SpanID: hex.EncodeToString(s.GetSpanId()),
		ParentID: hex.EncodeToString(s.GetParentSpanId()), TraceState: s.GetTraceState(),
		Name: s.GetName(), Kind: strings.ToLower(strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_")),
		Start: instant(s.GetStartTimeUnixNano()), End: instant(s.GetEndTimeUnixNano()),
		Attributes: attributes(s.GetAttributes()),
		Failed:     s.GetStatus().GetCode() == otlptrace.Status_STATUS_CODE_ERROR,
		Message:    s.GetStatus().GetMessage(),
		Resource:   resource,
	}
}

// instant returns a time of OTLP, which counts nanoseconds since the Unix epoch.
func instant(nanoseconds uint64) time.Time {
	return time.Unix(0, int64(min(nanoseconds, math.MaxInt64))).UTC()
}

// metrics is the service for data points.
type metrics struct {
	collectormetrics.UnimplementedMetricsServiceServer
	*Collector
}

// Export keeps data points.
func (s metrics) Export(ctx context.Context, r *collectormetrics.ExportMetricsServiceRequest) (*collectormetrics.ExportMetricsServiceResponse, error) {
	refusal, err := s.answer(ctx, func() {
		for _, of := range r.GetResourceMetrics() {
			resource := attributes(of.GetResource().GetAttributes())
			for _, scope := range of.GetScopeMetrics() {
				for _, one := range scope.GetMetrics() {
					s.points.Add(dataPoints(one, resource)...)
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	answer := &collectormetrics.ExportMetricsServiceResponse{}
	if refusal != (Refusal{}) {
		answer.PartialSuccess = &collectormetrics.ExportMetricsPartialSuccess{
			RejectedDataPoints: refusal.Items, ErrorMessage: refusal.Reason,
		}
	}
	return answer, nil
}

// dataPoints returns the data points of a gauge or a sum.
func dataPoints(m *otlpmetrics.Metric, resource Attributes) []Metric {
	points, counter := m.GetGauge().GetDataPoints(), false
	if sum := m.GetSum(); sum != nil {
		points = sum.GetDataPoints()
		counter = sum.GetIsMonotonic() &&
			sum.GetAggregationTemporality() == otlpmetrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	}
	all := make([]Metric, len(points))
	for i, p := range points {
		all[i] = Metric{
			Name: m.GetName(), Counter: counter, Attributes: attributes(p.GetAttributes()), Resource: resource,
		}
		switch value := p.GetValue().(type) {
		case *otlpmetrics.NumberDataPoint_AsInt:
			all[i].Value = value.AsInt
		case *otlpmetrics.NumberDataPoint_AsDouble:
			all[i].Value = value.AsDouble
		}
	}
	return all
}

func attributes(all []*common.KeyValue) Attributes {
	made := Attributes{}
	for _, one := range all {
		switch value := one.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			made[one.GetKey()] = value.StringValue
		case *common.AnyValue_IntValue:
			made[one.GetKey()] = value.IntValue
		case *common.AnyValue_DoubleValue:
			made[one.GetKey()] = value.DoubleValue
		case *common.AnyValue_BoolValue:
			made[one.GetKey()] = value.BoolValue
		}
	}
	return made
}
