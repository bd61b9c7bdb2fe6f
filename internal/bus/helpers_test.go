package bus_test

import (
	"context"
	"testing"
	"time"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

// options returns options for quick tests.
func options(url string) (bus.Options, *testkit.Logbook) {
	log := new(testkit.Logbook)
	return bus.Options{
		URL:            url,
		Name:           "b0",
		Retry:          5 * time.Millisecond,
		ReconnectWait:  5 * time.Millisecond,
		Timeout:        testkit.Patience,
		ReportInterval: time.Hour,
		NumberInterval: time.Hour,
		Logger:         log.Logger(),
	}, log
}

func connect(t *testing.T, o bus.Options) *bus.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	c, err := bus.Connect(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, c) })
	return c
}

func shut(t *testing.T, c *bus.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Errorf("closing: %v", err)
	}
}

// inbox takes events.
type inbox chan string

func subscribe(t *testing.T, c *bus.Conn) inbox {
	t.Helper()
	in := make(inbox, 1000)
	if err := c.Subscribe(t.Context(), 1000, func(data []byte) { in <- string(data) }); err != nil {
		t.Fatal(err)
	}
	return in
}

func (in inbox) want(t *testing.T, events ...string) {
	t.Helper()
	for _, want := range events {
		testkit.Equal(t, testkit.Receive(t, in), want)
	}
}

// works makes sure that a connection to a server carries events.
func works(t *testing.T, s *natstest.Server, o bus.Options) {
	t.Helper()
	in := subscribe(t, connect(t, o))
	s.Publish(bus.EventsSubject, "hello")
	in.want(t, "hello")
}
