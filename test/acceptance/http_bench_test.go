package acceptance

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dsiem/test/testkit"
)

// The load of the benchmarks: events in single posts and in arrays, over
// connections that are kept alive.
const (
	benchConnections = 16
	benchArray       = 500
	// benchSources is the number of addresses that attack: each has a backlog,
	// which takes all its events.
	benchSources = 1000
)

// BenchmarkHTTPSingle measures the intake of a standalone node, from the
// client's request to its answer, with one event in each: the program as a
// process, over loopback, with the client on the same machine. Every event is
// one that rules want.
func BenchmarkHTTPSingle(b *testing.B) { benchmarkHTTP(b, 1) }

// BenchmarkHTTPArray500 is BenchmarkHTTPSingle with 500 events in each request.
// Where the intake is faster than the correlation for long, the queue gets full
// and requests are refused; they are posted again.
func BenchmarkHTTPArray500(b *testing.B) { benchmarkHTTP(b, benchArray) }

// benchmarkHTTP posts at least b.N events, in requests of a size, and wants
// every one of them in the counters of the node.
func benchmarkHTTP(b *testing.B, size int) {
	b.ReportAllocs() // of the client
	n := startStandalone(b, takeAll, "--max-eps=0", "--max-queue=0", diagnostics)
	clients := make([]*leanClient, benchConnections)
	for i := range clients {
		clients[i] = newLeanClient(b, n.address(), i, size)
	}
	requests := max(1, b.N/size)
	var next, failed, refused atomic.Int64
	b.ResetTimer()
	var done sync.WaitGroup
	for _, c := range clients {
		done.Go(func() {
			for next.Add(1) <= int64(requests) {
				again, err := c.post()
				refused.Add(int64(again))
				if err != nil {
					failed.Add(1)
					b.Error(err)
					return
				}
			}
		})
	}
	done.Wait()
	b.StopTimer()
	took := b.Elapsed()
	if failed.Load() > 0 {
		b.FailNow()
	}
	total := requests * size
	b.ReportMetric(float64(total)/took.Seconds(), "events/s")
	b.ReportMetric(float64(took.Nanoseconds())/float64(total), "ns/event")
	n.hasTaken(b, total, int(refused.Load())*size)
	used := n.Cmd.ProcessState.UserTime() + n.Cmd.ProcessState.SystemTime()
	b.ReportMetric(float64(used.Nanoseconds())/float64(total), "server-cpu-ns/event")
}

// hasTaken waits until a node has correlated all events, and checks that none
// was lost, and how many were refused for a moment.
func (n *node) hasTaken(b *testing.B, total, refused int) {
	b.Helper()
	begun := time.Now()
	testkit.Eventually(b, "every event is correlated", func() bool { return n.metrics().seen() >= float64(total) })
	b.ReportMetric(float64(time.Since(begun).Milliseconds()), "ms-behind")
	m := n.metrics()
	for name, want := range map[string]int{
		`dsiem_http_events_total{outcome="accepted"}`:    total,
		`dsiem_http_events_total{outcome="unavailable"}`: refused,
		"dsiem_http_events_total":                        total + refused,
		`dsiem_events_total{outcome="accepted"}`:         total,
		"dsiem_events_total":                             total,
		"dsiem_events_matched_total":                     total,
		"dsiem_events_dropped_total":                     0,
	} {
		if got := m.sum(name); got != float64(want) {
			b.Errorf("%s is %v, want %d", name, got, want)
		}
	}
	testkit.Eventually(b, "every line is written", func() bool {
		return n.metrics()[`dsiem_alarm_file_lines_total{file="alarm_events"}`] == float64(total)
	})
	n.stop()
}

// leanClient posts the same request again and again, so that little of what is
// measured is the client. A backlog takes an event of the same id again.
type leanClient struct {
	c       net.Conn
	r       *bufio.Reader
	request []byte
}

func newLeanClient(tb testing.TB, address string, number, size int) *leanClient {
	tb.Helper()
	var body bytes.Buffer
	for i := range size {
		switch {
		case i > 0:
			body.WriteByte(',')
		case size > 1:
			body.WriteByte('[')
		}
		id := number*size + i
		body.WriteString(ev{id: fmt.Sprintf("0190e5a8-7d3c-7a41-9b9f-%012d", id), src: leanSource(id), port: 443, from: 50000}.String())
	}
	if size > 1 {
		body.WriteByte(']')
	}
	request := fmt.Appendf(nil, "POST /events HTTP/1.1\r\nHost: dsiem\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", body.Len())
	c := dialAddress(tb, address)
	testkit.Check(tb, c.SetDeadline(time.Time{}))
	return &leanClient{c, bufio.NewReader(c), append(request, body.Bytes()...)}
}

func leanSource(id int) string { return address(1 + id%benchSources) }

// post sends the request, again and again while it is refused, and reads the
// answers. It returns how often it was refused.
func (l *leanClient) post() (refused int, err error) {
	for ; ; refused++ {
		if _, err = l.c.Write(l.request); err != nil {
			return refused, err
		}
		status, err := l.answer()
		switch {
		case err != nil || status == http.StatusOK:
			return refused, err
		case status != http.StatusServiceUnavailable:
			return refused, fmt.Errorf("answer %d", status)
		}
		<-time.After(time.Millisecond)
	}
}

// answer reads an answer and returns its status.
func (l *leanClient) answer() (status int, err error) {
	line, err := l.r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	const place = len("HTTP/1.1 ") // of the status
	if len(line) < place+3 {
		return 0, fmt.Errorf("the answer begins with %q", line)
	}
	if status, err = strconv.Atoi(string(line[place : place+3])); err != nil {
		return 0, fmt.Errorf("the answer begins with %q", line)
	}
	length := 0
	for {
		if line, err = l.r.ReadSlice('\n'); err != nil {
			return 0, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, err
			}
		}
	}
	_, err = l.r.Discard(length)
	return status, err
}
