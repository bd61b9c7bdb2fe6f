package server

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// patientConn is a connection that sets its deadlines late: net/http asks for
// seven of them with each request, and most are taken back before the connection
// waits for anything. Each costs a turn of the runtime's timers.
//
// What the connection has is never later than what was asked for, so a Read or
// Write that it ends may be early. It looks then what is wanted, and goes on.
// Hence deadlines hold to the same instant as if they had been set at once.
type patientConn struct {
	net.Conn

	reads, writes deadline
}

func (c *patientConn) init(inner net.Conn) {
	now := time.Now()
	c.Conn = inner
	c.reads = deadline{set: inner.SetReadDeadline, since: now}
	c.writes = deadline{set: inner.SetWriteDeadline, since: now}
}

// Read reads until the deadline for it.
func (c *patientConn) Read(p []byte) (int, error) {
	if err := c.reads.begin(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	for err != nil && c.reads.early(err) {
		if err = nil; n == 0 {
			n, err = c.Conn.Read(p)
		}
	}
	c.reads.end()
	return n, err
}

// Write writes all of p, unless the deadline for it passes.
func (c *patientConn) Write(p []byte) (written int, err error) {
	if err = c.writes.begin(); err != nil {
		return 0, err
	}
	written, err = c.Conn.Write(p)
	for err != nil && c.writes.early(err) {
		var n int
		n, err = c.Conn.Write(p[written:])
		written += n
	}
	c.writes.end()
	return written, err
}

// ReadFrom keeps the way on which the operating system sends a file by itself.
func (c *patientConn) ReadFrom(r io.Reader) (int64, error) {
	if err := c.writes.beginExact(); err != nil {
		return 0, err
	}
	defer c.writes.endExact()
	return io.Copy(c.Conn, r)
}

// SetDeadline sets both deadlines.
func (c *patientConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline sets the deadline of Reads, also of those that wait now.
func (c *patientConn) SetReadDeadline(t time.Time) error { return c.reads.want(t) }

// SetWriteDeadline sets the deadline of Writes, also of those that wait now.
func (c *patientConn) SetWriteDeadline(t time.Time) error { return c.writes.want(t) }

// deadline is one of the two deadlines of a connection.
type deadline struct {
	set func(time.Time) error
	// since is when the connection was there: what is before has passed, without
	// a look at the clock.
	since time.Time

	mu sync.Mutex
	// wanted is what was asked for last, armed what the connection has; zero is
	// none.
	wanted, armed time.Time
	// calls are in progress, exact of them cannot go on after an early end.
	calls, exact int
}

// want asks for a deadline.
func (d *deadline) want(t time.Time) (err error) {
	d.mu.Lock()
	d.wanted = t
	if d.exact > 0 || d.calls > 0 && sooner(t, d.armed) {
		err = d.arm()
	}
	d.mu.Unlock()
	return err
}

// begin begins a call, which end ends if there is no error.
func (d *deadline) begin() (err error) {
	d.mu.Lock()
	switch {
	case d.long(d.wanted):
		err = os.ErrDeadlineExceeded
	case sooner(d.wanted, d.armed), d.long(d.armed):
		err = d.arm()
	}
	if err == nil {
		d.calls++
	}
	d.mu.Unlock()
	return err
}

func (d *deadline) end() {
	d.mu.Lock()
	d.calls--
	d.mu.Unlock()
}

// beginExact begins a call that an early end would damage; endExact ends it.
func (d *deadline) beginExact() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.arm(); err != nil {
		return err
	}
	d.calls++
	d.exact++
	return nil
}

func (d *deadline) endExact() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls--
	d.exact--
}

// early reports whether an error has ended a call before the deadline that is
// wanted. The connection has that one now.
func (d *deadline) early(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return sooner(d.armed, d.wanted) && d.arm() == nil
}

// arm gives the connection the deadline that is wanted. Callers hold mu.
func (d *deadline) arm() error {
	if err := d.set(d.wanted); err != nil {
		return err
	}
	d.armed = d.wanted
	return nil
}

// long reports whether a time is one that has passed for long.
func (d *deadline) long(t time.Time) bool { return !t.IsZero() && t.Before(d.since) }

// sooner reports whether deadline a is before b.
func sooner(a, b time.Time) bool { return !a.IsZero() && (b.IsZero() || a.Before(b)) }
