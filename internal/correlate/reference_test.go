package correlate_test

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// reference is a second engine, written from docs/spec/correlation.md §15 (decisions D28 to
// D38) and docs/spec/correlation.md alone: no index, no plan, no code shared with
// the real one but documents, directives and events. It scans every rule of
// every live backlog for every event, and everything it remembers whenever it
// looks for something. Each rule names its decision; where the text leaves a
// choice, the comment says "Choice".
type reference struct {
	directives []*directive.Directive
	assets     []asset.Asset
	opts       settings
	bounds     bounds

	clock      int64         // UNIX nanoseconds, never going back
	played     int           // events so far: the number of an event is its place in order of arrival
	live       []*refBacklog // in order of opening
	remembered []refArrival  // of D33, in order of arrival
	ended      []refEnded    // of D35 (b), in order of end
	lines      []string
	counters   map[string]uint64
}

// bounds are those of D32, D33, D35, D37 and D38, fields so that tests can
// lower them.
type bounds struct {
	live       int // backlogs of one directive, source address and key (D32.3)
	directive  int // live backlogs of one directive (D32.4)
	engine     int // live backlogs of all directives (D32.4)
	considered int // remembered events of one stage and key (D33)
	offered    int // remembered events in a look-back for one stage (D33)
	remembered int // events for the look-back (D33)
	known      int // events of ended backlogs (D35)
	custom     int // custom values of all labels that an alarm lists (D37)
	listed     int // bytes of what an alarm lists (D37)
	ids        int // of a completed stage (D37)
	text       int // bytes of a shown text (D38)
}

func specified() bounds {
	return bounds{
		// Whoever runs engines sets the bounds of D32.4; here they never bind.
		live: 1000, directive: math.MaxInt, engine: math.MaxInt,
		considered: 100, offered: 100, remembered: 250_000, known: 1_000_000,
		custom: 10_000, listed: 192 << 10, ids: 10_000, text: 4096,
	}
}

// refArrival is an event that has arrived.
type refArrival struct {
	event  event.Event // as sent
	t      int64       // its time as the engine uses it (D28)
	at     int64       // the clock when it was played
	number int
}

// refIdentity is what makes two events the same event (docs/spec/correlation.md §15, Words): what
// was sent, not what D28 makes of it.
type refIdentity struct {
	id               string
	src, dst         netip.Addr
	srcPort, dstPort uint16
}

// refRecord is an event that a backlog has recorded, with its timestamp as
// sent, which D35 (b) wants to be the same.
type refRecord struct {
	refIdentity
	sent int64
	// unknown says that the file of an older version tells nothing but the id.
	unknown bool
}

// refEnded is an event recorded in a backlog that has ended (D35 b).
type refEnded struct {
	refRecord
	opener bool   // of the backlog
	order  int    // of the directive
	sender string // of the backlog
	at     int64  // the clock when the backlog ended
}

type refBacklog struct {
	d       *directive.Directive
	order   int // of the directive
	id      string
	opener  refArrival
	title   [2]netip.Addr // source and destination of the opener
	rules   []refRule
	current int
	arrival int64 // the clock when the event that completed the stage before was played (D31)
	created int64
	updated int64
	lineAt  int64 // second of the clock in which the alarm had its last line, noLine before
	due     bool  // a line is due (D37)
	risk    int
	class   alarm.Class
	// src and dst are all addresses, which risk and networks count; the shown
	// ones are those that the alarm has room for (D37).
	src, dst           []netip.Addr
	shownSrc, shownDst []netip.Addr
	custom             []alarm.CustomData
	nets               []string
	noRoom             struct{ src, dst, custom int }
}

const noLine = math.MinInt64

// refRule is a rule with resolved texts. copied tells which of them are values
// of the opener.
type refRule struct {
	directive.Rule
	copied struct {
		from, to, portFrom, portTo bool
		custom                     [event.CustomFields]bool
	}
	start  int64 // seconds
	end    int64 // nanoseconds, shown in seconds
	latest int64 // largest time so far of the events that count for the stage, nanoseconds
	status alarm.Status
	// ids are the distinct ids recorded, by which events are counted, records
	// the distinct events. Both are in order of arrival.
	ids     []string
	records []refRecord
	seen    []string // values of sticky_different
}

func sent(ev *event.Event) int64 { return ev.Seconds*nanos + int64(ev.Nanos) }

func identityOf(ev *event.Event) refIdentity {
	return refIdentity{ev.ID, ev.SrcIP, ev.DstIP, ev.SrcPort, ev.DstPort}
}

func recordOf(ev *event.Event) refRecord {
	return refRecord{refIdentity: identityOf(ev), sent: sent(ev)}
}

// within is "D of the clock": while second(clock) - second(then) <= d.
func (r *reference) within(then, d int64) bool { return second(r.clock)-second(then) <= d }

// sum adds seconds; a timeout or a grace may be as large as they come.
func sum(seconds ...int64) int64 {
	total := int64(0)
	for _, s := range seconds {
		if s > math.MaxInt64-max(total, 0) {
			return math.MaxInt64
		}
		total += s
	}
	return total
}

// --- time ---

// Step lets an event arrive.
func (r *reference) Step(clock int64, ev *event.Event) {
	r.advance(clock)
	r.expire(false)
	a := r.arrive(ev)
	for order, d := range r.directives {
		r.dispatch(order, d, &a)
	}
}

// Expire lets time pass; math.MaxInt64 ends everything, and the clock stands.
func (r *reference) Expire(clock int64) {
	if clock == math.MaxInt64 {
		r.writeDue()
		r.expire(true)
		return
	}
	r.advance(clock)
	r.expire(false)
}

// Flush writes the lines that are due, as at the end of a replay and at an
// orderly stop (D37).
func (r *reference) Flush(clock int64) {
	r.advance(clock)
	r.writeDue()
}

func (r *reference) Lines() []string             { return r.lines }
func (r *reference) Counters() map[string]uint64 { return r.counters }

func (r *reference) count(name string) {
	if r.counters == nil {
		r.counters = map[string]uint64{}
	}
	r.counters[name]++
}

// advance sets the clock, which never goes back. When it enters a later second,
// lines that are due are written, before expiry and before the event is offered
// (D37).
func (r *reference) advance(clock int64) {
	before := second(r.clock)
	r.clock = max(r.clock, clock)
	if second(r.clock) > before {
		r.writeDue()
	}
}

// writeDue writes due lines in order of opening (D37).
func (r *reference) writeDue() {
	for _, b := range r.live {
		if b.due {
			r.alarm(b)
		}
	}
}

// expire ends the backlogs whose stage has expired, or all, in order of arrival +
// timeout, then of opening (D31).
func (r *reference) expire(all bool) {
	deadline := func(b *refBacklog) int64 { return sum(second(b.arrival), b.rules[b.current].Timeout) }
	for {
		var first *refBacklog
		for _, b := range r.live {
			expired := all || second(r.clock) > sum(deadline(b), r.opts.Grace)
			if expired && (first == nil || deadline(b) < deadline(first)) {
				first = b
			}
		}
		if first == nil {
			return
		}
		r.timeOut(first)
	}
}

// timeOut ends a backlog whose time is over.
func (r *reference) timeOut(b *refBacklog) {
	b.rules[b.current].status = alarm.Timeout
	r.alarm(b)
	r.end(b)
}

// arrive notes an event's arrival.
func (r *reference) arrive(ev *event.Event) refArrival {
	// D28: no future; what is ahead of its arrival is taken to be of then.
	a := refArrival{event: *ev, t: min(sent(ev), r.clock), at: r.clock, number: r.played}
	r.played++
	if sent(ev)-r.clock >= nanos {
		r.count("future")
	}
	if r.clock-a.t > 60*nanos {
		r.count("late") // D43
	}
	r.remembered = slices.DeleteFunc(r.remembered, func(o refArrival) bool { return !r.within(o.at, r.opts.LookBack) })
	return a
}

// remember keeps an event for the look-backs of the next LookBack seconds
// (D33). Choice: before it is offered to the directive that wants it first, so it
// is one of the newest 100 already when it is offered itself.
func (r *reference) remember(order int, a *refArrival) {
	known := len(r.remembered) > 0 && r.remembered[len(r.remembered)-1].number == a.number
	if r.opts.LookBack == 0 || known || !r.wanted(order, &a.event) {
		return
	}
	r.remembered = append(r.remembered, *a)
	for len(r.remembered) > r.bounds.remembered {
		r.remembered = r.remembered[1:]
		r.count("forgottenEvents")
	}
}

// wanted reports whether an event matches a stage of a directive after the first, by
// its own conditions, not its references, whatever is live (D33). Choice: rules that
// only a restored backlog has count as long as it lives.
func (r *reference) wanted(order int, ev *event.Event) bool {
	later := func(rules []refRule) bool {
		return slices.ContainsFunc(rules[1:], func(rule refRule) bool { return r.matches(withoutReferences(rule), ev) })
	}
	return later(resolve(r.directives[order], ev)) ||
		slices.ContainsFunc(r.live, func(b *refBacklog) bool { return b.order == order && later(b.rules) })
}

// withoutReferences leaves out what a rule compares with the opener.
func withoutReferences(rule refRule) *refRule {
	for copied, text := range map[*bool]*string{
		&rule.copied.from: &rule.From, &rule.copied.to: &rule.To,
		&rule.copied.portFrom: &rule.PortFrom, &rule.copied.portTo: &rule.PortTo,
	} {
		if *copied {
			*text = "ANY"
		}
	}
	for i, copied := range rule.copied.custom {
		if copied {
			rule.CustomData[i] = ""
		}
	}
	return &rule
}

// --- dispatch ---

// dispatch offers an event to the live backlogs of a directive, oldest first,
// and lets it open one if none took it (§6.1).
func (r *reference) dispatch(order int, d *directive.Directive, a *refArrival) {
	r.remember(order, a)
	taken, outside := false, false
	for _, b := range slices.Clone(r.live) {
		if b.order != order {
			continue
		}
		stage, fits := r.stageFor(b, &a.event)
		switch {
		case !fits:
		case !r.notBefore(b, a), !r.inWindow(b, a): // D29, D32
			outside = true
		default:
			taken = true
			r.give(b, stage, a)
		}
	}
	if taken {
		return
	}
	if r.matches(&refRule{Rule: d.Rules[0]}, &a.event) {
		switch {
		case r.known(order, &a.event):
			r.count("known")
		case r.open(order, d, a):
			return
		default:
			r.count("refused") // D32.4
		}
	}
	// D29, D32: nothing took it. Choice: a known event can be outside, too, and so can a
	// refused one.
	if outside {
		r.count("outside")
	}
}

// stageFor returns the stage of a backlog that an event is for: the current one,
// or for an always-active directive the lowest earlier one that matches (§5.3).
func (r *reference) stageFor(b *refBacklog, ev *event.Event) (stage int, ok bool) {
	if r.matches(&b.rules[b.current], ev) {
		return b.current, true
	}
	if b.d.AllRulesAlwaysActive {
		for i := range b.rules[:b.current] {
			if r.matches(&b.rules[i], ev) {
				return i, true
			}
		}
	}
	return 0, false
}

// notBefore reports whether an event can be of a backlog's attack: not if it is
// older than the opener by more than the tolerance (D29).
func (r *reference) notBefore(b *refBacklog, a *refArrival) bool {
	return second(a.t) >= second(b.opener.t)-r.opts.OrderTolerance
}

// inWindow reports whether an event is in the window of the current stage (D32).
func (r *reference) inWindow(b *refBacklog, a *refArrival) bool {
	current := &b.rules[b.current]
	return second(a.t) <= sum(current.start, current.Timeout, r.opts.Grace)
}

// known reports whether an event may open nothing, because an ended backlog of
// the directive has recorded it with the same timestamp (D35 b), or a live one
// the same event (D35 c), or because it would give an alarm id again (D35): D13 makes
// it of the opener's id, time and addresses, whatever the ports.
func (r *reference) known(order int, ev *event.Event) bool {
	one := recordOf(ev)
	return slices.ContainsFunc(r.stillKnown(), func(e refEnded) bool {
		return e.order == order && (e.refRecord == one || e.opener && e.withoutPorts() == one.withoutPorts())
	}) || slices.ContainsFunc(r.live, func(b *refBacklog) bool {
		return b.order == order && (b.recorded(ev) || recordOf(&b.opener.event).withoutPorts() == one.withoutPorts())
	})
}

func (one refRecord) withoutPorts() refRecord {
	one.srcPort, one.dstPort = 0, 0
	return one
}

// stillKnown returns what is known from ended backlogs now (D35 b).
func (r *reference) stillKnown() []refEnded {
	r.ended = slices.DeleteFunc(r.ended, func(e refEnded) bool { return !r.within(e.at, r.opts.Remember) })
	return r.ended
}

// recorded reports whether the backlog has recorded the same event.
func (b *refBacklog) recorded(ev *event.Event) bool {
	return slices.ContainsFunc(b.rules, func(rule refRule) bool {
		return slices.ContainsFunc(rule.records, func(o refRecord) bool {
			return o.refIdentity == identityOf(ev) || o.unknown && o.id == ev.ID
		})
	})
}

// number says whether a record is the first one with its id, 0, or another one, 1.
func (rule *refRule) number(one refRecord) int {
	if rule.records[slices.IndexFunc(rule.records, func(o refRecord) bool { return o.id == one.id })] == one {
		return 0
	}
	return 1
}

// has reports whether a stage has recorded an id.
func (rule *refRule) has(id string) bool { return slices.Contains(rule.ids, id) }

// open creates a backlog (§6.3) and reports whether there was room for it (D32).
func (r *reference) open(order int, d *directive.Directive, a *refArrival) (opened bool) {
	ev := &a.event
	b := &refBacklog{
		d: d, order: order, opener: *a, title: [2]netip.Addr{ev.SrcIP, ev.DstIP}, rules: resolve(d, ev), lineAt: noLine,
		// D13: the directive and what identifies the event, as sent.
		id: fmt.Sprint(d.Name, "/", ev.ID, "/", sent(ev), ev.SrcIP, ev.DstIP),
	}
	// Choice: what item 3 of D32 has ended stays so if item 4 refuses the event, which
	// can only be while there are more live backlogs than the bounds of item 4, as after
	// loading.
	r.makeRoom(b)
	if !r.roomForOneMore(order) {
		return false
	}
	b.rules[0].start = second(a.t)
	r.live = append(r.live, b)
	r.give(b, 0, a)
	return true
}

// sender returns the source address of the opener and the key: the values that
// later stages copy from the opener (D32), of which a source is the same. Choice: custom
// data without case, as it is compared.
func (b *refBacklog) sender() string {
	text := b.opener.event.SrcIP.String()
	add := func(field string, copied bool, value string) {
		if copied {
			text += "\x00" + field + "=" + strings.ToLower(value)
		}
	}
	used := func(copied func(*refRule) bool) bool {
		return slices.ContainsFunc(b.rules[1:], func(rule refRule) bool { return copied(&rule) })
	}
	ev := &b.opener.event
	add("to", used(func(rule *refRule) bool { return rule.copied.to }), ev.DstIP.String())
	add("port_from", used(func(rule *refRule) bool { return rule.copied.portFrom }), strconv.Itoa(int(ev.SrcPort)))
	add("port_to", used(func(rule *refRule) bool { return rule.copied.portTo }), strconv.Itoa(int(ev.DstPort)))
	for i, value := range ev.CustomData {
		add("custom_data"+strconv.Itoa(i+1), used(func(rule *refRule) bool { return rule.copied.custom[i] }), value)
	}
	return text
}

// refGroup is what the backlogs of one group have in common (D32): directive, source
// address and key.
type refGroup struct {
	order  int // of the directive
	sender string
}

func (b *refBacklog) group() refGroup { return refGroup{b.order, b.sender()} }

// makeRoom ends the oldest backlog without an alarm line, else the oldest, of
// the group of one that is about to open, if there are as many as there may be
// (D32.3).
func (r *reference) makeRoom(b *refBacklog) {
	var like []*refBacklog
	group := b.group()
	for _, o := range r.live {
		if o.group() == group {
			like = append(like, o)
		}
	}
	if len(like) < r.bounds.live {
		return
	}
	oldest := like[0]
	if i := slices.IndexFunc(like, func(o *refBacklog) bool { return o.created == 0 }); i >= 0 {
		oldest = like[i]
	}
	r.count("crowded")
	r.timeOut(oldest)
}

// roomForOneMore ends backlogs until neither a directive nor the engine is full, and
// reports whether that was possible (D32.4). Choice: those of other directives do not
// give way for a directive that is full, even if the engine is full as well. Choice: what
// gave way stays ended if there is no room in the end. Choice: directives get an event one
// after the other (§6.1), so a backlog that gives way for an earlier directive is not
// offered the event.
func (r *reference) roomForOneMore(order int) bool {
	for {
		var crowd []*refBacklog
		for _, b := range r.live {
			if b.order == order {
				crowd = append(crowd, b)
			}
		}
		if len(crowd) < r.bounds.directive {
			if len(r.live) < r.bounds.engine {
				return true
			}
			crowd = r.live
		}
		b := givesWay(crowd)
		if b == nil {
			return false
		}
		r.count("crowded")
		r.timeOut(b)
	}
}

// givesWay returns which of some backlogs in order of opening gives way: the oldest of the
// largest group; of groups that are equally large that of the group whose oldest opened
// first; nil if all have an alarm line (D32.4). Choice: a backlog with an alarm line neither
// makes its group larger nor is it the oldest of it.
func givesWay(crowd []*refBacklog) *refBacklog {
	lineless := slices.DeleteFunc(slices.Clone(crowd), func(b *refBacklog) bool { return b.created != 0 })
	size := map[refGroup]int{}
	for _, b := range lineless {
		size[b.group()]++
	}
	var first *refBacklog
	for _, b := range lineless { // the oldest of a group comes first
		if first == nil || size[b.group()] > size[first.group()] {
			first = b
		}
	}
	return first
}

// give lets a backlog take an event. When that begins a stage, the backlog looks
// back (D33), as often as that begins another.
func (r *reference) give(b *refBacklog, stage int, a *refArrival) {
	offered := map[int]int{}
	for began := r.take(b, stage, a); began; {
		began = r.lookBack(b, offered)
	}
}

// take gives an event to a stage of a backlog and reports whether that began
// another (§6.2).
func (r *reference) take(b *refBacklog, stage int, a *refArrival) (began bool) {
	rule := &b.rules[stage]
	if stage < b.current {
		r.record(b, stage, a)
		r.alarmOfEarlier(b)
		return false
	}
	lower := b.rules[:b.current]
	switch {
	case rule.StickyDifferent != directive.NoSticky && slices.Contains(rule.seen, stickyValue(rule.StickyDifferent, &a.event)):
		r.count("repeated") // D1
	case slices.ContainsFunc(lower, func(o refRule) bool { return o.has(a.event.ID) }):
		r.count("repeated") // D35 (a). Choice: before the order is looked at.
	case b.current > 0 && second(a.t) < second(b.endBefore())-r.opts.OrderTolerance:
		r.count("outOfOrder") // D29
	default:
		r.record(b, stage, a)
		if uint64(len(rule.ids)) >= rule.Occurrence {
			return r.complete(b)
		}
	}
	return false
}

// endBefore returns E: the end of the stage before the current one, which is not
// before that of any earlier one (D29).
func (b *refBacklog) endBefore() int64 { return b.rules[b.current-1].end }

// complete finishes the current stage and reports whether the next began.
func (r *reference) complete(b *refBacklog) (began bool) {
	rule := &b.rules[b.current]
	// D29: the end is the largest time of the events that count, at least E.
	rule.status, rule.end = alarm.Finished, rule.latest
	if b.current > 0 {
		rule.end = max(rule.end, b.endBefore())
	}
	r.forgetIDs(rule)
	r.assess(b)
	if b.current == len(b.rules)-1 {
		r.alarm(b)
		r.end(b)
		return false
	}
	b.current++
	b.rules[b.current].start = second(rule.end) // D29: at the end of the stage before
	b.arrival = r.clock                         // D31, also in a look-back
	r.alarm(b)
	return true
}

// end removes a backlog and remembers what it recorded (D35 b).
func (r *reference) end(b *refBacklog) {
	r.live = slices.DeleteFunc(r.live, func(o *refBacklog) bool { return o == b })
	if r.opts.Remember == 0 {
		return
	}
	remember := func(record refRecord, opener bool) {
		if !record.unknown {
			r.ended = append(r.ended, refEnded{record, opener, b.order, b.sender(), r.clock})
		}
	}
	// D35: the opener is known even if its id has been forgotten, so that no alarm id is
	// given twice.
	opener := recordOf(&b.opener.event)
	if opener.id != "" {
		remember(opener, true)
	}
	for i := range b.rules {
		// Choice: of a stage those with the id of another one last.
		records := slices.Clone(b.rules[i].records)
		slices.SortStableFunc(records, func(x, y refRecord) int { return cmp.Compare(b.rules[i].number(x), b.rules[i].number(y)) })
		for _, record := range records {
			if i > 0 || record != opener {
				remember(record, false)
			}
		}
	}
	for len(r.stillKnown()) > r.bounds.known {
		r.ended = r.ended[1:]
		r.count("forgottenEnded")
	}
}

// --- look-back ---

// lookBack plays a backlog whose current stage has just begun through what is
// remembered, until that completes the stage. It reports whether another stage
// began (D33).
func (r *reference) lookBack(b *refBacklog, offered map[int]int) (began bool) {
	l := b.endBefore() // L: the largest time of the events that counted when this stage began
	current := b.current
	for _, a := range r.considered(b) {
		switch {
		case a.t <= l: // (a)
			continue
		case !r.inWindow(b, &a) || slices.ContainsFunc(b.rules, func(rule refRule) bool { return rule.has(a.event.ID) }): // (c)
			continue
		case r.takenElsewhere(b, &a.event): // (d)
			continue
		}
		stage, _ := r.stageFor(b, &a.event) // (b) as on arrival: the current stage, then the lowest that fits
		// At most so many of a stage in all: of the one that is offered it, in all
		// searches of the look-back, so that what floods an earlier stage does not keep
		// the current one from its events.
		if offered[stage] == r.bounds.offered {
			continue
		}
		offered[stage]++
		r.count("lookedBack") // Choice: what is offered, be it recorded or swallowed.
		if began = r.take(b, stage, &a); began || b.rules[current].status != alarm.Pending {
			return began
		}
	}
	return false
}

// considered returns the remembered events that a look-back considers, in order
// of (t, arrival): the newest 100 by arrival of the current stage and the
// backlog's key, and, if the directive is always-active, those of each earlier
// stage after the first (D33 b). An event is of a stage and the backlog's key if
// it matches the stage with its references. Choice: custom data that the opener
// left empty is no condition (D18) and no part of the key. Choice: an event that
// matches one of these stages may then be taken by the first, as on arrival.
func (r *reference) considered(b *refBacklog) []refArrival {
	from := b.current
	if b.d.AllRulesAlwaysActive {
		from = 1
	}
	var found []refArrival
	for stage := from; stage <= b.current; stage++ {
		left := r.bounds.considered
		for _, a := range slices.Backward(r.remembered) {
			if left == 0 {
				break
			}
			if !r.within(a.at, r.opts.LookBack) || !r.matches(&b.rules[stage], &a.event) {
				continue
			}
			left--
			if !slices.ContainsFunc(found, func(o refArrival) bool { return o.number == a.number }) {
				found = append(found, a)
			}
		}
	}
	slices.SortFunc(found, func(x, y refArrival) int { return cmp.Or(cmp.Compare(x.t, y.t), x.number-y.number) })
	return found
}

// takenElsewhere reports whether an event is known from an ended backlog of the
// directive, or the same event is recorded in a live one whose opener is not
// later than this one's, in both cases only of backlogs of the same source
// address and key (D33 d).
func (r *reference) takenElsewhere(b *refBacklog, ev *event.Event) bool {
	return slices.ContainsFunc(r.stillKnown(), func(e refEnded) bool {
		return e.order == b.order && e.sender == b.sender() && e.refRecord == recordOf(ev)
	}) || slices.ContainsFunc(r.live, func(o *refBacklog) bool {
		return o != b && o.order == b.order && o.sender() == b.sender() && o.opener.t <= b.opener.t && o.recorded(ev)
	})
}

// --- what an event leaves behind ---

func addOnce[T comparable](list []T, v T) []T {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

// record records an event for a stage (§6.4).
func (r *reference) record(b *refBacklog, stage int, a *refArrival) {
	rule, ev := &b.rules[stage], &a.event
	// D29: the end counts only events recorded while the stage was current.
	// Choice: and only those that count, so not an id of the stage again.
	if stage == b.current && !rule.has(ev.ID) {
		rule.latest = max(rule.latest, a.t)
	}
	rule.ids = addOnce(rule.ids, ev.ID)
	rule.records = addOnce(rule.records, recordOf(ev))
	if stage < b.current {
		r.forgetIDs(rule)
	}
	if rule.StickyDifferent != directive.NoSticky {
		r.see(b, stage, stickyValue(rule.StickyDifferent, ev))
	}
	r.show(b, ev)
	b.updated = second(r.clock)
	line := alarm.Event{AlarmID: b.id, Stage: rule.Stage, EventID: r.cut(ev.ID)}
	r.lines = append(r.lines, string(line.AppendJSON(nil)))
}

// see notes a value of sticky_different. D38: as many as ids are kept, and beside them
// those of the events that count.
func (r *reference) see(b *refBacklog, stage int, value string) {
	rule, most := &b.rules[stage], uint64(r.bounds.ids)
	if stage == b.current {
		most += rule.Occurrence
	}
	switch {
	case slices.Contains(rule.seen, value):
	case uint64(len(rule.seen)) >= most:
		r.count("forgottenIDs")
	default:
		rule.seen = append(rule.seen, value)
	}
}

// forgetIDs bounds the ids of a completed stage: the oldest are forgotten (D37).
func (r *reference) forgetIDs(rule *refRule) {
	for len(rule.ids) > r.bounds.ids {
		oldest := rule.ids[0]
		rule.ids = rule.ids[1:]
		rule.records = slices.DeleteFunc(rule.records, func(o refRecord) bool { return o.id == oldest })
		r.count("forgottenIDs")
	}
}

// show adds an event's addresses and custom data to what the alarm shows.
func (r *reference) show(b *refBacklog, ev *event.Event) {
	// Risk and networks count every address (D37).
	b.src = withoutUnspecified(addOnce(b.src, ev.SrcIP))
	b.dst = withoutUnspecified(addOnce(b.dst, ev.DstIP))
	before := b.noRoom
	r.showAddress(b, &b.shownSrc, ev.SrcIP, &b.noRoom.src)
	r.showAddress(b, &b.shownDst, ev.DstIP, &b.noRoom.dst)
	full := false
	for n, content := range ev.CustomData {
		if content != "" {
			full = r.showCustom(b, alarm.CustomData{Label: r.cut(ev.CustomLabel[n]), Content: r.cut(content)}) || full
		}
	}
	if full { // "the events whose value found no room": an event counts once
		b.noRoom.custom++
	}
	for range b.noRoom.src - before.src + b.noRoom.dst - before.dst + b.noRoom.custom - before.custom {
		r.count("truncated")
	}
}

// withoutUnspecified lets 0.0.0.0 give way to any other address (§6.4.2).
func withoutUnspecified(list []netip.Addr) []netip.Addr {
	if len(list) > 1 {
		list = slices.DeleteFunc(slices.Clone(list), func(a netip.Addr) bool { return a == netip.IPv4Unspecified() })
	}
	return list
}

// showAddress lists an address if there is room: for the first MaxAlarmValues of
// a side, and for a number of bytes in all (D37).
func (r *reference) showAddress(b *refBacklog, shown *[]netip.Addr, a netip.Addr, noRoom *int) {
	before := *shown
	*shown = withoutUnspecified(addOnce(before, a))
	if len(*shown) > r.opts.MaxAlarmValues || b.listed() > r.bounds.listed {
		*shown = before
		*noRoom++
	}
}

// showCustom lists a custom value if there is room, and reports that there is
// none (D37).
func (r *reference) showCustom(b *refBacklog, value alarm.CustomData) (full bool) {
	before := b.custom
	b.custom = addOnce(before, value)
	ofLabel := 0
	for _, c := range b.custom {
		if c.Label == value.Label {
			ofLabel++
		}
	}
	if ofLabel > r.opts.MaxAlarmValues || len(b.custom) > r.bounds.custom || b.listed() > r.bounds.listed {
		b.custom = before
		return true
	}
	return false
}

// listed returns the bytes of the listed values: each address with its quotes,
// each custom value with its object and escapes, without commas (D37).
func (b *refBacklog) listed() int {
	n := 0
	for _, a := range slices.Concat(b.shownSrc, b.shownDst) {
		n += len(`""`) + len(a.String())
	}
	for _, c := range b.custom {
		label, _ := jsontext.AppendQuote(nil, c.Label)
		content, _ := jsontext.AppendQuote(nil, c.Content)
		n += len(`{"label":,"content":}`) + len(label) + len(content)
	}
	return n
}

// cut shortens a shown text at a character boundary (D38).
func (r *reference) cut(text string) string {
	if len(text) <= r.bounds.text {
		return text
	}
	n := r.bounds.text
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// --- alarm ---

// assess computes risk and class at the end of a stage (§7).
func (r *reference) assess(b *refBacklog) {
	value := 0
	for _, a := range slices.Concat(b.src, b.dst) {
		value = max(value, r.value(a))
	}
	risk := b.d.Priority * b.rules[b.current].Reliability * value / 25
	if risk == b.risk {
		return
	}
	b.risk = risk
	switch {
	case risk < r.opts.MedRiskMin:
		b.class = alarm.Low
	case risk <= r.opts.MedRiskMax:
		b.class = alarm.Medium
	default:
		b.class = alarm.High
	}
}

// shown reports whether the alarm has lines: it has risk, or it had a line and
// keeps having them whatever the risk is (D36).
func (b *refBacklog) shown() bool { return b.risk >= 1 || b.created > 0 }

// alarmOfEarlier writes the line for an event taken by an earlier stage: at once
// if the alarm had no line in the current second of the clock, else it is due
// (D37).
func (r *reference) alarmOfEarlier(b *refBacklog) {
	if b.shown() && b.lineAt == second(r.clock) {
		b.due = true
		return
	}
	r.alarm(b)
}

// alarm writes the alarm's line.
func (r *reference) alarm(b *refBacklog) {
	if !b.shown() {
		return
	}
	if b.created == 0 {
		b.created = b.updated
	}
	b.lineAt, b.due = second(r.clock), false // D37: another line came first
	for _, a := range slices.Concat(b.src, b.dst) {
		for _, x := range r.assets {
			if !x.Whitelisted && !x.Prefix.IsSingleIP() && x.Prefix.Contains(a) {
				b.nets = addOnce(b.nets, x.Prefix.String())
			}
		}
	}
	title := strings.ReplaceAll(b.d.Name, "SRC_IP", r.name(b.title[0]))
	title = strings.ReplaceAll(title, "DST_IP", r.name(b.title[1]))
	doc := alarm.Alarm{
		ID: b.id, Title: title, Status: r.opts.Status, Tag: r.opts.Tag,
		Kingdom: b.d.Kingdom, Category: b.d.Category, Created: b.created, Updated: b.updated,
		Risk: min(b.risk, 255), Class: b.class, SrcIPs: b.shownSrc, DstIPs: b.shownDst, Networks: b.nets, CustomData: b.custom,
	}
	for i := range b.rules {
		x := &b.rules[i]
		rule := alarm.Rule{
			Name: x.Name, Stage: x.Stage, Occurrence: x.Occurrence, From: x.From, To: x.To,
			PluginID: x.PluginID, PluginSID: x.PluginSID, Product: x.Product, Category: x.Category,
			Subcategory: x.Subcategory, Type: x.Type.String(), PortFrom: x.PortFrom, PortTo: x.PortTo,
			Protocol: x.Protocol, Reliability: x.Reliability, Timeout: x.Timeout,
			Start: x.start, End: second(x.end), Status: x.status, StickyDifferent: x.StickyDifferent.String(),
			CustomData: x.CustomData, CustomLabel: x.CustomLabel,
		}
		for n, copied := range x.copied.custom {
			if copied {
				rule.CustomData[n] = r.cut(x.CustomData[n]) // D38
			}
		}
		doc.Rules = append(doc.Rules, rule)
	}
	r.lines = append(r.lines, withTruncated(doc.AppendJSON(nil), b))
}

// withTruncated adds what found no room as the last key of a line, only if
// needed (D37). Choice: then with all three numbers.
func withTruncated(line []byte, b *refBacklog) string {
	text := string(line)
	if b.noRoom.src+b.noRoom.dst+b.noRoom.custom == 0 {
		return text
	}
	return strings.TrimSuffix(text, "}\n") + fmt.Sprintf(",\"truncated\":{\"src_ips\":%d,\"dst_ips\":%d,\"custom_data\":%d}}\n",
		b.noRoom.src, b.noRoom.dst, b.noRoom.custom)
}

// restart is an orderly stop and a start under other directives of the same ids
// and names: lines that are due are written (D37), backlogs keep their rules
// (§11.3), and everything else is as it was. What is known from ended backlogs keeps
// its age until the clock goes on: downtime does not count (D35).
func (r *reference) restart(goesOn int64, directives []*directive.Directive) {
	r.writeDue()
	r.directives = directives
	for i := range r.ended {
		r.ended[i].at += (second(goesOn) - second(r.clock)) * nanos
	}
	for _, b := range r.live {
		b.d = directives[b.order]
	}
}

// upgrade is a restart with the files of an older version. They have whole seconds of
// events' times and none of arrivals, of events only the ids, and nothing of ended
// backlogs or to look back to: what is arrival becomes the start of the stage, and the
// end of a stage the last nanosecond of its second (Compatibility; D33, pitfalls).
func (r *reference) upgrade() {
	r.restart(r.clock, r.directives)
	r.ended, r.remembered = nil, nil
	for _, b := range r.live {
		current := &b.rules[b.current]
		b.arrival, b.opener.t, b.lineAt = current.start*nanos, b.rules[0].start*nanos, noLine
		current.latest = 0
		for i := range b.rules[:b.current] {
			b.rules[i].end = second(b.rules[i].end)*nanos + nanos - 1
		}
		for i := range b.rules {
			rule := &b.rules[i]
			rule.records = nil
			for _, id := range rule.ids {
				rule.records = append(rule.records, refRecord{refIdentity: refIdentity{id: id}, unknown: true})
			}
		}
		told := b.d.AllRulesAlwaysActive && anywhere(b.d.Rules[0].From)
		if !told && !slices.ContainsFunc(b.rules, func(rule refRule) bool { return rule.copied.from }) {
			b.opener.event.SrcIP = b.src[0] // the file does not tell another one
		}
		b.opener.event.ID = "" // nor what the alarm's id was made of
	}
}

// --- matching (§3, §5) ---

func (r *reference) home(a netip.Addr) bool {
	return slices.ContainsFunc(r.assets, func(x asset.Asset) bool { return !x.Whitelisted && x.Prefix.Contains(a) })
}

func (r *reference) value(a netip.Addr) int {
	value := 0
	for _, x := range r.assets {
		if x.Prefix.Contains(a) {
			value = max(value, x.Value)
		}
	}
	return value
}

func (r *reference) name(a netip.Addr) string {
	for _, x := range r.assets {
		if x.Prefix.IsSingleIP() && x.Prefix.Contains(a) {
			return x.Name
		}
	}
	return a.String()
}

// decide is the list algorithm of §3.3.
func decide(list string, inside func(element string) bool) bool {
	result := false
	for element := range strings.SplitSeq(list, ",") {
		element, negated := strings.CutPrefix(strings.TrimSpace(element), "!")
		if inside(strings.TrimSpace(element)) {
			return !negated
		}
		result = result || negated
	}
	return result
}

func (r *reference) address(text string, a netip.Addr) bool {
	switch text {
	case "ANY":
		return true
	case "HOME_NET":
		return r.home(a)
	case "!HOME_NET":
		return !r.home(a)
	}
	return decide(text, func(element string) bool {
		if !strings.Contains(element, "/") {
			return netip.MustParseAddr(element) == a
		}
		return netip.MustParsePrefix(element).Contains(a)
	})
}

func port(text string, p uint16) bool {
	return text == "ANY" || decide(text, func(element string) bool { return element == strconv.Itoa(int(p)) })
}

func customData(text string, literal bool, value string) bool {
	switch {
	case literal:
		return text == "" || strings.EqualFold(text, value)
	case text == "" || text == "ANY":
		return true
	case strings.Contains(text, ","):
		return decide(text, func(element string) bool { return element == value })
	}
	text, negated := strings.CutPrefix(strings.TrimSpace(text), "!")
	return strings.EqualFold(strings.TrimSpace(text), value) != negated
}

func (r *reference) matches(rule *refRule, ev *event.Event) bool {
	if rule.Type == directive.PluginRule {
		if ev.PluginID == 0 || rule.PluginID != ev.PluginID || !slices.Contains(rule.PluginSID, ev.PluginSID) {
			return false
		}
		for i := range rule.CustomData {
			if !customData(rule.CustomData[i], rule.copied.custom[i], ev.CustomData[i]) {
				return false
			}
		}
	} else {
		if ev.Product == "" || !slices.Contains(rule.Product, ev.Product) || rule.Category != ev.Category {
			return false
		}
		if len(rule.Subcategory) > 0 && !slices.Contains(rule.Subcategory, "ANY") && !slices.Contains(rule.Subcategory, ev.Subcategory) {
			return false
		}
	}
	return r.address(rule.From, ev.SrcIP) && r.address(rule.To, ev.DstIP) &&
		port(rule.PortFrom, ev.SrcPort) && port(rule.PortTo, ev.DstPort)
}

func anywhere(text string) bool { return text == "ANY" || text == "HOME_NET" || text == "!HOME_NET" }

// resolve copies a directive's rules for a backlog (§5.1).
func resolve(d *directive.Directive, ev *event.Event) []refRule {
	rules := make([]refRule, len(d.Rules))
	for i := range d.Rules {
		r := &rules[i]
		r.Rule = d.Rules[i]
		// refer resolves one text: it takes that of the rule referred to, already
		// resolved, or the opener's value if that takes anything.
		refer := func(text *string, copied *bool, field func(*refRule) (string, bool), takesAll func(string) bool, value string) {
			j := slices.IndexFunc(rules[:i], func(o refRule) bool { return ":"+strconv.Itoa(o.Stage) == *text })
			if j < 0 {
				return
			}
			*text, *copied = field(&rules[j])
			if !*copied && takesAll(*text) {
				*text, *copied = value, true
			}
		}
		isAny := func(text string) bool { return text == "ANY" }
		refer(&r.From, &r.copied.from, func(o *refRule) (string, bool) { return o.From, o.copied.from }, anywhere, ev.SrcIP.String())
		refer(&r.To, &r.copied.to, func(o *refRule) (string, bool) { return o.To, o.copied.to }, anywhere, ev.DstIP.String())
		refer(&r.PortFrom, &r.copied.portFrom, func(o *refRule) (string, bool) { return o.PortFrom, o.copied.portFrom }, isAny, strconv.Itoa(int(ev.SrcPort)))
		refer(&r.PortTo, &r.copied.portTo, func(o *refRule) (string, bool) { return o.PortTo, o.copied.portTo }, isAny, strconv.Itoa(int(ev.DstPort)))
		for n := range r.CustomData {
			refer(&r.CustomData[n], &r.copied.custom[n], func(o *refRule) (string, bool) { return o.CustomData[n], o.copied.custom[n] }, isAny, ev.CustomData[n])
		}
	}
	if d.AllRulesAlwaysActive { // §5.3.1
		if anywhere(rules[0].From) {
			rules[0].From = ev.SrcIP.String()
		}
		if anywhere(rules[0].To) {
			rules[0].To = ev.DstIP.String()
		}
	}
	return rules
}

func stickyValue(kind directive.Sticky, ev *event.Event) string {
	switch kind {
	case directive.StickyPluginSID:
		return strconv.FormatUint(ev.PluginSID, 10)
	case directive.StickySrcIP:
		return ev.SrcIP.String()
	case directive.StickyDstIP:
		return ev.DstIP.String()
	case directive.StickySrcPort:
		return strconv.Itoa(int(ev.SrcPort))
	case directive.StickyDstPort:
		return strconv.Itoa(int(ev.DstPort))
	default:
		return ev.CustomData[kind-directive.StickyCustomData1]
	}
}
