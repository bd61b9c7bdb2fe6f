package counts

import (
	"cmp"
	"strings"
)

// Sensors names, for each kind of events that are counted in Stats because of their time,
// order or repetition, the sensor of one of them; "" is none.
type Sensors struct {
	Repeated, OutOfOrder, Outside, Known, Future, Truncated, Refused string
}

// Or returns the sensors with those of another engine where none is named.
func (s Sensors) Or(o Sensors) Sensors {
	return Sensors{
		Repeated: cmp.Or(s.Repeated, o.Repeated), OutOfOrder: cmp.Or(s.OutOfOrder, o.OutOfOrder), Outside: cmp.Or(s.Outside, o.Outside),
		Known: cmp.Or(s.Known, o.Known), Future: cmp.Or(s.Future, o.Future), Truncated: cmp.Or(s.Truncated, o.Truncated),
		Refused: cmp.Or(s.Refused, o.Refused),
	}
}

// Note notes the sensor of an event, unless one is noted already.
func Note(to *string, sensor string) {
	if *to == "" {
		*to = strings.Clone(sensor)
	}
}
