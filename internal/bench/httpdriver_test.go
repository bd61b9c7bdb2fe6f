package bench

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// intake is a server that takes events as a frontend does, and says no as often
// as it should.
type intake struct {
	*httptest.Server

	mu       sync.Mutex
	refusals int
	status   int      // of refusals
	ids      []string // of events that were taken, in order
	sizes    []int    // of requests
}

func newIntake(t *testing.T) *intake {
	t.Helper()
	i := &intake{status: http.StatusServiceUnavailable}
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	return i
}

func (i *intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/events" || r.Header.Get("Content-Type") != "application/json" {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	if i.refusals > 0 {
		i.refusals--
		http.Error(w, "no room", i.status)
		return
	}
	if jsontext.Value(body).Kind() != jsontext.KindBeginArray {
		body = append(append([]byte{'['}, body...), ']')
	}
	var events []struct {
		ID string `json:"event_id"`
	}
	if err := json.Unmarshal(body, &events); err != nil {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	for _, e := range events {
		i.ids = append(i.ids, e.ID)
	}
	i.sizes = append(i.sizes, len(events))
}

// post posts the events of a plan to a server.
func (i *intake) post(ctx context.Context, t *testing.T, p *plan, batch int, events uint64) (*httpDriver, error) {
	t.Helper()
	d, err := dialHTTP(ctx, i.Listener.Addr().String(), p, batch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	courses := make([]*course, p.streams)
	for j := range courses {
		courses[j] = newCourse(p, 0, events, 0, 0, time.Now())
	}
	return d, d.send(ctx, courses)
}

func httpPlan(t *testing.T, streams int) *plan {
	t.Helper()
	p, err := newPlan(Workload{Match: 1, Live: 3}, streams)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// All events of a connection come once and in order, as single objects or in
// arrays, also if the server has no room for a while.
func TestHTTPDriverPostsAllEventsInOrder(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ streams, batch, refusals, wantRefused int }{
		{1, 1, 0, 0},
		{3, 1, 2, 2},
		{1, 7, 1, 7},
		{2, 100, 0, 0},
	} {
		const events = 40
		server := newIntake(t)
		server.refusals = test.refusals
		p := httpPlan(t, test.streams)
		d, err := server.post(t.Context(), t, p, test.batch, events)
		if err != nil {
			t.Fatal(err)
		}
		next := make([]uint64, p.streams)
		for _, id := range server.ids {
			stream, n, ok := p.readID([]byte(id))
			if !ok || n != next[stream] {
				t.Fatalf("event %q, want number %d", id, next[stream])
			}
			next[stream]++
		}
		for stream, n := range next {
			if n != events {
				t.Errorf("%d events of connection %d, want %d", n, stream, events)
			}
		}
		if server.sizes[0] != min(test.batch, events) || d.refused() != uint64(test.wantRefused) {
			t.Errorf("%d events in the first request, %d refused; want %d and %d",
				server.sizes[0], d.refused(), min(test.batch, events), test.wantRefused)
		}
	}
}

func TestHTTPDriverTellsWhatServersSay(t *testing.T) {
	t.Parallel()
	server := newIntake(t)
	server.refusals, server.status = 1, http.StatusForbidden
	_, err := server.post(t.Context(), t, httpPlan(t, 3), 1, 10)
	if err == nil || !strings.Contains(err.Error(), "posting events: the answer is 403 Forbidden") {
		t.Errorf("error %v", err)
	}
}

// A run that is interrupted does not wait for an answer.
func TestHTTPDriverEndsWithItsContext(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-release
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(gone)
	}()
	if _, err := (&intake{Server: server}).post(ctx, t, httpPlan(t, 1), 1, 10); !errors.Is(err, gone) {
		t.Errorf("error %v", err)
	}
}

func TestDialHTTPFails(t *testing.T) {
	t.Parallel()
	if _, err := dialHTTP(t.Context(), "127.0.0.1:1", httpPlan(t, 1), 1); err == nil || !strings.Contains(err.Error(), "connecting to the server") {
		t.Errorf("error %v", err)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text   string
		status int
		want   string // in the error
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ""},
		{"HTTP/1.1 503 Service Unavailable\r\nDate: x\r\ncontent-length:  4 \r\n\r\nbody", 503, ""},
		{"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, ""},
		{"HTTP/1.1 200 OK\r\n\r\n", 0, "does not say how long"},
		{"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n", 0, "does not say how long"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbody", 200, "EOF"},
		{"HTTP/1.1 200 OK\r\nContent-", 0, "EOF"},
		{"HTTP/1.1 2000 OK\r\n\r\n", 0, "it begins with"},
		{"HTTP/1.1 2x0 OK\r\n\r\n", 0, "it begins with"},
		{"HTTP/1.1 20\r\n\r\n", 0, "it begins with"},
		{"SSH-2.0-OpenSSH\r\n", 0, "it begins with"},
		{"", 0, "EOF"},
	} {
		c := httpConn{reader: bufio.NewReader(strings.NewReader(test.text))}
		status, err := c.answer()
		if status != test.status || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: status %d, error %v; want %d, %q", test.text, status, err, test.status, test.want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\nContent-Length: 99999999999999999999\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := httpConn{reader: bufio.NewReader(strings.NewReader(string(text)))}
		for {
			status, err := c.answer()
			if err != nil {
				return
			}
			if status < 0 || status > 999 {
				t.Fatalf("status %d", status)
			}
		}
	})
}
