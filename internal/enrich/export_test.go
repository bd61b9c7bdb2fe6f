package enrich

import "time"

// Observed returns options whose Enricher tells f the outcome of every look-up.
func (o Options) Observed(f func(service *Service, outcome Outcome, took time.Duration)) Options {
	o.observe = f
	return o
}
