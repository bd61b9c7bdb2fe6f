package correlate

import (
	"encoding/binary"
	"math"
	"net/netip"

	"dsiem/internal/alarm"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// address is an IP address in 16 bytes without pointers. IPv4 addresses are
// held as mapped ones, which no event carries itself.
type address struct{ hi, lo uint64 }

func toAddress(a netip.Addr) address {
	b := a.As16()
	return address{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (a address) addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], a.hi)
	binary.BigEndian.PutUint64(b[8:], a.lo)
	return netip.AddrFrom16(b).Unmap()
}

// unspecified is 0.0.0.0, which gives way to any other address of a set.
func (a address) unspecified() bool { return a == address{0, 0xffff_0000_0000} }

// origin holds what references need of the event that created a backlog.
type origin struct {
	src, dst         address
	srcPort, dstPort uint16
	// data is the custom data; nil if no rule refers to it.
	data *[event.CustomFields]string
}

func (o *origin) custom(i int) string {
	if o.data == nil {
		return ""
	}
	return o.data[i]
}

// backlog is one attack in progress: a live instance of a directive. An engine
// may hold a million of them, so fields are few and small; what most backlogs
// do without is in evidence, rest and earlier.
type backlog struct {
	variant  *variant
	id       string
	origin   origin
	opened   opening
	created  int64 // first published, 0 before
	updated  int64 // last event taken
	deadline int64 // start and timeout of the current stage, without the grace
	// src and dst are nil as long as the creating event's address is the only
	// one.
	src, dst *set[address]
	evidence *evidence
	stages   []progress // up to the highest stage with any state
	// place is where the current stage's table holds the backlog; earlier are
	// the places in the tables of the stages before, nil unless the directive
	// is always-active.
	place   link
	earlier *[]link

	timer   int32 // place in the timers
	risk    int32
	class   alarm.Class
	shown   alarm.Class // class published last
	current uint8       // place of the current stage in the plan
	lastSrc uint16      // last non-zero source port
	lastDst uint16
}

// evidence is what alarms show beyond addresses. It is made on first use.
type evidence struct {
	custom   set[alarm.CustomData]
	networks []string
	intel    []alarm.Hit
	vulns    []alarm.Hit
	title    string // of a restored backlog; "" to make it from the origin
}

func (b *backlog) more() *evidence {
	if b.evidence == nil {
		b.evidence = &evidence{}
	}
	return b.evidence
}

// sources and destinations return the backlog's addresses in order of first
// appearance. The slice must not be changed and is valid until the next event.
func (b *backlog) sources() []address { return addresses(b.src, b.origin.src) }

func (b *backlog) destinations() []address { return addresses(b.dst, b.origin.dst) }

func addresses(s *set[address], only address) []address {
	if s == nil {
		return []address{only}
	}
	return s.all()
}

// progress is the state of one stage of a backlog.
type progress struct {
	start, end int64
	// id is the only event id until rest holds all of them.
	id     event.IDHash
	rest   *rest
	hasID  bool
	status alarm.Status
}

// rest is the state of a stage that took more than one event or compares
// sticky_different values.
type rest struct {
	ids    set[event.IDHash] // empty as long as there is at most one
	sticky set[sticky]
}

func (p *progress) more() *rest {
	if p.rest == nil {
		p.rest = &rest{}
	}
	return p.rest
}

// addID records an event id and reports whether it was new.
func (p *progress) addID(id event.IDHash) bool {
	switch {
	case !p.hasID:
		p.id, p.hasID = id, true
		return true
	case p.id == id:
		return false
	}
	ids := &p.more().ids
	if ids.len() == 0 {
		ids.add(p.id)
	}
	return ids.add(id)
}

// ids returns the distinct event ids in order of arrival. The slice must not
// be changed and is valid until the next addID.
func (p *progress) ids() []event.IDHash {
	switch {
	case !p.hasID:
		return nil
	case p.rest == nil || p.rest.ids.len() == 0:
		return []event.IDHash{p.id}
	}
	return p.rest.ids.all()
}

// count returns the number of distinct event ids.
func (p *progress) count() uint64 {
	switch {
	case !p.hasID:
		return 0
	case p.rest == nil || p.rest.ids.len() == 0:
		return 1
	}
	return uint64(p.rest.ids.len())
}

// values returns the sticky_different values seen so far.
func (p *progress) values() []sticky {
	if p.rest == nil {
		return nil
	}
	return p.rest.sticky.all()
}

// sticky is one value of a sticky_different field: an address, a number (lo)
// or a text.
type sticky struct {
	hi, lo uint64
	text   string
}

// stickyOf returns an event's value of a sticky_different field.
func stickyOf(kind directive.Sticky, ev *event.Event) sticky {
	addressOf := func(a netip.Addr) sticky {
		v := toAddress(a)
		return sticky{hi: v.hi, lo: v.lo}
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
		return sticky{text: ev.CustomData[0]}
	case directive.StickyCustomData2:
		return sticky{text: ev.CustomData[1]}
	case directive.StickyCustomData3:
		return sticky{text: ev.CustomData[2]}
	case directive.NoSticky:
	}
	return sticky{}
}

func (b *backlog) stage(i int) *stage { return &b.variant.stages[i] }

func (b *backlog) plan(i int) *directive.Stage { return &b.variant.plan.Stages[i] }

// latestEnd returns the latest end of the finished stages before the current
// one; an event before it is out of order (§6.2.3).
func (b *backlog) latestEnd() int64 {
	end := int64(math.MinInt64)
	for i := range b.stages[:b.current] {
		if p := &b.stages[i]; p.status == alarm.Finished {
			end = max(end, p.end)
		}
	}
	return end
}

// duplicate reports whether the current stage has seen the event's
// sticky_different value.
func (b *backlog) duplicate(ev *event.Event) bool {
	kind := b.plan(int(b.current)).StickyDifferent
	p := &b.stages[b.current]
	return kind != directive.NoSticky && p.rest != nil && p.rest.sticky.has(stickyOf(kind, ev))
}

// addAddress adds an address to a set of sources or destinations, nil standing
// for the creating event's address alone. 0.0.0.0 stays only as long as it is
// alone (§6.4.2).
func addAddress(s *set[address], only, a address) *set[address] {
	if s == nil {
		if a == only || a.unspecified() {
			return nil
		}
		s = &set[address]{}
		s.add(only)
	}
	switch {
	case s.len() == 1 && s.first.unspecified():
		s.replace(a)
	case s.len() == 0 || !a.unspecified():
		s.add(a)
	}
	return s
}

// nextStage returns the place of the next stage without a status, -1 if the
// current one is the last.
func (b *backlog) nextStage() int {
	for i := int(b.current) + 1; i < len(b.variant.stages); i++ {
		if i >= len(b.stages) || b.stages[i].status == alarm.Pending {
			return i
		}
	}
	return -1
}

// reach makes sure that the state of stage i exists.
func (b *backlog) reach(i int) *progress {
	for len(b.stages) <= i {
		b.stages = append(b.stages, progress{})
	}
	return &b.stages[i]
}
