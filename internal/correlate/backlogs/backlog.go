package backlogs

import (
	"math"
	"net/netip"

	"github.com/cespare/xxhash/v2"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// Origin holds what references need of the event that created a backlog, but for
// its custom data.
type Origin struct {
	Src, Dst         memory.Address
	SrcPort, DstPort uint16
}

// inlineStages is the number of stages whose state a backlog holds itself: most
// backlogs never come further than to wait for the second.
const inlineStages = 2

// Backlog is one attack in progress: a live instance of a directive. An engine
// may hold a million of them, so fields are few and small, and none of them is a
// pointer; what most backlogs do without is in extra.
type Backlog struct {
	ID      [IDLength]byte // unless it is in extra
	Origin  Origin
	Step    int64 // of its opening
	Created int64 // first published, 0 before
	Updated int64 // last event taken
	// Deadline is the second of the clock in which the current stage began, plus its
	// timeout, without the grace (D31).
	Deadline int64
	// Latest is the largest time, in nanoseconds, of the events that counted for a
	// stage: the end of the current one when it is complete (D29).
	Latest int64
	// Stages are the first ones; see Store.Progress for all.
	Stages [inlineStages]Progress
	// Place is where the current stage's table holds the backlog.
	Place Link
	// Member is where the backlog's group holds it.
	Member  Link
	Self    Handle
	Variant int32 // its number in the engine
	// Networks is the number of the alarm's list of networks, 0 for none or if it
	// is in extra.
	Networks int32
	timer    int32 // place in the timers
	// Nanos is what the opening event's time has beyond the start of stage 1.
	Nanos   int32
	Risk    int32
	LastSrc uint16 // last non-zero source port
	LastDst uint16
	Reached uint8 // stages with any state are all before this one
	Current uint8 // place of the current stage in the plan
	Class   alarm.Class
	Shown   alarm.Class // class published last
}

// Progress is the state of one stage of a backlog.
type Progress struct {
	Start, End int64 // seconds
	// First is the only event until the rest of the stage holds all of them. Of the
	// first stage it is the one that opened the backlog.
	First  memory.Record
	Filled bool
	Status alarm.Status
}

// Progress returns the state of stage i, which the backlog has reached.
func (s *Store) Progress(b *Backlog, i int) *Progress {
	if i < inlineStages {
		return &b.Stages[i]
	}
	return &s.Extra(b).Rare.later[i-inlineStages]
}

// Reach makes sure that the state of stage i exists.
func (s *Store) Reach(b *Backlog, i int) *Progress {
	if i >= int(b.Reached) {
		b.Reached = uint8(i + 1)
		if missing := i + 1 - inlineStages; missing > 0 {
			r := s.More(b).Rarely()
			r.later = append(r.later, make([]Progress, missing-len(r.later))...)
		}
	}
	return s.Progress(b, i)
}

// Sources returns the backlog's source addresses in order of first appearance. The
// slice must not be changed and is valid until the next event.
func (s *Store) Sources(b *Backlog) []memory.Address {
	if x := s.Extra(b); x != nil && x.Src != nil {
		return x.Src.All()
	}
	return []memory.Address{b.Origin.Src}
}

// Destinations returns the backlog's destination addresses as Sources does the others.
func (s *Store) Destinations(b *Backlog) []memory.Address {
	if x := s.Extra(b); x != nil && x.Dst != nil {
		return x.Dst.All()
	}
	return []memory.Address{b.Origin.Dst}
}

// Sticky is one value of a sticky_different field: an address, a number (Lo) or a
// text, of one that is too long to be kept the hash (Hi, with Lo 1).
type Sticky struct {
	Hi, Lo uint64
	Text   string
}

// StickyOf returns an event's value of a sticky_different field.
func StickyOf(kind directive.Sticky, ev *event.Event) Sticky {
	addressOf := func(a netip.Addr) Sticky {
		v := memory.ToAddress(a)
		return Sticky{Hi: v.Hi, Lo: v.Lo}
	}
	switch kind {
	case directive.StickyPluginSID:
		return Sticky{Lo: ev.PluginSID}
	case directive.StickySrcIP:
		return addressOf(ev.SrcIP)
	case directive.StickyDstIP:
		return addressOf(ev.DstIP)
	case directive.StickySrcPort:
		return Sticky{Lo: uint64(ev.SrcPort)}
	case directive.StickyDstPort:
		return Sticky{Lo: uint64(ev.DstPort)}
	case directive.StickyCustomData1:
		return StickyText(ev.CustomData[0])
	case directive.StickyCustomData2:
		return StickyText(ev.CustomData[1])
	case directive.StickyCustomData3:
		return StickyText(ev.CustomData[2])
	case directive.NoSticky:
	}
	return Sticky{}
}

// StickyText returns a text as such a value.
func StickyText(text string) Sticky {
	if len(text) > MostText {
		return Sticky{Hi: xxhash.Sum64String(text), Lo: 1}
	}
	return Sticky{Text: text}
}

// OpenedAt returns the time of the opening event, in nanoseconds.
func (b *Backlog) OpenedAt() int64 { return memory.NanosOf(b.Stages[0].Start) + int64(b.Nanos) }

// LatestEnd returns the latest end of the finished stages before the current
// one, long ago if there is none (D29).
func (s *Store) LatestEnd(b *Backlog) int64 {
	end := int64(math.MinInt64 / 2)
	for i := range int(b.Current) {
		if p := s.Progress(b, i); p.Status == alarm.Finished {
			end = max(end, p.End)
		}
	}
	return end
}

// NextStage returns the place of the next stage, of so many, without a status, -1 if
// the current one is the last.
func (s *Store) NextStage(b *Backlog, stages int) int {
	for i := int(b.Current) + 1; i < stages; i++ {
		if i >= int(b.Reached) || s.Progress(b, i).Status == alarm.Pending {
			return i
		}
	}
	return -1
}
