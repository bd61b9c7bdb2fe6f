// Package telemetry is how an operator sees what the program does: log lines in
// the two formats of the Rust backends, the watchdog report, Prometheus metrics
// and the HTTP server for health, readiness, metrics and profiles.
//
// Nothing here is global: loggers, registries and servers are made by whoever
// wires the program and handed to the parts. Handlers and metrics are safe for
// concurrent use; a Watchdog belongs to the goroutine that reports. The package
// knows no other package of this module and starts no goroutine of its own,
// except what a Server needs while its Run lasts.
//
// Source of the formats: spec/interfaces.md §5.3, §6, §8.2.
package telemetry
