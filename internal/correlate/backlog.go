package correlate

import (
	"math"
	"net/netip"

	"github.com/cespare/xxhash/v2"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// origin holds what references need of the event that created a backlog, but for
// its custom data.
type origin struct {
	src, dst         memory.Address
	srcPort, dstPort uint16
}

// inlineStages is the number of stages whose state a backlog holds itself: most
// backlogs never come further than to wait for the second.
const inlineStages = 2

// backlog is one attack in progress: a live instance of a directive. An engine
// may hold a million of them, so fields are few and small, and none of them is a
// pointer; what most backlogs do without is in extra.
type backlog struct {
	id      [idLength]byte // unless it is in extra
	origin  origin
	step    int64 // of its opening
	created int64 // first published, 0 before
	updated int64 // last event taken
	// deadline is the second of the clock in which the current stage began, plus its
	// timeout, without the grace (D31).
	deadline int64
	// latest is the largest time, in nanoseconds, of the events that counted for a
	// stage: the end of the current one when it is complete (D29).
	latest int64
	// stages are the first ones; see Store.Progress for all.
	stages [inlineStages]progress
	// place is where the current stage's table holds the backlog.
	place link
	// member is where the backlog's group holds it.
	member  link
	self    handle
	variant int32 // its number in the engine
	// networks is the number of the alarm's list of networks, 0 for none or if it
	// is in extra.
	networks int32
	timer    int32 // place in the timers
	// nanos is what the opening event's time has beyond the start of stage 1.
	nanos   int32
	risk    int32
	lastSrc uint16 // last non-zero source port
	lastDst uint16
	reached uint8 // stages with any state are all before this one
	current uint8 // place of the current stage in the plan
	class   alarm.Class
	shown   alarm.Class // class published last
}

// progress is the state of one stage of a backlog.
type progress struct {
	start, end int64 // seconds
	// first is the only event until the rest of the stage holds all of them. Of the
	// first stage it is the one that opened the backlog.
	first  memory.Record
	filled bool
	status alarm.Status
}

// progress returns the state of stage i, which the backlog has reached.
func (s *store) progress(b *backlog, i int) *progress {
	if i < inlineStages {
		return &b.stages[i]
	}
	return &s.extra(b).rare.later[i-inlineStages]
}

// reach makes sure that the state of stage i exists.
func (s *store) reach(b *backlog, i int) *progress {
	if i >= int(b.reached) {
		b.reached = uint8(i + 1)
		if missing := i + 1 - inlineStages; missing > 0 {
			r := s.more(b).rarely()
			r.later = append(r.later, make([]progress, missing-len(r.later))...)
		}
	}
	return s.progress(b, i)
}

// sources and destinations return the backlog's addresses in order of first
// appearance. The slice must not be changed and is valid until the next event.
func (s *store) sources(b *backlog) []memory.Address {
	if x := s.extra(b); x != nil && x.src != nil {
		return x.src.All()
	}
	return []memory.Address{b.origin.src}
}

func (s *store) destinations(b *backlog) []memory.Address {
	if x := s.extra(b); x != nil && x.dst != nil {
		return x.dst.All()
	}
	return []memory.Address{b.origin.dst}
}

// sticky is one value of a sticky_different field: an address, a number (lo)
// or a text, of one that is too long to be kept the hash (hi, with lo 1).
type sticky struct {
	hi, lo uint64
	text   string
}

// stickyOf returns an event's value of a sticky_different field.
func stickyOf(kind directive.Sticky, ev *event.Event) sticky {
	addressOf := func(a netip.Addr) sticky {
		v := memory.ToAddress(a)
		return sticky{hi: v.Hi, lo: v.Lo}
	}
	switch kind {
	case directive.StickyPluginSID:
		return sticky{lo: ev.PluginSID}
	case directive.StickySrcIP:
		return addressOf(ev.SrcIP)
	case directive.StickyDstIP:
		return addressOf(ev.DstIP)
	case directive.StickySrcPort:
		return sticky{lo: uint64(ev.SrcPort)}
	case directive.StickyDstPort:
		return sticky{lo: uint64(ev.DstPort)}
	case directive.StickyCustomData1:
		return stickyText(ev.CustomData[0])
	case directive.StickyCustomData2:
		return stickyText(ev.CustomData[1])
	case directive.StickyCustomData3:
		return stickyText(ev.CustomData[2])
	case directive.NoSticky:
	}
	return sticky{}
}

func stickyText(text string) sticky {
	if len(text) > mostText {
		return sticky{hi: xxhash.Sum64String(text), lo: 1}
	}
	return sticky{text: text}
}

// openedAt returns the time of the opening event, in nanoseconds.
func (b *backlog) openedAt() int64 { return nanosOf(b.stages[0].start) + int64(b.nanos) }

// latestEnd returns the latest end of the finished stages before the current
// one, long ago if there is none (D29).
func (s *store) latestEnd(b *backlog) int64 {
	end := int64(math.MinInt64 / 2)
	for i := range int(b.current) {
		if p := s.progress(b, i); p.status == alarm.Finished {
			end = max(end, p.end)
		}
	}
	return end
}

// nextStage returns the place of the next stage, of so many, without a status, -1 if
// the current one is the last.
func (s *store) nextStage(b *backlog, stages int) int {
	for i := int(b.current) + 1; i < stages; i++ {
		if i >= int(b.reached) || s.progress(b, i).status == alarm.Pending {
			return i
		}
	}
	return -1
}
