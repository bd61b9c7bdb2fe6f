package bench

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dsiem/internal/event"
)

// drawWorkload draws a workload that can be made.
func drawWorkload(t *rapid.T) Workload {
	return Workload{
		Seed:       rapid.Uint64().Draw(t, "seed"),
		Directives: rapid.IntRange(1, 20).Draw(t, "directives"),
		Match:      float64(rapid.IntRange(0, 100).Draw(t, "match")) / 100,
		Live:       rapid.IntRange(1, 40).Draw(t, "live"),
		Addresses:  rapid.IntRange(14, 50).Draw(t, "addresses"),
		Occurrence: rapid.IntRange(1, 4).Draw(t, "occurrence"),
		EventSize:  rapid.IntRange(leastEventSize(), 600).Draw(t, "size"),
	}
}

// drawPlan draws a plan whose groups are small, so that there are several.
func drawPlan(t *rapid.T, streams int) *plan {
	p, err := newPlan(drawWorkload(t), streams)
	if err != nil {
		t.Fatal(err)
	}
	p.group = min(p.live, rapid.Uint64Range(1, 9).Draw(t, "group"))
	return p
}

// The closed forms of a plan are what a simulation does that knows only the
// rules: groups have their turn, each attack goes on event by event.
func TestPartsAreThoseOfASimulation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t, 1)
		slots := make([]part, p.live) // the last event of each
		for n := range p.live {
			slots[n] = part{kind: matched, slot: n}
			if got := p.part(n); got != slots[n] {
				t.Fatalf("event %d is %+v, want %+v", n, got, slots[n])
			}
		}
		group, turns := uint64(0), []uint64{}
		matches := p.live
		for n := p.live; n < p.live+2000; n++ {
			got := p.part(n)
			if got.kind != matched {
				if p.matches(n+1) != matches {
					t.Fatalf("event %d does not match, but is counted", n)
				}
				continue
			}
			if len(turns) == 0 {
				turns = turnsOf(p, group)
				if group += p.group; group >= p.live {
					group = 0
				}
			}
			slot := &slots[turns[0]]
			turns = turns[1:]
			if slot.position++; slot.position == p.length {
				slot.position, slot.round = 0, slot.round+1
			}
			if got != *slot {
				t.Fatalf("event %d is %+v, want %+v", n, got, *slot)
			}
			if matches++; p.matches(n+1) != matches {
				t.Fatalf("%d events before %d match, want %d", p.matches(n+1), n+1, matches)
			}
			if number := p.number(got); number != n {
				t.Fatalf("%+v is event %d, want %d", got, number, n)
			}
		}
	})
}

// turnsOf returns the slots of a group in the order in which they have their turns.
func turnsOf(p *plan, group uint64) (slots []uint64) {
	end := min(group+p.group, p.live)
	for range p.length - 2 {
		for slot := group; slot < end; slot++ {
			slots = append(slots, slot)
		}
	}
	for slot := group; slot < end; slot++ {
		slots = append(slots, slot, slot)
	}
	return slots
}

// A share that is asked for is the share that there is, and never none at all.
func TestShareOfMatches(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ match, near, abandoned, wantMatch float64 }{
		{0, 0, 0, 1. / pulseEvery},
		{0.01, 0, 0, 0.01},
		{0.01, 0.99, 0, 0.01},
		{0.5, 0.25, 0, 0.5},
		{0.1, 0.2, 0.1, 0.1},
		{0, 0, 1, 1. / pulseEvery},
		{1, 0, 0, 1},
	} {
		p, err := newPlan(Workload{Match: test.match, Near: test.near, Abandoned: test.abandoned, Live: 1}, 1)
		if err != nil {
			t.Fatal(err)
		}
		const events = 200_000
		var counts [matched + 1]int
		for n := range uint64(events) {
			counts[p.part(1+n).kind]++
		}
		if got := float64(counts[matched]) / events; math.Abs(got-test.wantMatch) > 1e-5 {
			t.Errorf("match %v: a share of %v matches", test.match, got)
		}
		if got := float64(counts[near]) / events; math.Abs(got-test.near) > 0.005 {
			t.Errorf("near %v: a share of %v nearly matches", test.near, got)
		}
		if got := float64(counts[abandoned]) / events; math.Abs(got-test.abandoned) > 0.005 {
			t.Errorf("abandoned %v: a share of %v is", test.abandoned, got)
		}
		if got := p.deserted(1 + events); got != uint64(counts[abandoned]) {
			t.Errorf("abandoned %v: %d events, not %d", test.abandoned, got, counts[abandoned])
		}
	}
}

// No two live backlogs of a directive have the same pair of addresses, on
// whatever connections.
func TestLiveAttacksHavePairsOfTheirOwn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		streams := rapid.IntRange(1, 5).Draw(t, "streams")
		p := drawPlan(t, streams)
		taken := map[target]int{}
		rounds := make([]uint64, p.live*uint64(streams))
		for i := range rounds { // of neighbours in time, any mixture
			rounds[i] = rapid.Uint64Range(6, 7).Draw(t, "round")
		}
		for i, round := range rounds {
			stream, slot := i%streams, uint64(i/streams)
			to := p.target(stream, part{kind: matched, slot: slot, round: round})
			if other, ok := taken[to]; ok {
				t.Fatalf("attacks %d and %d are both about %+v", i, other, to)
			}
			taken[to] = i
			if to.directive >= uint64(p.Directives) || to.src >= uint64(p.Addresses) || to.dst >= uint64(p.Addresses) {
				t.Fatalf("%+v is out of range", to)
			}
		}
	})
}

// Nor does one that is abandoned have the pair of another one, on whatever
// connections: for a billion events.
func TestAbandonedAttacksHavePairsOfTheirOwn(t *testing.T) {
	t.Parallel()
	p, err := newPlan(Workload{Directives: 3, Abandoned: 1}, 2)
	if err != nil {
		t.Fatal(err)
	}
	taken := map[target]bool{}
	for n := range uint64(50_000) {
		for _, offset := range []uint64{0, 250_000_000, 499_950_000} {
			for stream := range p.streams {
				to := p.target(stream, part{kind: abandoned, slot: n + offset})
				if taken[to] || to.directive < 3 || to.directive >= 3+lonely {
					t.Fatalf("event %d of stream %d is about %+v", n+offset, stream, to)
				}
				taken[to] = true
			}
		}
	}
}

func TestAddressesAreDistinct(t *testing.T) {
	t.Parallel()
	p, err := newPlan(Workload{Seed: 99, Addresses: maxAddresses}, 1)
	if err != nil {
		t.Fatal(err)
	}
	seen := make([]bool, maxAddresses)
	for i := range uint64(maxAddresses) {
		place := ((p.octet(i, 0)-lowestOctet)*octets+p.octet(i, 1)-lowestOctet)*octets + p.octet(i, 2) - lowestOctet
		if seen[place] {
			t.Fatalf("address %d, %s, is there before", i, p.address(homeNet, i))
		}
		seen[place] = true
	}
}

// Every event has the size that is wanted, says what its part says, and its id
// leads back to it.
func TestEventsSayWhatTheirPartIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		streams := rapid.IntRange(1, 3).Draw(t, "streams")
		p := drawPlan(t, streams)
		p.near, p.abandoned = 500_000, 300_000
		number := rapid.IntRange(0, streams-1).Draw(t, "stream")
		s := p.stream(number)
		at := time.Unix(rapid.Int64Range(1_700_000_000, 1_800_000_000).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos"))
		s.setTime(at)
		for range 50 {
			n := rapid.Uint64Range(0, 5000).Draw(t, "n")
			text := s.append([]byte("before"), n)[len("before"):]
			if len(text) != p.EventSize {
				t.Fatalf("an event of %d bytes, want %d", len(text), p.EventSize)
			}
			var ev event.Event
			if rejection := event.Decode(text, &ev); rejection != nil {
				t.Fatalf("%s: %v", text, rejection)
			}
			if ev.Seconds != at.Unix() || int64(ev.Nanos) != at.UnixMilli()%1000*1_000_000 || ev.ReceivedAt != at.UnixNano() {
				t.Fatalf("%s: not of %v", text, at)
			}
			if gotStream, gotN, ok := p.readID([]byte(ev.ID)); !ok || gotStream != number || gotN != n {
				t.Fatalf("%s: the id is that of event %d of stream %d (%v)", text, gotN, gotStream, ok)
			}
			checkIdentity(t, p, number, n, &ev)
		}
	})
}

func checkIdentity(t *rapid.T, p *plan, stream int, n uint64, ev *event.Event) {
	src, dst := ev.SrcIP.String(), ev.DstIP.String()
	ok := false
	switch m := p.part(n); m.kind {
	case matched, abandoned:
		to := p.target(stream, m)
		ok = ev.PluginID == firstPlugin+to.directive && ev.PluginSID == firstSID+uint64(p.stage(m.position)) &&
			src == p.address(sourceNet, to.src) && dst == p.address(homeNet, to.dst)
	case near:
		ok = ev.PluginID >= firstPlugin && ev.PluginID < firstPlugin+uint64(p.Directives) &&
			(ev.PluginSID == firstSID+2 || ev.PluginSID == firstSID+3) && strings.HasPrefix(src, nearNet+".") && strings.HasPrefix(dst, homeNet+".")
	case noise:
		ok = ev.PluginID >= noisePlugin && strings.HasPrefix(src, sourceNet+".") && strings.HasPrefix(dst, homeNet+".")
	}
	if !ok {
		t.Fatalf("event %d is %+v, but says %+v", n, p.part(n), ev)
	}
}

func TestMakingEventsAllocatesNothing(t *testing.T) {
	p, err := newPlan(Workload{Match: 0.5, Near: 0.1, Abandoned: 0.1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	s, n := p.stream(0), uint64(0)
	buf := make([]byte, 0, 2*p.EventSize)
	at := time.Unix(1_700_000_000, 0)
	if allocated := testing.AllocsPerRun(1000, func() {
		s.setTime(at)
		buf = s.append(buf[:0], n)
		n++
	}); allocated > 0 {
		t.Errorf("%v allocations for each event", allocated)
	}
}

func TestReadIDWantsIDsOfTheWorkload(t *testing.T) {
	t.Parallel()
	p, err := newPlan(Workload{Seed: 7}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{
		"00000007-0000-4000-8000-00000000002a":  true,
		"00000007-0000-4000-8001-00000000002a":  true,
		"00000007-0000-4000-8002-00000000002a":  false, // another connection
		"00000008-0000-4000-8000-00000000002a":  false, // another seed
		"00000007-0000-4000-8000-00000000002A":  false,
		"00000007-0000-4000-8000x00000000002a":  false,
		"00000007-0000-4000-8000-00000000002a0": false,
		"":                                      false,
	} {
		if stream, n, ok := p.readID([]byte(id)); ok != want || ok && (n != 42 || stream != int(id[22]-'0')) {
			t.Errorf("%q: stream %d, event %d, %v; want %v", id, stream, n, ok, want)
		}
	}
}

func TestWorkloadsThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		workload Workload
		streams  int
		want     string
	}{
		{Workload{Directives: -1}, 1, "-1 directives are not possible; use 1 to 799990"},
		{Workload{Live: maxLive + 1}, 1, "live backlogs are not possible"},
		{Workload{Addresses: maxAddresses + 1}, 1, "addresses are not possible"},
		{Workload{EventSize: 10}, 1, "10 bytes in an event are not possible; use " + fmt.Sprint(leastEventSize())},
		{Workload{Occurrence: maxOccurrence + 1}, 1, "occurrences are not possible"},
		{Workload{Match: 1.1}, 1, "shares"},
		{Workload{Match: -0.1}, 1, "shares"},
		{Workload{Match: math.NaN()}, 1, "shares"},
		{Workload{Match: 0.6, Near: 0.6}, 1, "shares"},
		{Workload{Match: 0.6, Near: 0.3, Abandoned: 0.2}, 1, "shares"},
		{Workload{Abandoned: -0.1}, 1, "shares"},
		{Workload{Abandoned: 0.1, Addresses: 9999}, 1, "9999 addresses are too few for attacks that are abandoned; use at least 10000"},
		{Workload{Timeout: -time.Second}, 1, "a timeout of -1s is not possible; use whole seconds up to 10m0s"},
		{Workload{Timeout: 1500 * time.Millisecond}, 1, "a timeout of 1.5s"},
		{Workload{Timeout: 11 * time.Minute}, 1, "a timeout of 11m0s"},
		{Workload{Live: 1000, Directives: 1, Addresses: 10}, 1, "10 addresses make 100 pairs, which are too few for 1000 live backlogs of each directive"},
		{Workload{}, 0, "0 connections are not possible"},
		{Workload{}, maxStreams + 1, "connections are not possible"},
	} {
		if _, err := newPlan(test.workload, test.streams); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want one with %q", test.workload, err, test.want)
		}
	}
}

// The configuration has no problem, not even a warning.
func TestConfigurationIsValid(t *testing.T) {
	t.Parallel()
	for share, files := range map[float64]int{0: 3, 0.1: 4} {
		p, err := newPlan(Workload{Directives: directivesPerFile + 1, Abandoned: share}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(p.configuration()); n != files {
			t.Errorf("abandoned %v: %d files, want %d: assets, two of directives, and those for what is abandoned", share, n, files)
		}
		if _, err := p.engine(0); err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, match := range []float64{0, 0.5, 1} {
		b.Run(fmt.Sprintf("match=%v", match), func(b *testing.B) {
			p, err := newPlan(Workload{Match: match, Live: 10_000}, 1)
			if err != nil {
				b.Fatal(err)
			}
			s, n := p.stream(0), uint64(0)
			var buf []byte
			b.ReportAllocs()
			b.SetBytes(int64(p.EventSize))
			for b.Loop() {
				buf = s.append(buf[:0], n)
				n++
			}
		})
	}
}
