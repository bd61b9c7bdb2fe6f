package httpin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
	"dsiem/internal/text"
	"dsiem/test/testkit"
)

func TestAnswersInJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{
			ev("a", `"src_ip":"x"`) + ev("b", `"timestamp":""`),
			`{"error":"Not a valid event: event 1 of the body, counted from 1: bad_address: src_ip: \"x\": want an IPv4 or IPv6 address",` +
				`"status":418,"event":1,"field":"src_ip"}`,
		},
		{`x`, `{"error":"Cannot parse the submitted event: bad_json: at byte 0 of the body: want an object, or an array of objects","status":400}`},
		{ev("a", `"src_port":"x"`), `{"error":"Cannot parse the submitted event: bad_type: src_port: want a number","status":400,"field":"src_port"}`},
	} {
		h, _ := newHandler(httpin.Options{})
		r := post(t, h.Events, c.in, "Accept: application/json")
		_, got := answer(t, r)
		if got != c.want || r.Header().Get("Content-Type") != "application/json" || r.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s\ngot  %s\nwant %s", r.Header().Get("Content-Type"), got, c.want)
		}
		if !json.Valid([]byte(got)) {
			t.Error("it is no JSON")
		}
	}
}

// D40: whoever sends a batch learns what was taken of it.
func TestAnswersAboutABatch(t *testing.T) {
	t.Parallel()
	bad := ev("b", `"src_ip":"x"`)
	for _, c := range []struct {
		name, in string
		header   []string
		want     string
		events   []string
	}{
		{"array", "[" + ev("a") + "," + bad + "," + ev("c") + "]", nil, `{"accepted":2,"rejected":[{"index":1,"reason":"bad_address","detail":"src_ip: \"x\": want an IPv4 or IPv6 address"}]}`, []string{"a c"}},
		{"lines", bad + "\n{}\n" + ev("c") + "\n", nil, `{"accepted":1,"rejected":[` +
			`{"index":0,"reason":"bad_address","detail":"src_ip: \"x\": want an IPv4 or IPv6 address"},` +
			`{"index":1,"reason":"bad_timestamp","detail":"timestamp: missing"}]}`, []string{"c"}},
		{"what is no object", "[1," + ev("a") + `,"x",null,[{}]]`, nil, `{"accepted":1,"rejected":[{"index":0,"reason":"bad_json","detail":"not an object"},` +
			`{"index":2,"reason":"bad_json","detail":"not an object"},{"index":3,"reason":"bad_json","detail":"not an object"},` +
			`{"index":4,"reason":"bad_json","detail":"not an object"}]}`, []string{"a"}},
		{"no field", ev("a") + ev("b", `"plugin_id":0`), nil, `{"accepted":1,"rejected":[{"index":1,"reason":"no_identity",` +
			`"detail":"want plugin_id and plugin_sid, or product and category"}]}`, []string{"a"}},
		{"nothing wrong", ev("a"), nil, "", []string{"a"}},
		{"nothing wrong, and JSON wanted", ev("a") + ev("b"), []string{"Accept: application/json"}, `{"accepted":2,"rejected":[]}`, []string{"a b"}},
		{"nothing there, and JSON wanted", "[]", []string{"Accept: application/json"}, `{"accepted":0,"rejected":[]}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, in := newHandler(httpin.Options{})
			r := post(t, h.Events, c.in, c.header...)
			if status, text := answer(t, r); status != http.StatusOK || text != c.want {
				t.Errorf("got  %d %s\nwant 200 %s", status, text, c.want)
			}
			if got := r.Header().Get("Content-Type"); (got == "application/json") != (c.want != "") {
				t.Errorf("type %q", got)
			}
			testkit.Equal(t, in.take(), c.events)
		})
	}
}

// A record that is nested deeper than the decoder goes is rejected by itself, as in a
// file, and what is around it is taken. One that has no end is not told from a body that
// was cut off.
func TestADeepRecordCostsOnlyItself(t *testing.T) {
	t.Parallel()
	const levels = 20_000
	nested := func(open, end string, n int) string { return strings.Repeat(open, n) + "1" + strings.Repeat(end, n) }
	unknown := func(value string) string { return ev("deep", `"unknown":`+value) }
	const tooDeep = `"reason":"bad_json","detail":"at byte %d: nested more than 10000 levels deep"}]}`
	for _, test := range []struct {
		name, record, detail string
	}{
		{"arrays", unknown(nested("[", "]", levels)), fmt.Sprintf(tooDeep, len(unknown(""))-1+event.MaxDepth-1)},
		{"objects", unknown(nested(`{"":`, "}", levels)), fmt.Sprintf(tooDeep, len(unknown(""))-1+len(`{"":`)*(event.MaxDepth-1))},
		{"one too many", unknown(nested("[", "]", event.MaxDepth)), fmt.Sprintf(tooDeep, len(unknown(""))-1+event.MaxDepth-1)},
		{"no object", nested("[", "]", levels), `"reason":"bad_json","detail":"not an object"}]}`},
		{"too large, too", unknown(nested("[", "]", event.MaxSize)), fmt.Sprintf(`"reason":"too_large","detail":"%d bytes, the limit is 1048576"}]}`, len(unknown(""))+2*event.MaxSize+1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h, in := newHandler(httpin.Options{})
			for _, body := range []string{"[" + ev("a") + "," + test.record + "," + ev("b") + "]", ev("a") + "[" + test.record + "]" + ev("b")} {
				status, text := answer(t, post(t, h.Events, body))
				if want := `{"accepted":2,"rejected":[{"index":1,` + test.detail; status != http.StatusOK || text != want {
					t.Errorf("%d %.300s\nwant %s", status, text, want)
				}
				testkit.Equal(t, in.take(), []string{"a b"})
			}
			if status, text := answer(t, post(t, h.Events, ev("a")+"["+test.record[:len(test.record)-1])); status == http.StatusOK {
				t.Errorf("cut off: %d %.300s", status, text)
			}
		})
	}
	h, in := newHandler(httpin.Options{})
	if status, text := answer(t, post(t, h.Events, unknown(nested("[", "]", event.MaxDepth-1)))); status != http.StatusOK {
		t.Errorf("as deep as it may be: %d %.300s", status, text)
	}
	testkit.Equal(t, in.take(), []string{"deep"})
}

// Brackets that never end cost one pass over the body, and no memory for each.
func TestABodyOfBracketsIsCheap(t *testing.T) { // not in parallel with others, which allocate
	h, _ := newHandler(httpin.Options{})
	for _, body := range []string{
		strings.Repeat("[", 10<<20), strings.Repeat(`{"":`, 10<<20/4),
		strings.Repeat("[", 5<<20) + strings.Repeat("]", 5<<20), `{"x":` + strings.Repeat("[", 5<<20-8) + strings.Repeat("]", 5<<20-8) + "}",
	} {
		status := 0
		allocations := testing.AllocsPerRun(1, func() { status, _ = answer(t, post(t, h.Events, body)) })
		if status == http.StatusOK || allocations > 200 {
			t.Errorf("%.20s: status %d, %v allocations", body, status, allocations)
		}
	}
}

func TestAnAnswerListsAHundredRecords(t *testing.T) {
	t.Parallel()
	told := 0
	h, in := newHandler(httpin.Options{Rejected: func([]byte, string, string) { told++ }})
	_, text := answer(t, post(t, h.Events, ev("a")+strings.Repeat("{}", 5000)))
	var got struct {
		Accepted  int              `json:"accepted"`
		Rejected  []map[string]any `json:"rejected"`
		NotListed int              `json:"not_listed"`
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Accepted != 1 || len(got.Rejected) != 100 || got.NotListed != 4900 || got.Rejected[99]["index"] != 100.0 || told != 1000 {
		t.Errorf("%d accepted, %d listed, %d not, the last one %v; told of %d", got.Accepted, len(got.Rejected), got.NotListed, got.Rejected[99], told)
	}
	testkit.Equal(t, in.take(), []string{"a"})
	testkit.Equal(t, stats(h), httpin.Stats{Requests: map[int]uint64{200: 1}, Accepted: 1, Rejected: rejections(event.BadTimestamp, 5000)})
}

// D40: the old rule, for whoever wants it.
func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	batch := "[" + ev("a") + ",{}," + ev("c", `"src_ip":"x"`) + "]"
	for _, c := range []struct {
		query, in string
		status    int
		text      string
		events    []string
	}{
		{"?all_or_nothing=true", batch, 418, "Not a valid event: event 2 of the body, counted from 1: bad_timestamp: timestamp: missing", nil},
		{"?all_or_nothing=1&x=y", batch, 418, "Not a valid event: event 2 of the body, counted from 1: bad_timestamp: timestamp: missing", nil},
		{"?all_or_nothing=true", ev("a") + ev("b"), 200, "", []string{"a b"}},
		{"?all_or_nothing=false", ev("a") + "{}", 200, `{"accepted":1,"rejected":[{"index":1,"reason":"bad_timestamp","detail":"timestamp: missing"}]}`, []string{"a"}},
		{"?x=true", ev("a"), 200, "", []string{"a"}},
		{"?all_or_nothing", batch, 418, "Not a valid event: event 2 of the body, counted from 1: bad_timestamp: timestamp: missing", nil},
		{"?all_or_nothing=", ev("a") + ev("b"), 200, "", []string{"a b"}},
		{"?all_or_nothing&all_or_nothing", ev("a"), 400, "Cannot parse the submitted event: all_or_nothing: want true or false", nil},
		{"?all_or_nothing=yes", ev("a"), 400, "Cannot parse the submitted event: all_or_nothing: want true or false", nil},
		{"?all_or_nothing=true&all_or_nothing=false", ev("a"), 400, "Cannot parse the submitted event: all_or_nothing: want true or false", nil},
	} {
		h, in := newHandler(httpin.Options{})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/events"+c.query, strings.NewReader(c.in))
		w := httptest.NewRecorder()
		h.Events(w, r)
		if status, text := answer(t, w); status != c.status || text != c.text {
			t.Errorf("%s: got  %d %s\nwant %d %s", c.query, status, text, c.status, c.text)
		}
		testkit.Equal(t, in.take(), c.events)
		if c.in == batch {
			want := httpin.Stats{Requests: map[int]uint64{418: 1}, Withheld: 1}
			want.Rejected[event.BadTimestamp], want.Rejected[event.BadAddress] = 1, 1
			testkit.Equal(t, stats(h), want)
		}
	}
}

// D40: what was rejected is told once, when the sender will not send it again.
func TestRejectedRecordsAreTold(t *testing.T) {
	t.Parallel()
	var told []string
	tokens := new(fakeLimit)
	h, in := newHandler(httpin.Options{Limiter: tokens, Rejected: func(record []byte, reason, detail string) {
		told = append(told, fmt.Sprintf("%s | %s | %s", text.Clip(record, 20), reason, detail))
	}})
	check := func(want ...string) {
		t.Helper()
		testkit.Equal(t, told, want)
		told = nil
	}
	post(t, h.Events, ev("a")+`{"x":1}`+ev("c")+"[2]")
	check(`{"x":1} | bad_timestamp | timestamp: missing`, `2 | bad_json | not an object`)
	post(t, h.Events, "{}")
	check(`{} | bad_timestamp | timestamp: missing`)
	post(t, h.Events, ev("a")+"{}{")
	check(`{"event_id":"a","tim… | bad_json | at byte 204 of the body: unexpected end of text`)
	post(t, h.Events, `{"a":}{}`)
	check(`{"a":} | bad_json | at byte 5: invalid character '}' at start of value`)
	post(t, h.Events, ev("a"))
	post(t, h.Events, "[]")
	check()
	tokens.err = errors.New("too fast")
	post(t, h.Events, ev("a")+"{}")
	check() // it comes again
	tokens.err, in.err = nil, errors.New("queue full")
	post(t, h.Events, ev("a")+"{}")
	check()
	post(t, h.SuricataEVE, flow+"{}")
	check(`{} | bad_type | event_type: want a string, as Suricata writes`)
}

// An event whose message is too large does not take the others with it.
func TestEventsThatMakeLargeMessages(t *testing.T) {
	t.Parallel()
	h, in := newHandler(httpin.Options{MaxMessage: func() int { return 2000 }})
	large := ev("b", `"title":"`+strings.Repeat("\xff", 600)+`"`)
	_, text := answer(t, post(t, h.Events, ev("a")+large+ev("c", `"x":"`+strings.Repeat("x", 5000)+`"`)))
	if want := `{"accepted":2,"rejected":[{"index":1,"reason":"too_large","detail":"a message of 2220 bytes, the limit is 2000"}]}`; text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	testkit.Equal(t, in.take(), []string{"a c"})
}

func TestWhoGetsJSON(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"":                                  false,
		"*/*":                               false,
		"text/plain":                        false,
		"text/html,*/*;q=0.8":               false,
		"application/json":                  true,
		"Application/JSON; charset=utf-8":   true,
		"application/*":                     true,
		"application/json, text/plain, */*": true,
		"application/json, */*;q=0.5":       true,
		"application/json;q=0.5, */*":       false,
		"text/plain;q=0.5, application/json;q=0.6":        true,
		"text/plain;q=0.7, application/json;q=0.6":        false,
		"text/*;q=0.9, application/json;q=0.8":            false,
		"text/*;q=0.9, text/plain;q=0.1, application/*":   true,
		"application/*;q=0, application/json":             true,
		"application/json;q=0, application/*":             false,
		"application/json;q=0":                            false,
		"application/json;q=x":                            false,
		"application/json;q=2":                            false,
		"application/json;q=NaN":                          false,
		"application/json; Q=0.3 ,text/plain; a=b; q=0.2": true,
		",;,": false,
	} {
		h, _ := newHandler(httpin.Options{})
		r := post(t, h.Events, "", "Accept: "+accept)
		if got := r.Header().Get("Content-Type") == "application/json"; got != want {
			t.Errorf("%q: JSON %v, want %v", accept, got, want)
		}
	}
	h, _ := newHandler(httpin.Options{})
	if r := post(t, h.Events, "", "Accept: text/plain;q=0.1", "Accept: application/json"); r.Header().Get("Content-Type") != "application/json" {
		t.Error("a second header line is not looked at")
	}
}

func TestD39TheLogShowsLittleOfABadBody(t *testing.T) {
	t.Parallel()
	log := new(testkit.Logbook)
	tokens := new(fakeLimit)
	h, in := newHandler(httpin.Options{Logger: log.Logger(), Limiter: tokens})
	check := func(body, want string) {
		t.Helper()
		post(t, h.Events, body)
		if got := log.Take(); len(got) != 1 || got[0] != want {
			t.Errorf("%q\nwant %s", got, want)
		}
	}
	check("no\nt json"+strings.Repeat("x", 190)+strings.Repeat("é", 1000),
		`level=WARN msg="cannot parse normalizedEvent" peer=192.0.2.1:1234 `+
			`error="Cannot parse the submitted event: bad_json: at byte 0 of the body: want an object, or an array of objects" `+
			fmt.Sprintf(`text=%q`, `"no\nt json`+strings.Repeat("x", 190)+`…"`))
	check("{}"+ev("a", `"src_ip":"x"`),
		`level=WARN msg="l337 or epic fail attempt detected, discarding" peer=192.0.2.1:1234 `+
			`error="Not a valid event: event 1 of the body, counted from 1: bad_timestamp: timestamp: missing" text="\"{}\""`)
	tokens.err = errors.New("too fast")
	check(ev("a"), `level=WARN msg="events refused, they come faster than the limit" peer=192.0.2.1:1234 `+
		`error="Too many requests" cause="too fast"`)
	tokens.err = nil
	in.err = errors.New("queue full")
	check(ev("a"), `level=WARN msg="events refused, they cannot be taken now" peer=192.0.2.1:1234 `+
		`error="Events cannot be taken now" cause="queue full"`)
	large := ev("a", `"title":"`+strings.Repeat("t", event.MaxSize)+`"`)
	check(large, `level=WARN msg="request with events refused" peer=192.0.2.1:1234 `+
		fmt.Sprintf(`error="Too large: too_large: %d bytes, the limit is %d" text=%q`, len(large), event.MaxSize, strconv.Quote(large[:200]+"…")))
}

// Of a request that was taken in part, the log says how much of it was not: the words
// for a refused one would read as if all of it were lost.
func TestTheLogTellsOfATakenRequestWhatWasRejected(t *testing.T) {
	t.Parallel()
	large := ev("big", `"title":"`+strings.Repeat("t", event.MaxSize)+`"`)
	const line = `level=WARN msg="request taken, but some of its records were rejected" peer=192.0.2.1:1234 `
	for _, test := range []struct{ name, body, want string }{
		{
			"invalid", ev("a") + "{}" + ev("b") + ev("c", `"src_ip":"x"`),
			`rejected=2 records=4 error="Not a valid event: event 2 of the body, counted from 1: bad_timestamp: timestamp: missing" text="\"{}\""`,
		},
		{
			"too large", "[" + ev("a") + "," + large + "]",
			fmt.Sprintf(`rejected=1 records=2 error="Too large: event 2 of the body, counted from 1: too_large: %d bytes, the limit is %d" text=%q`,
				len(large), event.MaxSize, strconv.Quote(large[:200]+"…")),
		},
		{
			"no object", ev("a") + "7",
			`rejected=1 records=2 error="Cannot parse the submitted event: event 2 of the body, counted from 1: bad_json: not an object" text="\"7\""`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := new(testkit.Logbook)
				h, _ := newHandler(httpin.Options{Logger: log.Logger()})
				for range 3 {
					if r := post(t, h.Events, test.body); r.Code != http.StatusOK {
						t.Fatalf("status %d", r.Code)
					}
				}
				testkit.Equal(t, log.Take(), []string{line + test.want})
				// One that is refused has its own words, and its own limit.
				post(t, h.Events, "{}")
				if got := log.Take(); len(got) != 1 || !strings.Contains(got[0], "l337 or epic fail attempt detected, discarding") {
					t.Errorf("refused: %q", got)
				}
				<-time.After(10 * time.Second)
				post(t, h.Events, test.body)
				testkit.Equal(t, log.Take(), []string{line + test.want + " not_shown=2"})
			})
		})
	}
	// What a source of Suricata's records has besides alerts is among the records.
	log := new(testkit.Logbook)
	h, _ := newHandler(httpin.Options{Logger: log.Logger()})
	post(t, h.SuricataEVE, alert+flow+"{}")
	if got := log.Take(); len(got) != 1 || !strings.Contains(got[0], " rejected=1 records=3 ") {
		t.Errorf("%q", got)
	}
}

func TestOneLogLineOfAKindInTenSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := new(testkit.Logbook)
		h, _ := newHandler(httpin.Options{Logger: log.Logger()})
		for range 100 {
			post(t, h.Events, "x")
			post(t, h.Events, "{}")
			post(t, h.Events, ev("a"))
		}
		if got := log.Take(); len(got) != 2 || strings.Contains(got[0]+got[1], "not_shown") {
			t.Errorf("%q", got)
		}
		<-time.After(10 * time.Second)
		for range 2 {
			post(t, h.Events, "x")
		}
		if got := log.Take(); len(got) != 1 || !strings.HasSuffix(got[0], " not_shown=99") {
			t.Errorf("%q", got)
		}
	})
}

func TestStats(t *testing.T) {
	t.Parallel()
	h, _ := newHandler(httpin.Options{})
	empty := h.Stats()
	testkit.Equal(t, empty, httpin.Stats{Requests: map[int]uint64{200: 0, 400: 0, 408: 0, 413: 0, 415: 0, 418: 0, 429: 0, 503: 0}})
	for _, in := range []string{
		ev("a") + ev("b"), "[]", ev("a") + ev("") + ev("c") + "{}", ev("a") + `{"src_port":"x"}` + ev("c"), `{"src_port":"x"}{}`,
		ev("a") + ev("b") + "x", ev("a") + "{}{", "", "\xff", "\xff\xfe", `{"a":"` + "\xff" + `"}`, ev("a", "\"title\":\"\xff\""),
	} {
		post(t, h.Events, in)
	}
	post(t, h.Events, "x", "Content-Encoding: gzip")
	post(t, h.Events, "x", "Content-Encoding: br")
	var rejected [event.Reasons]uint64
	rejected[event.BadType], rejected[event.BadJSON], rejected[event.BadEncoding], rejected[event.BadTimestamp] = 2, 4, 2, 4
	testkit.Equal(t, stats(h), httpin.Stats{
		Requests: map[int]uint64{200: 5, 400: 7, 415: 1, 418: 1},
		Accepted: 8, Rejected: rejected, Withheld: 3, WithoutID: 1, Repaired: 1,
	})
	if _, ok := h.Stats().Requests[http.StatusServiceUnavailable]; !ok {
		t.Error("a status that was never given is missing")
	}
}
