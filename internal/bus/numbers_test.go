package bus_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

// told is what a frontend says about its last message.
func told(id string, number, idle int) string {
	return fmt.Sprintf(`{"frontend_id":%q,"conn_id":%d,"idle_seconds":%d}`, id, number, idle)
}

// missedOf returns what a connection misses of a frontend, after a tick.
func missedOf(c *bus.Conn, frontend string) uint64 {
	c.TickArrivals(time.Now())
	for _, m := range c.Missed() {
		if m.Frontend == frontend {
			return m.Messages
		}
	}
	return 0
}

// TestAFrontendSaysItsLastNumber: while it publishes nothing, and at its end.
func TestAFrontendSaysItsLastNumber(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, natstest.Options{})
	numbers, events := s.Collect(bus.NumbersSubject), s.Collect(bus.EventsSubject)
	o, _ := options(s.URL())
	backend := connect(t, o)
	o.FrontendID = "f/1"
	c := connect(t, o)
	tick := func(times int) {
		for range times {
			c.TickNumbers(time.Second)
		}
	}
	tick(2)
	publish(t, c, message, message)
	tick(3)
	publish(t, c, message)
	tick(1)
	backend.TickNumbers(time.Second) // is no frontend
	shut(t, c)
	shut(t, backend)
	testkit.Equal(t, numbers.All(), []string{
		told("f/1", 0, 1), told("f/1", 0, 2), told("f/1", 2, 1), told("f/1", 2, 2), told("f/1", 3, 0),
	})
	testkit.Equal(t, events.All(), []string{string(from("f/1", 1)), string(from("f/1", 2)), string(from("f/1", 3))})
}

// TestAFrontendSaysItsLastNumberByItself: nobody has to ask.
func TestAFrontendSaysItsLastNumberByItself(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, natstest.Options{})
	numbers := s.Collect(bus.NumbersSubject)
	o, _ := options(s.URL())
	o.FrontendID, o.NumberInterval = "f/1", time.Millisecond
	c := connect(t, o)
	testkit.Equal(t, numbers.Wait(1)[0], told("f/1", 0, 0))
	publish(t, c, message, message)
	testkit.Eventually(t, "the last number is that of the last message", func() bool {
		all := numbers.All()
		return all[len(all)-1] == told("f/1", 2, 0)
	})
}

// TestLastMessagesThatWereMissed: a connection was away, and no event follows.
func TestLastMessagesThatWereMissed(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, natstest.Options{})
	link := natstest.NewLink(t, s.Address())
	o, log := options(link.URL())
	c, o := connect(t, o), o
	in := subscribe(t, c)
	o.URL, o.FrontendID = s.URL(), "f/1"
	frontend := connect(t, o)
	publish(t, frontend, message)
	in.want(t, string(from("f/1", 1)))

	link.Down()
	log.Wait(t, 1, "Disconnected")
	publish(t, frontend, message, message, message)
	link.Up()
	log.Wait(t, 1, "Reconnected")
	s.WaitForSubscribers(bus.NumbersSubject, 1)
	for range 1 + bus.Grace/time.Second {
		frontend.TickNumbers(time.Second)
	}
	testkit.Eventually(t, "three messages are missed", func() bool { return missedOf(c, "f") == 3 })
	log.Wait(t, 1, "WARN", "events missed", "frontend=f", "missed=3")
	// Who comes now has missed nothing.
	newcomer, _ := options(s.URL())
	late := connect(t, newcomer)
	in = subscribe(t, late)
	frontend.TickNumbers(time.Second)
	publish(t, frontend, message)
	in.want(t, string(from("f/1", 5)))
	late.TickArrivals(time.Now().Add(time.Hour))
	testkit.Equal(t, missedOf(late, "f"), uint64(0))
}

// TestALastNumberWaitsForTheEventsBeforeIt: what waits for its subscriber is not
// missed.
func TestALastNumberWaitsForTheEventsBeforeIt(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL())
	c := connect(t, o)
	taken, release := make(chan string, 10), make(chan struct{})
	testkit.Check(t, c.Subscribe(t.Context(), 100, func(data []byte) {
		taken <- string(data)
		<-release
	}))
	s.WaitForSubscribers(bus.NumbersSubject, 1)
	client := s.Client()
	send := func(subject, text string) { testkit.Check(t, client.Publish(subject, []byte(text))) }
	for n := range uint64(3) {
		send(bus.EventsSubject, string(from("f/1", n+1)))
	}
	send(bus.NumbersSubject, told("f/1", 4, 60))
	send(bus.NumbersSubject, "garbage")
	log.Wait(t, 1, "last number of a frontend cannot be read") // So what is before it has been looked at, too.
	testkit.Equal(t, testkit.Receive(t, taken), string(from("f/1", 1)))
	missedOf(c, "f")
	testkit.Equal(t, missedOf(c, "f"), uint64(0))
	close(release)
	testkit.Eventually(t, "the fourth one is missed", func() bool { return missedOf(c, "f") > 0 })
	testkit.Equal(t, missedOf(c, "f"), uint64(1))
}

func TestWhatIsNoLastNumberIsIgnored(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL())
	c := connect(t, o)
	in := subscribe(t, c)
	s.WaitForSubscribers(bus.NumbersSubject, 1)
	garbage := []string{
		"", "null", "[]", "7", `"f/1"`, `{}`, `{"conn_id":5}`, told("", 5, 9), told("é/1", 5, 9), told("f\"/1", 5, 9),
		told(strings.Repeat("f", 97), 5, 9), told("f/1", -5, 9), told("f/1", 5, -9),
		`{"frontend_id":"f/1","conn_id":9223372036854775808}`, `{"frontend_id":"f/1","conn_id":"5"}`, strings.Repeat("x", 10_000),
	}
	s.Publish(bus.EventsSubject, string(from("f/1", 1)))
	in.want(t, string(from("f/1", 1)))
	s.Publish(bus.NumbersSubject, garbage...)
	s.Publish(bus.NumbersSubject, `{"conn_id":3,"frontend_id":"f/1","idle_seconds":60,"of_a_later_version":{}}`)
	testkit.Eventually(t, "what is one is not ignored", func() bool { return missedOf(c, "f") == 2 })
	lines := log.With("level=WARN", "last number of a frontend cannot be read")
	testkit.Equal(t, len(lines), 10) // of an hour
	for _, line := range lines {
		if len(line) > 400 {
			t.Errorf("line of %d bytes: %.500s", len(line), line)
		}
	}
}

// TestLastNumbersThatNATSDenies: its permissions may be those for an older
// version. Events pass all the same, and one line on each side says what to do.
func TestLastNumbersThatNATSDenies(t *testing.T) {
	t.Parallel()
	denied := []string{bus.NumbersSubject}
	s := natstest.Start(t, natstest.Options{Configure: func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: denied}, Subscribe: &server.SubjectPermission{Deny: denied},
		}}, {Username: "other", Password: "p"}}
		o.NoAuthUser = "other"
	}})
	o, log := options("nats://u:p@" + s.Address())
	in := subscribe(t, connect(t, o))
	log.Wait(t, 1, "level=WARN", "allow it to subscribe to their last numbers", "dsiem_event_numbers")
	o, log = options("nats://u:p@" + s.Address())
	o.FrontendID = "f/1"
	c := connect(t, o)
	for i := range uint64(3) {
		c.TickNumbers(time.Second)
		c.TickNumbers(time.Second)
		publish(t, c, message)
		in.want(t, string(from("f/1", i+1)))
		log.Wait(t, 1, "level=WARN", "allow it to publish its last number", "dsiem_event_numbers")
	}
	testkit.Equal(t, len(log.With("level=WARN")), 1)
	// The permissions are put right.
	s.Stop()
	denied = nil
	s.Restart()
	log.Wait(t, 1, "Reconnected")
	numbers := s.Collect(bus.NumbersSubject)
	c.TickNumbers(time.Second)
	c.TickNumbers(time.Second)
	numbers.Wait(1)
}
