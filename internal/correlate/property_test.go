package correlate_test

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// world is a generated configuration with a stream of events.
type world struct {
	assets     []asset.Asset
	directives []*directive.Directive
	events     []event.Event
	opts       correlate.Options
}

// GoString keeps failures readable.
func (w world) GoString() string {
	var b strings.Builder
	fmt.Fprintf(&b, "options %+v\n", w.opts)
	for _, a := range w.assets {
		fmt.Fprintf(&b, "%+v\n", a)
	}
	for _, d := range w.directives {
		fmt.Fprintf(&b, "%d %q priority %d always %v\n", d.ID, d.Name, d.Priority, d.AllRulesAlwaysActive)
		for i := range d.Rules {
			fmt.Fprintf(&b, "  %+v\n", d.Rules[i])
		}
	}
	for i := range w.events {
		b.Write(event.AppendJSON(nil, &w.events[i]))
		b.WriteByte('\n')
	}
	return b.String()
}

// The generators draw from small sets, so that rules, backlogs and events meet
// often.
func aWorld() *rapid.Generator[world] {
	return rapid.Custom(func(t *rapid.T) world {
		w := world{opts: correlate.Options{
			MinAlarmLifetime: rapid.SampledFrom([]int64{0, 0, 3}).Draw(t, "lifetime"),
			MedRiskMin:       3, MedRiskMax: 6, Status: "Open", Tag: "T",
		}}
		w.assets = rapid.SliceOfN(anAsset(), 1, 5).Draw(t, "assets")
		for i := range rapid.IntRange(1, 4).Draw(t, "directives") {
			w.directives = append(w.directives, aDirective(t, uint64(i+1)))
		}
		now := int64(1_700_000_000)
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			now += rapid.SampledFrom([]int64{0, 0, 1, 1, 2, 5, -3}).Draw(t, "pause")
			w.events = append(w.events, anEvent(t, now))
		}
		return w
	})
}

func anAsset() *rapid.Generator[asset.Asset] {
	return rapid.Custom(func(t *rapid.T) asset.Asset {
		prefix := rapid.SampledFrom([]string{
			"10.0.0.0/8", "10.0.0.0/24", "10.0.0.1/32", "10.0.0.2/32", "192.168.0.0/16", "2001:db8::/32", "2001:db8::1/128", "0.0.0.0/0",
		}).Draw(t, "cidr")
		return asset.Asset{
			Name:   rapid.SampledFrom([]string{"alpha", "beta", "DST_IP"}).Draw(t, "name"),
			Prefix: netip.MustParsePrefix(prefix),
			Value:  rapid.IntRange(1, 9).Draw(t, "value"), Whitelisted: rapid.IntRange(0, 4).Draw(t, "whitelisted") == 0,
		}
	})
}

func anAddress(t *rapid.T) netip.Addr {
	return netip.MustParseAddr(rapid.SampledFrom([]string{
		"10.0.0.1", "10.0.0.2", "10.0.1.1", "192.168.0.1", "8.8.8.8", "2001:db8::1", "2001:db8::2", "0.0.0.0",
	}).Draw(t, "address"))
}

func anEvent(t *rapid.T, seconds int64) event.Event {
	ev := event.Event{
		ID:      rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}).Draw(t, "id") + rapid.SampledFrom([]string{"", "1", "2", "3"}).Draw(t, "more"),
		Seconds: seconds, SrcIP: anAddress(t), DstIP: anAddress(t),
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
	for i := range ev.CustomData {
		ev.CustomData[i] = rapid.SampledFrom([]string{"", "", "joe", "JOE", "!joe", "a,b", "ANY", ":1"}).Draw(t, "custom data")
		ev.CustomLabel[i] = rapid.SampledFrom([]string{"", "user"}).Draw(t, "label")
	}
	return ev
}

func aDirective(t *rapid.T, id uint64) *directive.Directive {
	d := &directive.Directive{
		ID: id, Name: rapid.SampledFrom([]string{"plain", "from SRC_IP to DST_IP", "DST_IP SRC_IP SRC_IP"}).Draw(t, "title") + strconv.Itoa(int(id)),
		Kingdom: "K", Category: "C", Priority: rapid.IntRange(1, 5).Draw(t, "priority"),
		AllRulesAlwaysActive: rapid.Bool().Draw(t, "always active"),
	}
	stage := 0
	for range rapid.IntRange(2, 4).Draw(t, "stages") {
		stage++
		if stage > 1 && rapid.IntRange(0, 5).Draw(t, "gap") == 0 {
			stage++
		}
		d.Rules = append(d.Rules, aRule(t, stage, d.Rules))
	}
	return d
}

func aRule(t *rapid.T, stage int, lower []directive.Rule) directive.Rule {
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
		From:     one("from", "ANY", "ANY", "HOME_NET", "!HOME_NET", "10.0.0.1", "!10.0.0.1,10.0.0.0/24", "2001:db8::/32"),
		To:       one("to", "ANY", "ANY", "HOME_NET", "!HOME_NET", "10.0.0.2", "10.0.0.0/8,!10.0.0.2", "!2001:db8::1"),
		PortFrom: one("port from", "ANY", "ANY", "1000", "!80"), PortTo: one("port to", "ANY", "ANY", "22,80", "!22"),
		Reliability: rapid.IntRange(0, 10).Draw(t, "reliability"),
		Timeout:     rapid.SampledFrom([]int64{0, 3, 10, 1000}).Draw(t, "timeout"),
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
	r.StickyDifferent = directive.Sticky(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}).Draw(t, "sticky"))
	for i := range r.CustomData {
		r.CustomData[i] = one("custom data", "", "", "", "ANY", "ANY", "Joe", "!joe", "joe, a", ":80")
	}
	return r
}

// clockOf gives the replay clock for the events (D14).
func (w *world) clock() []int64 {
	times := make([]int64, len(w.events))
	for i := range w.events {
		times[i] = w.events[i].Seconds
		if i > 0 {
			times[i] = max(times[i], times[i-1])
		}
	}
	return times
}

func (w *world) engines(count int) []*correlate.Engine {
	plans := correlate.Plans(w.directives)
	table := asset.NewTable(w.assets)
	engines := make([]*correlate.Engine, count)
	for i := range engines {
		engines[i] = correlate.New(correlate.Shard(plans, i, count), table, w.opts)
	}
	return engines
}

// line returns the output line of a change, "" if it has none.
func line(c *correlate.Change) string {
	switch c.Kind {
	case correlate.Accepted:
		return string((&alarm.Event{AlarmID: c.AlarmID, Stage: c.Stage, EventID: c.EventID}).AppendJSON(nil))
	case correlate.Updated:
		return string(c.Alarm.AppendJSON(nil))
	case correlate.Opened, correlate.Advanced, correlate.Finished, correlate.Expired:
	}
	return ""
}

func lines(changes []correlate.Change) []string {
	var out []string
	for i := range changes {
		if text := line(&changes[i]); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// play gives events to engines one by one, merging what they say after each.
func play(engines []*correlate.Engine, w *world, from, to int) []string {
	var out []string
	times := w.clock()
	for i := from; i < to; i++ {
		var changes []correlate.Change
		for _, e := range engines {
			changes = append(changes, e.Step(times[i]*1e9, &w.events[i])...)
		}
		slices.SortStableFunc(changes, func(a, b correlate.Change) int { return a.Order.Compare(b.Order) })
		out = append(out, lines(changes)...)
	}
	return out
}

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
		out[i] = names[id] + rest
	}
	return out
}

func TestIndexedEngineEqualsReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := aWorld().Draw(t, "world")
		ref := &reference{directives: w.directives, assets: w.assets, opts: w.opts}
		for i, now := range w.clock() {
			ref.step(now, &w.events[i])
		}
		got := play(w.engines(1), &w, 0, len(w.events))
		if diff := cmp.Diff(named(ref.lines), named(got)); diff != "" {
			t.Fatalf("reference - engine +:\n%s", diff)
		}
	})
}

func TestShardCountDoesNotChangeOutput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := aWorld().Draw(t, "world")
		one := play(w.engines(1), &w, 0, len(w.events))
		three := play(w.engines(3), &w, 0, len(w.events))
		if diff := cmp.Diff(one, three); diff != "" {
			t.Fatalf("one engine - three +:\n%s", diff)
		}
		// A batch merged as a whole gives the same order.
		var batch []correlate.Change
		for _, e := range w.engines(3) {
			for i, now := range w.clock() {
				batch = append(batch, e.Step(now*1e9, &w.events[i])...)
			}
			batch = append(batch, e.Expire(math.MaxInt64)...)
		}
		slices.SortStableFunc(batch, func(a, b correlate.Change) int { return a.Order.Compare(b.Order) })
		engines := w.engines(1)
		one = append(play(engines, &w, 0, len(w.events)), lines(engines[0].Expire(math.MaxInt64))...)
		if diff := cmp.Diff(one, lines(batch)); diff != "" {
			t.Fatalf("one engine - merged batch +:\n%s", diff)
		}
	})
}

func TestSaveAndRestoreEqualsNoRestart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := aWorld().Draw(t, "world")
		stop := rapid.IntRange(0, len(w.events)).Draw(t, "stop")
		straight := w.engines(1)
		before := play(straight, &w, 0, stop)
		restarted := w.engines(1)
		for id, saved := range straight[0].Save() {
			if err := restarted[0].Restore(id, &saved); err != nil {
				t.Fatalf("directive %d, backlog %s: %v", id, saved.ID, err)
			}
		}
		if diff := cmp.Diff(saved(straight[0]), saved(restarted[0])); diff != "" {
			t.Fatalf("saved before - after restart +:\n%s", diff)
		}
		want := play(straight, &w, stop, len(w.events))
		got := play(restarted, &w, stop, len(w.events))
		// Backlogs of different directives that expire in the same second may
		// change places: files do not tell which was opened first.
		if diff := cmp.Diff(byAlarm(before, want), byAlarm(before, got)); diff != "" {
			t.Fatalf("no restart - restart +:\n%s", diff)
		}
	})
}

// Between a save and a load the directives change: old backlogs keep their
// rules, new ones get the new rules, and both live side by side (§11.3, B25).
func TestRestoreUnderOtherDirectivesEqualsReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := aWorld().Draw(t, "world")
		stop := rapid.IntRange(0, len(w.events)).Draw(t, "stop")
		ref := &reference{directives: w.directives, assets: w.assets, opts: w.opts}
		times := w.clock()
		for i := range stop {
			ref.step(times[i], &w.events[i])
		}
		old := w.engines(1)[0]
		got := play([]*correlate.Engine{old}, &w, 0, stop)

		changed := w
		changed.directives = nil
		for _, d := range w.directives {
			changed.directives = append(changed.directives, change(t, d))
		}
		e := changed.engines(1)[0]
		for id, saved := range old.Save() {
			if err := e.Restore(id, &saved); err != nil {
				t.Fatalf("directive %d, backlog %s: %v", id, saved.ID, err)
			}
		}
		ref.directives = changed.directives
		for _, b := range ref.live {
			b.d = changed.directives[b.order]
		}
		for i := stop; i < len(w.events); i++ {
			ref.step(times[i], &w.events[i])
		}
		got = append(got, play([]*correlate.Engine{e}, &changed, stop, len(w.events))...)
		if diff := cmp.Diff(byName(named(ref.lines)), byName(named(got))); diff != "" {
			t.Fatalf("changed to %#v\nreference - engine +:\n%s", changed, diff)
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
			out.Rules[i] = aRule(t, r.Stage, out.Rules[:i])
		}
	}
	return &out
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

func saved(e *correlate.Engine) []string {
	var out []string
	for id, s := range e.Save() {
		out = append(out, fmt.Sprint(id, string(alarm.AppendSaved(nil, []alarm.Saved{s}))))
	}
	return out
}

// byAlarm groups lines by alarm id, in the order of each alarm's own lines.
func byAlarm(before, after []string) map[string][]string {
	out := map[string][]string{}
	for _, line := range slices.Concat(before, after) {
		id, _, _ := strings.Cut(strings.TrimPrefix(line, `{"alarm_id":"`), `"`)
		out[id] = append(out[id], line)
	}
	return out
}
