package live

import (
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate"
	"dsiem/internal/event"
)

// observers tells all of them.
type observers []Observer

func (all observers) rejected(text []byte, why *event.Rejection) {
	for _, o := range all {
		o.Rejected(text, why)
	}
}

func (all observers) changed(now time.Time, changes []correlate.Change) {
	for _, o := range all {
		o.Changed(now, changes)
	}
}

func (all observers) played(p *Played) {
	for _, o := range all {
		o.Played(p)
	}
}

func (all observers) written(now time.Time, b *alarm.Batch) {
	for _, o := range all {
		o.Written(now, b)
	}
}
