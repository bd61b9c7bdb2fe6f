package bus_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"dsiem/internal/bus"
	"dsiem/test/testkit/natstest"
)

func dial(b *testing.B, o bus.Options) *bus.Conn {
	b.Helper()
	c, err := bus.Connect(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return c
}

// BenchmarkPublishEvents publishes over loopback TCP and in the process, with
// and without a backend that takes the events.
func BenchmarkPublishEvents(b *testing.B) {
	for _, place := range []string{"tcp", "in-process"} {
		for _, backends := range []int{0, 1} {
			for _, c := range []struct{ callers, batch int }{{1, 1}, {16, 1}, {1000, 1}, {16, 500}} {
				b.Run(fmt.Sprintf("%s/backends=%d/callers=%d/batch=%d", place, backends, c.callers, c.batch), func(b *testing.B) {
					o := bus.Options{}
					if place == "tcp" {
						o.URL = natstest.Start(b, natstest.Options{}).URL()
					} else {
						s, err := bus.StartServer(bus.ServerOptions{})
						if err != nil {
							b.Fatal(err)
						}
						b.Cleanup(func() { _ = s.Close(context.Background()) })
						o.Server = s
					}
					for range backends {
						if err := dial(b, o).Subscribe(b.Context(), 0, func([]byte) {}); err != nil {
							b.Fatal(err)
						}
					}
					publishFrom(b, dial(b, o), c.callers, c.batch)
				})
			}
		}
	}
}

func publishFrom(b *testing.B, c *bus.Conn, callers, batch int) {
	payloads := make([][]byte, batch)
	for i := range payloads {
		payloads[i] = bytes.Repeat([]byte("x"), 500)
	}
	work := make(chan struct{}, callers)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range work {
				if err := c.PublishEvents(context.Background(), payloads); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		work <- struct{}{}
	}
	close(work)
	all.Wait()
	b.ReportMetric(float64(c.Stats().Published)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkLibrary is what the library does with the same events if nobody
// waits for a confirmation.
func BenchmarkLibrary(b *testing.B) {
	nc, err := nats.Connect(natstest.Start(b, natstest.Options{}).URL())
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	payload := bytes.Repeat([]byte("x"), 500)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for range 500 {
			if err := nc.Publish(bus.EventsSubject, payload); err != nil {
				b.Fatal(err)
			}
		}
		n += 500
	}
	if err := nc.Flush(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
