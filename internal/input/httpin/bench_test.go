package httpin_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
	"dsiem/internal/input/limit"
)

// response is a ResponseWriter that costs nothing.
type response struct {
	header http.Header
	status int
}

func (w *response) Header() http.Header         { return w.header }
func (w *response) Write(p []byte) (int, error) { return len(p), nil }
func (w *response) WriteHeader(status int)      { w.status = status }

// body is a request's body that can be read again.
type body struct{ bytes.Reader }

func (*body) Close() error { return nil }

// benchEvent is a normalized event of 600 bytes as Logstash writes it.
const benchEvent = `{"event_id":"GLyAxYgBmcVVYPhDHXjs","timestamp":"2023-06-16T08:41:22.345678Z","sensor":"suricata-sensor-01",` +
	`"title":"ET EXPLOIT Possible CVE-2014-6271 Attempt in Headers","product":"Intrusion Detection System",` +
	`"category":"Attempted Administrator Privilege Gain","plugin_id":1001,"plugin_sid":2019232,"protocol":"TCP",` +
	`"src_ip":"192.168.84.17","src_port":51532,"dst_ip":"10.73.255.10","dst_port":80,` +
	`"custom_label1":"http_uri","custom_data1":"/cgi-bin/vulnerable?id=1"}`

func benchArray(n int) string { return "[" + strings.Repeat(benchEvent+",", n-1) + benchEvent + "]" }

func release(_ context.Context, b *event.Batch) error {
	b.Release()
	return nil
}

func keep(context.Context, *event.Batch) error { return nil }

func BenchmarkEvents(b *testing.B) {
	for _, c := range []struct {
		name, encoding, body string
		events               int
		deliver              func(context.Context, *event.Batch) error
	}{
		{"single", "", benchEvent, 1, release},
		{"single_kept", "", benchEvent, 1, keep},
		{"array_500", "", benchArray(500), 500, release},
		{"array_500_kept", "", benchArray(500), 500, keep},
		{"lines_500", "", strings.Repeat(benchEvent+"\n", 500), 500, release},
		{"array_500_gzip", "gzip", zip(benchArray(500)), 500, release},
		{"array_500_zstd", "zstd", zst(benchArray(500)), 500, release},
		{"array_500_invalid", "", strings.Replace(benchArray(500), "}]", `,"src_port":-1}]`, 1), 499, release},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := httpin.New(httpin.Options{Deliver: c.deliver, Limiter: limit.New(limit.Options{})})
			r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "/events", http.NoBody)
			if err != nil {
				b.Fatal(err)
			}
			if c.encoding != "" {
				r.Header.Set("Content-Encoding", c.encoding)
			}
			content := []byte(c.body)
			var in body
			r.Body, r.ContentLength = &in, int64(len(content))
			w := &response{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				in.Reset(content)
				h.Events(w, r)
			}
			b.StopTimer()
			if got := h.Stats().Accepted; got != uint64(b.N*c.events) {
				b.Fatalf("%d events taken, want %d", got, b.N*c.events)
			}
			if c.events > 0 {
				b.ReportMetric(float64(b.N*c.events)/b.Elapsed().Seconds(), "events/s")
			}
		})
	}
}

// BenchmarkServer is the whole way through net/http and the loopback, client
// included, over 8 connections.
func BenchmarkServer(b *testing.B) {
	for _, c := range []struct {
		name, body string
		events     int
	}{
		{"single", benchEvent, 1},
		{"array_500", benchArray(500), 500},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := httpin.New(httpin.Options{Deliver: release})
			server := httptest.NewServer(http.HandlerFunc(h.Events))
			defer server.Close()
			request := fmt.Appendf(nil, "POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
				len(c.body), c.body)
			var bad atomic.Int64
			b.ReportAllocs()
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				conn, err := net.Dial("tcp", server.Listener.Addr().String())
				if err != nil {
					b.Error(err)
					return
				}
				defer conn.Close()
				in := bufio.NewReader(conn)
				for pb.Next() {
					if err := exchange(conn, in, request); err != nil {
						bad.Add(1)
					}
				}
			})
			b.StopTimer()
			if got := h.Stats().Accepted; bad.Load() > 0 || got != uint64(b.N*c.events) {
				b.Fatalf("%d events taken, %d errors, want %d", got, bad.Load(), b.N*c.events)
			}
			b.ReportMetric(float64(b.N*c.events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// exchange sends a request and reads an answer without a body.
func exchange(conn net.Conn, in *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	status, err := in.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("answer %q: %w", status, io.ErrUnexpectedEOF)
	}
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			return nil
		}
	}
}
