package bus_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

func TestT43EveryBackendGetsEveryEvent(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL())
	first, second := subscribe(t, connect(t, o)), subscribe(t, connect(t, o))
	if n := len(log.With("level=INFO", "listening for new events")); n != 2 {
		t.Errorf("%d backends say that they listen", n)
	}
	s.Publish(bus.EventsSubject, "a", "b")
	first.want(t, "a", "b")
	second.want(t, "a", "b")
}

func TestT44PayloadsPassUnchanged(t *testing.T) {
	payloads := []string{
		`{"conn_id":1,"event_id":"e1","timestamp":"2024-01-01T00:00:00Z","title":"t","sensor":"s","plugin_id":1001,"plugin_sid":2100384,"src_ip":"10.0.0.1","src_port":0,"dst_ip":"10.0.0.2","dst_port":0,"protocol":"ICMP","rcvd_time":1795369513089910369}`,
		`{"event_id":"e1","timestamp":"2024-01-01T00:00:00Z","sensor":"s","title":"t","src_ip":"10.0.0.1","dst_ip":"10.0.0.2","plugin_id":1001,"plugin_sid":2100384,"product":"","category":"","subcategory":"","src_port":0,"dst_port":0,"protocol":"ICMP","conn_id":1,"custom_data1":"","custom_label1":"","custom_data2":"","custom_label2":"","custom_data3":"","custom_label3":"","rcvd_time":1711428290978559000,"carrier":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":""}}`,
		"garbage", `{"event_id":"x"}`, "", "\x00\xff\r\nPUB dsiem_events 1\r\nx\r\n", strings.Repeat("x", 1<<20),
	}
	s := natstest.Start(t, natstest.Options{})
	o, _ := options(s.URL())
	in := subscribe(t, connect(t, o))
	s.Publish(bus.EventsSubject, payloads...)
	s.Publish("dsiem_events.more", "not ours")
	s.Publish(bus.OverloadSubject, "true")
	s.Publish(bus.EventsSubject, "last")
	in.want(t, payloads...)
	in.want(t, "last")
}

func TestTheOrderOfABurstIsKept(t *testing.T) {
	const n = 100_000
	s := natstest.Start(t, natstest.Options{})
	o, _ := options(s.URL())
	c := connect(t, o)
	done := make(chan int, 1)
	next := uint32(0)
	err := c.Subscribe(t.Context(), n, func(data []byte) {
		if got := binary.BigEndian.Uint32(data); got != next {
			t.Errorf("event %d came in the place of %d", got, next)
		}
		next++
		if next == n {
			done <- 0
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	client := s.Client()
	for i := range uint32(n) {
		if err := client.Publish(bus.EventsSubject, binary.BigEndian.AppendUint32(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Receive(t, done)
	if stats := c.Stats(); stats.Received != n || stats.Dropped != 0 {
		t.Errorf("%+v", stats)
	}
}

// blocked is a subscriber that waits before each event.
type blocked struct {
	began chan string
	allow chan struct{} // closed to let all pass
}

func block(t *testing.T, c *bus.Conn, pending int) *blocked {
	t.Helper()
	b := &blocked{began: make(chan string, 1000), allow: make(chan struct{})}
	err := c.Subscribe(t.Context(), pending, func(data []byte) {
		b.began <- string(data)
		<-b.allow
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// arrived returns when the connection has got all that was published before: a
// server keeps the order over subjects, too.
func arrived(t *testing.T, s *natstest.Server, c *bus.Conn) {
	t.Helper()
	signals := make(chan bool, 1)
	if err := c.SubscribeOverload(t.Context(), func(overloaded bool) { signals <- overloaded }); err != nil {
		t.Fatal(err)
	}
	s.Publish(bus.OverloadSubject, "true")
	testkit.Receive(t, signals)
}

func TestD28ASlowSubscriberLosesACountedNumberOfEvents(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL())
	o.ReportInterval = 10 * time.Millisecond
	c := connect(t, o)
	b := block(t, c, 10)
	for i := range 100 {
		s.Publish(bus.EventsSubject, fmt.Sprint(i))
	}
	log.Wait(t, 1, "level=WARN", "events dropped", "dropped_total=90")
	testkit.Equal(t, c.Stats(), bus.Stats{Connected: true, Received: 1, Dropped: 90, Pending: 10})
	close(b.allow)
	for i := range 10 {
		testkit.Equal(t, testkit.Receive(t, b.began), fmt.Sprint(i))
	}
	s.Publish(bus.EventsSubject, "later")
	testkit.Equal(t, testkit.Receive(t, b.began), "later")
	total := 0
	for _, line := range log.With("events dropped") {
		var n int
		_, fields, _ := strings.Cut(line, " dropped=")
		if _, err := fmt.Sscan(fields, &n); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		total += n
	}
	testkit.Equal(t, total, 90)
}

func TestDropsAreReportedAtTheEndToo(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL()) // reports once an hour
	c, err := bus.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b := block(t, c, 1)
	s.Publish(bus.EventsSubject, "a", "b", "c")
	testkit.Receive(t, b.began)
	arrived(t, s, c)
	testkit.Equal(t, c.Stats(), bus.Stats{Connected: true, Received: 1, Dropped: 2, Pending: 1})
	if lines := log.With("events dropped"); len(lines) > 0 {
		t.Errorf("reported before the interval: %q", lines)
	}
	close(b.allow)
	shut(t, c)
	testkit.Equal(t, len(log.With("level=WARN", "events dropped", "dropped=2 dropped_total=2")), 1)
}

func TestTheLimitFollowsMaxQueueNotTheLibrary(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, _ := options(s.URL())
	c := connect(t, o)
	b := block(t, c, 0)
	// More than the 64 MiB of the library's default.
	large := strings.Repeat("x", 1<<20)
	for range 80 {
		s.Publish(bus.EventsSubject, large)
	}
	s.Publish(bus.EventsSubject, "last")
	close(b.allow)
	for range 80 {
		testkit.Equal(t, len(testkit.Receive(t, b.began)), len(large))
	}
	testkit.Equal(t, testkit.Receive(t, b.began), "last")
	testkit.Equal(t, c.Stats().Dropped, uint64(0))
}

func TestT41OnlyTrueAndFalseAreOverloadSignals(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL())
	c := connect(t, o)
	signals := make(chan bool, 100)
	if err := c.SubscribeOverload(t.Context(), func(overloaded bool) { signals <- overloaded }); err != nil {
		t.Fatal(err)
	}
	log.Wait(t, 1, "level=INFO", "listening for new back pressure signal")
	others := []string{"TRUE", `"true"`, "1", "", "true\n", " false", strings.Repeat("x", 10_000)}
	s.Publish(bus.OverloadSubject, others...)
	s.Publish(bus.OverloadSubject, "true", "false", "true")
	for _, want := range []bool{true, false, true} {
		testkit.Equal(t, testkit.Receive(t, signals), want)
	}
	lines := log.With("level=WARN", "neither true nor false")
	testkit.Equal(t, len(lines), len(others))
	for _, line := range lines {
		if len(line) > 300 {
			t.Errorf("line of %d bytes: %.400s", len(line), line)
		}
	}
}

func TestAFloodOfBadSignalsDoesNotFloodTheLog(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL()) // an hour per interval
	c, err := bus.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	signals := make(chan bool, 1)
	if err := c.SubscribeOverload(t.Context(), func(overloaded bool) { signals <- overloaded }); err != nil {
		t.Fatal(err)
	}
	flood := make([]string, 1000)
	s.Publish(bus.OverloadSubject, append(flood, "true")...)
	testkit.Receive(t, signals)
	shut(t, c)
	testkit.Equal(t, len(log.With("neither true nor false")), 10)
	testkit.Equal(t, len(log.With("level=WARN", "more warnings", "count=990")), 1)
}

func TestOverloadIsPublishedAsTheReferencesDo(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	client := s.Client()
	sub, err := client.SubscribeSync(bus.OverloadSubject)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Flush(); err != nil {
		t.Fatal(err)
	}
	o, log := options(s.URL())
	c, err := bus.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, overloaded := range []bool{true, false} {
		if err := c.PublishOverload(overloaded); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, c)
	for _, want := range []string{"true", "false"} {
		m, err := sub.NextMsg(testkit.Patience)
		if err != nil {
			t.Fatal(err)
		}
		testkit.Equal(t, string(m.Data), want)
		testkit.Equal(t, len(log.With("level=INFO", "overload = "+want+" signal sent to frontend")), 1)
	}
	if err := c.PublishOverload(true); err == nil {
		t.Error("a closed connection took a signal")
	}
}

func TestASubscriptionThatIsDenied(t *testing.T) {
	s := natstest.Start(t, natstest.Options{Configure: func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Subscribe: &server.SubjectPermission{Deny: []string{bus.EventsSubject}},
		}}}
	}})
	o, _ := options("nats://u:p@" + s.Address())
	c := connect(t, o)
	err := c.Subscribe(t.Context(), 10, func([]byte) {})
	if err == nil || !strings.Contains(err.Error(), "subscribing to dsiem_events: ") || !strings.Contains(strings.ToLower(err.Error()), "permissions violation") {
		t.Errorf("got error %v", err)
	}
	if err := c.SubscribeOverload(t.Context(), func(bool) {}); err != nil {
		t.Errorf("the other subject is permitted: %v", err)
	}
}

func TestASecondSubscriptionOfEventsIsAnError(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, _ := options(s.URL())
	c := connect(t, o)
	subscribe(t, c)
	if err := c.Subscribe(t.Context(), 10, func([]byte) {}); err == nil {
		t.Error("it was taken")
	}
}

func TestSubscribeWaitsForALostConnection(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL())
	o.Timeout = 50 * time.Millisecond
	c := connect(t, o)
	s.Stop()
	log.Wait(t, 1, "Disconnected")

	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- c.Subscribe(ctx, 10, func([]byte) {}) }()
	log.Wait(t, 1, "did not confirm the subscription yet")
	cancel()
	if err := testkit.Receive(t, failed); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}

	in := make(inbox, 10)
	go func() { failed <- c.Subscribe(t.Context(), 10, func(data []byte) { in <- string(data) }) }()
	s.Restart()
	if err := testkit.Receive(t, failed); err != nil {
		t.Fatal(err)
	}
	s.Publish(bus.EventsSubject, "hello")
	in.want(t, "hello")
}

func TestDrainHandsOverWhatHasArrived(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, _ := options(s.URL())
	c := connect(t, o)
	b := block(t, c, 1000)
	events := make([]string, 500)
	for i := range events {
		events[i] = fmt.Sprint(i)
	}
	s.Publish(bus.EventsSubject, events...)
	testkit.Receive(t, b.began)
	drained := make(chan error, 1)
	go func() { drained <- c.Drain(t.Context()) }()
	close(b.allow)
	if err := testkit.Receive(t, drained); err != nil {
		t.Fatal(err)
	}
	testkit.Equal(t, len(b.began), 499) // Drain has waited for them.
	for _, want := range events[1:] {
		testkit.Equal(t, testkit.Receive(t, b.began), want)
	}
	s.Publish(bus.EventsSubject, "too late")
	if err := c.PublishOverload(false); err != nil {
		t.Errorf("a drained connection takes no signal: %v", err)
	}
	shut(t, c)
	testkit.Equal(t, c.Stats(), bus.Stats{Received: 500})
	if len(b.began) > 0 {
		t.Errorf("handed over after Drain: %q", <-b.began)
	}
}

func TestDrainHandsOverWhatHasArrivedWithTheServerGone(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL())
	c := connect(t, o)
	b := block(t, c, 1000)
	s.Publish(bus.EventsSubject, "a", "b", "c")
	arrived(t, s, c)
	s.Stop()
	log.Wait(t, 1, "Disconnected")
	close(b.allow)
	shut(t, c)
	for _, want := range []string{"a", "b", "c"} {
		testkit.Equal(t, testkit.Receive(t, b.began), want)
	}
}

func TestDrainIsBoundedByItsContext(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, _ := options(s.URL())
	c, err := bus.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b := block(t, c, 1000)
	defer close(b.allow)
	s.Publish(bus.EventsSubject, "a", "b", "c")
	arrived(t, s, c)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = c.Close(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "3 events not taken") {
		t.Errorf("got error %v", err)
	}
	if again := c.Close(t.Context()); !errors.Is(again, err) {
		t.Errorf("the second call says %v", again)
	}
	testkit.Receive(t, c.Closed())
}
