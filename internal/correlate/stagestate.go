package correlate

import (
	"dsiem/internal/correlate/memory"
	"dsiem/internal/event"
)

// rest is the state of a stage that took more than one event or compares
// sticky_different values.
type rest struct {
	events memory.Records // empty as long as there is at most one
	// others are further events that have the id of one of events.
	others []memory.Record
	sticky *memory.Set[sticky]
}

// values returns the sticky_different values seen so far.
func (r *rest) values() []sticky {
	if r == nil || r.sticky == nil {
		return nil
	}
	return r.sticky.All()
}

// addValue adds a sticky_different value. Its text is kept.
func (r *rest) addValue(v sticky) {
	if r.sticky == nil {
		r.sticky = &memory.Set[sticky]{}
	}
	r.sticky.Add(v)
}

// record records an event for a stage. It returns the record of the first event that had
// its id, nil if that is new, so that the event counts.
func (s *store) record(b *backlog, stage int, one memory.Record) (known *memory.Record) {
	p := s.progress(b, stage)
	if !p.filled {
		p.first, p.filled = one, true
		return nil
	}
	if r := s.extra(b).rest(stage); r != nil && r.events.Len() > 0 {
		return r.events.Add(s.keys.Salt, one)
	}
	if p.first.ID == one.ID {
		return &p.first
	}
	r := s.more(b).restOf(stage)
	r.events.Add(s.keys.Salt, p.first)
	return r.events.Add(s.keys.Salt, one)
}

// records returns the events of a stage with different ids in order of recording.
// The slice must not be changed and is valid until the next is recorded.
func (s *store) records(b *backlog, stage int) []memory.Record {
	p := s.progress(b, stage)
	if !p.filled {
		return nil
	}
	if r := s.extra(b).rest(stage); r != nil && r.events.Len() > 0 {
		return r.events.All()
	}
	return []memory.Record{p.first}
}

// others returns the further events of a stage, whose ids were not new.
func (s *store) others(b *backlog, stage int) []memory.Record {
	if r := s.extra(b).rest(stage); r != nil {
		return r.others
	}
	return nil
}

// recorded returns the record of a stage that has an id, nil if there is none.
func (s *store) recorded(b *backlog, stage int, id event.IDHash) *memory.Record {
	p := s.progress(b, stage)
	if r := s.extra(b).rest(stage); r != nil && r.events.Len() > 0 {
		return r.events.Find(s.keys.Salt, id)
	}
	if p.filled && p.first.ID == id {
		return &p.first
	}
	return nil
}

// count returns the number of distinct event ids of a stage.
func (s *store) count(b *backlog, stage int) uint64 {
	if r := s.extra(b).rest(stage); r != nil && r.events.Len() > 0 {
		return uint64(r.events.Len())
	}
	if s.progress(b, stage).filled {
		return 1
	}
	return 0
}
