package event_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/event"
)

// origin is what ReadOrigin returns.
type origin struct {
	ID       string
	Number   uint64
	Received int64
	OK       bool
}

func readOrigin(data []byte) origin {
	id, number, received, ok := event.ReadOrigin(data)
	return origin{string(id), number, received, ok}
}

// readWhole is the same by a look at all members, the last ones with their names.
// It returns false for what is no JSON object.
func readWhole(data []byte) (o origin, object bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil || members == nil {
		return o, false
	}
	number, numberErr := strconv.ParseUint(string(members["conn_id"]), 10, 64)
	received, receivedErr := strconv.ParseInt(string(members["rcvd_time"]), 10, 64)
	idErr := json.Unmarshal(members["frontend_id"], &o.ID)
	o.Number, o.Received, o.OK = number, received, numberErr == nil && receivedErr == nil && idErr == nil
	return o, true
}

func TestReadOriginReadsWhatAppendOriginWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ev, carrier := anEvent().Draw(t, "event"), aCarrier().Draw(t, "carrier")
		ev.ReceivedAt = rapid.Int64Min(0).Draw(t, "received")
		number := rapid.Uint64Max(math.MaxInt64).Draw(t, "number")
		id := event.FrontendID(rapid.String().Draw(t, "node"), rapid.String().Draw(t, "start"))
		plain := event.AppendMessage(nil, &ev, carrier)
		if got := readOrigin(plain); got.OK {
			t.Fatalf("%s: %+v, and nobody has published it", plain, got)
		}
		in := event.AppendOrigin([]byte("x"), plain, id, number)[1:]
		want := origin{id, number, ev.ReceivedAt, true}
		if diff := cmp.Diff(want, readOrigin(in)); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", in, diff)
		}
		if whole, _ := readWhole(in); whole != want {
			t.Fatalf("%s: all members say %+v, want %+v", in, whole, want)
		}
		if grown := len(in) - len(plain); grown > event.OriginSize {
			t.Fatalf("%s is %d bytes longer, at most %d are promised", in, grown, event.OriginSize)
		}
		// All others read the same event and trace as before.
		var got event.Event
		if rej := event.Decode(in, &got); rej != nil {
			t.Fatalf("%s: %v", in, rej)
		}
		ev.ConnID = number
		if diff := cmp.Diff(ev, got, compare); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", in, diff)
		}
		if got := event.ReadCarrier(in); got != carrier {
			t.Fatalf("%s: carrier %+v, want %+v", in, got, carrier)
		}
	})
}

// tail is the end of a message of ours.
const tail = `,"rcvd_time":3,"conn_id":7,"frontend_id":"f/1"}`

func TestReadOrigin(t *testing.T) {
	t.Parallel()
	ours := origin{"f/1", 7, 3, true}
	quoted := strconv.Quote(tail)
	for _, c := range []struct {
		name, in string
		want     origin
	}{
		{"ours", `{"event_id":"e1"` + tail, ours},
		{"twice, the last one counts", `{"conn_id":8,"frontend_id":"g/2","rcvd_time":4` + tail, ours},
		{"a text that looks the same in front", `{"custom_data1":` + quoted + tail, ours},
		{"a text that looks the same", `{"custom_data1":` + quoted + `}`, origin{}},
		{"a text that looks the same and ends the same", `{"custom_data1":"` + strings.TrimSuffix(quoted[1:], `}"`) + `"}`, origin{}},
		{"an object within", `{"a":{"b":1` + tail + `}`, origin{}},
		{"original", `{"conn_id":7,"event_id":"e1","protocol":"ICMP","rcvd_time":3}`, origin{}},
		{"successor", `{"event_id":"e1","conn_id":7,"rcvd_time":3,"carrier":{"traceparent":"x"}}`, origin{}},
		{"no number", `{"a":1,"rcvd_time":3,"conn_id":,"frontend_id":"f/1"}`, origin{}},
		{"number of another kind", `{"a":1,"rcvd_time":3,"conn_id":-7,"frontend_id":"f/1"}`, origin{}},
		{"number with a fraction", `{"a":1,"rcvd_time":3,"conn_id":1.7,"frontend_id":"f/1"}`, origin{}},
		{"number of 20 digits", `{"a":1,"rcvd_time":3,"conn_id":18446744073709551615,"frontend_id":"f/1"}`, origin{}},
		{"time of 19 digits", `{"a":1,"rcvd_time":9223372036854775807,"conn_id":7,"frontend_id":"f/1"}`, origin{"f/1", 7, math.MaxInt64, true}},
		{"time out of range", `{"a":1,"rcvd_time":9223372036854775808,"conn_id":7,"frontend_id":"f/1"}`, origin{}},
		{"time below 0", `{"a":1,"rcvd_time":-3,"conn_id":7,"frontend_id":"f/1"}`, origin{}},
		{"no id", `{"a":1,"rcvd_time":3,"conn_id":7,"frontend_id":""}`, origin{}},
		{"long id", `{"a":1,"rcvd_time":3,"conn_id":7,"frontend_id":"` + strings.Repeat("f", 97) + `"}`, origin{}},
		{"id with an escape", `{"a":1,"rcvd_time":3,"conn_id":7,"frontend_id":"\u0066"}`, origin{}},
		{"id that is not ASCII", `{"a":1,"rcvd_time":3,"conn_id":7,"frontend_id":"é"}`, origin{}},
		{"a line break behind it", `{"a":1` + tail + "\n", origin{}},
		{"cut off in front", tail[1:], origin{}},
		{"the end alone", `"}`, origin{}},
		{"nothing", ``, origin{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, readOrigin([]byte(c.in))); c.want.OK && diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.in, diff)
			} else if got := readOrigin([]byte(c.in)); got.OK != c.want.OK {
				t.Errorf("%s: %+v, want %+v", c.in, got, c.want)
			}
		})
	}
}

// FuzzReadOrigin: of a JSON object ReadOrigin says nothing, or what a look at all
// members says.
func FuzzReadOrigin(f *testing.F) {
	f.Add([]byte(`{"event_id":"e1"` + tail))
	f.Add([]byte(`{"a":"\\","b":` + strconv.Quote(tail) + tail))
	f.Add([]byte(`{"a":{"b":"` + tail + `}`))
	f.Add([]byte(`{"a":"` + tail))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		got := readOrigin(data)
		if whole, object := readWhole(data); got.OK && object && got != whole {
			t.Errorf("%s: %+v, all members say %+v", data, got, whole)
		}
		if !bytes.Equal(before, data) {
			t.Error("the text has changed")
		}
		// What others have written is published as it is, or with another number.
		again := event.AppendOrigin(nil, data, "f/1", 5)
		if o := readOrigin(again); !bytes.Equal(again, data) && o.OK && (o.ID != "f/1" || o.Number != 5) {
			t.Errorf("%s: published as %s", data, again)
		}
	})
}

func TestFrontendID(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 100)
	for _, c := range []struct{ node, start, id, name string }{
		{"frontend0", "x7", "frontend0/x7", "frontend0"},
		{"a/b", "x7", "a/b/x7", "a/b"},
		{"", "x7", "/x7", "/x7"},
		{"a \"\\\n\x7fé", "/", `a _____//`, `a _____/`},
		{long, long, long[:64] + "/" + long[:31], long[:64]},
	} {
		id := event.FrontendID(c.node, c.start)
		if id != c.id {
			t.Errorf("%q, %q: %q, want %q", c.node, c.start, id, c.id)
		}
		if name := event.FrontendName(id); name != c.name {
			t.Errorf("%q: name %q, want %q", id, name, c.name)
		}
		if !event.IsFrontendID(id) {
			t.Errorf("%q has not the form of an id", id)
		}
	}
	for _, id := range []string{"", "f/\n", "f\"/1", "f\\/1", "é/1", "f\x80/1", strings.Repeat("f", 97)} {
		if event.IsFrontendID(id) {
			t.Errorf("%q has the form of an id", id)
		}
	}
	if got := event.FrontendName("other"); got != "other" {
		t.Errorf("name %q, want other", got)
	}
}

// originMessage is a message as it is published.
func originMessage(tb testing.TB) (plain, published []byte) {
	tb.Helper()
	var ev event.Event
	if rej := event.Decode([]byte(benchEvent(500)), &ev); rej != nil {
		tb.Fatal(rej)
	}
	ev.ReceivedAt, ev.ConnID = 1795369513089910369, 123_456_789
	plain = event.AppendMessage(nil, &ev, event.Carrier{TraceParent: aParent})
	return plain, event.AppendOrigin(nil, plain, event.FrontendID("dsiem-frontend-1", "abcdefghijkl"), 123_456_789)
}

func TestOriginDoesNotAllocate(t *testing.T) {
	plain, published := originMessage(t)
	buf := make([]byte, 0, 4096)
	if got := testing.AllocsPerRun(100, func() {
		buf = event.AppendOrigin(buf[:0], plain, "f/1", 7)
		event.ReadOrigin(published)
	}); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

func BenchmarkReadOrigin(b *testing.B) {
	_, published := originMessage(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, ok := event.ReadOrigin(published); !ok {
			b.Fatal("no origin")
		}
	}
}

func BenchmarkAppendOrigin(b *testing.B) {
	plain, _ := originMessage(b)
	id := event.FrontendID("dsiem-frontend-1", "abcdefghijkl")
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = event.AppendOrigin(buf[:0], plain, id, 123_456_789)
	}
}
