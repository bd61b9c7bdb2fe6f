package correlate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

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
	long := strings.Repeat("x", mostText+1)
	return &event.Event{
		ID: fmt.Sprint("e", id), Seconds: at / perSecond, Nanos: int32(at % perSecond), PluginID: 1001, PluginSID: uint64(1 + draw.IntN(3)),
		SrcIP: netip.MustParseAddr(pick("10.0.0.1", "10.0.0.2", "2001:db8::1")), DstIP: netip.MustParseAddr(pick("10.0.0.9", "10.0.0.8")),
		DstPort:    uint16(draw.IntN(2)),
		CustomData: [event.CustomFields]string{pick("", "joe", "JOE", "bob", long), pick("", "x")}, CustomLabel: [event.CustomFields]string{pick("", "user")},
	}
}

// naive finds the candidates of a stage by looking at all that is remembered.
func (e *Engine) naive(b *backlog, s *stage) (found []candidate) {
	m, n := &e.memory, 0
	for i := m.events.len() - 1; i >= 0 && n < e.bounds.considered; i-- {
		place := m.events.first + uint32(i)
		k := m.events.at(place)
		ev := m.recall(k)
		a := arrived{ev: ev, src: k.src, dst: k.dst}
		if !slices.Contains(s.variant.plan.Rule(int(s.number)).PluginSID, ev.PluginSID) || !s.plan.Match(ev, e.assets) ||
			!e.joins(b, s.joinFields(e.store.extra(b).origin()), &a) {
			continue
		}
		if n++; k.time() > b.latest {
			found = append(found, candidate{k.time(), place})
		}
	}
	return found
}

// TestMemoryFindsWhatIsThere compares what chains find with a look at everything
// that is remembered, while events come and go, over the end of the places.
func TestMemoryFindsWhatIsThere(t *testing.T) {
	t.Parallel()
	table := asset.NewTable([]asset.Asset{{Name: "net", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Value: 4}})
	rapid.Check(t, func(t *rapid.T) {
		draw := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		e := New(Plans(memoryDirectives()), table, Options{LookBack: 20, Remember: 5})
		e.memory.most = rapid.SampledFrom([]int{5, 300, 5000}).Draw(t, "most")
		e.memory.mostBytes = rapid.SampledFrom([]int{5000, specified().rememberedBytes}).Draw(t, "bytes")
		start := uint32(-draw.Int32N(3000))
		e.memory.events.first, e.memory.events.next = start, start
		e.memory.matches.first, e.memory.matches.next, e.memory.firstUnlink = start, start, start
		clock := int64(1_700_000_000 * perSecond)
		for i := range rapid.IntRange(1, 1500).Draw(t, "events") {
			clock += draw.Int64N(rapid.SampledFrom([]int64{1, 2e8}).Draw(t, "pause"))
			if draw.IntN(500) == 0 {
				clock += 100 * perSecond
			}
			e.Step(clock, memoryEvent(draw, i, clock-draw.Int64N(15*perSecond)))
			if draw.IntN(20) > 0 {
				continue
			}
			if e.memory.events.len() > e.memory.most || e.memory.events.len() > 1 && e.memory.bytes() > e.memory.mostBytes+mostText*4 {
				t.Fatalf("%d events of %d bytes are remembered", e.memory.events.len(), e.memory.bytes())
			}
			for b := range e.store.all() {
				s := &e.variantOf(b).stages[1+draw.IntN(2)]
				kept := b.latest
				b.latest = clock - draw.Int64N(20*perSecond)
				e.looking.candidates = nil
				e.findOfStage(b, s)
				want := e.naive(b, s)
				b.latest = kept
				if diff := cmp.Diff(want, e.looking.candidates, cmp.AllowUnexported(candidate{})); diff != "" {
					t.Fatalf("event %d, directive %d stage %d: all - found +:\n%s", i, e.variantOf(b).plan.ID, s.plan.Number, diff)
				}
				if b.self%7 == 0 {
					break
				}
			}
		}
	})
}

// TestMemoryIsGivenBackAfterABurst holds that what was remembered leaves nothing
// behind but what the next event needs.
func TestMemoryIsGivenBackAfterABurst(t *testing.T) {
	t.Parallel()
	table := asset.NewTable([]asset.Asset{{Name: "net", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Value: 4}})
	e := New(Plans(memoryDirectives()), table, Options{})
	draw := rand.New(rand.NewPCG(1, 2))
	const clock = 1_700_000_000 * perSecond
	for i := range 20_000 {
		e.Step(clock, memoryEvent(draw, i, clock-draw.Int64N(15*perSecond)))
	}
	e.Expire(clock + 5*3600*perSecond)
	m := &e.memory
	if m.events.len() != 0 || len(m.events.blocks) > 1 || m.matches.len() != 0 || len(m.matches.blocks) > 1 || len(m.texts.chunks) > 1 ||
		m.chains.heads != nil || len(e.ended.events.blocks) > 1 || e.ended.chains.heads != nil || m.bytes() != 0 {
		t.Errorf("%d blocks of events, %d of matches, %d of texts, %d of ended events; %d bytes", len(m.events.blocks), len(m.matches.blocks), len(m.texts.chunks), len(e.ended.events.blocks), m.bytes())
	}
}

// TestRecordsFindTheirIDs adds and forgets records and compares with a list.
func TestRecordsFindTheirIDs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var r records
		var want []event.IDHash
		salt := rapid.Uint64().Draw(t, "salt")
		draw := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			id := event.IDHash(draw.IntN(200))
			if known := r.add(salt, record{id: id}); (known != nil) != slices.Contains(want, id) || known != nil && known.id != id {
				t.Fatalf("adding %d to %v: known %v", id, want, known)
			} else if known == nil {
				want = append(want, id)
			}
			if draw.IntN(10) == 0 {
				n := draw.IntN(60)
				gone := r.forget(salt, n)
				if len(gone) != max(0, len(want)-n) || len(gone) > 0 && gone[0].id != want[0] {
					t.Fatalf("forgotten all but %d of %v: %v", n, want, gone)
				}
				want = want[len(gone):]
			}
			for id := range event.IDHash(200) {
				if got := r.find(salt, id); (got != nil) != slices.Contains(want, id) || got != nil && got.id != id {
					t.Fatalf("%d in %v: %v", id, want, got)
				}
			}
		}
	})
}

// TestSeenCountsEvents adds and removes records and compares with maps.
func TestSeenCountsEvents(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s seen
		salt := rapid.Uint64().Draw(t, "salt")
		draw := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var all []record
		ids := 1 + draw.IntN(rapid.SampledFrom([]int{10, 500, 4000}).Draw(t, "ids"))
		anyRecord := func() record {
			one := record{id: event.IDHash(1 + draw.IntN(ids))}
			if n := uint64(draw.IntN(3)); n > 0 {
				one.same = 1e6*n + uint64(one.id)
			}
			return one
		}
		for range rapid.SampledFrom([]int{100, 10_000}).Draw(t, "steps") {
			if draw.IntN(5) < 3 || len(all) == 0 {
				one := anyRecord()
				all = append(all, one)
				s.add(salt, one)
			} else {
				i := draw.IntN(len(all))
				s.remove(salt, all[i])
				all[i] = all[len(all)-1]
				all = all[:len(all)-1]
			}
		}
		same, known := map[record]bool{}, map[event.IDHash]bool{}
		for _, one := range all {
			same[one], known[one.id] = true, true
		}
		for range 200 {
			one := anyRecord()
			one.same = max(one.same, 1e6+uint64(one.id))
			if got, want := s.has(salt, one), same[one] || same[record{id: one.id}]; got != want {
				t.Fatalf("%+v: %v, want %v", one, got, want)
			}
			if got := s.hasID(salt, one.id); got != known[one.id] {
				t.Fatalf("id %d: %v", one.id, got)
			}
		}
		for _, one := range all {
			s.remove(salt, one)
		}
		if s.n != 0 || len(s.many) != 0 || len(s.others) != 0 {
			t.Fatalf("left: %d, %d, %d", s.n, len(s.many), len(s.others))
		}
	})
}
