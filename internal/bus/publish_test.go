package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

func texts(list ...string) [][]byte {
	out := make([][]byte, len(list))
	for i, text := range list {
		out[i] = []byte(text)
	}
	return out
}

func publish(t *testing.T, c *bus.Conn, list ...string) {
	t.Helper()
	if err := c.PublishEvents(t.Context(), texts(list...)); err != nil {
		t.Fatal(err)
	}
}

func TestT43BothBackendsGetWhatAFrontendPublishes(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, _ := options(s.URL())
	first, second := subscribe(t, connect(t, o)), subscribe(t, connect(t, o))
	frontend := connect(t, o)
	publish(t, frontend, "a", "b")
	publish(t, frontend)
	publish(t, frontend, "c")
	for _, in := range []inbox{first, second} {
		in.want(t, "a", "b", "c")
	}
	testkit.Equal(t, frontend.Stats(), bus.Stats{Connected: true, Published: 3})
}

// TestManyCallers also makes sure that payloads are the caller's again: the
// callers use one buffer for all.
func TestManyCallers(t *testing.T) {
	const callers, calls, each = 32, 20, 7
	s := natstest.Start(t, natstest.Options{})
	collector := s.Collect(bus.EventsSubject)
	o, _ := options(s.URL())
	c := connect(t, o)
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			payloads := make([][]byte, each)
			n := 0
			for range calls {
				for i := range payloads {
					payloads[i] = fmt.Appendf(payloads[i][:0], "%d %d", caller, n)
					n++
				}
				if err := c.PublishEvents(t.Context(), payloads); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	var next [callers]int
	for _, text := range collector.All() {
		var caller, n int
		if _, err := fmt.Sscan(text, &caller, &n); err != nil || n != next[caller] {
			t.Fatalf("%q came in the place of %d: %v", text, next[caller], err)
		}
		next[caller]++
	}
	for caller, n := range next {
		if n != calls*each {
			t.Errorf("%d events of caller %d came", n, caller)
		}
	}
	testkit.Equal(t, c.Stats().Published, uint64(callers*calls*each))
}

func TestWhatIsTooLargeIsRefusedAsAWhole(t *testing.T) {
	s := natstest.Start(t, natstest.Options{Configure: func(o *server.Options) { o.MaxPayload = 1000 }})
	collector := s.Collect(bus.EventsSubject)
	o, _ := options(s.URL())
	c := connect(t, o)
	err := c.PublishEvents(t.Context(), texts("a", strings.Repeat("x", 1001), "b"))
	if !errors.Is(err, bus.ErrTooLarge) || !strings.Contains(err.Error(), "1001 bytes, the limit is 1000") {
		t.Errorf("got error %v", err)
	}
	largest := strings.Repeat("x", 1000)
	publish(t, c, largest)
	testkit.Equal(t, collector.All(), []string{largest})
	testkit.Equal(t, c.Stats(), bus.Stats{Connected: true, Published: 1, Failed: 3})
}

func TestALimitThatChanges(t *testing.T) {
	configure := func(limit int32) func(*server.Options) {
		return func(o *server.Options) { o.MaxPayload = limit }
	}
	small := natstest.Start(t, natstest.Options{Configure: configure(10)})
	large := natstest.Start(t, natstest.Options{Configure: configure(20)})
	p := natstest.NewLink(t, small.Address())
	o, log := options(p.URL())
	c := connect(t, o)
	event := strings.Repeat("x", 15)
	if err := c.PublishEvents(t.Context(), texts(event)); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("got error %v", err)
	}
	p.To(large.Address())
	p.Cut()
	log.Wait(t, 1, "Reconnected to NATS server")
	publish(t, c, event)
}

func TestWithoutConnectionItFailsAtOnce(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL())
	o.Timeout = time.Hour // and the library takes all that time for an attempt
	c := connect(t, o)
	publish(t, c, "before")
	s.Stop()
	_, accepted := mute(t, s.Address())
	log.Wait(t, 1, "Disconnected from NATS server")
	testkit.Receive(t, accepted)
	err := c.PublishEvents(t.Context(), texts("a", "b"))
	if !errors.Is(err, bus.ErrNotConnected) || errors.Is(err, bus.ErrUnconfirmed) {
		t.Errorf("got error %v", err)
	}
	stats := c.Stats()
	testkit.Equal(t, [2]uint64{stats.Published, stats.Failed}, [2]uint64{1, 2})
}

func TestTheServerRefusesEvents(t *testing.T) {
	s := natstest.Start(t, natstest.Options{Configure: func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{bus.EventsSubject}},
		}}}
	}})
	o, _ := options("nats://u:p@" + s.Address())
	c := connect(t, o)
	for range 2 {
		if err := c.PublishEvents(t.Context(), texts("a")); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("got error %v", err)
		}
	}
	testkit.Equal(t, c.Stats().Failed, uint64(2))
}

// waiting returns when a number of events waits behind what is on its way.
func waiting(t *testing.T, c *bus.Conn, n int) {
	t.Helper()
	for deadline := time.Now().Add(testkit.Patience); c.Waiting() != n; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d events wait, want %d", c.Waiting(), n)
		}
	}
}

// begin calls PublishEvents in the background.
func begin(ctx context.Context, c *bus.Conn, payloads ...string) <-chan error {
	done := make(chan error, 1)
	go func() { done <- c.PublishEvents(ctx, texts(payloads...)) }()
	return done
}

func TestCallersShareAConfirmation(t *testing.T) {
	p, c := connectToPeer(t, nil)
	first := begin(t.Context(), c, "first")
	testkit.Equal(t, testkit.Receive(t, p.pings), "PUB dsiem_events 5|first")
	var rest []<-chan error
	for range 50 {
		rest = append(rest, begin(t.Context(), c, "x", "y"))
	}
	waiting(t, c, 100)
	p.answer <- "PONG\r\n"
	if err := testkit.Receive(t, first); err != nil {
		t.Error(err)
	}
	if got := strings.Count(testkit.Receive(t, p.pings), "PUB dsiem_events 1|"); got != 100 {
		t.Errorf("%d events came before the second ping", got)
	}
	p.answer <- "PONG\r\n"
	for _, done := range rest {
		if err := testkit.Receive(t, done); err != nil {
			t.Error(err)
		}
	}
}

func TestTheConnectionIsLostBeforeTheConfirmation(t *testing.T) {
	p, c := connectToPeer(t, nil)
	first := begin(t.Context(), c, "a")
	testkit.Receive(t, p.pings)
	second := begin(t.Context(), c, "b", "c")
	waiting(t, c, 2)
	p.answer <- hangUp
	if err := testkit.Receive(t, first); !errors.Is(err, bus.ErrUnconfirmed) || errors.Is(err, bus.ErrNotConnected) {
		t.Errorf("what was on its way: got error %v", err)
	}
	// It may be on its way, too, before the connection knows.
	if err := testkit.Receive(t, second); !errors.Is(err, bus.ErrNotConnected) && !errors.Is(err, bus.ErrUnconfirmed) {
		t.Errorf("what waited: got error %v", err)
	}
	testkit.Equal(t, c.Stats().Failed, uint64(3))
}

func TestAConfirmationOfAnotherConnectionIsNone(t *testing.T) {
	p, c := connectToPeer(t, nil)
	done := begin(t.Context(), c, "a")
	testkit.Receive(t, p.pings)
	c.Redialled()
	p.answer <- "PONG\r\n"
	if err := testkit.Receive(t, done); !errors.Is(err, bus.ErrUnconfirmed) || !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("got error %v", err)
	}
}

func TestAServerThatDoesNotConfirm(t *testing.T) {
	p, c := connectToPeer(t, func(o *bus.Options) { o.Timeout = 50 * time.Millisecond })
	done := begin(t.Context(), c, "a")
	testkit.Receive(t, p.pings)
	if err := testkit.Receive(t, done); !errors.Is(err, bus.ErrUnconfirmed) || !errors.Is(err, nats.ErrTimeout) {
		t.Errorf("got error %v", err)
	}
	if err := c.Close(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("closing: got error %v", err)
	}
}

func TestARefusalCountsForTheBatchThatMetIt(t *testing.T) {
	p, c := connectToPeer(t, nil)
	const denied = "-ERR 'Permissions Violation for Publish to \"dsiem_events\"'\r\n"
	for i, want := range []bool{true, true, false, false, true, false} {
		done := begin(t.Context(), c, "a")
		testkit.Receive(t, p.pings)
		text := "PONG\r\n"
		if want {
			text = denied + text
		}
		p.answer <- text
		if err := testkit.Receive(t, done); errors.Is(err, nats.ErrPermissionViolation) != want || (err != nil) != want {
			t.Errorf("call %d: got error %v, refused is %t", i, err, want)
		}
	}
}

func TestTheEndOfTheContextEndsTheWait(t *testing.T) {
	p, c := connectToPeer(t, nil)
	ended, end := context.WithCancelCause(t.Context())
	why := errors.New("the client has left")
	first := begin(ended, c, "a")
	testkit.Receive(t, p.pings)
	end(why)
	if err := testkit.Receive(t, first); !errors.Is(err, why) || !errors.Is(err, bus.ErrUnconfirmed) {
		t.Errorf("what was on its way: got error %v", err)
	}
	if err := c.PublishEvents(ended, texts("b")); !errors.Is(err, why) || errors.Is(err, bus.ErrUnconfirmed) {
		t.Errorf("what came too late: got error %v", err)
	}

	// Now there is no room any more.
	rest := begin(t.Context(), c, slices.Repeat([]string{"x"}, bus.FullBatch)...)
	waiting(t, c, bus.FullBatch)
	short, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, why)
	defer cancel()
	if err := c.PublishEvents(short, texts("c")); !errors.Is(err, why) || errors.Is(err, bus.ErrUnconfirmed) {
		t.Errorf("what found no room: got error %v", err)
	}
	patient := begin(t.Context(), c, "d")
	p.answer <- "PONG\r\n"
	if got := strings.Count(testkit.Receive(t, p.pings), "PUB"); got < bus.FullBatch {
		t.Errorf("%d events came", got)
	}
	p.answer <- "PONG\r\n"
	p.answer <- "PONG\r\n" // if the patient one came too late for that
	for _, done := range []<-chan error{rest, patient} {
		if err := testkit.Receive(t, done); err != nil {
			t.Error(err)
		}
	}
}

func TestDrainFinishesWhatIsAccepted(t *testing.T) {
	p, c := connectToPeer(t, nil)
	first := begin(t.Context(), c, "a")
	testkit.Receive(t, p.pings)
	second := begin(t.Context(), c, "b")
	waiting(t, c, 1)
	drained := make(chan error, 1)
	go func() { drained <- c.Drain(t.Context()) }()
	for range 4 { // two batches, the end of the intake, and Close
		p.answer <- "PONG\r\n"
	}
	for _, done := range []<-chan error{first, second, drained} {
		if err := testkit.Receive(t, done); err != nil {
			t.Error(err)
		}
	}
	for range 2 {
		if err := c.PublishEvents(t.Context(), texts("c")); !errors.Is(err, bus.ErrClosed) {
			t.Errorf("got error %v", err)
		}
		shut(t, c)
	}
	testkit.Equal(t, c.Stats(), bus.Stats{Published: 2, Failed: 2})
}

func TestCloseDoesNotWaitForAConfirmationForEver(t *testing.T) {
	p, c := connectToPeer(t, func(o *bus.Options) { o.Timeout = time.Hour })
	first := begin(t.Context(), c, "a")
	testkit.Receive(t, p.pings)
	second := begin(t.Context(), c, "b")
	waiting(t, c, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Close(ctx); err == nil {
		t.Error("closed without a word")
	}
	for _, done := range []<-chan error{first, second} {
		if err := testkit.Receive(t, done); err == nil {
			t.Error("an event is confirmed that nobody has")
		}
	}
}

// connected returns when a connection is up.
func connected(c *bus.Conn, log *testkit.Logbook) {
	log.Until(func([]string) bool { return c.Connected() }) // it writes a line when it is
}

// TestWhatIsConfirmedHasArrived cuts the frontend's connection again and again
// while it publishes: the library would send the rest of a batch over the next
// connection.
func TestWhatIsConfirmedHasArrived(t *testing.T) {
	const callers, confirmed = 4, 300
	s := natstest.Start(t, natstest.Options{})
	collector := s.Collect(bus.EventsSubject)
	p := natstest.NewLink(t, s.Address())
	o, log := options(p.URL())
	o.ReconnectWait = time.Microsecond
	c := connect(t, o)

	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		acked []string
		left  atomic.Int64
		next  = make(chan struct{}, 1)
	)
	left.Store(confirmed)
	padding := bytes.Repeat([]byte("x"), 1000)
	for caller := range callers {
		all.Go(func() {
			for call := 0; left.Load() > 0; call++ {
				list := make([]string, 40)
				for i := range list {
					list[i] = fmt.Sprintf("%d %d %d %s", caller, call, i, padding)
				}
				err := c.PublishEvents(t.Context(), texts(list...))
				switch {
				case err == nil:
					mu.Lock()
					acked = append(acked, list...)
					mu.Unlock()
					left.Add(-1)
					select {
					case next <- struct{}{}:
					default:
					}
				case errors.Is(err, bus.ErrNotConnected):
					connected(c, log)
				case !errors.Is(err, bus.ErrUnconfirmed):
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		for i := 0; left.Load() > 0; i++ {
			<-next // Something gets through between two cuts.
			for range i % 100 {
				runtime.Gosched()
			}
			p.Cut()
		}
	})
	all.Wait()
	arrived := make(map[string]bool, len(acked))
	for _, text := range collector.All() {
		arrived[text] = true
	}
	for _, text := range acked {
		if !arrived[text] {
			t.Fatalf("%.20s was confirmed and has not arrived", text)
		}
	}
	stats := c.Stats()
	t.Logf("%d events confirmed, %d not, %d connections lost", stats.Published, stats.Failed, stats.Disconnects)
}

// TestTheServerIsRestartedUnderLoad: what is confirmed before the server stops
// has arrived at a backend that has read all of it; what is on its way when it
// stops may be lost or not, which is an error; while it is away nothing is
// taken; after that all goes on by itself.
func TestTheServerIsRestartedUnderLoad(t *testing.T) {
	const callers, each = 8, 200
	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL())
	frontend := connect(t, o)
	o, _ = options(s.URL())
	arrived := make(map[string]bool)
	in := make(inbox, 1_000_000)
	if err := connect(t, o).Subscribe(t.Context(), 0, func(data []byte) { in <- string(data) }); err != nil {
		t.Fatal(err)
	}
	var before sync.WaitGroup
	for caller := range callers {
		before.Go(func() {
			for n := range each {
				if err := frontend.PublishEvents(t.Context(), texts(fmt.Sprint("before ", caller, n))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	before.Wait()
	for range callers * each {
		arrived[testkit.Receive(t, in)] = true
	}
	for caller := range callers {
		for n := range each {
			if text := fmt.Sprint("before ", caller, n); !arrived[text] {
				t.Fatalf("%q was confirmed and has not arrived", text)
			}
		}
	}

	var during sync.WaitGroup
	for range callers {
		during.Go(func() {
			for {
				err := frontend.PublishEvents(t.Context(), texts("during"))
				if errors.Is(err, bus.ErrNotConnected) {
					return
				}
				if err != nil && !errors.Is(err, bus.ErrUnconfirmed) {
					t.Error(err)
					return
				}
			}
		})
	}
	testkit.Equal(t, testkit.Receive(t, in), "during")
	s.Stop()
	during.Wait() // None of them hangs.
	log.Wait(t, 1, "Disconnected from NATS server")
	if err := frontend.PublishEvents(t.Context(), texts("lost")); !errors.Is(err, bus.ErrNotConnected) {
		t.Errorf("got error %v", err)
	}

	s.Restart()
	log.Wait(t, 1, "Reconnected to NATS server")
	s.WaitForSubscribers(bus.EventsSubject, 1)
	publish(t, frontend, "after")
	text := testkit.Receive(t, in)
	for text == "during" {
		text = testkit.Receive(t, in)
	}
	testkit.Equal(t, text, "after")
}
