package httpin_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
)

// now is the time of all requests.
var now = time.Date(2024, 1, 2, 3, 4, 5, 6, time.UTC)

// ev returns a valid event with further members, each with a comma in front,
// which replace those it has.
func ev(id string, more ...string) string {
	members := []string{
		`"event_id":"` + id + `"`, `"timestamp":"2024-01-01T00:00:00Z"`, `"title":"t"`, `"sensor":"s"`,
		`"plugin_id":1001`, `"plugin_sid":2100384`, `"src_ip":"192.168.0.1"`, `"dst_ip":"10.0.0.2"`,
		`"src_port":0`, `"dst_port":0`, `"protocol":"ICMP"`,
	}
	for _, m := range more {
		key, _, _ := strings.Cut(m, ":")
		for i := range members {
			if strings.HasPrefix(members[i], key+":") {
				members[i] = ""
			}
		}
		members = append(members, m)
	}
	return "{" + strings.Join(strings.FieldsFunc(strings.Join(members, "\x00"), func(c rune) bool { return c == 0 }), ",") + "}"
}

// receiver takes batches over, or refuses them.
type receiver struct {
	mu      sync.Mutex
	batches []*event.Batch
	err     error
}

func (r *receiver) deliver(_ context.Context, b *event.Batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.batches = append(r.batches, b)
	}
	return r.err
}

// take returns the ids of the events so far by batch, and forgets them.
func (r *receiver) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var got []string
	for _, b := range r.batches {
		var ids []string
		for i := range b.Events {
			ids = append(ids, b.Events[i].ID)
		}
		got = append(got, strings.Join(ids, " "))
	}
	r.batches = nil
	return got
}

// one returns the only event that was delivered.
func (r *receiver) one(t *testing.T) event.Event {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.batches) != 1 || len(r.batches[0].Events) != 1 {
		t.Fatalf("%d batches, want one with one event", len(r.batches))
	}
	return r.batches[0].Events[0]
}

// fakeLimit is a Limiter that counts, and may refuse.
type fakeLimit struct {
	asked   []int
	clients []string
	err     error
}

func (l *fakeLimit) Limit() int { return 1 }

func (l *fakeLimit) Admit(string) error { return nil }

func (l *fakeLimit) Take(_ context.Context, client string, n int) error {
	l.asked = append(l.asked, n)
	l.clients = append(l.clients, client)
	return l.err
}

// newHandler returns a handler that delivers to a receiver, with the fixed time.
func newHandler(o httpin.Options) (*httpin.Handler, *receiver) {
	r := new(receiver)
	if o.Deliver == nil {
		o.Deliver = r.deliver
	}
	o.Now = func() time.Time { return now }
	return httpin.New(o), r
}

// post posts a body with header lines "Name: value".
func post(t *testing.T, handle http.HandlerFunc, in string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/events", strings.NewReader(in))
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	handle(w, r)
	return w
}

// answer returns the status and the body of a response, without the newline
// at its end.
func answer(t *testing.T, r *httptest.ResponseRecorder) (int, string) {
	t.Helper()
	text := r.Body.String()
	line, _ := strings.CutSuffix(text, "\n")
	if strings.Contains(line, "\n") || r.Code != http.StatusOK && line == text {
		t.Errorf("%d %q is not one line", r.Code, text)
	}
	return r.Code, line
}

// stats returns the counts that are not 0, and nothing else.
func stats(h *httpin.Handler) httpin.Stats {
	s := h.Stats()
	for status, n := range s.Requests {
		if n == 0 {
			delete(s.Requests, status)
		}
	}
	return s
}

// rejections returns counts with one that is not 0.
func rejections(reason event.Reason, n uint64) (counts [event.Reasons]uint64) {
	counts[reason] = n
	return counts
}

func zip(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

func zst(text string, o ...zstd.EOption) string {
	w, err := zstd.NewWriter(nil, o...)
	if err != nil {
		panic(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}
