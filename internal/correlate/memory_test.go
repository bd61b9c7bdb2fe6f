package correlate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"dsiem/internal/correlate/backlogs"
	"dsiem/internal/correlate/memory"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/asset"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// memoryDirectives have stages that refer to addresses, ports and custom data, some
// of it not always there.
func memoryDirectives() []*directive.Directive {
	rule := func(stage int, from, to, port, data, more string, sids ...uint64) directive.Rule {
		return directive.Rule{
			Name: "r", Stage: stage, Occurrence: uint64(min(stage, 2)), PluginID: 1001, PluginSID: sids,
			From: from, To: to, PortFrom: "ANY", PortTo: port, Protocol: "ANY", Reliability: 10, Timeout: 1000,
			CustomData: [event.CustomFields]string{data, more},
		}
	}
	of := func(id uint64, active bool, rules ...directive.Rule) *directive.Directive {
		return &directive.Directive{
			ID: id, Name: "d", Kingdom: "K", Category: "C", Priority: 3, AllRulesAlwaysActive: active, Rules: rules,
		}
	}
	return []*directive.Directive{
		of(1, false, rule(1, "ANY", "ANY", "ANY", "ANY", "ANY", 1), rule(2, ":1", "ANY", "ANY", "", "", 2), rule(3, "ANY", ":1", ":1", "", "", 2, 3)),
		of(2, false, rule(1, "ANY", "ANY", "ANY", "ANY", "ANY", 1), rule(2, "ANY", "ANY", "ANY", ":1", ":1", 2), rule(3, ":1", "ANY", "ANY", ":1", "", 3)),
		of(3, true, rule(1, "ANY", "ANY", "ANY", "ANY", "ANY", 1), rule(2, ":1", "ANY", "ANY", ":1", "", 1, 2), rule(3, "ANY", ":1", "ANY", "", "", 2, 3)),
	}
}

func memoryEvent(draw *rand.Rand, id int, at int64) *event.Event {
	pick := func(texts ...string) string { return texts[draw.IntN(len(texts))] }
	long := strings.Repeat("x", backlogs.MostText+1)
	return &event.Event{
		ID: fmt.Sprint("e", id), Seconds: at / memory.PerSecond, Nanos: int32(at % memory.PerSecond), PluginID: 1001, PluginSID: uint64(1 + draw.IntN(3)),
		SrcIP: netip.MustParseAddr(pick("10.0.0.1", "10.0.0.2", "2001:db8::1")), DstIP: netip.MustParseAddr(pick("10.0.0.9", "10.0.0.8")),
		DstPort:    uint16(draw.IntN(2)),
		CustomData: [event.CustomFields]string{pick("", "joe", "JOE", "bob", long), pick("", "x")}, CustomLabel: [event.CustomFields]string{pick("", "user")},
	}
}

// naive finds the candidates of a stage by looking at all that is remembered.
func (e *Engine) naive(b *backlogs.Backlog, s *stage) (found []candidate) {
	n := 0
	events := slices.Collect(e.memory.All())
	for i := len(events) - 1; i >= 0 && n < e.bounds.considered; i-- {
		k := events[i]
		ev := e.recall(k)
		o := originOf(k)
		if !slices.Contains(s.variant.plan.Rule(int(s.number)).PluginSID, ev.PluginSID) || !s.plan.Match(ev, e.assets) ||
			!e.store.Joins(b, backlogs.JoinFields(s.plan.Join, e.store.Extra(b).Origin()), &o, &ev.CustomData) {
			continue
		}
		if n++; k.Time() > b.Latest {
			found = append(found, candidate{k.Time(), uint32(i)})
		}
	}
	return found
}

// TestMemoryFindsWhatIsThere compares what chains find with a look at everything
// that is remembered, while events come and go.
func TestMemoryFindsWhatIsThere(t *testing.T) {
	t.Parallel()
	table := asset.NewTable([]asset.Asset{{Name: "net", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Value: 4}})
	rapid.Check(t, func(t *rapid.T) {
		draw := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		e := New(Plans(memoryDirectives()), table, Options{LookBack: 20, Remember: 5})
		e.memory.Most = rapid.SampledFrom([]int{5, 300, 5000}).Draw(t, "most")
		e.memory.MostBytes = rapid.SampledFrom([]int{5000, specified().rememberedBytes}).Draw(t, "bytes")
		clock := int64(1_700_000_000 * memory.PerSecond)
		for i := range rapid.IntRange(1, 1500).Draw(t, "events") {
			clock += draw.Int64N(rapid.SampledFrom([]int64{1, 2e8}).Draw(t, "pause"))
			if draw.IntN(500) == 0 {
				clock += 100 * memory.PerSecond
			}
			e.Step(clock, memoryEvent(draw, i, clock-draw.Int64N(15*memory.PerSecond)))
			if draw.IntN(20) > 0 {
				continue
			}
			if e.memory.Len() > e.memory.Most || e.memory.Len() > 1 && e.memory.Bytes() > e.memory.MostBytes+backlogs.MostText*4 {
				t.Fatalf("%d events of %d bytes are remembered", e.memory.Len(), e.memory.Bytes())
			}
			for b := range e.store.All() {
				s := &e.variantOf(b).stages[1+draw.IntN(2)]
				kept := b.Latest
				b.Latest = clock - draw.Int64N(20*memory.PerSecond)
				e.looking.candidates = nil
				e.findOfStage(b, s)
				for i := range e.looking.candidates {
					c := &e.looking.candidates[i]
					c.event = e.memory.Age(c.event)
				}
				want := e.naive(b, s)
				b.Latest = kept
				if diff := cmp.Diff(want, e.looking.candidates, cmp.AllowUnexported(candidate{})); diff != "" {
					t.Fatalf("event %d, directive %d stage %d: all - found +:\n%s", i, e.variantOf(b).plan.ID, s.plan.Number, diff)
				}
				if b.Self%7 == 0 {
					break
				}
			}
		}
	})
}

// A title that is made of the same name and addresses as before takes no memory in a
// restored backlog; one that would be another now is kept.
func TestRestoredTitleIsMadeAgain(t *testing.T) {
	t.Parallel()
	directives := memoryDirectives()[:1]
	directives[0].Name = "SRC_IP to DST_IP"
	named := asset.NewTable([]asset.Asset{{Name: "jump01", Prefix: netip.MustParsePrefix("10.0.0.1/32"), Value: 4}})
	e := New(Plans(directives), named, Options{})
	ev := memoryEvent(rand.New(rand.NewPCG(1, 0)), 1, 100*memory.PerSecond)
	ev.PluginSID, ev.SrcIP, ev.DstIP = 1, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.9")
	e.Step(100*memory.PerSecond, ev)
	for _, test := range []struct {
		assets *asset.Table
		kept   string
	}{{named, ""}, {asset.NewTable(nil), "jump01 to 10.0.0.9"}} {
		again := New(Plans(directives), test.assets, Options{})
		for id, saved := range e.Save() {
			if err := again.Restore(id, &saved); err != nil {
				t.Fatal(err)
			}
		}
		for b := range again.store.All() {
			kept := ""
			if x := again.store.Extra(b); x != nil && x.Rare != nil {
				kept = x.Rare.Title
			}
			if title := again.title(b); kept != test.kept || title != "jump01 to 10.0.0.9" {
				t.Errorf("the title %q, kept %q, not %q", title, kept, test.kept)
			}
		}
		if live := again.Stats().Live; live != 1 {
			t.Errorf("%d backlogs live", live)
		}
	}
}
