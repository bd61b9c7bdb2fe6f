package httpin_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
)

// TestLargeBodiesShareMemory keeps bodies half-way, which take all the memory
// there is, and wants another large one to be told to come back, a small one to
// pass, and all to pass when there is memory again.
func TestLargeBodiesShareMemory(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	h := httpin.New(httpin.Options{
		MaxBody: 8 << 20, MaxMemory: 64 << 20,
		Deliver: func(context.Context, *event.Batch) error { return nil },
	})
	send := func(body io.Reader) int {
		w := httptest.NewRecorder()
		h.Events(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/events", body))
		return w.Code
	}
	large := strings.Repeat(ev("a"), 4*size/len(ev("a")))
	const senders = 16 // of 4 MiB each
	codes := make(chan int, senders)
	var feeds []*io.PipeWriter
	for range senders {
		r, w := io.Pipe()
		feeds = append(feeds, w)
		go func() { codes <- send(r) }()
		for _, text := range []string{large, "\n"} { // the second is read when there is memory for the first
			if _, err := io.WriteString(w, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if code := send(strings.NewReader(large)); code != http.StatusServiceUnavailable {
		t.Errorf("without memory the answer to a large body is %d", code)
	}
	if code := send(strings.NewReader(ev("a"))); code != http.StatusOK {
		t.Errorf("without memory the answer to a small body is %d", code)
	}
	for i, w := range feeds { // half of them give up, which leaves memory for the events of the others
		why, want := io.ErrUnexpectedEOF, http.StatusBadRequest
		if i >= senders/2 {
			why, want = io.EOF, http.StatusOK
		}
		if err := w.CloseWithError(why); err != nil {
			t.Fatal(err)
		}
		if code := <-codes; code != want {
			t.Errorf("the answer is %d, want %d", code, want)
		}
	}
	if code := send(strings.NewReader(large)); code != http.StatusOK {
		t.Errorf("with memory the answer is %d", code)
	}
}
