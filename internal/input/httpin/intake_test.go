package httpin_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
	"dsiem/test/testkit"
)

func TestT30AnyContentType(t *testing.T) {
	t.Parallel()
	h, in := newHandler(httpin.Options{})
	for _, contentType := range []string{"application/x-www-form-urlencoded", "application/json", "text/plain", "", "x"} {
		status, text := answer(t, post(t, h.Events, ev("e1"), "Content-Type: "+contentType))
		if status != http.StatusOK || text != "" {
			t.Errorf("%s: %d %q, want 200 without a body", contentType, status, text)
		}
		testkit.Equal(t, in.take(), []string{"e1"})
	}
}

// What §11 says about T32 to T38, and the statuses of §3.3.
func TestStatuses(t *testing.T) {
	t.Parallel()
	const parse, invalid = "Cannot parse the submitted event: ", "Not a valid event: "
	for _, c := range []struct {
		name, in string
		status   int
		text     string
		want     []string
	}{
		{"T32 array", `[` + ev("e1") + `,` + ev("e2") + `]`, 200, "", []string{"e1 e2"}},
		{"empty array", " [ ]\r\n\t", 200, "", nil},
		{"lines", ev("e1") + "\n" + ev("e2") + "\r\n\n" + ev("e3") + "\n", 200, "", []string{"e1 e2 e3"}},
		{"objects without anything between them", ev("e1") + ev("e2"), 200, "", []string{"e1 e2"}},
		{"byte order mark", "\ufeff" + ev("e1"), 200, "", []string{"e1"}},
		{"blanks everywhere", "\n [ " + ev("e1") + " ,\t" + ev("e2") + "\r\n] ", 200, "", []string{"e1 e2"}},
		{"T33 no JSON", `not json`, 400, parse + `bad_json: at byte 0 of the body: want an object, or an array of objects`, nil},
		{"T33 empty body", ``, 400, parse + `bad_json: at byte 0 of the body: the body is empty`, nil},
		{"blank body", " \n\ufeff", 400, parse + `bad_json: at byte 5 of the body: the body is empty`, nil},
		{"null", `null`, 400, parse + `bad_json: not an object`, nil},
		{"T34 empty object", `{}`, 418, invalid + `bad_timestamp: timestamp: missing`, nil},
		// T35, T38, D41 and D64 as decisions D39 and D40 of correlation.md have them.
		{"T35 D40 one of two is invalid", `[` + ev("e1") + `,{}]`, 200, `{"accepted":1,"rejected":[{"index":1,"reason":"bad_timestamp","detail":"timestamp: missing"}]}`, []string{"e1"}},
		{"D40 the first of two lines is invalid", "{}\n" + ev("e1"), 200, `{"accepted":1,"rejected":[{"index":0,"reason":"bad_timestamp","detail":"timestamp: missing"}]}`, []string{"e1"}},
		{"only one in an array", `[{}]`, 418, invalid + `event 1 of the body, counted from 1: bad_timestamp: timestamp: missing`, nil},
		{"none is valid, the first one counts", `[{},` + ev("e1", `"src_port":70000`) + `]`, 418, invalid + `event 1 of the body, counted from 1: bad_timestamp: timestamp: missing`, nil},
		{"T36 no title", ev("e1", `"title":null`), 200, "", []string{"e1"}},
		{"T37 null and unknown member", ev("e1", `"custom_data1":null`, `"x":1`), 200, "", []string{"e1"}},
		{"T38 D39 number as string", ev("e1", `"plugin_id":"1001"`), 200, "", []string{"e1"}},
		{"D39 number in another notation", ev("e1", `"src_port":8.0e1`), 200, "", []string{"e1"}},
		{"D39 no number", ev("e1", `"plugin_id":"x"`), 400, parse + `bad_type: plugin_id: want a number`, nil},
		{"D39 what only informs", ev("e1", `"title":[]`, `"sensor":{}`, `"conn_id":true`), 200, "", []string{"e1"}},
		{"D39 wrong type", ev("e1", `"custom_data1":[]`), 400, parse + `bad_type: custom_data1: want a string`, nil},
		{"D39 not UTF-8", ev("\xff"), 200, "", []string{"\ufffd"}},
		{"UTF-16", "\xff\xfe{\x00}\x00", 400, parse + `bad_encoding: UTF-16, want UTF-8`, nil},
		{"key twice", `{"src_port":1,"src_port":1}`, 400, parse + `duplicate_key: src_port: given twice`, nil},
		{"D39 key twice that informs", ev("e1", `"title":"a","title":"b"`), 200, "", []string{"e1"}},
		{"D42 timestamp", ev("e1", `"timestamp":"yesterday"`), 418, invalid + `bad_timestamp: timestamp: "yesterday": want a date as in 2006-01-02`, nil},
		{"D42 address", ev("e1", `"dst_ip":"localhost"`), 418, invalid + `bad_address: dst_ip: "localhost": want an IPv4 or IPv6 address`, nil},
		{"out of range", ev("e1", `"dst_port":65536`), 418, invalid + `out_of_range: dst_port: want a non-negative integer of 16 bits`, nil},
		{"no identity", ev("e1", `"plugin_sid":0`), 418, invalid + `no_identity: want plugin_id and plugin_sid, or product and category`, nil},
		{"taxonomy", ev("e1", `"plugin_sid":0`, `"product":"p"`, `"category":"c"`), 200, "", []string{"e1"}},
		{"D39 no sensor", ev("e1", `"sensor":null`), 200, "", []string{"e1"}},
		{"D39 sensor in the second line", ev("e1") + ev("e2", `"sensor":""`), 200, "", []string{"e1 e2"}},
		{"none is valid, what cannot be parsed is first", `[` + ev("e1", `"product":{}`) + `,{}]`, 400, parse + `event 1 of the body, counted from 1: bad_type: product: want a string`, nil},
		{"none is valid, what cannot be parsed is later", `[{},` + ev("e1", `"product":{}`) + `]`, 418, invalid + `event 1 of the body, counted from 1: bad_timestamp: timestamp: missing`, nil},
		{"a broken array takes none", `[{},` + ev("e1"), 400, parse + `bad_json: at byte 206 of the body: unexpected end of text, want a comma or ] after an array element`, nil},
		{"broken inside another one", ev("e1") + `{"a":}`, 400, parse + `event 2 of the body, counted from 1: bad_json: at byte 5: invalid character '}' at start of value`, nil},
		{"D40 element that is no object", `[` + ev("e1") + `,1]`, 200, `{"accepted":1,"rejected":[{"index":1,"reason":"bad_json","detail":"not an object"}]}`, []string{"e1"}},
		{"element that is nothing", `[` + ev("e1") + `,x]`, 400, parse + `event 2 of the body, counted from 1: bad_json: at byte 204 of the body: want an object, or an array of objects`, nil},
		{"no comma", `[{}{}]`, 400, parse + `bad_json: at byte 3 of the body: want a comma or ] after an array element`, nil},
		{"comma too many", `[{},]`, 400, parse + `event 2 of the body, counted from 1: bad_json: at byte 4 of the body: want an object, or an array of objects`, nil},
		{"text after the array", `[] x`, 400, parse + `bad_json: at byte 3 of the body: want an object, or an array of objects`, nil},
		{"D42 two arrays", `[` + ev("e1") + `]` + "\n[" + ev("e2") + `]`, 200, "", []string{"e1 e2"}},
		{"D42 arrays, lines and marks", "\ufeff[" + ev("e1") + "]\ufeff" + ev("e2") + "[]\n\ufeff" + ev("e3") + "\ufeff", 200, "", []string{"e1 e2 e3"}},
		{"D42 NUL bytes", strings.Repeat("\x00", 5000) + strings.Replace(ev("e1"), "1", "\x001", 1) + "\x00\n\x00", 200, "", []string{"e1"}},
		{"D41 Elasticsearch", `{"_index":"x","_source":` + ev("e1") + "}\n" + `{"_source":` + ev("e2") + "}", 200, "", []string{"e1 e2"}},
		{"text after the object", ev("e1") + " x", 400, parse + `event 2 of the body, counted from 1: bad_json: at byte 203 of the body: want an object, or an array of objects`, nil},
		{"cut object", `{"a":"`, 400, parse + `bad_json: at byte 6 of the body: unexpected end of text`, nil},
		{"cut string", ev("e1") + `"x`, 400, parse + `event 2 of the body, counted from 1: bad_json: at byte 204 of the body: unexpected end of text`, nil},
		{"cut array", `[`, 400, parse + `event 1 of the body, counted from 1: bad_json: at byte 1 of the body: unexpected end of text`, nil},
		{"wrong brackets", `{"a":[}}`, 400, parse + `bad_json: at byte 6: invalid character '}' at start of value`, nil},
		{"broken inside", `{"a":}`, 400, parse + `bad_json: at byte 5: invalid character '}' at start of value`, nil},
		{"syslog is for Suricata", "h s: " + ev("e1"), 400, parse + `bad_json: at byte 0 of the body: want an object, or an array of objects`, nil},
		{"braces and quotes in strings", ev("e1", `"title":"}\"]{\\"`) + "\n", 200, "", []string{"e1"}},
		{"D40 event too large", `[` + ev("e1") + `,{"x":"` + strings.Repeat("x", event.MaxSize) + `"}]`, 200, `{"accepted":1,"rejected":[{"index":1,"reason":"too_large","detail":"1048584 bytes, the limit is 1048576"}]}`, []string{"e1"}},
		{"only one, too large", `[{"x":"` + strings.Repeat("x", event.MaxSize) + `"}]`, 413, "Too large: event 1 of the body, counted from 1: too_large: 1048584 bytes, the limit is 1048576", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, in := newHandler(httpin.Options{})
			r := post(t, h.Events, c.in)
			status, text := answer(t, r)
			if status != c.status || text != c.text {
				t.Errorf("got  %d %s\nwant %d %s", status, text, c.status, c.text)
			}
			testkit.Equal(t, in.take(), c.want)
			if status != 200 && r.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("type %q", r.Header().Get("Content-Type"))
			}
			testkit.Equal(t, stats(h).Requests, map[int]uint64{c.status: 1})
		})
	}
}

// D34: an event without an id gets one, which no other event has.
func TestEventsWithoutID(t *testing.T) {
	t.Parallel()
	h, in := newHandler(httpin.Options{StartID: 61})
	other, more := newHandler(httpin.Options{})
	for _, id := range []string{`"event_id":""`, `"event_id":null`, `"event_id":{}`, `"event_id":["a"]`, `"x":1`} {
		body := strings.Replace(ev("x", id), `"event_id":"x",`, "", 1)
		post(t, h.Events, body+ev("e")+body)
		post(t, other.Events, body)
	}
	post(t, h.Events, ev("x", `"event_id":7`))
	seen := map[string]bool{}
	for _, batch := range append(in.take(), more.take()...) {
		for id := range strings.FieldsSeq(batch) {
			if id == "e" || id == "7" {
				continue
			}
			if seen[id] || !regexp.MustCompile(`^[0-9A-Za-z]{16}$`).MatchString(id) {
				t.Errorf("id %q", id)
			}
			seen[id] = true
		}
	}
	if len(seen) != 15 || !seen["0000000z00000001"] || h.Stats().WithoutID != 10 {
		t.Errorf("%d ids: %v, %d counted", len(seen), seen, h.Stats().WithoutID)
	}
}

func TestEventsAreStamped(t *testing.T) {
	t.Parallel()
	h, in := newHandler(httpin.Options{})
	more := []string{
		`"conn_id":77`, `"rcvd_time":-5`, `"x":{"conn_id":1}`, `"trace_parent":"p"`, `"carrier":{}`, `"src_ip":"::ffff:10.0.0.1"`,
		`"timestamp":"2024-01-01 07:00:00.5+0700"`, `"custom_data1":"d1"`, `"custom_label3":"l3"`, `"subcategory":"sc"`,
	}
	post(t, h.Events, ev("e1", more...))
	want := event.Event{
		ID: "e1", Seconds: 1704067200, Nanos: 500_000_000, Sensor: "s", Title: "t", Protocol: "ICMP",
		SrcIP: netip.MustParseAddr("10.0.0.1"), DstIP: netip.MustParseAddr("10.0.0.2"), PluginID: 1001, PluginSID: 2100384,
		Subcategory: "sc", CustomData: [3]string{"d1", "", ""}, CustomLabel: [3]string{"", "", "l3"},
		ConnID: 1, ReceivedAt: 1704164645000000006,
	}
	if diff := cmp.Diff(want, in.one(t), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	in.take()

	post(t, h.Events, `[{}]`) // takes no number
	post(t, h.Events, `[`+ev("e2")+`,`+ev("e3")+`]`)
	post(t, h.Events, ev("e4"))
	var numbers []uint64
	for _, b := range in.batches {
		for i := range b.Events {
			numbers = append(numbers, b.Events[i].ConnID)
		}
		if b.Carriers != nil {
			t.Error("there are carriers without tracing")
		}
	}
	testkit.Equal(t, numbers, []uint64{2, 3, 4})
}

func TestTokensAreTakenForWholeRequestsThatAreValid(t *testing.T) {
	t.Parallel()
	tokens := new(fakeLimit)
	h, in := newHandler(httpin.Options{Limiter: tokens})
	for _, body := range []string{ev("a"), "[]", ev("b") + ev("c") + ev("d"), ev("e") + "{}", "{}", ev("f") + "x"} {
		post(t, h.Events, body)
	}
	testkit.Equal(t, tokens.asked, []int{1, 3, 1})
	testkit.Equal(t, in.take(), []string{"a", "b c d", "e"})

	tokens.err = errors.New("too fast")
	r := post(t, h.Events, ev("e")+ev("f"))
	status, text := answer(t, r)
	if status != http.StatusTooManyRequests || text != "Too many requests" || r.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %q, retry after %q", status, text, r.Header().Get("Retry-After"))
	}
	testkit.Equal(t, in.take(), []string(nil))
	testkit.Equal(t, stats(h), httpin.Stats{
		Requests: map[int]uint64{200: 4, 400: 1, 418: 1, 429: 1}, Accepted: 5, Limited: 2, Withheld: 1,
		Rejected: func() (n [event.Reasons]uint64) { n[event.BadTimestamp], n[event.BadJSON] = 2, 1; return n }(),
	})
}

func TestDeliverRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		err    error
		status int
		text   string
		retry  string
		stats  httpin.Stats
	}{
		{"unavailable", httpin.ErrUnavailable, 503, "Events cannot be taken now", "3", httpin.Stats{Unavailable: 2}},
		{"wrapped", fmt.Errorf("x: %w", httpin.ErrUnavailable), 503, "Events cannot be taken now", "3", httpin.Stats{Unavailable: 2}},
		{"time is up", context.DeadlineExceeded, 503, "Events cannot be taken now", "3", httpin.Stats{Unavailable: 2}},
		{
			"told", fmt.Errorf("secret: %w", httpin.OutageError("no space left")), 503,
			"Events cannot be taken now: no space left", "3",
			httpin.Stats{Unavailable: 2},
		},
		{"unknown", errors.New("secret"), 503, "Events cannot be taken now", "3", httpin.Stats{Unavailable: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, in := newHandler(httpin.Options{})
			in.err = c.err
			r := post(t, h.Events, ev("a")+ev("b"))
			status, text := answer(t, r)
			if status != c.status || text != c.text || r.Header().Get("Retry-After") != c.retry {
				t.Errorf("%d %q, retry after %q", status, text, r.Header().Get("Retry-After"))
			}
			c.stats.Requests = map[int]uint64{c.status: 1}
			testkit.Equal(t, stats(h), c.stats)

			in.err = nil
			post(t, h.Events, ev("c"))
			testkit.Equal(t, in.take(), []string{"c"})
		})
	}
}

func TestNobodyToDeliverTo(t *testing.T) {
	t.Parallel()
	h := httpin.New(httpin.Options{})
	if status, _ := answer(t, post(t, h.Events, ev("a"))); status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
}

func TestDeliverMayWaitSoLong(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]time.Duration{0: 3 * time.Second, time.Minute: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			h := httpin.New(httpin.Options{Wait: wait, Deliver: func(ctx context.Context, _ *event.Batch) error {
				<-ctx.Done()
				return fmt.Errorf("queue is full: %w", ctx.Err())
			}})
			begin := time.Now()
			status, _ := answer(t, post(t, h.Events, ev("a")))
			if got := time.Since(begin); status != http.StatusServiceUnavailable || got != want {
				t.Errorf("%d after %v, want 503 after %v", status, got, want)
			}
		})
	}
}

func TestASenderThatLeavesEndsTheWait(t *testing.T) {
	t.Parallel()
	log := new(testkit.Logbook)
	ctx, leave := context.WithCancel(t.Context())
	tokens := new(fakeLimit)
	h, _ := newHandler(httpin.Options{Logger: log.Logger(), Limiter: tokens, Deliver: func(ctx context.Context, _ *event.Batch) error {
		leave()
		<-ctx.Done()
		return context.Cause(ctx)
	}})
	request := func() *http.Request {
		return httptest.NewRequestWithContext(ctx, http.MethodPost, "/events", strings.NewReader(ev("a")))
	}
	h.Events(httptest.NewRecorder(), request())
	tokens.err = context.Canceled
	h.Events(httptest.NewRecorder(), request())
	testkit.Equal(t, stats(h), httpin.Stats{Requests: map[int]uint64{503: 2}, Unavailable: 2})
	testkit.Equal(t, log.Take(), []string(nil))
}

func TestABatchBelongsToItsReceiver(t *testing.T) {
	t.Parallel()
	h, in := newHandler(httpin.Options{})
	for i := range 20 {
		post(t, h.Events, ev(fmt.Sprint("a", i)))
		post(t, h.Events, ev(fmt.Sprint("b", i))+ev(fmt.Sprint("c", i)), "Content-Encoding: identity")
		post(t, h.Events, ev("x")+ev("y")+"x")
	}
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprint("a", i), fmt.Sprintf("b%d c%d", i, i))
	}
	testkit.Equal(t, in.take(), want)
}

func TestReleasedBatchesComeBackEmpty(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 5000} {
		var got []int
		h := httpin.New(httpin.Options{
			Deliver: func(_ context.Context, b *event.Batch) error {
				got = append(got, len(b.Events), len(b.Carriers))
				b.Carriers = append(b.Carriers, make([]event.Carrier, len(b.Events))...)
				events := b.Events[:cap(b.Events)]
				b.Release()
				if slices.ContainsFunc(events, func(ev event.Event) bool { return ev.ID != "" }) && len(events) <= 4096 {
					t.Error("a released batch holds events")
				}
				return nil
			},
		})
		post(t, h.Events, strings.Repeat(ev("a"), n))
		post(t, h.Events, ev("a"))
		testkit.Equal(t, got, []int{n, 0, 1, 0})
	}
}

func TestManyRequestsAtATime(t *testing.T) {
	t.Parallel()
	const senders, requests, events = 8, 50, 3
	h, in := newHandler(httpin.Options{})
	server := httptest.NewServer(http.HandlerFunc(h.Events))
	defer server.Close()
	var group sync.WaitGroup
	for i := range senders {
		group.Go(func() {
			for n := range requests {
				id := fmt.Sprintf("%d-%d", i, n)
				r, err := server.Client().Post(server.URL, "", strings.NewReader(strings.Repeat(ev(id), events)))
				if err != nil {
					t.Error(err)
					return
				}
				r.Body.Close()
				if r.StatusCode != http.StatusOK {
					t.Errorf("status %d", r.StatusCode)
				}
			}
		})
	}
	group.Wait()
	seen, numbers := map[string]int{}, map[uint64]bool{}
	for _, b := range in.batches {
		for i := range b.Events {
			if b.Events[i].ID != b.Events[0].ID {
				t.Fatal("a batch with events of two requests")
			}
			numbers[b.Events[i].ConnID] = true
		}
		seen[b.Events[0].ID] += len(b.Events)
	}
	for id, n := range seen {
		if n != events {
			t.Errorf("%s came %d times", id, n)
		}
	}
	const all = senders * requests * events
	if len(seen) != senders*requests || len(numbers) != all || !numbers[1] || !numbers[all] || h.Stats().Accepted != all {
		t.Errorf("%d requests, %d numbers, %d accepted", len(seen), len(numbers), h.Stats().Accepted)
	}
}
