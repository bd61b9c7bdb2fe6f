package correlate_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strconv"
	"testing"

	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// Benchmarks of the engine alone, on one goroutine. The configuration has n
// directives of three stages with SIDs of their own; stages 2 and 3 join on
// both addresses and take 100 events each. live backlogs wait in stage 2. Events come
// in order, a nanosecond apart, all in one second: what is remembered of them is
// always as much as it can be.

const (
	benchOccurrence = 100
	benchStart      = 1_700_000_000
)

func benchDirectives(n int) []*directive.Directive {
	directives := make([]*directive.Directive, n)
	for i := range directives {
		d := &directive.Directive{ID: uint64(i + 1), Name: "from SRC_IP", Kingdom: "K", Category: "C", Priority: 3}
		for stage := 1; stage <= 3; stage++ {
			r := directive.Rule{
				Name: "r", Stage: stage, Occurrence: benchOccurrence, PluginID: 1001, PluginSID: []uint64{uint64(3*i + stage)},
				From: ":1", To: ":1", PortFrom: "ANY", PortTo: "ANY", Protocol: "ANY", Reliability: 3 * stage, Timeout: 1 << 30,
			}
			if stage == 1 {
				r.Occurrence, r.From, r.To = 1, "ANY", "HOME_NET"
			}
			d.Rules = append(d.Rules, r)
		}
		directives[i] = d
	}
	return directives
}

func benchAssets() *asset.Table {
	return asset.NewTable([]asset.Asset{
		{Name: "net", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Value: 4},
		{Name: "host", Prefix: netip.MustParsePrefix("10.1.2.3/32"), Value: 5},
	})
}

func ipv4(base byte, n int) netip.Addr {
	return netip.AddrFrom4([4]byte{base, byte(n >> 16), byte(n >> 8), byte(n)})
}

// attack is a source that goes through the stages of a directive again and
// again.
type attack struct {
	directive, source int
	count             int
}

// next returns the attack's next event.
func (a *attack) next(ev *event.Event, ids []string) {
	place := a.count % (1 + 2*benchOccurrence)
	stage := 1 + (place+benchOccurrence-1)/benchOccurrence
	ev.PluginID, ev.PluginSID = 1001, uint64(3*a.directive+stage)
	ev.SrcIP, ev.DstIP = ipv4(203, a.source), ipv4(10, a.source)
	ev.ID = ids[(a.source*131+a.count)%len(ids)]
	a.count++
}

type bench struct {
	engine  *correlate.Engine
	attacks []attack // hot ones first
	ids     []string
	ev      event.Event
}

// step lets the next event arrive.
func (b *bench) step() {
	b.ev.Nanos++
	b.engine.Step((benchStart+1)*1e9-1, &b.ev)
}

// newBench makes an engine with n directives and live backlogs besides hot
// ones that belong to the attacks of the benchmark.
func newBench(n, live int) *bench {
	b := &bench{
		engine: correlate.New(correlate.Plans(benchDirectives(n)), benchAssets(), correlate.Options{}),
		ids:    make([]string, 1<<16),
		ev:     event.Event{Seconds: benchStart, SrcPort: 1000, DstPort: 80},
	}
	for i := range b.ids {
		b.ids[i] = "0f1c6c1e-5f0e-4a55-9f3d-" + fmt.Sprintf("%012x", i)
	}
	b.attacks = make([]attack, live)
	for i := range b.attacks {
		a := &b.attacks[i]
		a.directive, a.source = i%n, i
		a.next(&b.ev, []string{"opener-" + strconv.Itoa(i)})
		b.step()
	}
	runtime.GC()
	return b
}

func (b *bench) nothing(i int) {
	b.ev.PluginID, b.ev.PluginSID = 1001, uint64(1_000_000+i&0xffff)
	b.ev.SrcIP, b.ev.DstIP, b.ev.ID = ipv4(203, i), ipv4(10, i), b.ids[i&0xffff]
	b.step()
}

// untaken offers an event that a rule names, of a source that has no backlog.
func (b *bench) untaken(i int) {
	b.ev.PluginID, b.ev.PluginSID = 1001, uint64(3*(i%10)+2)
	b.ev.SrcIP, b.ev.DstIP, b.ev.ID = ipv4(204, i), ipv4(10, i), b.ids[i&0xffff]
	b.step()
}

func (b *bench) match(a *attack) {
	a.next(&b.ev, b.ids)
	b.step()
}

func eachSize(b *testing.B, run func(b *testing.B, directives, live int)) {
	for _, directives := range []int{100, 1_000, 24_000} {
		for _, live := range []int{10, 10_000, 1_000_000} {
			b.Run(fmt.Sprintf("directives=%d/live=%d", directives, live), func(b *testing.B) {
				run(b, directives, live)
			})
		}
	}
}

func perSecond(b *testing.B, n int) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "matched/s")
}

// BenchmarkStepNothing offers events that no rule wants.
func BenchmarkStepNothing(b *testing.B) {
	eachSize(b, func(b *testing.B, directives, live int) {
		w := newBench(directives, live)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			w.nothing(i)
		}
	})
}

// BenchmarkStepUntaken offers events that a rule names and no backlog takes.
func BenchmarkStepUntaken(b *testing.B) {
	w := newBench(1_000, 10_000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.untaken(i)
	}
}

// BenchmarkStepMatched offers events that ten attacks take, while all other
// backlogs lie idle: what an event costs as the engine fills up.
func BenchmarkStepMatched(b *testing.B) {
	eachSize(b, func(b *testing.B, directives, live int) {
		w := newBench(directives, live)
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			w.match(&w.attacks[n%10])
			n++
		}
		perSecond(b, n)
	})
}

// BenchmarkStepHalf mixes both.
func BenchmarkStepHalf(b *testing.B) {
	eachSize(b, func(b *testing.B, directives, live int) {
		w := newBench(directives, live)
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			if n%2 == 0 {
				w.nothing(n)
			} else {
				w.match(&w.attacks[n/2%10])
			}
			n++
		}
		perSecond(b, n/2)
	})
}

// BenchmarkStepSpread offers events to backlogs drawn at random from all live
// ones: the same work as BenchmarkStepMatched, but nothing is in the
// processor's cache.
func BenchmarkStepSpread(b *testing.B) {
	for _, live := range []int{10, 10_000, 1_000_000} {
		b.Run(fmt.Sprintf("live=%d", live), func(b *testing.B) {
			w := newBench(1_000, live)
			draw := rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				w.match(&w.attacks[draw.IntN(live)])
				n++
			}
			perSecond(b, n)
		})
	}
}

// BenchmarkOccurrence fills stages that want more and more events, opening and
// completion included: what an event costs must not depend on how many were there
// before it.
func BenchmarkOccurrence(b *testing.B) {
	for _, occurrence := range []int{10, 100, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("occurrence=%d", occurrence), func(b *testing.B) {
			directives := benchDirectives(1)
			directives[0].Rules = directives[0].Rules[:2]
			directives[0].Rules[1].Occurrence = uint64(occurrence)
			e := correlate.New(correlate.Plans(directives), benchAssets(), correlate.Options{})
			ev := event.Event{Seconds: benchStart, PluginID: 1001, SrcIP: ipv4(203, 1), DstIP: ipv4(10, 1)}
			ids := make([]string, occurrence+1)
			for i := range ids {
				ids[i] = strconv.Itoa(i)
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				place := n % len(ids)
				ev.ID, ev.PluginSID = ids[place], uint64(min(place, 1)+1)
				ev.Nanos++
				e.Step((benchStart+1)*1e9-1, &ev)
			}
			if live := e.Stats().Live; live > 1 {
				b.Fatalf("%d backlogs live, want the one that is filled", live)
			}
		})
	}
}

// BenchmarkOpenAndExpire opens a backlog with every event and lets the oldest
// ones expire.
func BenchmarkOpenAndExpire(b *testing.B) {
	for _, live := range []int{10, 10_000, 1_000_000} {
		b.Run(fmt.Sprintf("live=%d", live), func(b *testing.B) {
			directives := benchDirectives(1)
			directives[0].Rules[1].Timeout = int64(live) // one event a second
			e := correlate.New(correlate.Plans(directives), benchAssets(), correlate.Options{})
			ev := event.Event{PluginID: 1001, PluginSID: 1}
			i := 0
			open := func() {
				ev.Seconds = int64(benchStart + i)
				ev.SrcIP, ev.DstIP, ev.ID = ipv4(203, i), ipv4(10, i), strconv.Itoa(i)
				e.Step(ev.Seconds*1e9, &ev)
				i++
			}
			for range live {
				open()
			}
			b.ReportAllocs()
			for b.Loop() {
				open()
			}
		})
	}
}

// BenchmarkLiveBacklog measures the heap that a live backlog of a two-stage
// directive takes up, all included: itself, the addresses of its creating
// event, its place in table and timers, the hash of its event id, the alarm
// id. An alarm adds its evidence, here the networks of its addresses. What is
// left of each when all have expired shows that memory is given back.
func BenchmarkLiveBacklog(b *testing.B) {
	for _, kind := range []struct {
		name     string
		priority int
	}{{"silent", 0}, {"alarm", 3}} {
		b.Run(kind.name, func(b *testing.B) {
			const live = 1_000_000
			for b.Loop() {
				directives := benchDirectives(100)
				for _, d := range directives {
					d.Priority = kind.priority
					d.Rules = d.Rules[:2]
				}
				e := correlate.New(correlate.Plans(directives), benchAssets(), correlate.Options{})
				before := heap()
				ev := event.Event{Seconds: benchStart, PluginID: 1001}
				for i := range live {
					ev.PluginSID = uint64(3*(i%len(directives)) + 1)
					ev.SrcIP, ev.DstIP, ev.ID = ipv4(203, i), ipv4(10, i), strconv.Itoa(i)
					e.Step(benchStart*1e9, &ev)
				}
				b.ReportMetric(float64(heap()-before)/live, "B/backlog")
				e.Expire(math.MaxInt64)
				e.Expire(benchStart * 1e9) // lets go of what the last step returned
				b.ReportMetric(float64(int64(heap())-int64(before))/live, "B/expired-backlog")
				runtime.KeepAlive(e)
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// TestUnmatchedEventsAllocateNothing holds the promise of the hot path.
func TestUnmatchedEventsAllocateNothing(t *testing.T) {
	w := newBench(100, 1_000)
	i := 0
	if n := testing.AllocsPerRun(1000, func() { w.nothing(i); i++ }); n != 0 {
		t.Errorf("an event that no rule wants allocates %v times, want 0", n)
	}
}

// BenchmarkLookBack lets 1,000 old openers meet 1,000 remembered events of their
// source, of which each considers the newest 100: the worst that one sender can do.
// The openers come with rising times, so that the first takes the events and the others
// find them taken, or with falling ones, so that each takes them again.
func BenchmarkLookBack(b *testing.B) {
	for _, order := range []string{"rising", "falling"} {
		b.Run(order, func(b *testing.B) {
			const n = 1000
			directives := benchDirectives(1)
			directives[0].Rules[1].Occurrence = 1_000_000
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				e := correlate.New(correlate.Plans(directives), benchAssets(), correlate.Options{})
				ev := event.Event{Seconds: benchStart, PluginID: 1001, PluginSID: 2, SrcIP: ipv4(203, 1), DstIP: ipv4(10, 1)}
				for i := range n {
					ev.ID, ev.Nanos = strconv.Itoa(i), int32(i)
					e.Step((benchStart+1)*1e9, &ev)
				}
				b.StartTimer()
				ev.PluginSID, ev.Seconds = 1, benchStart-1
				for i := range n {
					ev.ID, ev.Nanos = "opener-"+strconv.Itoa(i), int32(i)
					if order == "falling" {
						ev.Nanos = int32(n - i)
					}
					e.Step((benchStart+1)*1e9, &ev)
				}
				if got := e.Stats().Live; got != n {
					b.Fatalf("%d backlogs live", got)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/opener")
		})
	}
}
