package correlate_test

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/correlate/resume"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// world is a generated configuration with what happens to it.
type world struct {
	assets     []asset.Asset
	directives []*directive.Directive
	opts       settings
	bounds     bounds // those of docs/spec/correlation.md §15, unless a test lowers them
	ops        []op
}

// op is one thing that happens. Clocks do not go back.
type op struct {
	kind  opKind
	clock int64 // UNIX nanoseconds
	event event.Event
}

type opKind int

const (
	stepping opKind = iota
	expiring
	flushing
)

// GoString keeps failures readable: times are shown from the start of the world.
func (w world) GoString() string {
	var b strings.Builder
	fmt.Fprintf(&b, "options %+v bounds %+v\n", w.opts, w.bounds)
	for _, a := range w.assets {
		fmt.Fprintf(&b, "%+v\n", a)
	}
	for _, d := range w.directives {
		fmt.Fprintf(&b, "%d %q priority %d always %v\n", d.ID, d.Name, d.Priority, d.AllRulesAlwaysActive)
		for i := range d.Rules {
			fmt.Fprintf(&b, "  %+v\n", d.Rules[i])
		}
	}
	for i := range w.ops {
		o := &w.ops[i]
		fmt.Fprintf(&b, "%+.9f ", float64(o.clock-worldStart)/nanos)
		switch o.kind {
		case stepping:
			fmt.Fprintf(&b, "t%+.9f ", float64(sent(&o.event)-worldStart)/nanos)
			b.Write(event.AppendJSON(nil, &o.event))
			b.WriteByte('\n')
		case expiring:
			b.WriteString("expire\n")
		case flushing:
			b.WriteString("flush\n")
		}
	}
	return strings.ReplaceAll(b.String(), long, "<long>")
}

const worldStart = 1_700_000_000 * nanos

// play lets part of a world happen to a subject and returns the subject's lines.
func play(s subject, ops []op) []string {
	for i := range ops {
		switch o := &ops[i]; o.kind {
		case stepping:
			s.Step(o.clock, &o.event)
		case expiring:
			s.Expire(o.clock)
		case flushing:
			s.Flush(o.clock)
		}
	}
	return s.Lines()
}

// --- generators ---

// kind of world.
type kind struct {
	// plain worlds are those on which docs/spec/correlation.md §15 changes nothing (its chapter
	// on compatibility): in order, in time, unique ids, at most one line per alarm
	// and second, no falling risk.
	plain bool
	// inOrder worlds have times that never fall, with any lag, and anything else.
	inOrder bool
	// lowBounds lowers the bounds that are constants elsewhere.
	lowBounds bool
	// short worlds have no texts that are cut where they are shown (D38).
	short bool
	// simple worlds have rules that fit more events; every other world is.
	simple bool
}

// everyKind returns the kinds of worlds by name.
func everyKind() map[string]kind {
	return map[string]kind{
		"plain": {plain: true}, "in order": {inOrder: true}, "timed": {}, "low bounds": {lowBounds: true},
	}
}

// The generators draw from small sets, so that rules, backlogs and events meet
// often.
func aWorld(k kind) *rapid.Generator[world] {
	return rapid.Custom(func(t *rapid.T) world {
		k.simple = rapid.Bool().Draw(t, "simple")
		w := world{opts: someSettings(t, k), bounds: specified()}
		if k.lowBounds {
			low := func(label string) int { return rapid.SampledFrom([]int{1, 2, 3, 1000}).Draw(t, label) }
			// The bounds of D32.4, which are unlimited in some worlds.
			lowLive := func(label string) int {
				return rapid.SampledFrom([]int{1, 2, 3, 5, math.MaxInt, math.MaxInt}).Draw(t, label)
			}
			w.bounds = bounds{
				live: low("live"), directive: lowLive("live of a directive"), engine: lowLive("live of the engine"),
				considered: low("considered"), offered: low("offered"), remembered: low("remembered"), known: low("known"),
				custom: low("custom values"), ids: low("ids"), listed: rapid.SampledFrom([]int{100, 1000}).Draw(t, "listed"), text: w.bounds.text,
			}
		}
		w.assets = rapid.SliceOfN(anAsset(k), 1, 5).Draw(t, "assets")
		for i := range rapid.IntRange(1, 4).Draw(t, "directives") {
			w.directives = append(w.directives, aDirective(t, k, uint64(i+1)))
		}
		if k.plain {
			w.ops = plainOps(t, k, &w)
		} else {
			w.ops = timedOps(t, k, &w)
		}
		return w
	})
}

func someSettings(t *rapid.T, k kind) settings {
	s := defaults()
	s.OrderTolerance = rapid.SampledFrom([]int64{5, 5, 0, 1}).Draw(t, "tolerance")
	s.LookBack = rapid.SampledFrom([]int64{10, 60, 0, 2}).Draw(t, "look-back")
	s.Remember = rapid.SampledFrom([]int64{3600, 3600, 0, 5}).Draw(t, "remember")
	s.Grace = rapid.SampledFrom([]int64{0, 0, 3}).Draw(t, "grace")
	if !k.plain {
		s.MaxAlarmValues = rapid.SampledFrom([]int{1000, 1000, 1, 2}).Draw(t, "values")
	}
	return s
}

func anAsset(k kind) *rapid.Generator[asset.Asset] {
	return rapid.Custom(func(t *rapid.T) asset.Asset {
		networks := []string{"10.0.0.0/8", "10.0.0.0/24", "10.0.0.1/32", "10.0.0.2/32", "192.168.0.0/16", "2001:db8::/32", "2001:db8::1/128"}
		if !k.plain { // else the value falls when 0.0.0.0 gives way
			networks = append(networks, "0.0.0.0/0")
		}
		return asset.Asset{
			Name:   rapid.SampledFrom([]string{"alpha", "beta", "DST_IP"}).Draw(t, "name"),
			Prefix: netip.MustParsePrefix(rapid.SampledFrom(networks).Draw(t, "cidr")),
			Value:  rapid.IntRange(1, 9).Draw(t, "value"), Whitelisted: rapid.IntRange(0, 4).Draw(t, "whitelisted") == 0,
		}
	})
}

func anAddress(t *rapid.T) netip.Addr {
	return netip.MustParseAddr(rapid.SampledFrom([]string{
		"10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.1.1", "192.168.0.1", "8.8.8.8", "2001:db8::1", "2001:db8::2", "0.0.0.0",
	}).Draw(t, "address"))
}

// long is as long as a text may be that is shown (D38).
var long = strings.Repeat("x", specified().text)

// someEvent is an event without id and time.
func someEvent(t *rapid.T, k kind) event.Event {
	if k.simple {
		return event.Event{
			SrcIP:    netip.MustParseAddr(rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2"}).Draw(t, "source")),
			DstIP:    netip.MustParseAddr(rapid.SampledFrom([]string{"10.0.0.9", "10.0.0.9", "8.8.8.8"}).Draw(t, "destination")),
			SrcPort:  rapid.SampledFrom([]uint16{1000, 1000, 1001}).Draw(t, "src port"),
			PluginID: 1001, PluginSID: rapid.Uint64Range(1, 3).Draw(t, "sid"),
			CustomData: [event.CustomFields]string{rapid.SampledFrom([]string{"", "joe", "JOE"}).Draw(t, "custom data")},
		}
	}
	ev := event.Event{
		SrcIP: anAddress(t), DstIP: anAddress(t),
		SrcPort: rapid.SampledFrom([]uint16{0, 80, 1000}).Draw(t, "src port"),
		DstPort: rapid.SampledFrom([]uint16{0, 22, 80}).Draw(t, "dst port"),
	}
	if rapid.IntRange(0, 3).Draw(t, "plugin") > 0 {
		ev.PluginID, ev.PluginSID = 1001, rapid.Uint64Range(1, 3).Draw(t, "sid")
	}
	if ev.PluginID == 0 || rapid.IntRange(0, 3).Draw(t, "taxonomy") == 0 {
		ev.Product = rapid.SampledFrom([]string{"FW", "IDS"}).Draw(t, "product")
		ev.Category = "Deny"
		ev.Subcategory = rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "subcategory")
	}
	texts, labels := []string{"", "", "joe", "JOE", "!joe", "a,b", "ANY", ":1"}, []string{"", "user"}
	if !k.plain && !k.short && oneIn(t, 8, "long texts") { // some are one when they are cut
		texts = []string{long + "a", long + "b", strings.ToUpper(long) + "A", long, "joe", ""}
		labels = []string{"", long + "a", long + "b"}
	}
	for i := range ev.CustomData {
		ev.CustomData[i] = rapid.SampledFrom(texts).Draw(t, "custom data")
		ev.CustomLabel[i] = rapid.SampledFrom(labels).Draw(t, "label")
	}
	return ev
}

func aDirective(t *rapid.T, k kind, id uint64) *directive.Directive {
	d := &directive.Directive{
		ID: id, Name: rapid.SampledFrom([]string{"plain", "from SRC_IP to DST_IP", "DST_IP SRC_IP SRC_IP"}).Draw(t, "title") + strconv.Itoa(int(id)),
		Kingdom: "K", Category: "C", Priority: rapid.IntRange(1, 5).Draw(t, "priority"),
		AllRulesAlwaysActive: rapid.Bool().Draw(t, "always active"),
	}
	stage, reliability := 0, 0
	for range rapid.IntRange(2, 4).Draw(t, "stages") {
		stage++
		if stage > 1 && rapid.IntRange(0, 5).Draw(t, "gap") == 0 {
			stage++
		}
		r := aRule(t, k, stage, d.Rules)
		if k.plain {
			reliability = rapid.IntRange(reliability, 10).Draw(t, "rising reliability")
			r.Reliability = reliability
		}
		d.Rules = append(d.Rules, r)
	}
	return d
}

func aRule(t *rapid.T, k kind, stage int, lower []directive.Rule) directive.Rule {
	var references []string
	for _, r := range lower {
		references = append(references, ":"+strconv.Itoa(r.Stage))
	}
	references = slices.Concat(references, references, references)
	one := func(label string, texts ...string) string {
		return rapid.SampledFrom(append(texts, references...)).Draw(t, label)
	}
	r := directive.Rule{
		Name: fmt.Sprint("r", stage), Stage: stage, Occurrence: 1, Protocol: "ANY",
		From:     one("from", "ANY", "ANY", "ANY", "HOME_NET", "!HOME_NET", "10.0.0.1", "!10.0.0.1,10.0.0.0/24", "2001:db8::/32"),
		To:       one("to", "ANY", "ANY", "ANY", "HOME_NET", "!HOME_NET", "10.0.0.2", "10.0.0.0/8,!10.0.0.2", "!2001:db8::1"),
		PortFrom: one("port from", "ANY", "ANY", "ANY", "1000", "!80"), PortTo: one("port to", "ANY", "ANY", "ANY", "22,80", "!22"),
		Reliability: rapid.IntRange(0, 10).Draw(t, "reliability"),
		Timeout:     rapid.SampledFrom([]int64{0, 3, 10, 60, 1000}).Draw(t, "timeout"),
	}
	if stage > 1 {
		r.Occurrence = rapid.Uint64Range(1, 4).Draw(t, "occurrence")
	}
	if rapid.IntRange(0, 3).Draw(t, "type") > 0 {
		r.PluginID = 1001
		r.PluginSID = rapid.SampledFrom([][]uint64{{1}, {2}, {1, 2}, {3, 1, 3}}).Draw(t, "sids")
	} else {
		r.Type, r.Category = directive.TaxonomyRule, "Deny"
		r.Product = rapid.SampledFrom([][]string{{"FW"}, {"IDS", "FW"}}).Draw(t, "products")
		r.Subcategory = rapid.SampledFrom([][]string{nil, {"x"}, {"x", "y"}, {"ANY"}}).Draw(t, "subcategories")
	}
	if k.simple {
		r.Type, r.PluginID, r.Product, r.Category, r.Subcategory = directive.PluginRule, 1001, nil, "", nil
		r.PluginSID = rapid.SampledFrom([][]uint64{{1}, {2}, {3}, {1, 2}}).Draw(t, "simple sids")
		r.From, r.To, r.PortFrom, r.PortTo = one("simple from", "ANY"), one("simple to", "ANY", "ANY"), one("simple port", "ANY", "ANY", "ANY"), "ANY"
		r.StickyDifferent = rapid.SampledFrom([]directive.Sticky{directive.NoSticky, directive.NoSticky, directive.NoSticky, directive.StickySrcPort}).Draw(t, "simple sticky")
		r.CustomData[0] = one("simple custom data", "", "", "ANY")
		return r
	}
	r.StickyDifferent = directive.Sticky(rapid.SampledFrom([]int{0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}).Draw(t, "sticky"))
	for i := range r.CustomData {
		r.CustomData[i] = one("custom data", "", "", "", "", "ANY", "ANY", "Joe", "!joe", "joe, a", ":80")
	}
	return r
}

// oneIn draws true once in n times.
func oneIn(t *rapid.T, n int, label string) bool {
	return rapid.IntRange(1, n).Draw(t, label) == n
}

func at(ev event.Event, t int64) event.Event {
	ev.Seconds, ev.Nanos = second(t), int32(t-second(t)*nanos)
	return ev
}

const ms = nanos / 1000

// plainOps are events in order of their times, which are those of the clock.
func plainOps(t *rapid.T, k kind, w *world) []op {
	pauses := []int64{0, 0, 400 * ms, nanos, nanos, 2 * nanos, 5 * nanos, 30 * nanos}
	if slices.ContainsFunc(w.directives, func(d *directive.Directive) bool { return d.AllRulesAlwaysActive }) {
		pauses = []int64{nanos, 1400 * ms, 2 * nanos, 5 * nanos, 30 * nanos} // one line per alarm and second
	}
	var ops []op
	now := int64(worldStart)
	for _, ev := range someEvents(t, k, w, rapid.IntRange(1, 15).Draw(t, "pieces")) {
		now += rapid.SampledFrom(pauses).Draw(t, "pause")
		ev = at(ev, now)
		ev.ID = "e" + strconv.Itoa(len(ops))
		if oneIn(t, 10, "tick") {
			ops = append(ops, op{kind: expiring, clock: now})
		}
		ops = append(ops, op{clock: now, event: ev})
	}
	ops = append(ops, op{kind: flushing, clock: now})
	if rapid.Bool().Draw(t, "expire all") {
		ops = append(ops, op{kind: expiring, clock: math.MaxInt64})
	}
	return ops
}

// someEvents returns events without ids and times: single ones, and attacks in
// the order of their stages.
func someEvents(t *rapid.T, k kind, w *world, pieces int) []event.Event {
	var events []event.Event
	for range pieces {
		if oneIn(t, 3, "single") {
			events = append(events, someEvent(t, k))
		} else {
			events = append(events, anAttack(t, k, w)...)
		}
	}
	if len(events) == 0 { // an attack with too few of everything
		events = append(events, someEvent(t, k))
	}
	return events
}

// anAttack returns events that go through the stages of a directive, or some of
// them: often too few or too many of a stage.
func anAttack(t *rapid.T, k kind, w *world) []event.Event {
	d := rapid.SampledFrom(w.directives).Draw(t, "attacked directive")
	base := someEvent(t, k)
	var events []event.Event
	for i := range d.Rules {
		rule := &d.Rules[i]
		count := int(rule.Occurrence) + rapid.SampledFrom([]int{0, 0, 0, 0, -1, 1, 2}).Draw(t, "surplus")
		for range count {
			ev := base
			if oneIn(t, 8, "other event") {
				ev = someEvent(t, k)
			}
			if rule.Type == directive.PluginRule {
				ev.PluginID, ev.PluginSID = rule.PluginID, rapid.SampledFrom(rule.PluginSID).Draw(t, "attack sid")
			} else {
				ev.Product, ev.Category = rule.Product[0], rule.Category
				ev.Subcategory = "x"
			}
			if rule.StickyDifferent != directive.NoSticky && !oneIn(t, 4, "same value") {
				varied := someEvent(t, k)
				switch rule.StickyDifferent {
				case directive.StickySrcIP:
					ev.SrcIP = varied.SrcIP
				case directive.StickyDstIP:
					ev.DstIP = varied.DstIP
				case directive.StickySrcPort:
					ev.SrcPort = varied.SrcPort
				case directive.StickyDstPort:
					ev.DstPort = varied.DstPort
				case directive.StickyCustomData1, directive.StickyCustomData2, directive.StickyCustomData3:
					ev.CustomData = varied.CustomData
				case directive.NoSticky, directive.StickyPluginSID:
				}
			}
			events = append(events, ev)
		}
	}
	return events
}

// timedOps are events that arrive late, early, in mixed order, again, and
// without an id.
func timedOps(t *rapid.T, k kind, w *world) []op {
	ops := sentOps(t, k, w)
	deliver(t, k, ops)
	if !k.inOrder {
		ops = append(ops, repeated(t, ops)...)
	}
	sort.SliceStable(ops, func(i, j int) bool { return ops[i].clock < ops[j].clock })
	if len(ops) > 2 && oneIn(t, 6, "outage") { // what was sent meanwhile arrives at once
		from := rapid.IntRange(0, len(ops)-2).Draw(t, "outage from")
		to := rapid.IntRange(from+1, len(ops)-1).Draw(t, "outage to")
		for i := from; i < to; i++ {
			ops[i].clock = ops[to].clock
		}
	}
	if oneIn(t, 5, "batch again") {
		again := slices.Clone(ops)
		clock := ops[len(ops)-1].clock + rapid.SampledFrom([]int64{0, nanos, 20 * nanos, 1100 * nanos, 3000 * nanos, 4000 * nanos}).Draw(t, "later")
		for i := range again {
			again[i].clock = clock
		}
		if !k.inOrder {
			ops = append(ops, again...)
		}
	}
	ops = withTicks(t, ops)
	giveIDs(ops)
	last := ops[len(ops)-1].clock
	ops = append(ops, op{kind: flushing, clock: last})
	if rapid.Bool().Draw(t, "expire all") {
		ops = append(ops, op{kind: expiring, clock: math.MaxInt64})
	}
	return ops
}

// sentOps are events with the times at which they were sent, in that order;
// attacks may overlap.
func sentOps(t *rapid.T, k kind, w *world) []op {
	var ops []op
	now := worldStart + rapid.SampledFrom([]int64{0, 500 * ms, nanos - 1}).Draw(t, "begin")
	whole := oneIn(t, 4, "whole seconds")
	for range rapid.IntRange(1, 8).Draw(t, "pieces") {
		piece := someEvents(t, k, w, 1)
		pause := rapid.SampledFrom([]int64{0, 1, 100 * ms, 900 * ms, 900 * ms, nanos, 3 * nanos}).Draw(t, "pause")
		clock := now
		for _, ev := range piece {
			stamp := clock
			if whole {
				stamp = second(clock) * nanos
			}
			ev = at(ev, stamp)
			ev.ID = "e" + strconv.Itoa(len(ops))
			switch rapid.IntRange(0, 19).Draw(t, "id") {
			case 0:
				ev.ID = "" // without
			case 1:
				ids := []string{"a", "b"}
				if !k.short {
					ids = append(ids, long+"a", long+"b")
				}
				ev.ID = rapid.SampledFrom(ids).Draw(t, "common id")
			}
			ops = append(ops, op{clock: clock, event: ev})
			clock += pause
			if oneIn(t, 10, "longer pause") {
				clock += rapid.SampledFrom([]int64{nanos, 4 * nanos, 11 * nanos}).Draw(t, "by")
			}
		}
		if rapid.Bool().Draw(t, "one after the other") {
			now = clock
		}
		now += rapid.SampledFrom([]int64{0, 0, 100 * ms, nanos, 11 * nanos, 70 * nanos}).Draw(t, "until the next")
	}
	sort.SliceStable(ops, func(i, j int) bool { return ops[i].clock < ops[j].clock })
	return ops
}

// deliver gives events the clock of their arrival, and some a wrong time.
func deliver(t *rapid.T, k kind, ops []op) {
	lag := rapid.SampledFrom([]int64{0, 0, 0, 1 * nanos, 300 * nanos, 7200 * nanos}).Draw(t, "lag")
	if k.inOrder {
		for i := range ops {
			ops[i].clock += lag
		}
		return
	}
	jitter := rapid.SampledFrom([]int64{0, 3, 20, 90, 300}).Draw(t, "jitter") // in tenths of a second
	for i := range ops {
		ops[i].clock += lag + rapid.Int64Range(0, jitter).Draw(t, "delay")*100*ms
		if oneIn(t, 20, "wrong time") {
			ahead := rapid.SampledFrom([]int64{
				nanos - 1, nanos, 3 * nanos, 60 * nanos, 7 * 3600 * nanos, 200 * 365 * 86400 * nanos,
				-1, -nanos, -3 * nanos, -6 * nanos, -60 * nanos, -7 * 3600 * nanos,
			}).Draw(t, "ahead")
			ops[i].event = at(ops[i].event, sent(&ops[i].event)+ahead)
		}
	}
}

// repeated returns some of the events again: the same, or the same id from
// elsewhere or of another time.
func repeated(t *rapid.T, ops []op) []op {
	var again []op
	for _, o := range ops {
		if !oneIn(t, 10, "again") {
			continue
		}
		o.clock += rapid.SampledFrom([]int64{0, 100 * ms, nanos, 5 * nanos, 20 * nanos, 100 * nanos, 4000 * nanos}).Draw(t, "after")
		switch rapid.IntRange(0, 5).Draw(t, "what differs") {
		case 0:
			o.event.SrcIP = anAddress(t)
		case 1:
			o.event.SrcPort = 4444
		case 2:
			o.event = at(o.event, sent(&o.event)+rapid.SampledFrom([]int64{1, nanos, 20 * nanos, -nanos}).Draw(t, "by"))
		}
		again = append(again, o)
	}
	return again
}

// withTicks puts expiries between events.
func withTicks(t *rapid.T, ops []op) []op {
	var out []op
	for i, o := range ops {
		if i > 0 && oneIn(t, 10, "tick") {
			out = append(out, op{kind: expiring, clock: ops[i-1].clock + rapid.SampledFrom([]int64{0, 1, 2}).Draw(t, "part")*(o.clock-ops[i-1].clock)/2})
		}
		out = append(out, o)
	}
	return out
}

// giveIDs gives events without an id what the first node gives them (D34). An
// event that is sent again without an id is another event.
func giveIDs(ops []op) {
	for i := range ops {
		if ops[i].kind == stepping && ops[i].event.ID == "" {
			ops[i].event.ID = fmt.Sprintf("given%011d", i)
		}
	}
}

// --- comparing ---

// named replaces alarm ids by numbers in order of appearance.
func named(lines []string) []string {
	names := map[string]string{}
	out := make([]string, len(lines))
	for i, line := range lines {
		rest, _ := strings.CutPrefix(line, `{"alarm_id":"`)
		id, rest, _ := strings.Cut(rest, `"`)
		if names[id] == "" {
			names[id] = fmt.Sprint("#", len(names)+1)
		}
		out[i] = names[id] + networksSorted(rest)
	}
	return out
}

// networksSorted sorts the networks of an alarm that has left out values: the
// order in which it saw those of values that it does not list is not specified.
func networksSorted(line string) string {
	before, rest, ok := strings.Cut(line, `"networks":[`)
	list, after, _ := strings.Cut(rest, `]`)
	if !ok || !strings.Contains(after, `,"truncated":{"src_ips":`) {
		return line
	}
	networks := strings.Split(list, ",")
	slices.Sort(networks)
	return before + `"networks":[` + strings.Join(networks, ",") + `]` + after
}

// byName groups lines by the name in front of them.
func byName(lines []string) map[string][]string {
	out := map[string][]string{}
	for _, line := range lines {
		name, _, _ := strings.Cut(line, `"`)
		name, _, _ = strings.Cut(name, ",")
		out[name] = append(out[name], line)
	}
	return out
}

// byAlarm groups lines by alarm id, in the order of each alarm's own lines.
func byAlarm(lines []string) map[string][]string {
	out := map[string][]string{}
	for _, line := range lines {
		id, _, _ := strings.Cut(strings.TrimPrefix(line, `{"alarm_id":"`), `"`)
		out[id] = append(out[id], line)
	}
	return out
}

// --- properties of the engine ---

func TestIndexedEngineEqualsReference(t *testing.T) {
	for name, k := range everyKind() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := aWorld(k).Draw(t, "world")
				ref, engine := newReference(&w), newEngines(&w, 1)
				if diff := cmp.Diff(named(play(ref, w.ops)), named(play(engine, w.ops))); diff != "" {
					t.Fatalf("reference - engine +:\n%s", diff)
				}
				for name, got := range engine.Counters() {
					if want := ref.Counters()[name]; got != want {
						t.Errorf("%s: reference %d, engine %d", name, want, got)
					}
				}
			})
		})
	}
}

func TestShardCountDoesNotChangeOutput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Without low bounds: beyond those that an engine has as a whole (D32.4, D33, D35) the
		// number of engines may change the result.
		w := aWorld(kind{}).Draw(t, "world")
		one, three := newEngines(&w, 1), newEngines(&w, 3)
		if diff := cmp.Diff(play(one, w.ops), play(three, w.ops)); diff != "" {
			t.Fatalf("one engine - three +:\n%s", diff)
		}
		if diff := cmp.Diff(one.Counters(), three.Counters()); diff != "" {
			t.Fatalf("counters of one engine - three +:\n%s", diff)
		}
		// A batch merged as a whole gives the same order.
		var batch []correlate.Change
		for _, e := range newEngines(&w, 3).list {
			for i := range w.ops {
				batch = append(batch, apply(e, &w.ops[i])...)
			}
		}
		slices.SortStableFunc(batch, func(a, b correlate.Change) int { return a.Order.Compare(b.Order) })
		if diff := cmp.Diff(one.Lines(), linesOf(batch)); diff != "" {
			t.Fatalf("one engine - merged batch +:\n%s", diff)
		}
	})
}

func TestSaveAndRestoreEqualsNoRestart(t *testing.T) {
	for name, k := range everyKind() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { saveAndRestore(t, aWorld(k).Draw(t, "world")) })
		})
	}
}

func saveAndRestore(t *rapid.T, w world) {
	// Files do not tell which of the backlogs of different directives was opened first:
	// they may change places when they end in one step, and when one of them has to give way
	// because the engine is full (D32.4).
	w.bounds.known, w.bounds.engine = specified().known, specified().engine
	stop := rapid.IntRange(0, len(w.ops)).Draw(t, "stop")
	straight := newEngines(&w, 1)
	play(straight, w.ops[:stop])
	restarted, err := straight.restarted(&w, straight.clock)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(saved(straight), saved(restarted)); diff != "" {
		t.Fatalf("saved before - after restart +:\n%s", diff)
	}
	if stop > 0 { // no time has passed
		if o := (&op{kind: expiring, clock: w.ops[stop-1].clock}); o.clock < math.MaxInt64 {
			if before := len(restarted.lines); len(play(restarted, []op{*o})) > before {
				t.Fatalf("lines at the time of the restart: %q", restarted.lines[before:])
			}
		}
	}
	// Backlogs of different directives that expire in the same second may
	// change places: files do not tell which was opened first.
	if diff := cmp.Diff(byAlarm(play(straight, w.ops[stop:])), byAlarm(play(restarted, w.ops[stop:]))); diff != "" {
		t.Fatalf("no restart - restart +:\n%s", diff)
	}
	if stop < len(w.ops) { // the clock has begun, so that ages can be told
		if diff := cmp.Diff(remembered(straight), remembered(restarted)); diff != "" {
			t.Fatalf("remembered without - with restart +:\n%s", diff)
		}
	}
}

// Between a save and a load the directives change: old backlogs keep their
// rules, new ones get the new rules, and both live side by side (§11.3, B25).
func TestRestoreUnderOtherDirectivesEqualsReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := aWorld(kind{}).Draw(t, "world")
		stop := rapid.IntRange(0, len(w.ops)).Draw(t, "stop")
		ref, engine := newReference(&w), newEngines(&w, 1)
		play(ref, w.ops[:stop])
		play(engine, w.ops[:stop])

		var directives []*directive.Directive
		for _, d := range w.directives {
			directives = append(directives, change(t, d))
		}
		changed := w.withDirectives(directives)
		play(engine, []op{{kind: flushing}}) // an orderly stop
		goesOn := engine.clock
		if stop < len(w.ops) {
			goesOn = w.ops[stop].clock
			ref.restart(goesOn, directives)
		}
		restarted, err := engine.restarted(changed, goesOn)
		if err != nil {
			t.Fatal(err)
		}
		want, got := play(ref, w.ops[stop:]), play(restarted, w.ops[stop:])
		if diff := cmp.Diff(byName(named(want)), byName(named(got))); diff != "" {
			t.Fatalf("stop %d, changed to %#v\nreference - engine +:\n%s", stop, changed, diff)
		}
	})
}

// A start with the files of an older version, which has events in order and times of
// arrival that are theirs.
func TestRestoreOfAnOlderVersionEqualsReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := aWorld(kind{short: true}).Draw(t, "world")
		w.opts.MaxAlarmValues = defaults().MaxAlarmValues
		stop := rapid.IntRange(0, len(w.ops)).Draw(t, "stop")
		ref, engine := newReference(&w), newEngines(&w, 1)
		before := append(slices.Clone(w.ops[:stop]), op{kind: flushing})
		play(ref, before)
		play(engine, before)
		ref.upgrade()
		upgraded, err := engine.upgraded(&w)
		if err != nil {
			t.Fatal(err)
		}
		want, got := play(ref, w.ops[stop:]), play(upgraded, w.ops[stop:])
		if diff := cmp.Diff(byName(named(want)), byName(named(got))); diff != "" {
			t.Fatalf("stop %d\nreference - engine +:\n%s", stop, diff)
		}
	})
}

// change returns a directive with the same id and name and some other rules.
func change(t *rapid.T, d *directive.Directive) *directive.Directive {
	out := *d
	out.Rules = slices.Clone(d.Rules)
	out.Priority = rapid.IntRange(1, 5).Draw(t, "new priority")
	for i := range out.Rules {
		r := &out.Rules[i]
		switch rapid.IntRange(0, 6).Draw(t, "change") {
		case 0:
			r.Reliability = rapid.IntRange(0, 10).Draw(t, "new reliability")
		case 1:
			r.Timeout = rapid.SampledFrom([]int64{0, 3, 1000}).Draw(t, "new timeout")
		case 2:
			out.Rules[i] = aRule(t, kind{}, r.Stage, out.Rules[:i])
		}
	}
	return &out
}

// saved returns the saved backlogs of an engine as text.
func saved(s *engines) []string { return savedOf(s.list[0]) }

func savedOf(e *correlate.Engine) []string {
	var out []string
	for id, one := range e.Save() {
		out = append(out, fmt.Sprint(id, string(alarm.AppendSaved(nil, []alarm.Saved{one}))))
	}
	return out
}

// remembered returns what an engine remembers as text. Backlogs of different
// directives that end in one second may change places.
func remembered(s *engines) []string {
	var out []string
	r := resume.Collect(s.list[0].Remembered())
	for _, one := range r.Events {
		out = append(out, fmt.Sprint(one.Arrival, string(event.AppendJSON(nil, one.Event))))
	}
	ended := len(out)
	for _, some := range r.Ended {
		for _, one := range some.Events {
			out = append(out, fmt.Sprint(some.Directive, some.Age, one))
		}
	}
	slices.Sort(out[ended:])
	return out
}

// D33: input in order, ties and any lag included, has no look-backs.
func TestLookBackChangesNothingOfEventsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := aWorld(kind{inOrder: true}).Draw(t, "world")
		w.opts.LookBack = 60
		on := newEngines(&w, 1)
		w.opts.LookBack = 0
		off := newEngines(&w, 1)
		if diff := cmp.Diff(play(off, w.ops), play(on, w.ops)); diff != "" || on.Counters()["lookedBack"] > 0 {
			t.Fatalf("counters %v, off - on +:\n%s", on.Counters(), diff)
		}
	})
}

// D35: an alarm id is never given twice. It is made of the opener's id, time and
// addresses (D13): an event that differs from the opener of a live or remembered
// backlog in nothing but its ports opens none.
func TestAlarmIDIsNeverGivenTwice(t *testing.T) {
	d := stages(1, 1)
	d.Rules[1].PortFrom = ":1"
	w := &world{directives: []*directive.Directive{d}, opts: defaults(), bounds: specified()}
	opener := func(t float64, port uint16) event.Event {
		ev := sends(t, "e", 1)
		ev.SrcPort = port
		return ev
	}
	end := sends(3, "end", 2)
	end.SrcPort = 1
	for name, s := range map[string]subject{"reference": newReference(w), "engine": newEngines(w, 1)} {
		for _, c := range []struct {
			clock float64
			event event.Event
			lines int
			known uint64
		}{
			{0, opener(0, 1), 1, 0},
			{1, opener(0, 2), 0, 1},                   // of a live backlog
			{1, opener(0.5, 2), 1, 0},                 // another time
			{1, from(opener(0, 2), "10.0.0.9"), 1, 0}, // another address
			{1, opener(0, 3), 0, 1},                   // asked again
			{3, end, 1, 0},
			{4, opener(0, 1), 0, 1}, // of one that has ended
			{4, opener(0, 2), 0, 1},
			{5000, opener(0, 2), 1, 0}, // forgotten
		} {
			lines, known := len(s.Lines()), s.Counters()["known"]
			s.Step(moment(c.clock), &c.event)
			if got, count := len(s.Lines())-lines, s.Counters()["known"]-known; got != c.lines || count != c.known {
				t.Errorf("%s: at %v %+v: %d lines, %d known", name, c.clock, c.event, got, count)
			}
		}
	}
}
