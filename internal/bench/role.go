package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// The roles of processes that a run starts beside the server.
const (
	roleQueue      = "nats"
	roleSubscriber = "subscriber"

	listeningText  = "listening on "
	subscribedText = "subscribed"
)

// Role is what a child process of this program does for it.
type Role struct {
	// Name is "nats", a NATS server with the defaults of NATS, or "subscriber", a
	// client that counts events.
	Name string
	// URL is where the NATS server is, File where the subscriber writes a line for
	// every two-thousandth event; subscriber only.
	URL, File string
	// In is standard input: its end ends the role. Out is told when it is ready.
	In  io.Reader
	Out io.Writer
}

// Run plays the role until its input or ctx ends.
func (r *Role) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, r.In) // whatever ends it, nobody is there any more
	}()
	switch r.Name {
	case roleQueue:
		return r.queue(ctx)
	case roleSubscriber:
		return r.subscribe(ctx)
	}
	return fmt.Errorf("there is no role %q", r.Name)
}

func (r *Role) queue(ctx context.Context) error {
	s, err := server.NewServer(&server.Options{Host: loopback, Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		return fmt.Errorf("starting a NATS server: %w", err)
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(readyTime) {
		return fmt.Errorf("starting a NATS server: it does not get ready in %v", readyTime)
	}
	fmt.Fprintln(r.Out, listeningText+s.ClientURL())
	<-ctx.Done()
	return nil
}

// subscribe counts events, as cheaply as the NATS client allows. Every
// two-thousandth one has a line, as if it were in an alarm, because the driver
// wants to see how far we are; a server with a share of matches of 0 does the
// same.
func (r *Role) subscribe(ctx context.Context) error {
	file, err := os.Create(r.File)
	if err != nil {
		return fmt.Errorf("counting events: %w", err)
	}
	defer file.Close()
	conn, err := nats.Connect(r.URL)
	if err != nil {
		return fmt.Errorf("counting events: %w", err)
	}
	defer conn.Close()
	counted := 0
	subscription, err := conn.Subscribe(eventsSubject, func(m *nats.Msg) {
		if counted%pulseEvery == 0 {
			_, _ = file.Write(pulseLine(m.Data)) // without it the driver waits in vain, and says so
		}
		counted++
	})
	if err == nil {
		err = subscription.SetPendingLimits(-1, -1)
	}
	if err == nil {
		err = conn.FlushTimeout(stallTime)
	}
	if err != nil {
		return fmt.Errorf("counting events: %w", err)
	}
	fmt.Fprintln(r.Out, subscribedText)
	<-ctx.Done()
	return nil
}

// pulseLine returns a line about an event that was not decoded.
func pulseLine(text []byte) []byte {
	id, _ := bytes.CutPrefix(text, []byte(`{"event_id":"`))
	return fmt.Appendf(nil, `{"alarm_id":"0000000000000000","stage":1,"event_id":"%s"}`+"\n", id[:min(len(id), idLength)])
}
