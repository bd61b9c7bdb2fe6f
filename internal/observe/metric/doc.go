// Package metric helps packages to declare their Prometheus metrics, each of what
// it counts itself: values that are read when Prometheus asks, all at one moment,
// and histograms that take a batch at once. It also has the metrics of the
// process, which no package counts.
//
// Nothing here is global: whoever wires the program makes the registry and hands
// it to the packages. Everything is safe for concurrent use. The package knows no
// other package of this module and starts no goroutine.
//
// Every label has a fixed set of values, whose counters exist from the start and
// show 0. Functions that register panic if a metric is registered twice with one
// registry.
package metric
