package httpin_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
	"dsiem/test/testkit"
)

func TestContentEncodings(t *testing.T) {
	t.Parallel()
	both := "[" + ev("e1") + "," + ev("e2") + "]"
	long := strings.Repeat(ev("e"), 5000)
	for _, c := range []struct {
		name, encoding, in string
		want               string // ids, or the answer to a refusal
	}{
		{"none", "identity", both, "e1 e2"},
		{"empty", "", both, "e1 e2"},
		{"gzip", "gzip", zip(both), "e1 e2"},
		{"other spellings", " X-GZIP ", zip(both), "e1 e2"},
		{"gzip of many members", "gzip", zip(both[:10]) + zip("") + zip(both[10:]), "e1 e2"},
		{"long gzip", "gzip", zip(long), strings.TrimSpace(strings.Repeat("e ", 5000))},
		{"zstd", "zstd", zst(both), "e1 e2"},
		{"zstd of many frames", "ZSTD", zst(both[:10]) + zst("") + "\x50\x2a\x4d\x18\x01\x00\x00\x00x" + zst(both[10:]), "e1 e2"},
		{"zstd with the largest window", "zstd", stream(zstd.WithWindowSize(8<<20), both), "e1 e2"},
		{"long zstd", "zstd", zst(long), strings.TrimSpace(strings.Repeat("e ", 5000))},
		{"byte order mark inside", "gzip", zip("\ufeff" + both), "e1 e2"},
		{"larger window", "zstd", stream(zstd.WithWindowSize(16<<20), both), "413 Too large: the limit is 10485760 bytes, also after decompression"},
		{"unknown", "br", both, "415 Unknown Content-Encoding: want gzip, zstd or none"},
		{"two", "gzip, zstd", both, "415 Unknown Content-Encoding: want gzip, zstd or none"},
		{"gzip with padding", "gzip", zip(both) + strings.Repeat("\x00", 512), "e1 e2"},
		{"gzip with padding between members", "gzip", zip(both[:10]) + "\x00\x00" + zip(both[10:]) + "\x00", "e1 e2"},
		{"zstd with padding", "zstd", zst(both) + strings.Repeat("\x00", 512), "e1 e2"},
		{"zstd with a little padding", "zstd", zst(both) + "\x00", "e1 e2"},
		{"zstd with padding between frames", "zstd", zst(both[:10]) + "\x00\x00" + zst(both[10:]) + "\x00", "e1 e2"},
		{"UTF-16 inside", "gzip", zip("\xfe\xff\x00{\x00}"), "400 Cannot parse the submitted event: bad_encoding: UTF-16, want UTF-8"},
		{"no gzip", "gzip", both, "400 Cannot parse the submitted event: bad_encoding: damaged compression: gzip: invalid header"},
		{"no zstd", "zstd", both, "400 Cannot parse the submitted event: bad_encoding: damaged compression: invalid input: magic number mismatch"},
		{"text after gzip", "gzip", zip(both) + "\x00x", "400 Cannot parse the submitted event: bad_encoding: something else is behind the compressed data"},
		{"text after zstd", "zstd", zst(both) + "\x00x", "400 Cannot parse the submitted event: bad_encoding: something else is behind the compressed data"},
		{"truncated zstd", "zstd", zst(both)[:40], "400 Cannot parse the submitted event: bad_encoding: damaged compression: unexpected EOF"},
		{"truncated second frame of zstd", "zstd", zst(both) + zst(both)[:40], "400 Cannot parse the submitted event: bad_encoding: damaged compression: unexpected EOF"},
		{"another header after gzip", "gzip", zip(both) + "\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x00name", "400 Cannot parse the submitted event: bad_encoding: damaged compression: unexpected EOF"},
		{"wrong checksum of gzip", "gzip", flip(zip(both), 8), "400 Cannot parse the submitted event: bad_encoding: damaged compression: gzip: invalid checksum"},
		{"wrong checksum of zstd", "zstd", flip(zst(both), 1), "400 Cannot parse the submitted event: bad_encoding: damaged compression: CRC check failed"},
		{"nothing in gzip", "gzip", zip(""), "400 Cannot parse the submitted event: bad_json: at byte 0 of the body: the body is empty"},
		{"no gzip at all", "gzip", "", "400 Cannot parse the submitted event: bad_json: at byte 0 of the body: the body is empty"},
		{"gzip unsaid", "", zip(both), "400 Cannot parse the submitted event: bad_encoding: it is compressed with gzip, which no Content-Encoding says"},
		{"zstd unsaid", "identity", zst(both), "400 Cannot parse the submitted event: bad_encoding: it is compressed with zstd, which no Content-Encoding says"},
		{"gzip twice", "gzip", zip(zip(both)), "400 Cannot parse the submitted event: bad_encoding: it is compressed with gzip, which no Content-Encoding says"},
		{"xz", "", "\xfd7zXZ\x00\x00\x04", "400 Cannot parse the submitted event: bad_encoding: it is compressed with xz, which is not read: want gzip or zstd with a Content-Encoding, or none"},
		{"bzip2", "", "BZh91AY&SY", "400 Cannot parse the submitted event: bad_encoding: it is compressed with bzip2, which is not read: want gzip or zstd with a Content-Encoding, or none"},
		{"a zip archive in gzip", "gzip", zip("PK\x03\x04\x14"), "400 Cannot parse the submitted event: bad_encoding: it is a zip archive, which is not read: want gzip or zstd with a Content-Encoding, or none"},
		{"text like a kind of file", "", "PAR2", "400 Cannot parse the submitted event: bad_json: at byte 0 of the body: want an object, or an array of objects"},
		{"no zstd at all", "zstd", "", "400 Cannot parse the submitted event: bad_json: at byte 0 of the body: the body is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, in := newHandler(httpin.Options{})
			r := post(t, h.Events, c.in, "Content-Encoding: "+c.encoding)
			status, text := answer(t, r)
			got := fmt.Sprintf("%d %s", status, text)
			if status == http.StatusOK {
				got = in.take()[0]
			}
			if got != c.want || len(in.take()) > 0 {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if accepted := r.Header().Get("Accept-Encoding"); (accepted != "") != (status == http.StatusUnsupportedMediaType) {
				t.Errorf("%d with Accept-Encoding %q", status, accepted)
			}
		})
	}
	t.Run("two header lines", func(t *testing.T) {
		t.Parallel()
		h, _ := newHandler(httpin.Options{})
		r := post(t, h.Events, zip(zip(both)), "Content-Encoding: gzip", "Content-Encoding: gzip")
		if r.Code != http.StatusUnsupportedMediaType {
			t.Errorf("status %d", r.Code)
		}
	})
}

// stream compresses a text without its length in front.
func stream(o zstd.EOption, text string) string {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, o, zstd.WithSingleSegment(false))
	if err != nil {
		panic(err)
	}
	_, _ = w.Write([]byte(text))
	_ = w.Flush()
	_ = w.Close()
	return b.String()
}

// flip changes a byte, counted from the end.
func flip(text string, fromEnd int) string {
	b := []byte(text)
	b[len(b)-fromEnd] ^= 1
	return string(b)
}

func TestNoPartOfACompressedBodyPasses(t *testing.T) {
	t.Parallel()
	h, in := newHandler(httpin.Options{})
	for encoding, whole := range map[string]string{
		"gzip": zip(ev("e1")) + zip(ev("e2")), "zstd": zst(ev("e1")) + zst(ev("e2")),
	} {
		// The first member alone is whole, and so is nothing.
		first := map[string]int{"gzip": len(zip(ev("e1"))), "zstd": len(zst(ev("e1")))}[encoding]
		for i := range len(whole) {
			status, _ := answer(t, post(t, h.Events, whole[:i], "Content-Encoding: "+encoding))
			if i != first && status != http.StatusBadRequest || i == first && status != http.StatusOK {
				t.Errorf("%s: %d for %d bytes of %d", encoding, status, i, len(whole))
			}
		}
		testkit.Equal(t, in.take(), []string{"e1"})
	}
}

func TestBodySize(t *testing.T) {
	t.Parallel()
	const limit = 1000
	fits := ev("e1") + strings.Repeat(" ", limit-len(ev("e1")))
	bomb := strings.Repeat(" ", 1<<20)
	for _, c := range []struct {
		name, encoding, in string
		status             int
	}{
		{"just so", "", fits, 200},
		{"one byte more", "", fits + " ", 413},
		{"gzip", "gzip", zip(fits), 200},
		{"gzip of one byte more", "gzip", zip(fits + " "), 413},
		{"gzip of one byte more in another member", "gzip", zip(fits) + zip(" "), 413},
		{"zstd", "zstd", zst(fits), 200},
		{"zstd of one byte more", "zstd", zst(fits + " "), 413},
		{"zstd of one byte more in another frame", "zstd", zst(fits) + zst(" "), 413},
		{"too large while compressed", "gzip", strings.Repeat(zip(""), limit/len(zip(""))+1), 413},
		{"gzip bomb", "gzip", zip(bomb), 413},
		{"zstd bomb", "zstd", zst(bomb), 413},
		{"zstd bomb without a size", "zstd", stream(zstd.WithWindowSize(1<<20), bomb), 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, in := newHandler(httpin.Options{MaxBody: limit})
			for _, announced := range []bool{true, false} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/events", strings.NewReader(c.in))
				r.Header.Set("Content-Encoding", c.encoding)
				if !announced {
					r.ContentLength = -1
				}
				w := httptest.NewRecorder()
				h.Events(w, r)
				if status, text := answer(t, w); status != c.status {
					t.Errorf("announced %v: %d %q, want %d", announced, status, text, c.status)
				}
			}
			if got := len(in.take()); got != 2 && c.status == 200 || got != 0 && c.status != 200 {
				t.Errorf("%d batches", got)
			}
		})
	}
}

func TestABombTakesLittleMemory(t *testing.T) { // not in parallel with others, which allocate
	const size = 1 << 30
	part := strings.Repeat(" ", 1<<20)
	// A frame of unknown size and blocks that repeat one byte 128 Ki times.
	blocks := "\x28\xb5\x2f\xfd\x00\x68" + strings.Repeat("\x02\x00\x10 ", size>>17)
	for _, bomb := range []struct{ name, encoding, in string }{
		{"gzip", "gzip", strings.Repeat(zip(part), size>>20)},
		{"zstd", "zstd", strings.Repeat(zst(part), size>>20)},
		{"zstd in one frame", "zstd", blocks},
	} {
		h, _ := newHandler(httpin.Options{MaxBody: 2 << 20})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := post(t, h.Events, bomb.in, "Content-Encoding: "+bomb.encoding)
		runtime.ReadMemStats(&after)
		// A decoder of zstd stops at its window of 8 MiB if the limit is lower.
		if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 || r.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: status %d after %d bytes", bomb.name, r.Code, got)
		}
	}
}

// failing is a body that breaks off.
type failing struct {
	text io.Reader
	err  error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.text.Read(p)
	if errors.Is(err, io.EOF) {
		err = f.err
	}
	return n, err
}

func TestBodiesThatDoNotArrive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		text   string
	}{
		{io.ErrUnexpectedEOF, 400, "Cannot parse the submitted event: the body did not arrive as announced"},
		{errors.New("http: invalid chunk"), 400, "Cannot parse the submitted event: the body did not arrive as announced"},
		{&net.OpError{Op: "read", Err: timeout{}}, 408, "The body did not arrive in time"},
		{&http.MaxBytesError{Limit: 5}, 413, "Too large: the limit is 5 bytes, also after decompression"},
	} {
		for _, encoding := range []string{"", "gzip"} {
			h, in := newHandler(httpin.Options{})
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/events", &failing{strings.NewReader(ev("e1")), c.err})
			r.Header.Set("Content-Encoding", encoding)
			w := httptest.NewRecorder()
			h.Events(w, r)
			if status, text := answer(t, w); status != c.status || text != c.text {
				t.Errorf("%v: %d %q", c.err, status, text)
			}
			testkit.Equal(t, in.take(), []string(nil))
			testkit.Equal(t, stats(h), httpin.Stats{Requests: map[int]uint64{c.status: 1}})
		}
	}
}

type timeout struct{}

func (timeout) Error() string   { return "i/o timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

// The real server: a body in chunks, one after the client asked whether to
// continue, one that never ends, and one that is refused by its announcement.
func TestOverTheWire(t *testing.T) {
	t.Parallel()
	const limit = 5 << 20
	h, in := newHandler(httpin.Options{MaxBody: limit})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X") == "impatient" {
			if err := http.NewResponseController(w).SetReadDeadline(time.Now()); err != nil {
				t.Error(err)
			}
		}
		h.Events(w, r)
	}))
	defer server.Close()
	chunk := func(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }
	for _, c := range []struct {
		name, request, want string
		events              []string
	}{
		{"chunks", "Transfer-Encoding: chunked\r\n\r\n" + chunk(ev("a")[:20]) + chunk(ev("a")[20:]) + chunk(""), "200 OK", []string{"a"}},
		{"announced", fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(ev("b")), ev("b")), "200 OK", []string{"b"}},
		{"broken chunks", "Transfer-Encoding: chunked\r\n\r\n" + chunk(ev("a")) + "zz\r\n", "400 Bad Request", nil},
		{"too slow", "X: impatient\r\nContent-Length: 1000\r\n\r\n" + ev("a"), "408 Request Timeout", nil},
		{"announced as too large", fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", limit+1), "413 Request Entity Too Large", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "POST /events HTTP/1.1\r\nHost: x\r\n"+c.request); err != nil {
				t.Fatal(err)
			}
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			if r.Status != c.want {
				t.Errorf("%s, want %s", r.Status, c.want)
			}
			testkit.Equal(t, in.take(), c.events)
		})
	}
}

// However a body comes, the connection is there for the next one.
func TestConnectionsStayOpen(t *testing.T) {
	t.Parallel()
	h, in := newHandler(httpin.Options{})
	server := httptest.NewServer(http.HandlerFunc(h.Events))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	text := ev("a")
	announced := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(text), text)
	chunked := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(text), text)
	for _, c := range []struct {
		name, request string
		statuses      []int
	}{
		{"announced", announced, []int{200}},
		{"in chunks", chunked, []int{200}},
		{"after a question", "Expect: 100-continue\r\n" + announced, []int{100, 200}},
		{"in chunks after a question", "Expect: 100-continue\r\n" + chunked, []int{100, 200}},
		{"invalid", "Content-Length: 2\r\n\r\n{}", []int{418}},
		{"the last one", announced, []int{200}},
	} {
		if _, err := io.WriteString(conn, "POST /events HTTP/1.1\r\nHost: x\r\n"+c.request); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.statuses {
			r, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil || r.StatusCode != want || r.Close {
				t.Errorf("%s: %s, closed %v, %v; want %d", c.name, r.Status, r.Close, err, want)
			}
			r.Body.Close()
		}
	}
	testkit.Equal(t, in.take(), []string{"a", "a", "a", "a", "a"})
}

// An event that is alone in its body is the same whatever is around it, and what
// is wrong there is found.
func TestWhatIsAroundASingleEvent(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		ev("a"): 200, ev("a") + "\n": 200, ev("a") + " \r\n": 200, "\n" + ev("a"): 200, " " + ev("a") + "\n\n": 200, "\ufeff" + ev("a"): 200,
		"[" + ev("a") + "]\n": 200, strings.ReplaceAll(ev("a"), ",", ",\n"): 200,
		ev("a") + "x": 400, ev("a") + "]": 400, ev("a")[1:]: 400, ev("a")[:20]: 400, ev("a") + "\n{": 400, "{}": 418, "\x00" + ev("a"): 200, ev("a") + "\ufeff\n": 200,
	} {
		h, in := newHandler(httpin.Options{})
		if r := post(t, h.Events, body); r.Code != want {
			t.Errorf("%q: %d, want %d", body, r.Code, want)
		}
		if want == http.StatusOK {
			var plain event.Event
			if rej := event.Decode([]byte(ev("a")), &plain); rej != nil {
				t.Fatal(rej)
			}
			plain.ConnID, plain.ReceivedAt = 1, now.UnixNano()
			if got := in.one(t); got != plain {
				t.Errorf("%q is read as %+v, want %+v", body, got, plain)
			}
		}
	}
}

func TestLargestEvent(t *testing.T) {
	t.Parallel()
	h, in := newHandler(httpin.Options{})
	size := event.MaxSize - len(ev("e1", `"x":""`))
	for more, status := range map[int]int{0: 200, 1: 413} {
		text := ev("e1", `"x":"`+strings.Repeat("x", size+more)+`"`)
		if r := post(t, h.Events, "  "+text+"\n"); r.Code != status {
			t.Errorf("%d for %d bytes", r.Code, len(text))
		}
	}
	testkit.Equal(t, in.take(), []string{"e1"})
	testkit.Equal(t, stats(h), httpin.Stats{
		Requests: map[int]uint64{200: 1, 413: 1}, Accepted: 1, Rejected: rejections(event.TooLarge, 1),
	})
}

func TestGzipHeadersWithNames(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name, w.Comment, w.Extra = "events.json", "c", []byte("extra")
	_, _ = w.Write([]byte(ev("e1")))
	_ = w.Close()
	h, in := newHandler(httpin.Options{})
	post(t, h.Events, b.String(), "Content-Encoding: gzip")
	testkit.Equal(t, in.take(), []string{"e1"})
}
