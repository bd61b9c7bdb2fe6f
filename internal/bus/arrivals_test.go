package bus_test

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"dsiem/internal/bus"
	"dsiem/internal/event"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

// message is a message of a frontend as a publisher hands it over, and from the
// same with its number.
const message = `{"event_id":"e1","rcvd_time":3,"conn_id":0}`

func from(id string, number uint64) []byte {
	return event.AppendOrigin(nil, []byte(message), id, number)
}

// arrivals are those of a test, with the clock.
type arrivals struct {
	bus.Arrivals

	now time.Time
}

func newArrivals() *arrivals {
	now := time.Unix(1_000_000, 0)
	return &arrivals{bus.NewArrivals(now), now}
}

func (a *arrivals) see(id string, numbers ...uint64) {
	for _, n := range numbers {
		a.See(from(id, n))
	}
}

// pass lets time pass.
func (a *arrivals) pass(d time.Duration) {
	a.now = a.now.Add(d)
	a.Tick(a.now)
}

// missed returns the counts that are not 0.
func (a *arrivals) missed() map[string]uint64 {
	counts := map[string]uint64{}
	for _, m := range a.All() {
		if m.Messages > 0 {
			counts[m.Frontend] = m.Messages
		}
	}
	return counts
}

func (a *arrivals) wantMissed(t *testing.T, want map[string]uint64) {
	t.Helper()
	if got := a.missed(); !maps.Equal(got, want) {
		t.Errorf("missed %v, want %v", got, want)
	}
}

func TestArrivals(t *testing.T) {
	t.Parallel()
	type counts = map[string]uint64
	for _, c := range []struct {
		name string
		see  func(a *arrivals)
		want counts
	}{
		{"all", func(a *arrivals) { a.see("f/1", 1, 2, 3) }, nil},
		{"a late start", func(a *arrivals) { a.see("f/1", 1000, 1001) }, nil},
		{"a gap", func(a *arrivals) { a.see("f/1", 1, 2, 6) }, counts{"f": 3}},
		{"gaps", func(a *arrivals) { a.see("f/1", 1, 3, 5, 9) }, counts{"f": 5}},
		{"mixed order", func(a *arrivals) { a.see("f/1", 1, 5, 3, 2, 4, 8, 7, 6) }, nil},
		{"mixed order with a gap", func(a *arrivals) { a.see("f/1", 1, 9, 5, 3, 8, 7) }, counts{"f": 3}},
		{"before the first one", func(a *arrivals) { a.see("f/1", 10, 9, 8, 11) }, nil},
		{"again", func(a *arrivals) { a.see("f/1", 1, 2, 3, 2, 3, 4) }, nil},
		{"again, so what lies behind it was not confirmed", func(a *arrivals) { a.see("f/1", 1, 2, 6, 2, 3) }, nil},
		{"again, in front of it is a gap", func(a *arrivals) { a.see("f/1", 1, 4, 5, 9, 5, 6) }, counts{"f": 2}},
		{"before the first one, with a gap", func(a *arrivals) { a.see("f/1", 10, 12, 9) }, counts{"f": 1}},
		{"given again from its beginning, slowly", func(a *arrivals) {
			a.see("f/1", 1, 6)
			for n := range uint64(4) {
				a.pass(bus.Grace - time.Second)
				a.see("f/1", 2+n)
			}
		}, nil},
		{"two frontends", func(a *arrivals) {
			a.see("f/1", 1)
			a.see("g/1", 7)
			a.see("f/1", 3)
			a.see("g/1", 8)
		}, counts{"f": 1}},
		{"a restart", func(a *arrivals) {
			a.see("f/1", 1, 2, 4)
			a.see("f/2", 1, 2, 5)
		}, counts{"f": 3}},
		{"late, but within the time", func(a *arrivals) {
			a.see("f/1", 1, 3)
			a.pass(bus.Grace - time.Second)
			a.see("f/1", 2)
		}, nil},
		{"too late", func(a *arrivals) {
			a.see("f/1", 1, 4)
			a.pass(bus.Grace)
			a.see("f/1", 2, 2, 3)
			a.pass(bus.Grace)
		}, counts{"f": 2}},
		{"other generations", func(a *arrivals) {
			a.See([]byte(`{"conn_id":1,"rcvd_time":3}`))
			a.See([]byte(`{"conn_id":5,"rcvd_time":3}`))
			a.See([]byte(`garbage`))
		}, nil},
		{"a number that is none", func(a *arrivals) { a.see("f/1", 1, bus.MaxGap+3, bus.MaxGap+4, 9_999_999_999_999_999_999) }, nil},
		{"the longest gap", func(a *arrivals) { a.see("f/1", 1, bus.MaxGap+2) }, counts{"f": bus.MaxGap}},
		{"the last ones", func(a *arrivals) { a.see("f/1", 1, 2); a.Told("f/1", 5, 0); a.Told("f/1", 5, 1) }, counts{"f": 3}},
		{"the last ones, and others", func(a *arrivals) { a.see("f/1", 1, 4); a.Told("f/1", 6, 0); a.see("f/1", 7, 9) }, counts{"f": 5}},
		{"all of the first ones", func(a *arrivals) { a.Told("f/1", 0, 9); a.Told("f/1", 4, 0); a.see("f/1", 5) }, counts{"f": 4}},
		{"none, the last one came", func(a *arrivals) { a.see("f/1", 1, 2); a.Told("f/1", 2, 9); a.see("f/1", 3) }, nil},
		{"none, it started later", func(a *arrivals) { a.Told("f/1", 1000, 9); a.Told("f/1", 1000, 9); a.see("f/1", 1001) }, nil},
		{"none, it started later, after a confirmed one", func(a *arrivals) { a.Told("f/1", 1000, 0); a.see("f/1", 1000, 999) }, nil},
		{"none, what came last is not confirmed", func(a *arrivals) { a.see("f/1", 1, 2, 3); a.Told("f/1", 1, 9); a.see("f/1", 2, 3, 4) }, nil},
		{"none, it was told sooner than it came", func(a *arrivals) { a.see("f/1", 1); a.Told("f/1", 4, 1); a.see("f/1", 2, 4, 3) }, nil},
		{"the last ones of two frontends", func(a *arrivals) {
			a.see("f/1", 1)
			a.see("g/1", 1)
			a.Told("g/1", 8, 9)
			a.Told("f/1", 2, 9)
		}, counts{"f": 1, "g": 7}},
		{"the last ones of a restarted one", func(a *arrivals) {
			a.see("f/1", 1, 2)
			a.Told("f/1", 3, 0)
			a.Told("f/2", 0, 1)
			a.Told("f/2", 5, 9)
		}, counts{"f": 6}},
		{"told a number that is none", func(a *arrivals) { a.see("f/1", 1); a.Told("f/1", bus.MaxGap+2, 9); a.see("f/1", bus.MaxGap+4) }, counts{"f": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newArrivals()
			c.see(a)
			a.pass(bus.Grace)
			a.wantMissed(t, c.want)
			a.pass(time.Hour)
			a.wantMissed(t, c.want)
		})
	}
}

// What a frontend has confirmed for some time is late already, as far as that goes.
func TestTheLastNumbersHaveAnAge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		idle  uint64
		after time.Duration // is missed from then on
	}{{0, bus.Grace}, {1, bus.Grace - time.Second}, {4, 0}, {5, 0}, {1 << 62, 0}} {
		a := newArrivals()
		a.see("f/1", 1)
		a.Told("f/1", 3, c.idle)
		if c.after > 0 {
			a.pass(c.after - time.Nanosecond)
			a.wantMissed(t, nil)
			a.pass(time.Nanosecond)
		}
		a.pass(0)
		a.wantMissed(t, map[string]uint64{"f": 2})
	}
}

func TestArrivalsAreBounded(t *testing.T) {
	t.Parallel()
	t.Run("gaps", func(t *testing.T) {
		t.Parallel()
		a := newArrivals()
		for i := range uint64(bus.MaxGaps + 11) {
			a.see("f/1", 2*i)
		}
		a.wantMissed(t, map[string]uint64{"f": 10}) // the oldest ones, at once
		a.see("f/1", 1, 3)                          // and not again
		a.pass(bus.Grace)
		a.wantMissed(t, map[string]uint64{"f": bus.MaxGaps + 10})
	})
	t.Run("gaps that are split", func(t *testing.T) {
		t.Parallel()
		a := newArrivals()
		a.see("f/1", 0, 1_000_000)
		for i := range uint64(bus.MaxGaps + 10) {
			a.see("f/1", 500_000+2*i)
		}
		a.pass(bus.Grace)
		a.wantMissed(t, map[string]uint64{"f": 1_000_000 - 1 - uint64(bus.MaxGaps+10)})
	})
	t.Run("frontends", func(t *testing.T) {
		t.Parallel()
		a := newArrivals()
		a.see("silent/1", 1, 3)
		for i := range bus.MaxFrontends - 1 {
			a.pass(time.Millisecond)
			a.see(fmt.Sprintf("f/%d", i), 1)
		}
		a.wantMissed(t, nil)
		a.see("g/1", 1) // takes the place of the one that is silent
		a.wantMissed(t, map[string]uint64{"silent": 1})
		a.see("silent/1", 9, 11) // begins anew, at the cost of f/0
		a.see("f/1", 3)
		a.pass(bus.Grace)
		a.wantMissed(t, map[string]uint64{"silent": 2, "f": 1})
	})
	t.Run("names", func(t *testing.T) {
		t.Parallel()
		a := newArrivals()
		for i := range bus.MaxNames + 10 {
			a.see(fmt.Sprintf("f%d/1", i), 1, 3)
		}
		a.pass(bus.Grace)
		if got := a.missed(); len(got) != bus.MaxNames+1 || got["other"] != 10 || got["f0"] != 1 {
			t.Errorf("missed %v, want %d names and 10 of others", got, bus.MaxNames)
		}
	})
}

// TestArrivalsEqualSets: with numbers in any order what is missed is what a set of
// all numbers says, if everything comes within the time and nothing twice, wherever
// the frontend says in between which was its last one.
func TestArrivalsEqualSets(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := newArrivals()
		numbers := rapid.SliceOfNDistinct(rapid.Uint64Range(100, 160), 1, -1, rapid.ID).Draw(t, "numbers")
		came := map[uint64]bool{}
		first, last := numbers[0], uint64(0)
		for _, n := range numbers {
			a.see("f/1", n)
			came[n], last = true, max(last, n)
			if rapid.Bool().Draw(t, "told") {
				told := rapid.Uint64Range(first, 170).Draw(t, "last")
				last = max(last, told)
				a.Told("f/1", told, rapid.Uint64Range(0, 9).Draw(t, "idle"))
			}
		}
		want := uint64(0)
		for n := first; n <= last; n++ {
			if !came[n] {
				want++
			}
		}
		a.pass(bus.Grace)
		if got := a.missed()["f"]; got != want {
			t.Fatalf("missed %d, want %d", got, want)
		}
	})
}

func TestArrivalsDoNotAllocate(t *testing.T) {
	a := newArrivals()
	var list [100][]byte
	for i := range list {
		list[i] = from(fmt.Sprintf("f%d/1", i%2), uint64(i/2))
	}
	if got := testing.AllocsPerRun(100, func() {
		for _, m := range list {
			a.See(m)
		}
	}); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

// TestNumbersAreThoseOfConfirmedMessages: the numbers of messages that the server
// has not confirmed, or has refused, are given again.
func TestNumbersAreThoseOfConfirmedMessages(t *testing.T) {
	p, c := connectToPeer(t, func(o *bus.Options) { o.FrontendID = "f/1" })
	const confirm, denied = "PONG\r\n", "-ERR 'Permissions Violation for Publish to \"dsiem_events\"'\r\n"
	for i, step := range []struct {
		numbers   []uint64
		redialled bool
		answer    string
		fails     bool
	}{
		{numbers: []uint64{1, 2}, answer: confirm},
		{numbers: []uint64{3}, answer: confirm},
		{numbers: []uint64{4, 5, 6}, redialled: true, answer: confirm, fails: true},
		{numbers: []uint64{4}, answer: denied + confirm, fails: true},
		{numbers: []uint64{4, 5}, answer: confirm},
		{numbers: []uint64{6}, answer: confirm},
	} {
		done := begin(t.Context(), c, slices.Repeat([]string{message}, len(step.numbers))...)
		var want strings.Builder
		for _, n := range step.numbers {
			text := from("f/1", n)
			fmt.Fprintf(&want, "PUB dsiem_events %d|%s", len(text), text)
		}
		if got := strings.ReplaceAll(testkit.Receive(t, p.pings), "|PUB", "PUB"); got != want.String() {
			t.Errorf("batch %d: %s, want %s", i, got, want.String())
		}
		if step.redialled {
			c.Redialled()
		}
		p.answer <- step.answer
		if err := testkit.Receive(t, done); (err != nil) != step.fails {
			t.Errorf("batch %d: got error %v", i, err)
		}
	}
}

// TestCutConnectionsLeaveNoGap publishes from many goroutines over a connection
// that is cut again and again: refused are many, and who is subscribed all the time
// misses nothing.
func TestCutConnectionsLeaveNoGap(t *testing.T) {
	const callers, wanted = 8, 400
	s := natstest.Start(t, natstest.Options{})
	o, _ := options(s.URL())
	backend := connect(t, o)
	var came atomic.Int64
	testkit.Check(t, backend.Subscribe(t.Context(), 0, func([]byte) { came.Add(1) }))
	link := natstest.NewLink(t, s.Address())
	o, log := options(link.URL())
	o.ReconnectWait, o.FrontendID = time.Microsecond, "f/1"
	c := connect(t, o)

	var published atomic.Int64
	var all sync.WaitGroup
	next := make(chan struct{}, 1)
	for range callers {
		all.Go(func() {
			for published.Load() < wanted {
				err := c.PublishEvents(t.Context(), slices.Repeat([][]byte{[]byte(message)}, 40))
				switch {
				case err == nil:
					published.Add(1)
					select {
					case next <- struct{}{}:
					default:
					}
				case errors.Is(err, bus.ErrNotConnected):
					connected(c, log)
				}
			}
		})
	}
	for i := 0; published.Load() < wanted; i++ {
		testkit.Receive(t, next) // Something gets through between two cuts.
		for range i % 100 {
			runtime.Gosched()
		}
		link.Cut()
	}
	all.Wait()
	testkit.Eventually(t, "the numbers go on", func() bool {
		connected(c, log)
		return c.PublishEvents(t.Context(), texts(message)) == nil
	})
	testkit.Eventually(t, "all that was confirmed has come", func() bool { return came.Load() > 40*published.Load() })
	backend.TickArrivals(time.Now().Add(time.Hour))
	for _, m := range backend.Missed() {
		if m.Messages > 0 {
			t.Errorf("%d messages of %s are missed", m.Messages, m.Frontend)
		}
	}
	stats := c.Stats()
	t.Logf("%d messages confirmed, %d came, %d refused, %d connections lost", stats.Published, came.Load(), stats.Failed, stats.Disconnects)
}

// TestAStampedMessageIsNotTooLarge: the limit is that of what is published.
func TestAStampedMessageIsNotTooLarge(t *testing.T) {
	s := natstest.Start(t, natstest.Options{Configure: func(o *server.Options) { o.MaxPayload = 1000 }})
	collector := s.Collect(bus.EventsSubject)
	o, _ := options(s.URL())
	o.FrontendID = event.FrontendID(strings.Repeat("n", 100), strings.Repeat("s", 100))
	c := connect(t, o)
	fill := func(n int) string {
		return `{"x":"` + strings.Repeat("x", n-event.OriginSize-len(message)-len(`"x":"",`)) + `",` + message[1:]
	}
	if err := c.PublishEvents(t.Context(), texts(fill(1001))); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("got error %v", err)
	}
	publish(t, c, fill(1000))
	testkit.Equal(t, len(collector.All()), 1)
}

// TestMissedMessagesAreReported drops messages on their way to a subscriber.
func TestMissedMessagesAreReported(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL())
	c := connect(t, o)
	in := subscribe(t, c)
	reg := prometheus.NewPedanticRegistry()
	var none *bus.Conn
	bus.RegisterMissed(reg, func() *bus.Conn { return none })
	testkit.Equal(t, testkit.Samples(t, reg), []string{`dsiem_events_missed_total{frontend="other"} 0`})
	none = c
	s.Publish(bus.EventsSubject, string(from("frontend0/x7", 5)), string(from("frontend0/x7", 8)), "garbage")
	in.want(t, string(from("frontend0/x7", 5)), string(from("frontend0/x7", 8)), "garbage")
	testkit.Equal(t, testkit.Samples(t, reg), []string{
		`dsiem_events_missed_total{frontend="frontend0"} 0`, `dsiem_events_missed_total{frontend="other"} 0`,
	})
	c.TickArrivals(time.Now().Add(time.Minute))
	testkit.Equal(t, testkit.Samples(t, reg), []string{
		`dsiem_events_missed_total{frontend="frontend0"} 2`, `dsiem_events_missed_total{frontend="other"} 0`,
	})
	log.Wait(t, 1, "WARN", "events missed", "frontend=frontend0", "missed=2", "missed_total=2")
	s.Publish(bus.EventsSubject, string(from("frontend0/x7", 10)))
	in.want(t, string(from("frontend0/x7", 10)))
	c.TickArrivals(time.Now().Add(time.Hour))
	shut(t, c) // which tells what the limit held back
	testkit.Equal(t, len(log.With("events missed", "missed=1", "missed_total=3")), 1)
}

func BenchmarkArrivals(b *testing.B) {
	for _, frontends := range []int{1, 4} {
		b.Run(fmt.Sprintf("frontends=%d", frontends), func(b *testing.B) {
			const round = 4096
			list := make([][]byte, round)
			for i := range list {
				id := event.FrontendID(fmt.Sprintf("dsiem-frontend-%d", i%frontends), "abcdefghijkl")
				list[i] = from(id, 123_456_789+uint64(i/frontends))
			}
			var a *arrivals
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%round == 0 { // or the numbers would come again
					a = newArrivals()
				}
				a.See(list[i%round])
			}
		})
	}
}
