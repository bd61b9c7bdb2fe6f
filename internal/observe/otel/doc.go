// Package otel sends traces and metrics to an OpenTelemetry collector, over
// OTLP/gRPC.
//
// A frontend makes a span of every event that it takes (StartEvent) and puts
// its event.Carrier into the message for the backends; a backend makes the
// next span of the same trace when it has evaluated the event (Handle). Metrics
// are the numbers of the watchdog report.
//
// A Tracer is safe for concurrent use; it owns its connection and its
// goroutines, which end with Shutdown. A nil Tracer is one that is off: all its
// methods work and cost nothing. Who calls never waits for the collector:
// finished spans go to a bounded queue, and what does not get out is dropped,
// counted (Stats) and told in at most one warning a minute.
//
// Nothing global of the OpenTelemetry library is set or used. What goes wrong
// while traces and metrics are exported comes to the logger in Options. Only
// while New runs does the library write to stderr by itself, if one of the OTEL_
// environment variables that it reads is malformed. Of those,
// OTEL_EXPORTER_OTLP_HEADERS and OTEL_RESOURCE_ATTRIBUTES are of use here; New
// fails if one that may hold a secret is malformed, so that it does not show.
//
// Source of names and types: docs/spec/interfaces.md §8.2; of the carrier: §4.3 and
// W3C Trace Context.
package otel
