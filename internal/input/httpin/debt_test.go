package httpin_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
	"dsiem/internal/input/limit"
	"dsiem/test/testkit"
)

// tiny is an event of 136 bytes with its newline, of which 76,538 are a body of 10 MiB.
const tiny = `{"timestamp":"2024-01-01T00:00:00Z","plugin_id":1001,"plugin_sid":2100384,"src_ip":"192.168.0.1","dst_ip":"10.0.0.2","title":"abcdefg"}` + "\n"

// sender posts as a client, and returns the answer.
type sender func(client, in string, header ...string) *httptest.ResponseRecorder

// newSenders returns a handler whose clients are told apart by a header.
func newSenders(t *testing.T, o httpin.Options) (sender, *httpin.Handler) {
	t.Helper()
	o.Client = func(r *http.Request) string { return r.Header.Get("Client") }
	if o.Deliver == nil {
		o.Deliver = release
	}
	h, _ := newHandler(o)
	return func(client, in string, header ...string) *httptest.ResponseRecorder {
		return post(t, h.Events, in, append(header, "Client: "+client)...)
	}, h
}

// One body of 40 kB used to stop everybody for two minutes.
func TestADebtIsThatOfOneClientAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := new(testkit.Logbook)
		send, h := newSenders(t, httpin.Options{Limiter: limit.New(limit.Options{Max: 1000, Min: 100}), Logger: log.Logger()})
		const n = 76_538
		attack := zip(strings.Repeat(tiny, n))
		begin := time.Now()
		check := func(client, in string, want int, header ...string) *httptest.ResponseRecorder {
			t.Helper()
			before := time.Now()
			r := send(client, in, header...)
			if r.Code != want || client == "b" && time.Since(before) > 0 {
				t.Fatalf("%s is answered %d after %s, want %d", client, r.Code, time.Since(before), want)
			}
			return r
		}
		check("b", tiny, http.StatusOK)
		check("a", attack, http.StatusOK, "Content-Encoding: gzip")
		limited := 0
		for _, in := range []string{tiny, attack} {
			var header []string
			if in == attack {
				header = []string{"Content-Encoding: gzip"}
			}
			r := check("a", in, http.StatusTooManyRequests, header...)
			limited++
			if after := r.Header().Get("Retry-After"); after != "139" { // (76538-550+1)/550
				t.Errorf("retry after %s s", after)
			}
			if _, text := answer(t, r); text != "Too many requests: a is 75988 events ahead of its share of the limit of 550 per second" {
				t.Errorf("%s", text)
			}
		}
		for range 120 {
			check("b", tiny, http.StatusOK)
			check("a", tiny, http.StatusTooManyRequests)
			limited++
			testkit.Pass(time.Second)
		}
		testkit.Pass(19*time.Second + time.Millisecond - time.Since(begin) + 120*time.Second)
		check("a", tiny, http.StatusOK)
		testkit.Equal(t, stats(h), httpin.Stats{
			Requests: map[int]uint64{200: 123, 429: uint64(limited)}, Accepted: n + 122, WithoutID: n + 122, Limited: uint64(limited),
		})
		if lines := log.Take(); len(lines) != 12 || !strings.Contains(lines[0], `peer=192.0.2.1:1234 client=a error="Too many requests: a is 75988 events`) {
			t.Errorf("log lines %q", lines)
		}
	})
}

// unread is a body that must not be decoded, and counts what is read of it.
type unread struct {
	in   *strings.Reader
	read int
}

func (b *unread) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	b.read += n
	return n, err
}

// Of a client in debt, a body that costs much is not looked at, but read, so that the
// sender gets its answer, unless the sender asks before it sends.
func TestADebtorsLargeBodyIsNotLookedAt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		send, h := newSenders(t, httpin.Options{Limiter: limit.New(limit.Options{Max: 10, Min: 10})})
		send("a", strings.Repeat(tiny, 100))
		for _, c := range []struct {
			body     string
			length   int64 // -1 if it is not announced
			encoding string
			expect   string
			status   int
			read     bool
		}{
			{"x", 1, "", "", 400, true}, // a small one is
			{"x", -1, "", "", 429, true},
			{"x", 1, "gzip", "", 429, true},
			{strings.Repeat("x", 17<<10), 17 << 10, "", "", 429, true},
			{strings.Repeat("x", 17<<10), 17 << 10, "", "100-continue", 429, false},
			{"x", 11 << 20, "", "", 413, false},
			{"x", 1, "br", "", 415, false},
		} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/events", http.NoBody)
			body := &unread{in: strings.NewReader(c.body)}
			r.Body, r.ContentLength = io.NopCloser(body), c.length
			r.Header = http.Header{"Client": {"a"}, "Content-Encoding": {c.encoding}, "Expect": {c.expect}}
			w := httptest.NewRecorder()
			h.Events(w, r)
			if w.Code != c.status || (body.read == len(c.body)) != c.read {
				t.Errorf("%.10q with %v: %d, %d bytes are read", c.body, r.Header, w.Code, body.read)
			}
		}
		testkit.Equal(t, h.Stats().Limited, uint64(4))
	})
}

// held is a body that does not arrive before it is let go.
type held struct {
	io.Reader
	letGo chan struct{}
}

func (b *held) Read(p []byte) (int, error) {
	<-b.letGo
	return b.Reader.Read(p)
}

// What a client is ahead shows when its first large body has been read: those that come
// over other connections meanwhile wait for it, and are refused without a look.
func TestLargeBodiesOfOneClientWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, h := newSenders(t, httpin.Options{Limiter: limit.New(limit.Options{Max: 10, Min: 10})})
		content := zip(strings.Repeat(tiny, 1000) + "[1]")
		const senders = 50
		codes, letGo := make(chan int, senders), make(chan struct{})
		for range senders {
			go func() {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/events", &held{strings.NewReader(content), letGo})
				r.Header = http.Header{"Client": {"a"}, "Content-Encoding": {"gzip"}}
				w := httptest.NewRecorder()
				h.Events(w, r)
				codes <- w.Code
			}()
		}
		synctest.Wait() // nobody has a debt yet
		close(letGo)
		count := map[int]int{}
		for range senders {
			count[<-codes]++
		}
		testkit.Equal(t, count, map[int]int{200: 1, 429: senders - 1})
		if n := h.Stats().Rejected[event.BadJSON]; n > httpin.BodiesAtATime() {
			t.Errorf("%d bodies were decoded", n)
		}
	})
}

// A body of 9,952 bytes with 3.4 million records that cannot be events used to cost
// half a second and as many rejections.
func TestTooManyRecordsThatAreTooShort(t *testing.T) {
	t.Parallel()
	const refused = "more than 10000 records have less than 80 bytes, which no event has"
	for _, c := range []struct {
		name, in string
		want     string
		stats    httpin.Stats
		batches  []string
	}{
		{
			"as many as are looked at", ev("a") + strings.Repeat("{}", 10_000), `"not_listed":9900}`,
			httpin.Stats{Requests: map[int]uint64{200: 1}, Accepted: 1, Rejected: rejections(event.BadTimestamp, 10_000)},
			[]string{"a"},
		},
		{
			"one more", ev("a") + strings.Repeat("{}", 10_001) + "not looked at", "Not a valid event: event 10002 of the body, counted from 1: " + refused,
			httpin.Stats{Requests: map[int]uint64{418: 1}, Withheld: 1, Rejected: rejections(event.BadTimestamp, 10_000)},
			nil,
		},
		{
			"in an array", "[" + strings.Repeat("1,", 20_000) + "1]", "Not a valid event: event 10001 of the body, counted from 1: " + refused,
			httpin.Stats{Requests: map[int]uint64{418: 1}, Rejected: rejections(event.BadJSON, 10_000)},
			nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			told := 0
			h, in := newHandler(httpin.Options{Rejected: func([]byte, string, string) { told++ }})
			if _, text := answer(t, post(t, h.Events, c.in)); !strings.HasSuffix(text, c.want) {
				t.Errorf("got %s", text)
			}
			testkit.Equal(t, stats(h), c.stats)
			testkit.Equal(t, in.take(), c.batches)
			testkit.Equal(t, told, 1000)
		})
	}
}

// The number of events refuses no body, however short they are.
func TestAnyNumberOfTheShortestEvents(t *testing.T) {
	t.Parallel()
	const shortest = `{"timestamp":"1970-01-01T00:00:00Z","src_ip":"::","dst_ip":"::","product":1,"category":1}`
	if n := len(shortest); n < httpin.ShortestEvent {
		t.Errorf("there are events of %d bytes", n)
	}
	h, _ := newHandler(httpin.Options{Deliver: release})
	n := (10 << 20) / len(shortest)
	if r := post(t, h.Events, strings.Repeat(shortest, n)); r.Code != http.StatusOK || r.Body.Len() > 0 {
		t.Errorf("answer %d %s", r.Code, r.Body)
	}
	testkit.Equal(t, h.Stats().Accepted, uint64(n))
}

// Whose events they are is asked for where the limit needs it.
func TestTokensAreTakenForAClient(t *testing.T) {
	t.Parallel()
	tokens := new(fakeLimit)
	send, _ := newSenders(t, httpin.Options{Limiter: tokens})
	send("a", ev("1"))
	send("b", zip(ev("1")+ev("2")), "Content-Encoding: gzip")
	testkit.Equal(t, tokens.clients, []string{"a", "b"})
	testkit.Equal(t, tokens.asked, []int{1, 2})
	tokens.err = errors.New("too fast")
	if r := send("a", ev("1")); r.Header().Get("Retry-After") != "1" {
		t.Errorf("retry after %s", fmt.Sprint(r.Header()))
	}
}
