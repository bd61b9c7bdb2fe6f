package resume

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"dsiem/internal/event"
)

// Remembered is what an engine remembers beside its live backlogs, or a part of that,
// as part of its saved state. Nothing in it belongs to the engine.
type Remembered struct {
	// Events are those to look back to, in order of arrival (D33).
	Events []RememberedEvent
	// Ended are the events of backlogs that have ended, the oldest end first (D35 b).
	Ended []EndedEvents
	// Latest are the directives of which events are recorded.
	Latest []LatestEvent
}

// LatestEvent tells the latest event that backlogs of a directive have recorded.
type LatestEvent struct {
	Directive uint64 `json:"directive"`
	// Sent is its time as sent, in UNIX nanoseconds.
	Sent int64 `json:"sent"`
}

// RememberedEvent is an event to look back to.
type RememberedEvent struct {
	// Arrival is when it came, in UNIX nanoseconds.
	Arrival int64
	// Event has what rules and alarms use of the event.
	Event *event.Event
}

// EndedEvents are events of backlogs of a directive that ended in the same second.
type EndedEvents struct {
	Directive uint64
	// Age is how many seconds before, by the clock.
	Age int64
	// Events are the events: their marks, and what tells the groups of the backlogs.
	Events []EndedEvent
}

// EndedEvent is an event of a backlog that has ended.
type EndedEvent struct {
	Mark  uint64
	Group uint32
	// Opener says that it opened the backlog.
	Opener bool
}

// AppendJSON appends the JSON of what is remembered.
func (r *Remembered) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"events":[`...)
	for i, one := range r.Events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, "\n"+`{"arrival":`...)
		dst = strconv.AppendInt(dst, one.Arrival, 10)
		dst = append(dst, `,"event":`...)
		dst = append(event.AppendJSON(dst, one.Event), '}')
	}
	dst = append(dst, `],"ended":[`...)
	var buf []byte
	for i, some := range r.Ended {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, "\n"+`{"directive":`...)
		dst = strconv.AppendUint(dst, some.Directive, 10)
		dst = append(dst, `,"age":`...)
		dst = strconv.AppendInt(dst, some.Age, 10)
		dst = append(dst, `,"events":"`...)
		buf = buf[:0]
		for _, one := range some.Events {
			buf = binary.LittleEndian.AppendUint64(buf, one.Mark)
			buf = append(binary.LittleEndian.AppendUint32(buf, one.Group), 0)
			if one.Opener {
				buf[len(buf)-1] = 1
			}
		}
		dst = base64.StdEncoding.AppendEncode(dst, buf)
		dst = append(dst, `"}`...)
	}
	dst = append(dst, `],"latest":[`...)
	for i, one := range r.Latest {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"directive":`...)
		dst = strconv.AppendUint(dst, one.Directive, 10)
		dst = append(dst, `,"sent":`...)
		dst = append(strconv.AppendInt(dst, one.Sent, 10), '}')
	}
	return append(dst, "]}\n"...)
}

// Empty reports whether nothing is remembered.
func (r *Remembered) Empty() bool { return len(r.Events)+len(r.Ended)+len(r.Latest) == 0 }

// Collect makes one of all parts of what engines remember: those of one engine after those
// of another.
func Collect(parts iter.Seq[*Remembered]) *Remembered {
	var engines [][]*Remembered
	var order Order
	for part := range parts {
		if order.Begins(part) {
			engines = append(engines, nil)
		}
		last := &engines[len(engines)-1]
		*last = append(*last, part)
	}
	lists := make([]iter.Seq[*Remembered], len(engines))
	for i := range engines {
		lists[i] = slices.Values(engines[i])
	}
	all := &Remembered{}
	for part := range Merge(lists) {
		all.Events = append(all.Events, part.Events...)
		all.Ended = append(all.Ended, part.Ended...)
		all.Latest = append(all.Latest, part.Latest...)
	}
	return all
}

// document is the JSON of a part of what is remembered.
type document struct {
	Events []struct {
		Arrival int64           `json:"arrival"`
		Event   json.RawMessage `json:"event"`
	} `json:"events"`
	Ended []struct {
		Directive uint64 `json:"directive"`
		Age       int64  `json:"age"`
		Events    []byte `json:"events"`
	} `json:"ended"`
	Latest []LatestEvent `json:"latest"`
}

// Parse reads the JSON of a part of what is remembered.
func Parse(data []byte) (*Remembered, error) {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("remembered events: %w", err)
	}
	r := &Remembered{Latest: d.Latest}
	for i := range d.Events {
		ev := new(event.Event)
		if rej := event.Decode(d.Events[i].Event, ev); rej != nil {
			return nil, fmt.Errorf("remembered event %d: %s", i+1, rej.Detail)
		}
		r.Events = append(r.Events, RememberedEvent{Arrival: d.Events[i].Arrival, Event: ev})
	}
	const size = 8 + 4 + 1
	for i := range d.Ended {
		x := &d.Ended[i]
		if len(x.Events)%size != 0 {
			return nil, fmt.Errorf("ended events %d: %d bytes are not a multiple of %d", i+1, len(x.Events), size)
		}
		some := EndedEvents{Directive: x.Directive, Age: x.Age}
		for ; len(x.Events) > 0; x.Events = x.Events[size:] {
			some.Events = append(some.Events, EndedEvent{
				Mark: binary.LittleEndian.Uint64(x.Events), Group: binary.LittleEndian.Uint32(x.Events[8:]),
				Opener: x.Events[size-1] != 0,
			})
		}
		r.Ended = append(r.Ended, some)
	}
	return r, nil
}
