package httpin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
	"dsiem/test/testkit"
)

func TestAnswersInJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{
			ev("a") + ev("b") + ev("c", `"src_ip":"x"`),
			`{"error":"Not a valid event: event 3 of the body, counted from 1: bad_address: src_ip: \"x\": want an IPv4 or IPv6 address",` +
				`"status":418,"event":3,"field":"src_ip"}`,
		},
		{`x`, `{"error":"Cannot parse the submitted event: bad_json: at byte 0 of the body: want an object, or an array of objects","status":400}`},
		{ev(""), `{"error":"Not a valid event: event_id: missing or empty","status":418,"field":"event_id"}`},
	} {
		h, _ := newHandler(httpin.Options{})
		r := post(t, h.Events, c.in, "Accept: application/json")
		_, text := answer(t, r)
		if text != c.want || r.Header().Get("Content-Type") != "application/json" || r.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s\ngot  %s\nwant %s", r.Header().Get("Content-Type"), text, c.want)
		}
		if !json.Valid([]byte(text)) {
			t.Error("it is no JSON")
		}
	}
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
	check(ev("a")+"{}",
		`level=WARN msg="l337 or epic fail attempt detected, discarding" peer=192.0.2.1:1234 `+
			`error="Not a valid event: event 2 of the body, counted from 1: bad_timestamp: timestamp: missing" text="\"{}\""`)
	tokens.err = errors.New("too fast")
	check(ev("a"), `level=WARN msg="events refused, they come faster than the limit" peer=192.0.2.1:1234 `+
		`error="Too many requests" cause="too fast"`)
	tokens.err = nil
	in.err = errors.New("queue full")
	check(ev("a"), `level=WARN msg="events refused, they cannot be taken now" peer=192.0.2.1:1234 `+
		`error="Events cannot be taken now" cause="queue full"`)
	in.err = httpin.ErrTooLarge
	check(ev("a"), `level=WARN msg="request with events refused" peer=192.0.2.1:1234 `+
		`error="Too large: the events cannot be taken together" cause="too large to be taken"`)
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
		ev("a") + ev("b"), "[]", ev("a") + ev("") + ev("c") + "{}", ev("a") + `{"src_port":"1"}` + ev("c"),
		ev("a") + ev("b") + "x", "", "\xff", `{"a":"` + "\xff" + `"}`,
	} {
		post(t, h.Events, in)
	}
	post(t, h.Events, "x", "Content-Encoding: gzip")
	post(t, h.Events, "x", "Content-Encoding: br")
	var rejected [event.Reasons]uint64
	rejected[event.BadType], rejected[event.BadJSON], rejected[event.BadEncoding] = 1, 3, 2
	testkit.Equal(t, stats(h), httpin.Stats{
		Requests: map[int]uint64{200: 2, 400: 6, 415: 1, 418: 1},
		Accepted: 2, Rejected: rejected, Incomplete: 1, Withheld: 5,
	})
	if _, ok := h.Stats().Requests[http.StatusServiceUnavailable]; !ok {
		t.Error("a status that was never given is missing")
	}
}
