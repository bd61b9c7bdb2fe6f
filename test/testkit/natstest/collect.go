package natstest

import (
	"testing"

	"github.com/nats-io/nats.go"

	"dsiem/test/testkit"
)

// Collector collects the messages of a subject, over a connection of its own.
// Its methods may be called from any goroutine of the test.
type Collector struct {
	tb       testing.TB
	subject  string
	nc       *nats.Conn
	payloads testkit.List[string]
}

// Collect collects the messages of a subject from now on, until the server
// stops. It drops none, however many there are.
func (s *Server) Collect(subject string) *Collector {
	s.tb.Helper()
	c := &Collector{tb: s.tb, subject: subject, nc: s.Client()}
	sub, err := c.nc.Subscribe(subject, func(m *nats.Msg) { c.payloads.Add(string(m.Data)) })
	if err == nil {
		err = sub.SetPendingLimits(-1, -1)
	}
	if err == nil {
		err = c.nc.FlushTimeout(testkit.Patience)
	}
	if err != nil {
		s.tb.Fatalf("subscribing to %s: %v", subject, err)
	}
	return c
}

// Wait returns all payloads so far, in order, when there are at least n.
func (c *Collector) Wait(n int) []string {
	c.tb.Helper()
	if !c.payloads.Until(func(payloads []string) bool { return len(payloads) >= n }) {
		c.tb.Fatalf("%d messages of %s came, want %d", len(c.payloads.All()), c.subject, n)
	}
	return c.payloads.All()
}

// All returns the payloads of all messages that the server, which must not have
// stopped, took before the call.
func (c *Collector) All() []string {
	c.tb.Helper()
	if err := c.nc.FlushTimeout(testkit.Patience); err != nil {
		c.tb.Fatalf("collecting %s: %v", c.subject, err)
	}
	arrived := make(chan struct{})
	if err := c.nc.Barrier(func() { close(arrived) }); err != nil {
		c.tb.Fatalf("collecting %s: %v", c.subject, err)
	}
	<-arrived
	return c.payloads.All()
}
