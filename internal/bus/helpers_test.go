package bus_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/bus"
	"dsiem/test/testkit/natstest"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// logbook keeps log lines.
type logbook struct {
	mu      sync.Mutex
	lines   []string
	changed chan struct{} // closed at the next line
}

func newLogbook() *logbook { return &logbook{changed: make(chan struct{})} }

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.TrimSpace(string(p)))
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

// with returns the lines that contain all texts.
func (l *logbook) with(texts ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.lines), func(line string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) })
	})
}

// next returns a channel that is closed when the next line is written.
func (l *logbook) next() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// wait waits for a line that contains all texts.
func (l *logbook) wait(t *testing.T, texts ...string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		changed := l.next()
		if len(l.with(texts...)) > 0 {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("no line with %q in\n%s", texts, strings.Join(l.with(), "\n"))
		}
	}
}

func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// options returns options for quick tests.
func options(url string) (bus.Options, *logbook) {
	log := newLogbook()
	return bus.Options{
		URL:            url,
		Name:           "b0",
		Retry:          5 * time.Millisecond,
		ReconnectWait:  5 * time.Millisecond,
		Timeout:        patience,
		ReportInterval: time.Hour,
		Logger:         log.logger(),
	}, log
}

func connect(t *testing.T, o bus.Options) *bus.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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
	ctx, cancel := context.WithTimeout(context.Background(), patience)
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
		equal(t, receive(t, in), want)
	}
}

// receive takes one value from a channel.
func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// works makes sure that a connection to a server carries events.
func works(t *testing.T, s *natstest.Server, o bus.Options) {
	t.Helper()
	in := subscribe(t, connect(t, o))
	s.Publish(bus.EventsSubject, "hello")
	in.want(t, "hello")
}
