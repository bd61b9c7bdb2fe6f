package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// The waits of a connection whose events are refused for the time being.
const (
	firstRetry = time.Millisecond
	lastRetry  = 64 * time.Millisecond
)

// httpDriver posts events over connections that stay open, one request at a time
// on each. It speaks HTTP itself: net/http's client takes several times as long
// for a request as the server, and would be what is measured.
type httpDriver struct {
	conns []*httpConn
	again atomic.Uint64
}

// httpConn is one connection. It belongs to one goroutine.
type httpConn struct {
	driver *httpDriver
	conn   net.Conn
	reader *bufio.Reader
	stream *stream
	host   string
	// batch is the number of events in a request, in an array if it is not 1.
	batch   uint64
	request []byte
}

// dialHTTP opens a connection for each stream of a plan.
func dialHTTP(ctx context.Context, address string, p *plan, batch int) (*httpDriver, error) {
	d := &httpDriver{}
	for i := range p.streams {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			d.close()
			return nil, fmt.Errorf("connecting to the server: %w", err)
		}
		d.conns = append(d.conns, &httpConn{
			driver: d, conn: conn, reader: bufio.NewReader(conn), stream: p.stream(i), host: address,
			batch: max(1, uint64(batch)), //nolint:gosec // not negative
		})
	}
	return d, nil
}

func (d *httpDriver) close() {
	for _, c := range d.conns {
		_ = c.conn.Close()
	}
}

// refused returns the number of events that were refused and posted again.
func (d *httpDriver) refused() uint64 { return d.again.Load() }

// send sends the events of a course for each stream.
func (d *httpDriver) send(ctx context.Context, courses []*course) error {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(ctx, func() {
		for _, c := range d.conns { // lets a read or write that waits return
			_ = c.conn.SetDeadline(time.Now())
		}
	})
	var group sync.WaitGroup
	for i, c := range d.conns {
		group.Go(func() {
			if err := c.send(ctx, courses[i]); err != nil {
				cancel(err) // the first one counts
			}
		})
	}
	group.Wait()
	stop()
	err := context.Cause(ctx)
	cancel(nil)
	return err
}

func (c *httpConn) send(ctx context.Context, course *course) error {
	for ctx.Err() == nil {
		now := time.Now()
		events, wait := course.next(now, c.batch)
		switch {
		case wait > 0:
			pause(ctx, wait)
			continue
		case events == 0:
			return nil
		}
		c.stream.setTime(now)
		c.build(course.sent, events)
		if err := c.post(ctx, events); err != nil {
			return fmt.Errorf("posting events: %w", err)
		}
		course.sent += events
	}
	return context.Cause(ctx)
}

// build makes the request for events from n on.
func (c *httpConn) build(n, events uint64) {
	size := events * uint64(len(c.stream.text.text))
	if c.batch > 1 {
		size += events + 1 // brackets and commas
	}
	b := append(c.request[:0], "POST /events HTTP/1.1\r\nHost: "...)
	b = append(append(b, c.host...), "\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = append(strconv.AppendUint(b, size, decimal), "\r\n\r\n"...)
	separator := byte('[')
	for i := range events {
		if c.batch > 1 {
			b = append(b, separator)
			separator = ','
		}
		b = c.stream.append(b, n+i)
	}
	if c.batch > 1 {
		b = append(b, ']')
	}
	c.request = b
}

// post sends the request until its events are taken: one that is refused because
// the server has no room is sent again, so that events stay in order.
func (c *httpConn) post(ctx context.Context, events uint64) error {
	begun := time.Now()
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		if _, err := c.conn.Write(c.request); err != nil {
			return err
		}
		status, err := c.answer()
		switch {
		case err != nil:
			return fmt.Errorf("reading the answer: %w", err)
		case status == http.StatusOK:
			return nil
		case status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests:
			return fmt.Errorf("the answer is %d %s", status, http.StatusText(status))
		case time.Since(begun) > stallTime:
			return fmt.Errorf("the answer is %d %s for %v", status, http.StatusText(status), stallTime)
		}
		c.driver.again.Add(events)
		pause(ctx, wait)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// answer reads the answer of a server and returns its status.
func (c *httpConn) answer() (status int, err error) {
	line, err := c.line()
	if err != nil {
		return 0, err
	}
	status, ok := parseStatusLine(line)
	if !ok {
		return 0, fmt.Errorf("it begins with %q", line)
	}
	length := int64(-1)
	for {
		line, err := c.line()
		switch {
		case err != nil:
			return 0, err
		case len(line) > 0:
			length = max(length, contentLength(line))
			continue
		case length < 0:
			return 0, errors.New("it does not say how long it is")
		}
		_, err = io.CopyN(io.Discard, c.reader, length)
		return status, err
	}
}

// line reads a line of an answer, without its end.
func (c *httpConn) line() ([]byte, error) {
	line, err := c.reader.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

// parseStatusLine returns the status of "HTTP/1.1 200 OK".
func parseStatusLine(line []byte) (status int, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	const digits = 3
	if !ok || len(rest) < digits {
		return 0, false
	}
	for _, c := range rest[:digits] {
		if c < '0' || c > '9' {
			return 0, false
		}
		status = status*10 + int(c-'0')
	}
	return status, len(rest) == digits || rest[digits] == ' '
}

// contentLength returns the length that a header line gives, -1 if it is another
// one.
func contentLength(line []byte) int64 {
	const name = "Content-Length:"
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return -1
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(line[len(name):])), decimal, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
