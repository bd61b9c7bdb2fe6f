// Package correlate is the correlation engine: it takes events one by one and
// says what each did to the attacks in progress.
//
// An Engine owns all its state and belongs to one goroutine at a time. It does
// no I/O, reads no clock, starts no goroutine, takes no lock and logs nothing:
// time comes in as an argument and everything that happened goes out as
// changes, so that a live server, a replay and a test run the same code.
//
// Directives are compiled to an index: an event that no rule names costs one
// or two map look-ups. Live backlogs lie in hash tables under the values their
// current stage refers to, so that an event finds those it could match without
// passing the others. Directives can be split over any number of engines.
//
// # Time
//
// An event's own time decides what it belongs to; the time of its arrival decides
// when a stage stops waiting (docs/spec/correlation.md §15). Step takes the arrival, in UNIX
// nanoseconds like every time here but those of Options, which are durations in
// seconds. The clock of an engine is the last arrival or Expire; it never goes back.
// A replay has no arrivals: there it is the largest time of the events so far. An
// event that is ahead of its arrival counts as of its arrival (D28).
//
// Who drives engines has these duties:
//
//   - Step for each event, with the arrival; all engines of a configuration get the
//     same events.
//   - Expire when Due says so and nothing else waits: it ends what is due, and writes
//     the alarm lines of always-active directives that wait for the end of their second
//     (D37). A step does so, too, when its clock enters a later second.
//   - Flush at the end of a replay, before it expires all, and at an orderly stop:
//     the lines that still wait.
//   - Stats for metrics and summaries: what was swallowed and why (D43). A caller that
//     compares them before and after a step knows which event it was.
//
// # State
//
// Save or Snapshot gives the live backlogs, and Remembered the rest: the events to look
// back to (D33) and those of ended backlogs (D35 b), with their JSON. A new engine takes
// them by Restore and then RestoreRemembered, before its first step. Instead of the
// events it may be given those of a log from the look-back before the saved position,
// by Remember. Remembered belongs to one engine: the next run has as many of them, or
// gives it up.
//
// Source of the behaviour: docs/spec/correlation.md §3–§7, §11, §14; docs/spec/correlation.md §15.
package correlate

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"

	"dsiem/internal/correlate/backlogs"

	"dsiem/internal/asset"
	"dsiem/internal/correlate/counts"
	"dsiem/internal/correlate/index"
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// Planned is a directive and its place in load order.
type Planned struct {
	Plan *directive.Plan
	// Order is the directive's place among all directives of the
	// configuration, not only those of one engine.
	Order int
}

// Plans compiles directives in load order.
func Plans(directives []*directive.Directive) []Planned {
	compiled := directive.CompileAll(directives)
	plans := make([]Planned, len(compiled))
	for i := range compiled {
		plans[i] = Planned{Plan: &compiled[i], Order: i}
	}
	return plans
}

// Engine correlates events with directives. Use New.
type Engine struct {
	opts   Options
	bounds bounds
	assets *asset.Table
	// places gives the place in tracked of the directive with an id.
	places  map[uint64]int32
	keys    memory.Keys
	index   index.Index[*stage]
	tracked []tracked
	// variants are those of tracked; backlogs name them by number.
	variants []*variant
	store    backlogs.Store
	timers   backlogs.Timers
	// crowd has the live backlogs of all directives that have no alarm line, nil as long
	// as there is room for more.
	crowd *backlogs.Crowd

	ended  memory.Ended
	memory memory.Recent
	// alarms are the ids of the live backlogs' alarms, nil as long as nobody has asked
	// for one: see taken.
	alarms    map[[backlogs.IDLength]byte]struct{}
	stats     Stats
	sensors   Sensors
	published backlogs.Published

	// clock is the arrival of the last event, in nanoseconds, and second its whole
	// second. It never goes back.
	clock, second int64
	// unwritten are backlogs for which an alarm line may be due (D37).
	unwritten []backlogs.Handle
	// lined is the second of the last line of the first restored alarm for which one is
	// due: until the clock has begun, nobody knows a later one.
	lined int64

	changes []Change
	order   Order // of the next change
	// firsts are first stages of always-active directives that the event matches.
	firsts  []*stage
	looking looking
	// outside says that an event met a backlog whose window it misses (D32), or whose
	// attack it is too old for (D29).
	outside bool
	offers  []offer
	due     []backlogs.Timer
	scratch []byte
}

// tracked is a directive with its live backlogs.
type tracked struct {
	order   int32
	place   int32 // in the engine
	live    int   // backlogs
	current *variant
	// others are those of reloaded backlogs, by signature, nil if there are none
	// yet; variants is the number that there were so far.
	others   map[string]*variant
	variants int
	// seen is what the live backlogs' stages have recorded.
	seen memory.Seen
	// crowd has those of its live backlogs that have no alarm line, nil as long as there
	// is room for more.
	crowd *backlogs.Crowd
	// lastSent is the largest time as sent, in nanoseconds, of recorded events.
	lastSent int64
	restored int64 // backlogs restored so far
	// forgetful says that a live backlog may have forgotten the id of the event that opened
	// it.
	forgetful bool
	needs     needs
}

// needs says what a directive's backlogs must remember of their creating event.
type needs struct{ customData bool }

// offer is a live backlog and a stage of it that matches an event.
type offer struct {
	backlog *backlogs.Backlog
	stage   int
}

// New returns an engine for some directives of one configuration. The assets
// must not change while it is in use.
func New(plans []Planned, assets *asset.Table, opts Options) *Engine {
	keys, count := 0, 0
	for _, p := range plans {
		count += len(p.Plan.Stages)
		for i := range p.Plan.Stages {
			keys += len(p.Plan.Rule(i).PluginSID)
		}
	}
	hashes := memory.NewKeys()
	e := &Engine{
		opts:    opts.withDefaults(),
		assets:  assets,
		keys:    hashes,
		index:   index.New(keys, hashes, compareStages),
		tracked: make([]tracked, len(plans)),
		places:  make(map[uint64]int32, len(plans)),
		clock:   math.MinInt64,
		second:  math.MinInt64,
	}
	e.store.Keys = hashes
	e.timers.Store = &e.store
	e.bound(specified().within(e.opts.Memory))
	variants, stages := make([]variant, len(plans)), make([]stage, count)
	for place, p := range plans {
		n := len(p.Plan.Stages)
		t := &e.tracked[place]
		*t = tracked{order: int32(p.Order), place: int32(place), current: &variants[place]}
		t.current.init(t, 0, p.Plan, stages[:n:n])
		stages = stages[n:]
		e.number(t.current)
		for i := range p.Plan.Stages {
			if p.Plan.Stages[i].Origin >= directive.CustomData1 {
				t.needs.customData = true
			}
		}
		e.add(t.current)
		e.places[p.Plan.ID] = int32(place)
	}
	return e
}

// Wants sets wanted of those identities whose plugin or taxonomy a rule names: a
// step with any other event does nothing but let time pass. It changes nothing
// else, and several goroutines may ask at once while nobody else uses the engine.
func (e *Engine) Wants(ids []event.Identity, wanted []bool) { e.index.Wants(ids, wanted) }

// Stats returns the engine's counters.
func (e *Engine) Stats() Stats {
	stats := e.stats
	stats.Live = e.timers.Len()
	stats.Ended = e.ended.Len()
	stats.Remembered, stats.RememberedBytes = e.memory.Len(), e.memory.Bytes()
	return stats
}

// Step lets an event arrive at a time (UNIX nanoseconds), or at the time of the
// last one if that is later, expires what is due then, and offers the event to the
// directives. It returns what changed, in order; the slice is valid until the next
// call.
func (e *Engine) Step(clock int64, ev *event.Event) []Change {
	e.begin()
	e.stats.Steps++
	e.pass(clock)
	if ev.Seconds > e.second && sentAt(ev)-e.clock >= memory.PerSecond {
		e.stats.Future++
		counts.Note(&e.sensors.Future, ev.Sensor)
	}
	plugin, taxonomy := e.index.Find(ev)
	if len(plugin)+len(taxonomy) == 0 {
		return e.changes
	}
	crowded := e.crowded()
	if crowded && e.store.Bytes() > e.bounds.bytes {
		e.shrink()
	}
	var a arrived
	e.arrive(&a, e.clock, ev)
	for len(plugin)+len(taxonomy) > 0 {
		owner := firstOwner(plugin, taxonomy)
		if crowded && e.bytesOf(owner) > e.bounds.directiveBytes {
			e.shrinkDirective(owner)
		}
		e.offers, e.outside = forget(e.offers), false
		matches := e.memory.Posted()
		opener := e.collect(&plugin, owner, &a)
		opener = e.collect(&taxonomy, owner, &a) || opener
		if len(e.firsts) > 0 {
			e.rememberFirsts(&a, matches)
		}
		e.dispatch(owner, opener, &a)
	}
	return e.changes
}

// Remember only remembers an event that arrived at a time (UNIX nanoseconds), as Step
// does, to look back to it later (D33). With the events of the last seconds before
// its state was saved, read from a log, an engine goes on as if it had not stopped.
func (e *Engine) Remember(arrival int64, ev *event.Event) {
	plugin, taxonomy := e.index.Find(ev)
	if e.memory.Seconds == 0 || len(plugin)+len(taxonomy) == 0 {
		return
	}
	var a arrived
	e.arrive(&a, arrival, ev)
	for len(plugin)+len(taxonomy) > 0 {
		owner, matches := firstOwner(plugin, taxonomy), e.memory.Posted()
		for _, list := range [...]*[]*stage{&plugin, &taxonomy} {
			for len(*list) > 0 && (*list)[0].variant.owner == owner {
				s := (*list)[0]
				if *list = (*list)[1:]; s.plan.Match(ev, e.assets) {
					e.remember(s, &a)
				}
			}
		}
		e.rememberFirsts(&a, matches)
	}
}

// Expire lets the time be clock (UNIX nanoseconds) and expires what is due,
// everything if clock is math.MaxInt64. It returns what changed, in order; the slice
// is valid until the next call.
func (e *Engine) Expire(clock int64) []Change {
	e.begin()
	if clock == never {
		e.writeDue(true)
		e.expire(never)
	} else {
		e.pass(clock)
		e.expire(e.second)
	}
	return e.changes
}

// Flush writes the alarm lines that are due (D37), at the end of a replay and at an
// orderly stop. It returns what changed, in order; the slice is valid until the next
// call.
func (e *Engine) Flush() []Change {
	e.begin()
	e.writeDue(true)
	return e.changes
}

// pass lets the time be clock.
func (e *Engine) pass(clock int64) {
	if clock <= e.clock {
		return
	}
	e.clock = clock
	if second := memory.SecondsOf(clock); second > e.second {
		e.enterSecond(second)
	}
}

// enterSecond lets the clock enter a later second.
func (e *Engine) enterSecond(second int64) {
	if e.second > 0 && second-e.second > Longest {
		e.ended.Clear()
	}
	e.second = second
	e.writeDue(false)
	e.ended.Pass(second)
	e.memory.Forget(memory.NanosOf(second - e.memory.Seconds))
	e.expire(second)
}

// Due returns the first time (UNIX nanoseconds) at which Expire has something to do,
// math.MaxInt64 if that is never; false if no backlog lives.
func (e *Engine) Due() (int64, bool) {
	if e.timers.Len() == 0 {
		return 0, false
	}
	due := int64(never)
	if deadline, grace := e.timers.First(), e.opts.MinAlarmLifetime; deadline <= never-1-grace {
		due = memory.NanosOf(deadline + grace + 1)
	}
	if len(e.unwritten) > 0 {
		last := e.second
		if e.clock == math.MinInt64 {
			last = e.lined
		}
		due = min(due, memory.NanosOf(last+1))
	}
	return due, true
}

// begin starts the changes of a new step.
func (e *Engine) begin() {
	e.changes = forget(e.changes)
	e.offers = forget(e.offers)
	e.order = Order{Step: e.stats.Steps + 1, deadline: never}
}

// keptScratch is the number of elements that the engine's working memory keeps
// room for from one step to the next.
const keptScratch = 4096

// forget empties working memory, so that it holds on to nothing, and gives it
// back if a burst has made it large.
func forget[T any](scratch []T) []T {
	if cap(scratch) > keptScratch {
		return nil
	}
	clear(scratch)
	return scratch[:0]
}

// remember remembers an event for a stage that it matches after the first, and for the
// first one of an always-active directive if it matches another one, too: backlogs may
// take it there.
func (e *Engine) remember(s *stage, a *arrived) {
	if s.number > 0 {
		e.post(a, s)
	} else if s.variant.plan.AllRulesAlwaysActive {
		e.firsts = append(e.firsts, s)
	}
}

func (e *Engine) rememberFirsts(a *arrived, matches uint32) {
	if e.memory.Posted() != matches {
		for _, s := range e.firsts {
			e.post(a, s)
		}
	}
	e.firsts = e.firsts[:0]
}

// dispatch offers an event to the backlogs of a directive that it matches,
// oldest first, and opens one if none took it (§6.1).
func (e *Engine) dispatch(owner *tracked, opener bool, a *arrived) {
	if len(e.offers) > 0 {
		e.identify(a)
		e.offer(a)
		return
	}
	if opener {
		switch {
		case e.known(owner, a):
			e.stats.Known++
			counts.Note(&e.sensors.Known, a.ev.Sensor)
		case e.open(owner, a):
			return
		default:
			e.stats.Refused++
			counts.Note(&e.sensors.Refused, a.ev.Sensor)
		}
	}
	if e.outside {
		e.stats.Outside++
		counts.Note(&e.sensors.Outside, a.ev.Sensor)
	}
}

// known reports whether an event opens no backlog of a directive, because a live one or
// one that has ended has recorded it (D35).
func (e *Engine) known(owner *tracked, a *arrived) bool {
	one := e.identified(a)
	return owner.seen.Has(e.keys.Salt, one) ||
		(owner.forgetful || owner.seen.HasID(e.keys.Salt, one.ID)) && e.taken(e.alarmID(owner.current.plan.ID, a.ev)) ||
		a.sent <= owner.lastSent && e.ended.Has(owner.place, a.Mark)
}

// offer gives an event to the backlogs in e.offers.
func (e *Engine) offer(a *arrived) {
	if len(e.offers) > 1 {
		slices.SortFunc(e.offers, e.compareOffers)
	}
	for i := 0; i < len(e.offers); {
		b, stage := e.offers[i].backlog, e.offers[i].stage
		for ; i < len(e.offers) && e.offers[i].backlog == b; i++ {
			if e.offers[i].stage == int(b.Current) {
				stage = int(b.Current)
			}
		}
		if e.take(b, stage, a) {
			e.lookBack(b)
		}
	}
}

// compareOffers puts the oldest backlog first and its stages in order.
func (e *Engine) compareOffers(a, b offer) int {
	if a.backlog != b.backlog {
		return e.opening(a.backlog).compare(e.opening(b.backlog))
	}
	return a.stage - b.stage
}

// take gives an event that matches a stage to a backlog: the current stage, or
// an earlier one of an always-active directive (§6.2). It reports whether another stage
// began.
func (e *Engine) take(b *backlogs.Backlog, stage int, a *arrived) (began bool) {
	current := stage == int(b.Current)
	switch {
	case current && (e.duplicate(b, a.ev) || e.recordedBelow(b, stage, a.ID)):
		e.stats.Repeated++
		counts.Note(&e.sensors.Repeated, a.ev.Sensor)
	case current && a.seconds < e.store.LatestEnd(b)-e.opts.OrderTolerance:
		e.stats.OutOfOrder++
		counts.Note(&e.sensors.OutOfOrder, a.ev.Sensor)
	case !e.mayGrow(b):
		e.stats.Refused++
		counts.Note(&e.sensors.Refused, a.ev.Sensor)
	case !current:
		e.accept(b, stage, a)
		e.forgetIDs(b, stage)
		e.updateLater(b)
	default:
		if e.accept(b, stage, a) {
			b.Latest = max(b.Latest, a.t)
		}
		if e.store.Count(b, stage) >= e.plan(b, stage).Occurrence {
			return e.complete(b)
		}
	}
	return false
}

// open creates a backlog and gives it its first event (§6.3), and reports whether there
// was room for one.
func (e *Engine) open(owner *tracked, a *arrived) bool {
	v, o := owner.current, a.Origin
	var data *backlogs.OpeningData
	if owner.needs.customData {
		d := backlogs.DataOf(a.ev)
		data = d.Clone()
	}
	group := e.groupKeyOf(v, &o, data)
	if owner.live >= e.bounds.group {
		e.makeRoom(group)
	}
	if (e.directiveFull(owner) || e.full()) && !e.giveRoom(owner) {
		return false
	}
	b := e.store.Take()
	b.Variant, b.Step = v.slot, int64(e.stats.Steps)
	b.Origin = o
	if b.ID = e.alarmID(v.plan.ID, a.ev); e.alarms != nil {
		e.alarms[b.ID] = struct{}{}
	}
	if data != nil {
		e.store.SetData(b, data)
	}
	e.store.Reach(b, 0).Start = a.seconds
	b.Nanos, b.Latest = int32(a.t-memory.NanosOf(a.seconds)), a.t
	b.Deadline = e.second + e.plan(b, 0).Timeout
	e.admit(b, group)
	e.emit(b, Change{Kind: Opened, Stage: int(e.plan(b, 0).Number), EventID: backlogs.Cut(a.ev.ID)})
	e.accept(b, 0, a)
	if e.complete(b) {
		e.lookBack(b)
	}
	return true
}

// admit adds a backlog, whose current stage and deadline are set, to a group and to the
// timers. It enters the tables when its stage is known.
func (e *Engine) admit(b *backlogs.Backlog, group uint64) {
	v := e.variantOf(b)
	v.live++
	if v.owner.live++; v.owner.live == 1 {
		e.stats.Active++
	}
	e.timers.Push(b)
	e.store.JoinGroup(b, group)
	e.joinCrowds(b, group)
}

// alarmID returns the id of the backlog that an event opens: a hash of what
// identifies both, 16 characters, the same on every replay (D13).
func (e *Engine) alarmID(directive uint64, ev *event.Event) [backlogs.IDLength]byte {
	buf := e.scratch[:0]
	buf = binary.BigEndian.AppendUint64(buf, directive)
	buf = binary.BigEndian.AppendUint64(buf, uint64(ev.Seconds))
	buf = binary.BigEndian.AppendUint32(buf, uint32(ev.Nanos))
	src, dst := ev.SrcIP.As16(), ev.DstIP.As16()
	buf = append(buf, src[:]...)
	buf = append(buf, dst[:]...)
	buf = append(buf, ev.ID...)
	e.scratch = buf
	sum := sha256.Sum256(buf)

	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	const half = backlogs.IDLength / 2
	var id [backlogs.IDLength]byte
	for i := 0; i < backlogs.IDLength; i += half {
		n := binary.BigEndian.Uint64(sum[i:])
		for j := range half {
			id[i+j] = alphabet[n%uint64(len(alphabet))]
			n /= uint64(len(alphabet))
		}
	}
	return id
}

// taken reports whether a live backlog has an id: that of an event that has another
// one's id, time and addresses, but other ports, or whose id has been forgotten. Nobody
// asks as long as events have ids of their own, and then nobody needs to know the ids of
// all.
func (e *Engine) taken(id [backlogs.IDLength]byte) bool {
	if e.alarms == nil {
		e.alarms = make(map[[backlogs.IDLength]byte]struct{}, e.timers.Len())
		for b := range e.store.All() {
			e.alarms[b.ID] = struct{}{}
		}
	}
	_, ok := e.alarms[id]
	return ok
}
