package httpin_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"dsiem/internal/event"
	"dsiem/internal/input/httpin"
)

// FuzzBody checks that no body makes the handler panic, that it delivers once and
// says what it has not taken, and that backends can read what it delivers.
func FuzzBody(f *testing.F) {
	bodies := []string{
		"", "[]", "x", "{}", ev("a"), ev("a") + "\n" + ev("b"), "[" + ev("a") + "," + ev("b") + "]", "[" + ev("a") + ",{}]", "\ufeff" + ev(`\u0061\"`),
		ev("a", `"custom_data1":null`), ev("a", `"src_port":-1`), ev("a", `"title":"\ud83d\ude00}"`), ev("") + ev("b"), alert, flow + alert,
		ev("a", `"timestamp":"+2001-1-1 0:0:60.5 utc"`), ev("a", `"src_ip":"::ffff:1.2.3.4"`), ev("a", "\"title\":\"\xff\\udc00\""),
		ev("a") + "[{},1]\ufeff" + ev(""), "h s: @cee: " + alert, `{"_source":` + ev("a") + "}", "\x00" + ev("a", `"src_port":"8"`),
	}
	for _, in := range bodies {
		for encoding := range uint8(3) {
			text := in
			switch encoding {
			case 1:
				text = zip(in)
			case 2:
				text = zst(in)
			}
			f.Add([]byte(text), encoding, false)
			f.Add([]byte(text[:len(text)*3/4]), encoding, true)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, encoding uint8, eve bool) {
		delivered := 0
		h := httpin.New(httpin.Options{MaxBody: 1 << 16, Deliver: func(_ context.Context, b *event.Batch) error {
			if delivered++; delivered > 1 || len(b.Events) == 0 {
				t.Errorf("delivery %d of %d events", delivered, len(b.Events))
			}
			for i := range b.Events {
				checkEvent(t, &b.Events[i], uint64(i)+1)
			}
			return nil
		}})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/events", strings.NewReader(string(in)))
		r.Header.Set("Content-Encoding", []string{"", "gzip", "zstd"}[encoding%3])
		w := httptest.NewRecorder()
		if eve {
			h.SuricataEVE(w, r)
		} else {
			h.Events(w, r)
		}
		s := h.Stats()
		rejected := uint64(0)
		for _, n := range s.Rejected {
			rejected += n
		}
		switch taken := w.Code == http.StatusOK; {
		case taken && (w.Body.Len() > 0) != (rejected > 0), taken && rejected > 0 && s.Accepted == 0, taken != (rejected == 0 || s.Accepted > 0) && w.Code != http.StatusRequestEntityTooLarge:
			t.Errorf("%d %q with %d events and %d rejected", w.Code, w.Body, s.Accepted, rejected)
		case !taken && (delivered > 0 || s.Accepted > 0 || !strings.HasSuffix(w.Body.String(), "\n")):
			t.Errorf("%d %q with %d deliveries of %d events", w.Code, w.Body, delivered, s.Accepted)
		case strings.Count(w.Body.String(), "\n") > 1, s.Requests[w.Code] != 1:
			t.Errorf("%d %q, counted %v", w.Code, w.Body, s.Requests)
		}
	})
}

func checkEvent(t *testing.T, ev *event.Event, number uint64) {
	t.Helper()
	ev.Repaired = 0 // it is about the text
	if ev.ID == "" || ev.ConnID != number || ev.ReceivedAt == 0 {
		t.Errorf("event %+v", ev)
	}
	var again event.Event
	text := event.AppendMessage(nil, ev, event.Carrier{})
	if rej := event.Decode(text, &again); rej != nil || again != *ev {
		t.Errorf("%s is read as %+v, %v", text, again, rej)
	}
}
