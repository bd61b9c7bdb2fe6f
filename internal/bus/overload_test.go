package bus_test

import (
	"errors"
	"testing"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

func TestTheLastSignalOfAnOutageIsSentAfterIt(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	collector := s.Collect(bus.OverloadSubject)
	p := natstest.NewLink(t, s.Address())
	o, log := options(p.URL())
	c := connect(t, o)
	signal := func(overloaded bool) {
		if err := c.PublishOverload(overloaded); err != nil {
			t.Error(err)
		}
	}
	signal(true)
	collector.Wait(1)
	p.Down()
	log.Wait(t, 1, "Disconnected from NATS server")
	signal(false)
	signal(true)
	signal(false)
	p.Up()
	testkit.Equal(t, collector.Wait(2), []string{"true", "false"})
	signal(true)
	testkit.Equal(t, collector.Wait(3), []string{"true", "false", "true"})
}

func TestASignalThatNeverWentIsReported(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL())
	c := connect(t, o)
	s.Stop()
	log.Wait(t, 1, "Disconnected from NATS server")
	if err := c.PublishOverload(true); err != nil {
		t.Error(err)
	}
	shut(t, c)
	testkit.Equal(t, len(log.With("level=WARN", "overload signal not sent, there was no connection", "payload=true")), 1)
	if err := c.PublishOverload(true); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("got error %v", err)
	}
}
