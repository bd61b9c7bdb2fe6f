package resume

import (
	"cmp"
	"iter"
	"math"
	"slices"

	"dsiem/internal/event"
)

// Order tells where, among the parts of what several engines remember, those of another
// engine begin. The zero value is before the first part.
type Order struct {
	begun, ended bool
	arrival, age int64 // of what came last
}

// Begins reports whether a part, which follows those that were given before, is the first
// of an engine: what it has is not behind what those have. Engines of which that cannot be
// told are in order together.
func (o *Order) Begins(part *Remembered) bool {
	part.sort()
	begins := !o.begun ||
		len(part.Events) > 0 && (o.ended || part.Events[0].Arrival < o.arrival) ||
		len(part.Ended) > 0 && part.Ended[0].Age > o.age
	if begins {
		*o = Order{begun: true, age: math.MaxInt64, arrival: math.MinInt64}
	}
	if n := len(part.Events); n > 0 {
		o.arrival = part.Events[n-1].Arrival
	}
	if n := len(part.Ended); n > 0 {
		o.age = part.Ended[n-1].Age
	}
	o.ended = o.ended || len(part.Ended)+len(part.Latest) > 0
	return begins
}

func byArrival(a, b RememberedEvent) int { return cmp.Compare(a.Arrival, b.Arrival) }

func oldestFirst(a, b EndedEvents) int { return cmp.Compare(b.Age, a.Age) }

// sort puts a part in order, in which those of engines are.
func (r *Remembered) sort() {
	if !slices.IsSortedFunc(r.Events, byArrival) {
		slices.SortStableFunc(r.Events, byArrival)
	}
	if !slices.IsSortedFunc(r.Ended, oldestFirst) {
		slices.SortStableFunc(r.Ended, oldestFirst)
	}
}

// Merge returns parts of what several engines remember together, each of which is given
// by its own parts: all events in order of arrival, each once, for in all engines it is the
// same in everything; then what has ended, the oldest first. Of one engine the parts are as
// they are. No more than a part of each engine is held at a time; the parts of each are
// asked for twice.
func Merge(engines []iter.Seq[*Remembered]) iter.Seq[*Remembered] {
	return func(yield func(*Remembered) bool) {
		if len(engines) != 1 {
			_ = mergeEvents(engines, yield) && mergeEnded(engines, yield)
			return
		}
		for part := range engines[0] {
			if part.sort(); !yield(part) {
				return
			}
		}
	}
}

// mergedPart is the number of events in a part of several engines.
const mergedPart = 256

func mergeEvents(engines []iter.Seq[*Remembered], yield func(*Remembered) bool) bool {
	part := &Remembered{}
	var arrival int64
	together := map[event.Event]bool{} // what came in the same moment
	for one := range merged(engines, func(r *Remembered) []RememberedEvent { return r.Events }, byArrival) {
		if one.Arrival != arrival {
			arrival = one.Arrival
			clear(together)
		}
		if together[*one.Event] {
			continue
		}
		together[*one.Event] = true
		if part.Events = append(part.Events, one); len(part.Events) < mergedPart {
			continue
		}
		if !yield(part) {
			return false
		}
		part = &Remembered{}
	}
	return part.Empty() || yield(part)
}

func mergeEnded(engines []iter.Seq[*Remembered], yield func(*Remembered) bool) bool {
	latest := &Remembered{}
	ended := func(r *Remembered) []EndedEvents {
		latest.Latest = append(latest.Latest, r.Latest...)
		return r.Ended
	}
	for one := range merged(engines, ended, oldestFirst) {
		if !yield(&Remembered{Ended: []EndedEvents{one}}) {
			return false
		}
	}
	return latest.Empty() || yield(latest)
}

// merged returns what the parts of several engines have of a kind, in order; what is equal
// comes in the order of the engines.
func merged[T any](engines []iter.Seq[*Remembered], of func(*Remembered) []T, compare func(a, b T) int) iter.Seq[T] {
	return func(yield func(T) bool) {
		heads := make([]head[T], len(engines))
		for i, parts := range engines {
			next, stop := iter.Pull(each(parts, of))
			defer stop()
			heads[i].next = next
			heads[i].step()
		}
		for {
			first := -1
			for i := range heads {
				if heads[i].some && (first < 0 || compare(heads[i].one, heads[first].one) < 0) {
					first = i
				}
			}
			if first < 0 || !yield(heads[first].one) {
				return
			}
			heads[first].step()
		}
	}
}

// head is the first of what an engine has left.
type head[T any] struct {
	next func() (T, bool)
	one  T
	some bool
}

func (h *head[T]) step() { h.one, h.some = h.next() }

// each returns all of a kind that parts have.
func each[T any](parts iter.Seq[*Remembered], of func(*Remembered) []T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for part := range parts {
			part.sort()
			for _, one := range of(part) {
				if !yield(one) {
					return
				}
			}
		}
	}
}
