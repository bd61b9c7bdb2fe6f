package httpintake_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"dsiem/internal/intake/httpintake"
)

// TestLargeBodiesShareMemory keeps two bodies half-way, which is all the memory
// there is, and wants a third one to be told to come back, a small one to pass,
// and all to pass when the memory is free again.
func TestLargeBodiesShareMemory(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	h := httpintake.New(httpintake.Options{
		MaxBody: 8 << 20, MaxMemory: 32 << 20,
		Deliver: func(context.Context, *httpintake.Batch) error { return nil },
	})
	send := func(body io.Reader) int {
		w := httptest.NewRecorder()
		h.Events(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/events", body))
		return w.Code
	}
	large := strings.Repeat(ev("a"), 4*size/len(ev("a")))
	const senders = 8
	codes := make(chan int, senders)
	var feeds []*io.PipeWriter
	for range senders {
		r, w := io.Pipe()
		feeds = append(feeds, w)
		go func() { codes <- send(r) }()
		if _, err := io.WriteString(w, large); err != nil { // returns when all of it has been read
			t.Fatal(err)
		}
	}
	if code := send(strings.NewReader(large)); code != http.StatusServiceUnavailable {
		t.Errorf("without memory the answer to a large body is %d", code)
	}
	if code := send(strings.NewReader(ev("a"))); code != http.StatusOK {
		t.Errorf("without memory the answer to a small body is %d", code)
	}
	for _, w := range feeds {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if code := <-codes; code != http.StatusOK {
			t.Errorf("the answer is %d", code)
		}
	}
	if code := send(strings.NewReader(large)); code != http.StatusOK {
		t.Errorf("with memory the answer is %d", code)
	}
}
