// Package metric registers the Prometheus metrics of a node and keeps their
// values, or reads them when Prometheus asks.
//
// Metrics belong to the registry they were made with and are safe for concurrent
// use. Nothing here is global or starts a goroutine, and every label has a fixed
// set of values: none comes from outside.
//
// Source of the names: spec/interfaces.md §8.2.
package metric
