// Package telemetry is how an operator sees what the program does: log lines in
// the two formats of the Rust backends, the watchdog report, Prometheus metrics,
// the rate of events as a number and as a websocket, and the HTTP handlers for
// health, readiness, metrics, variables and profiles, with or without a server
// of their own.
//
// Nothing here is global: loggers, registries, handlers and servers are made by
// whoever wires the program and handed to the parts. Handlers and metrics are
// safe for concurrent use; a Watchdog belongs to the goroutine that reports, and
// the rate of a Meter to the one that ticks. The package knows no other package
// of this module and starts no goroutine of its own, except what a Server and
// the clients of a Feed need while they last. It asks nobody who they are.
//
// Source of the formats: spec/interfaces.md §3.6, §5.3, §6, §8.2.
package metric
