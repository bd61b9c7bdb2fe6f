package natstest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// Collector collects the messages of a subject, over a connection of its own.
// Its methods may be called from any goroutine of the test.
type Collector struct {
	tb      testing.TB
	subject string
	nc      *nats.Conn

	mu       sync.Mutex // guards what follows
	payloads []string
	changed  chan struct{} // closed at the next message
}

// Collect collects the messages of a subject from now on, until the server
// stops. It drops none, however many there are.
func (s *Server) Collect(subject string) *Collector {
	s.tb.Helper()
	c := &Collector{tb: s.tb, subject: subject, nc: s.Client(), changed: make(chan struct{})}
	sub, err := c.nc.Subscribe(subject, c.take)
	if err == nil {
		err = sub.SetPendingLimits(-1, -1)
	}
	if err == nil {
		err = c.nc.FlushTimeout(startTimeout)
	}
	if err != nil {
		s.tb.Fatalf("subscribing to %s: %v", subject, err)
	}
	return c
}

func (c *Collector) take(m *nats.Msg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.payloads = append(c.payloads, string(m.Data))
	close(c.changed)
	c.changed = make(chan struct{})
}

// soFar returns the payloads, and a channel that is closed at the next one.
func (c *Collector) soFar() ([]string, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.payloads), c.changed
}

// Wait returns all payloads so far, in order, when there are at least n.
func (c *Collector) Wait(n int) []string {
	c.tb.Helper()
	timeout := time.After(startTimeout)
	for {
		payloads, changed := c.soFar()
		if len(payloads) >= n {
			return payloads
		}
		select {
		case <-changed:
		case <-timeout:
			c.tb.Fatalf("%d messages of %s came, want %d", len(payloads), c.subject, n)
		}
	}
}

// All returns the payloads of all messages that the server, which must not have
// stopped, took before the call.
func (c *Collector) All() []string {
	c.tb.Helper()
	if err := c.nc.FlushTimeout(startTimeout); err != nil {
		c.tb.Fatalf("collecting %s: %v", c.subject, err)
	}
	arrived := make(chan struct{})
	if err := c.nc.Barrier(func() { close(arrived) }); err != nil {
		c.tb.Fatalf("collecting %s: %v", c.subject, err)
	}
	<-arrived
	payloads, _ := c.soFar()
	return payloads
}
