package enrich

import "time"

// Observed returns options whose Enricher tells f the outcome of every look-up.
func (o Options) Observed(f func(service *Service, outcome Outcome, took time.Duration)) Options {
	o.observe = f
	return o
}

// Held returns the number of lines that are held.
func (o *Outbox) Held() int { return o.held }

// Next returns the deadline of the line that waits longest, false if none does.
func (o *Outbox) Next() (time.Time, bool) {
	for _, l := range o.due {
		if !l.written {
			return l.deadline, true
		}
	}
	return time.Time{}, false
}
