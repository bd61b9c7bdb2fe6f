package backlogs

import (
	"dsiem/internal/correlate/memory"
	"dsiem/internal/event"
)

// Rest is the state of a stage that took more than one event or compares
// sticky_different values.
type Rest struct {
	Events memory.Records // empty as long as there is at most one
	// Others are further events that have the id of one of events.
	Others []memory.Record
	Sticky *memory.Set[Sticky]
}

// Values returns the sticky_different values seen so far.
func (r *Rest) Values() []Sticky {
	if r == nil || r.Sticky == nil {
		return nil
	}
	return r.Sticky.All()
}

// addValue adds a sticky_different value and reports whether it was new.
func (r *Rest) addValue(v Sticky) bool {
	if r.Sticky == nil {
		r.Sticky = &memory.Set[Sticky]{}
	}
	return r.Sticky.Add(v)
}

// Record records an event for a stage. It returns the record of the first event that had
// its id, nil if that is new, so that the event counts.
func (s *Store) Record(b *Backlog, stage int, one memory.Record) (known *memory.Record) {
	p := s.Progress(b, stage)
	if !p.Filled {
		p.First, p.Filled = one, true
		return nil
	}
	x := s.Extra(b)
	r := x.Rest(stage)
	if r == nil || r.Events.Len() == 0 {
		if p.First.ID == one.ID {
			return &p.First
		}
		x = s.More(b)
		r = x.RestOf(stage)
		r.Events.Add(s.Keys.Salt, p.First)
		s.chargeTo(b, x, 2*recordBytes)
	}
	if known = r.Events.Add(s.Keys.Salt, one); known == nil && r.Events.Len()%chargedTogether == 0 {
		s.chargeTo(b, x, chargedTogether*recordBytes)
	}
	return known
}

// Records returns the events of a stage with different ids in order of recording.
// The slice must not be changed and is valid until the next is recorded.
func (s *Store) Records(b *Backlog, stage int) []memory.Record {
	p := s.Progress(b, stage)
	if !p.Filled {
		return nil
	}
	if r := s.Extra(b).Rest(stage); r != nil && r.Events.Len() > 0 {
		return r.Events.All()
	}
	return []memory.Record{p.First}
}

// Others returns the further events of a stage, whose ids were not new.
func (s *Store) Others(b *Backlog, stage int) []memory.Record {
	if r := s.Extra(b).Rest(stage); r != nil {
		return r.Others
	}
	return nil
}

// Recorded returns the record of a stage that has an id, nil if there is none.
func (s *Store) Recorded(b *Backlog, stage int, id event.IDHash) *memory.Record {
	p := s.Progress(b, stage)
	if r := s.Extra(b).Rest(stage); r != nil && r.Events.Len() > 0 {
		return r.Events.Find(s.Keys.Salt, id)
	}
	if p.Filled && p.First.ID == id {
		return &p.First
	}
	return nil
}

// Count returns the number of distinct event ids of a stage.
func (s *Store) Count(b *Backlog, stage int) uint64 {
	if r := s.Extra(b).Rest(stage); r != nil && r.Events.Len() > 0 {
		return uint64(r.Events.Len())
	}
	if s.Progress(b, stage).Filled {
		return 1
	}
	return 0
}
