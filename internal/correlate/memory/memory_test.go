package memory

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/event"
)

// fill remembers n events that match something, of a few hashes, and returns the
// texts that tell each.
func fill(m *Recent, draw *rand.Rand, n int, clock int64) {
	for range n {
		ev := &event.Event{ID: fmt.Sprint(draw.Uint64()), Product: "p", SrcIP: netip.MustParseAddr("10.0.0.1")}
		k, place, _ := m.Add(ev)
		k.Src, k.Dst, k.Sent, k.Arrival = ToAddress(ev.SrcIP), Address{}, clock, clock
		for range 1 + draw.IntN(3) {
			m.Post(place, int32(draw.IntN(5)))
		}
	}
}

// linkAll links by keys, but for key 0.
func linkAll(m *Recent) {
	m.Link(func(p *Match, _ *Event) bool {
		p.Hash = uint32(p.Key) * 0x9e3779b9
		return p.Key > 0
	})
}

// TestRecentFindsWhatIsThere compares what chains find with a look at everything, while
// events come and go, over the end of the places.
func TestRecentFindsWhatIsThere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		draw := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		m := Recent{Most: rapid.SampledFrom([]int{5, 300, 5000}).Draw(t, "most"), MostBytes: rapid.SampledFrom([]int{5000, 1 << 20}).Draw(t, "bytes")}
		start := uint32(-draw.Int32N(3000))
		m.events.first, m.events.next = start, start
		m.matches.first, m.matches.next, m.firstUnlink = start, start, start
		for clock := range int64(rapid.IntRange(1, 100).Draw(t, "times")) {
			fill(&m, draw, draw.IntN(100), clock)
			m.Forget(clock - draw.Int64N(50))
			if draw.IntN(3) > 0 {
				continue
			}
			linkAll(&m)
			var want, got [5][]uint32
			for place := m.matches.next; place != m.matches.first; place-- {
				if key := m.At(place - 1).Key; key > 0 {
					want[key] = append(want[key], place-1)
				}
			}
			for key := int32(1); key < 5; key++ {
				hash := uint32(key) * 0x9e3779b9
				for place, ok := m.Newest(hash); ok; place, ok = m.Older(place) {
					if p := m.At(place); p.Key == key && p.Hash == hash {
						got[key] = append(got[key], place)
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("all - found +:\n%s", diff)
			}
			for k := range m.All() {
				if ev := m.Recall(k); ev.Product != "p" || ev.SrcIP.String() != "10.0.0.1" || len(ev.ID) == 0 {
					t.Fatalf("%+v", ev)
				}
			}
			if m.Len() > m.Most || m.Len() > 1 && m.Bytes() > m.MostBytes+1000 {
				t.Fatalf("%d events of %d bytes are remembered", m.Len(), m.Bytes())
			}
		}
	})
}

// TestMemoryIsGivenBackAfterABurst holds that what was remembered leaves nothing
// behind but what the next event needs.
func TestMemoryIsGivenBackAfterABurst(t *testing.T) {
	t.Parallel()
	m, ended := Recent{Most: 1e6, MostBytes: 1 << 30}, Ended{Seconds: 10, Most: 1e6}
	fill(&m, rand.New(rand.NewPCG(1, 2)), 20_000, 5)
	linkAll(&m)
	for i := range uint64(20_000) {
		ended.Add(EndedEvent{Mark: i << markPorts, At: 5})
	}
	m.Forget(6)
	ended.Pass(20)
	if m.events.len() != 0 || len(m.events.blocks) > 1 || m.matches.len() != 0 || len(m.matches.blocks) > 1 || len(m.texts.chunks) > 1 ||
		m.chains.heads != nil || len(ended.events.blocks) > 1 || ended.chains.heads != nil || m.Bytes() != 0 {
		t.Errorf("%d blocks of events, %d of matches, %d of texts, %d of ended events; %d bytes", len(m.events.blocks), len(m.matches.blocks), len(m.texts.chunks), len(ended.events.blocks), m.Bytes())
	}
}

// TestEndedAreKnown holds what is known of an event, and of one with other ports.
func TestEndedAreKnown(t *testing.T) {
	t.Parallel()
	ended := Ended{Seconds: 10, Most: 4, Salt: 7}
	ended.Add(EndedEvent{Mark: 9 << markPorts, At: 1})
	for i, directive := range []int32{0, ^0, 1} { // the second opened a backlog
		ended.Add(EndedEvent{Mark: uint64(i+1)<<markPorts | 5, Group: uint32(i), Directive: directive, At: 5})
	}
	for _, c := range []struct {
		directive   int32
		event       uint64
		ports       uint64
		group       uint32
		is, ofGroup bool
	}{
		{0, 1, 5, 0, true, true},
		{0, 1, 6, 0, false, false},
		{0, 1, 5, 1, true, false},
		{1, 1, 5, 0, false, false},
		{0, 2, 5, 1, true, true},
		{0, 2, 6, 1, true, false},
		{1, 2, 5, 1, false, false},
		{1, 3, 5, 2, true, true},
		{0, 9, 0, 0, true, true},
	} {
		mark := c.event<<markPorts | c.ports
		if is, ofGroup := ended.Has(c.directive, mark), ended.HasOfGroup(c.directive, mark, c.group); is != c.is || ofGroup != c.ofGroup {
			t.Errorf("%+v: %v, %v", c, is, ofGroup)
		}
	}
	if !ended.Add(EndedEvent{Mark: 10 << markPorts, At: 6}) || ended.Has(0, 9<<markPorts) || !ended.Has(0, 10<<markPorts) {
		t.Error("the oldest is to go when there are too many")
	}
	if ended.Pass(16); ended.Len() != 1 || ended.Has(0, 2<<markPorts) {
		t.Errorf("%d are known after their time", ended.Len())
	}
}

// TestRecordsFindTheirIDs adds and forgets records and compares with a list.
func TestRecordsFindTheirIDs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var r Records
		var want []event.IDHash
		salt := rapid.Uint64().Draw(t, "salt")
		draw := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			id := event.IDHash(draw.IntN(200))
			if known := r.Add(salt, Record{ID: id}); (known != nil) != slices.Contains(want, id) || known != nil && known.ID != id {
				t.Fatalf("adding %d to %v: known %v", id, want, known)
			} else if known == nil {
				want = append(want, id)
			}
			if draw.IntN(10) == 0 {
				n := draw.IntN(60)
				gone := r.Forget(salt, n)
				if len(gone) != max(0, len(want)-n) || len(gone) > 0 && gone[0].ID != want[0] {
					t.Fatalf("forgotten all but %d of %v: %v", n, want, gone)
				}
				want = want[len(gone):]
			}
			for id := range event.IDHash(200) {
				if got := r.Find(salt, id); (got != nil) != slices.Contains(want, id) || got != nil && got.ID != id {
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
		var s Seen
		salt := rapid.Uint64().Draw(t, "salt")
		draw := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var all []Record
		ids := 1 + draw.IntN(rapid.SampledFrom([]int{10, 500, 4000}).Draw(t, "ids"))
		anyRecord := func() Record {
			one := Record{ID: event.IDHash(1 + draw.IntN(ids))}
			if n := uint64(draw.IntN(3)); n > 0 {
				one.Same = 1e6*n + uint64(one.ID)
			}
			return one
		}
		for range rapid.SampledFrom([]int{100, 10_000}).Draw(t, "steps") {
			if draw.IntN(5) < 3 || len(all) == 0 {
				one := anyRecord()
				all = append(all, one)
				s.Add(salt, one)
			} else {
				i := draw.IntN(len(all))
				s.Remove(salt, all[i])
				all[i] = all[len(all)-1]
				all = all[:len(all)-1]
			}
		}
		same, known := map[Record]bool{}, map[event.IDHash]bool{}
		for _, one := range all {
			same[one], known[one.ID] = true, true
		}
		for range 200 {
			one := anyRecord()
			one.Same = max(one.Same, 1e6+uint64(one.ID))
			if got, want := s.Has(salt, one), same[one] || same[Record{ID: one.ID}]; got != want {
				t.Fatalf("%+v: %v, want %v", one, got, want)
			}
			if got := s.HasID(salt, one.ID); got != known[one.ID] {
				t.Fatalf("id %d: %v", one.ID, got)
			}
		}
		for _, one := range all {
			s.Remove(salt, one)
		}
		if s.n != 0 || len(s.many) != 0 || len(s.others) != 0 {
			t.Fatalf("left: %d, %d, %d", s.n, len(s.many), len(s.others))
		}
	})
}
