// Package counts has what an engine counts of the events that left no other trace, and
// a sensor for each kind of them, so that a warning can name one. Engines add up.
//
// Source of the behaviour: docs/spec/correlation.md §15, D43.
package counts

// Stats counts what an engine did with the events that some rule wanted and
// that left no other trace. All but Steps and Future are counted for each
// directive or backlog, so that counters of engines add up.
type Stats struct {
	// Steps is the number of events.
	Steps uint64
	// Future counts events that were dated a second or more ahead of their
	// arrival (D28).
	Future uint64
	// Repeated counts events swallowed because their sticky_different value
	// was not new (D1), or a lower stage of the backlog has their id (D35 a).
	Repeated uint64
	// OutOfOrder counts events swallowed because they are older than the end of
	// the stages before, by more than the tolerance (D29).
	OutOfOrder uint64
	// Outside counts events that nothing took and that opened nothing, but that a
	// backlog would have been offered if its stage had not been over for them (D32), or
	// if they were not older than its attack (D29).
	Outside uint64
	// Known counts events that opened no backlog because a live one has recorded
	// them, or one that has ended (D35).
	Known uint64
	// Evicted counts backlogs that ended before their time to make room for
	// another one (D32), and Refused the events that opened none, or that one did not
	// take, because there was no room.
	Evicted, Refused uint64
	// ForgottenIDs counts the event ids that completed stages have forgotten
	// (D37), and what else a stage remembers of events beyond its bound.
	ForgottenIDs uint64
	// LookedBack counts the events that backlogs were offered after the fact (D33).
	LookedBack uint64
	// ForgottenEarly counts the events that were not remembered as long as they should
	// have been, because there were too many (D33).
	ForgottenEarly uint64
	// Remembered is the number of events that are remembered to look back to, and
	// RememberedBytes how much memory they take.
	Remembered, RememberedBytes int
	// ForgottenEnded counts the events of ended backlogs that were forgotten before
	// their time, because there were too many (D35 b).
	ForgottenEnded uint64
	// Truncated counts the events whose address or custom data found no room in an
	// alarm, each of these by itself (D37).
	Truncated uint64
	// ForgottenHits counts findings that an alarm did not keep, because it has so many
	// (D38).
	ForgottenHits uint64
	// WithoutAsset and WithoutRisk count the backlogs that completed all stages without an
	// alarm line, because none of their addresses is in an asset, or because their risk was
	// 0 nevertheless (D43).
	WithoutAsset, WithoutRisk uint64
	// Ended is the number of events of ended backlogs that are remembered.
	Ended int
	// Live is the number of live backlogs, Active that of directives that have
	// one.
	Live, Active int
}

// Add adds the counters of another engine that saw the same events.
func (s *Stats) Add(o Stats) {
	s.Steps = max(s.Steps, o.Steps)
	s.Future = max(s.Future, o.Future)
	s.Repeated += o.Repeated
	s.OutOfOrder += o.OutOfOrder
	s.Outside += o.Outside
	s.Known += o.Known
	s.Evicted += o.Evicted
	s.Refused += o.Refused
	s.ForgottenIDs += o.ForgottenIDs
	s.ForgottenEnded += o.ForgottenEnded
	s.Truncated += o.Truncated
	s.ForgottenHits += o.ForgottenHits
	s.WithoutAsset += o.WithoutAsset
	s.WithoutRisk += o.WithoutRisk
	s.Ended += o.Ended
	s.LookedBack += o.LookedBack
	s.ForgottenEarly += o.ForgottenEarly
	s.Remembered += o.Remembered
	s.RememberedBytes += o.RememberedBytes
	s.Live += o.Live
	s.Active += o.Active
}
