package server_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/web/server"
	"dsiem/test/testkit"
)

// countedConn counts what is set on a connection.
type countedConn struct {
	net.Conn

	reads, writes int
	err           error // of setting a deadline
}

func (c *countedConn) SetReadDeadline(t time.Time) error {
	c.reads++
	return errors.Join(c.err, c.Conn.SetReadDeadline(t))
}

func (c *countedConn) SetWriteDeadline(t time.Time) error {
	c.writes++
	return errors.Join(c.err, c.Conn.SetWriteDeadline(t))
}

// accept returns a connection as the server gets it, and both ends of the one
// below.
func accept(t *testing.T) (accepted net.Conn, below *countedConn, client net.Conn) {
	t.Helper()
	client, inner := net.Pipe()
	below = &countedConn{Conn: inner}
	in := testkit.NewPipes()
	in.Put(below)
	accepted, err := server.LimitConnections(in, 0).Accept()
	if err != nil {
		t.Fatal(err)
	}
	return accepted, below, client
}

func setRead(t *testing.T, c net.Conn, at time.Time) {
	t.Helper()
	if err := c.SetReadDeadline(at); err != nil {
		t.Error(err)
	}
}

func setWrite(t *testing.T, c net.Conn, at time.Time) {
	t.Helper()
	if err := c.SetWriteDeadline(at); err != nil {
		t.Error(err)
	}
}

// What net/http asks for with each request costs nothing as long as the client
// is not slow.
func TestDeadlinesOfQuickRequestsAreNotSet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, below, client := accept(t)
		defer server.Close()
		const requests = 100
		go func() {
			defer client.Close()
			text := make([]byte, 1)
			for range requests {
				testkit.Pass(time.Second / 2)
				_, _ = client.Write(text)
				_, _ = io.ReadFull(client, text)
			}
		}()
		text := make([]byte, 1)
		for range requests {
			setRead(t, server, time.Now().Add(2*time.Minute))
			if _, err := io.ReadFull(server, text); err != nil {
				t.Fatal(err)
			}
			for _, at := range []time.Time{time.Now().Add(10 * time.Second), time.Now().Add(30 * time.Second), {}, time.Unix(1, 0)} {
				setRead(t, server, at)
			}
			if _, err := server.Read(text); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("a Read whose deadline has passed returns %v", err)
			}
			setRead(t, server, time.Time{})
			setWrite(t, server, time.Now().Add(time.Minute))
			if _, err := server.Write(text); err != nil {
				t.Fatal(err)
			}
		}
		if below.reads > 1 || below.writes > 1 {
			t.Errorf("%d deadlines for reading were set and %d for writing, want one each", below.reads, below.writes)
		}
	})
}

// deadlineCase says what is asked for while a call waits, and when it ends.
type deadlineCase struct {
	name string
	// before are deadlines with a call in between, in a time from then on; none
	// is 0.
	before []time.Duration
	// change, if not nil, comes after 5 s of waiting.
	change *time.Duration
	want   time.Duration
}

func deadlineCases() []deadlineCase {
	after := func(d time.Duration) *time.Duration { return &d }
	return []deadlineCase{
		{"one", []time.Duration{time.Minute}, nil, time.Minute},
		{"a later one", []time.Duration{time.Minute, 2 * time.Minute}, nil, 2 * time.Minute},
		{"a sooner one", []time.Duration{2 * time.Minute, time.Minute}, nil, time.Minute},
		{"one that comes after none", []time.Duration{0, time.Minute}, nil, time.Minute},
		{"many", []time.Duration{time.Second, 3 * time.Second, 2 * time.Second, time.Hour, 10 * time.Second}, nil, 10 * time.Second},
		{"none, and one while it waits", []time.Duration{0}, after(time.Second), 6 * time.Second},
		{"none after one, and one while it waits", []time.Duration{time.Second, 0}, after(time.Minute), 65 * time.Second},
		{"a sooner one while it waits", []time.Duration{time.Minute}, after(time.Second), 6 * time.Second},
		{"a later one while it waits", []time.Duration{10 * time.Second}, after(time.Minute), 65 * time.Second},
		{"past while it waits", []time.Duration{time.Minute}, after(-time.Hour), 5 * time.Second},
		{"past", []time.Duration{time.Minute, -time.Hour}, nil, 0},
		{"just past", []time.Duration{time.Minute, -1}, nil, 0},
		{"one after a past one", []time.Duration{-time.Hour, time.Minute}, nil, time.Minute},
	}
}

// in returns the time in d, none for 0.
func in(d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}

// Calls end at the deadline that was asked for last, and not before it.
func TestCallsEndAtTheirDeadline(t *testing.T) {
	t.Parallel()
	for _, way := range []struct {
		name string
		set  func(net.Conn, time.Time) error
		call func(net.Conn) error
		// quick lets a call end.
		quick func(client net.Conn)
	}{
		{
			"reading", net.Conn.SetReadDeadline,
			func(c net.Conn) error { _, err := c.Read(make([]byte, 1)); return err },
			func(client net.Conn) { _, _ = client.Write([]byte{1}) },
		},
		{
			"writing", net.Conn.SetWriteDeadline,
			func(c net.Conn) error { _, err := c.Write([]byte{1}); return err },
			func(client net.Conn) { _, _ = client.Read(make([]byte, 1)) },
		},
		{
			"copying", net.Conn.SetWriteDeadline,
			func(c net.Conn) error { _, err := c.(io.ReaderFrom).ReadFrom(strings.NewReader("1")); return err },
			func(client net.Conn) { _, _ = client.Read(make([]byte, 1)) },
		},
		{
			"both", net.Conn.SetDeadline,
			func(c net.Conn) error { _, err := c.Read(make([]byte, 1)); return err },
			func(client net.Conn) { _, _ = client.Write([]byte{1}) },
		},
	} {
		for _, c := range deadlineCases() {
			synctest.Test(t, func(t *testing.T) {
				server, _, client := accept(t)
				defer server.Close()
				defer client.Close()
				for i, d := range c.before {
					if err := way.set(server, in(d)); err != nil {
						t.Error(err)
					}
					if i < len(c.before)-1 && d >= 0 {
						go way.quick(client)
						if err := way.call(server); err != nil {
							t.Errorf("%s, %s: %v", way.name, c.name, err)
						}
						testkit.Pass(2 * time.Second) // a short one passes while nobody waits
					}
				}
				begun := time.Now()
				if c.change != nil {
					go func() {
						testkit.Pass(5 * time.Second)
						_ = way.set(server, in(*c.change))
					}()
				}
				if err := way.call(server); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s, %s: it ends with %v", way.name, c.name, err)
				}
				if got := time.Since(begun); got != c.want {
					t.Errorf("%s, %s: it ends after %v, want %v", way.name, c.name, got, c.want)
				}
			})
		}
	}
}

// A Write that has to look at its deadline again goes on where it was.
func TestWriteGoesOnAfterAnEarlyEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, _, client := accept(t)
		defer server.Close()
		const text = "0123456789"
		got := make(chan string, 1)
		go func() {
			some := make([]byte, 5) // the first one is of the Write before
			_, _ = io.ReadFull(client, some)
			testkit.Pass(30 * time.Second)
			rest, _ := io.ReadAll(client)
			got <- string(some) + string(rest)
		}()
		setWrite(t, server, time.Now().Add(10*time.Second))
		if _, err := server.Write([]byte{'>'}); err != nil {
			t.Fatal(err)
		}
		setWrite(t, server, time.Now().Add(time.Minute))
		if n, err := io.WriteString(server, text); n != len(text) || err != nil {
			t.Errorf("%d bytes are written, %v", n, err)
		}
		server.Close()
		if all := <-got; all != ">"+text {
			t.Errorf("the client got %q", all)
		}
	})
}

// Nothing waits without the deadline that it should have.
func TestADeadlineThatCannotBeSetIsAnError(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	server, below, client := accept(t)
	defer server.Close()
	defer client.Close()
	below.err = failed
	if err := server.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Errorf("before it matters the error is %v", err)
	}
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, failed) {
		t.Errorf("Read returns %v", err)
	}
	if _, err := server.Write(make([]byte, 1)); !errors.Is(err, failed) {
		t.Errorf("Write returns %v", err)
	}
	if _, err := server.(io.ReaderFrom).ReadFrom(strings.NewReader("text")); !errors.Is(err, failed) {
		t.Errorf("ReadFrom returns %v", err)
	}
}
