package event_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"dsiem/internal/event"
)

// odd wants events with an odd plugin SID or a category of odd length.
func odd(id event.Identity) bool {
	return id.PluginSID%2 == 1 || len(id.Category)%2 == 1
}

// screened returns what a Screen makes of a text that it has for itself.
func screened(in string) (ev event.Event, o event.Outcome) {
	events, outcomes := make([]event.Event, 1), make([]event.Outcome, 1)
	events[0].ID = "of before"
	new(event.Screen).Decode([][]byte{[]byte(in)}, events, outcomes, oddOnes)
	return events[0], outcomes[0]
}

func TestScreenSkipsWhatNobodyWants(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		text(map[string]string{"plugin_id": "1", "plugin_sid": "2"}): true,
		text(map[string]string{"plugin_id": "1", "plugin_sid": "3"}): false,
		`{"plugin_id":1,"plugin_sid":2,"timestamp":7}`:               true,
		`{"plugin_id":1,"plugin_sid":2,"category":null}`:             true,
		`{"product":"p","category":"ab"}`:                            true,
		`{"product":"p","category":"abc"}`:                           false,
		`{"product":"p","category":"a\u0062"}`:                       false,
		`{"plugin_id":1,"plugin_sid":2,"category":"abc"}`:            true, // no product, no taxonomy
		`{"plugin_id":1,"plugin_sid":2`:                              false,
		`{"plugin_id":1,"plugin_sid":2,"plugin_sid":2}`:              false,
		`{"plugin_id":"1","plugin_sid":2}`:                           true, // D39
		`{"plugin_id":"1","plugin_sid":"","product":1}`:              false,
		`{"plugin_id":1.0,"plugin_sid":2e0}`:                         false, // decoded, as all that is unusual
		`{"plugin_id":1,"plugin_sid":2,"title":1,"title":[]}`:        true,
		"{\"plugin_id\":1,\"plugin_sid\":2,\"title\":\"\xff\"}":      true,
		`{"_source":{"plugin_id":1,"plugin_sid":2}}`:                 true,
		`{"plugin_id":1,"plugin_sid":-2}`:                            false,
		`{"plugin_id":1,"plugin_sid":99999999999999999998}`:          false,
		`{"plugin_id":0,"plugin_sid":2}`:                             false,
		`{"event_id":"x"}`:                                           false,
		`garbage`:                                                    false,
	} {
		ev, o := screened(in)
		if o.Skipped != want {
			t.Errorf("%s: skipped: %v (%v)", in, o.Skipped, o.Rejection)
		}
		if o.Skipped && (o.Rejection != nil || ev != (event.Event{})) {
			t.Errorf("%s is skipped, and also %v, %+v", in, o.Rejection, ev)
		}
	}
}

func TestScreenAllocatesNothingForWhatItSkips(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	in := [][]byte{[]byte(benchEvent(500))}
	events, outcomes := make([]event.Event, 1), make([]event.Outcome, 1)
	var s event.Screen
	if n := testing.AllocsPerRun(100, func() { s.Decode(in, events, outcomes, never) }); n != 0 || !outcomes[0].Skipped {
		t.Errorf("%v allocations", n)
	}
}

// FuzzScreen compares a Screen with Decode.
func FuzzScreen(f *testing.F) {
	for _, in := range []string{
		text(nil), benchEvent(500), `{}`, `garbage`, `{"plugin_id":1,"plugin_sid":2,"timestamp":7}`,
		`{"product":"p","category":"ab"}`, `{"plugin_id":1,"plugin_sid":2,"product":"p","category":"abc"}`,
		`{"plugin_id":18446744073709551615,"plugin_sid":18446744073709551616}`,
		with("plugin_sid", `"50001"`), with("plugin_sid", "5.0001e4"), with("product", "5"), with("title", "\"\xff\""), with("title", "{}"),
		`{"_source":` + text(nil) + `}`, `{"title":"a",` + with("title", "2")[1:], "\x00" + text(nil),
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var want event.Event
		wantRej := event.Decode(in, &want)
		got, o := screened(string(in))
		checkNeighbours(t, in, &got, o)
		rej := o.Rejection
		if o.Skipped {
			if rej != nil || got != (event.Event{}) {
				t.Fatalf("%q is skipped, and also %v, %+v", in, rej, got)
			}
			if wantRej != nil {
				switch wantRej.Reason {
				case event.TooLarge, event.BadEncoding, event.BadJSON, event.DuplicateKey, event.NoIdentity:
					t.Fatalf("%q is skipped, but it is %v", in, wantRej)
				default: // what is not looked at
				}
				return
			}
			if want.HasPlugin() && want.PluginSID%2 == 1 || want.HasTaxonomy() && len(want.Category)%2 == 1 {
				t.Fatalf("%q is skipped, but it is wanted", in)
			}
			return
		}
		if got != want || (rej == nil) != (wantRej == nil) || rej != nil && *rej != *wantRej {
			t.Fatalf("%q: %+v, %v; want %+v, %v", in, got, rej, want, wantRej)
		}
	})
}

// oddOnes is odd for several events.
func oddOnes(ids []event.Identity, wanted []bool) {
	for i, id := range ids {
		wanted[i] = odd(id)
	}
}

// never wants nothing.
func never(_ []event.Identity, wanted []bool) { clear(wanted) }

// checkNeighbours checks that a Screen makes the same of a text among others of any
// kind as of one that it has for itself.
func checkNeighbours(t *testing.T, in []byte, ev *event.Event, want event.Outcome) {
	t.Helper()
	var texts [][]byte
	for range 5 {
		texts = append(texts, []byte(`{"plugin_id":1,"plugin_sid":2}`), in, []byte(benchEvent(500)), []byte("garbage"))
	}
	events, outcomes := make([]event.Event, len(texts)), make([]event.Outcome, len(texts))
	for i := range events {
		events[i].ID, outcomes[i].Skipped = "of before", i%2 == 0
	}
	new(event.Screen).Decode(texts, events, outcomes, oddOnes)
	for i := 1; i < len(texts); i += 4 {
		got := outcomes[i]
		if events[i] != *ev || got.Skipped != want.Skipped || (got.Rejection == nil) != (want.Rejection == nil) ||
			got.Rejection != nil && *got.Rejection != *want.Rejection {
			t.Fatalf("%q is %+v, %+v on a screen, want %+v, %+v", in, events[i], got, *ev, want)
		}
		if !outcomes[i-1].Skipped || outcomes[i+1].Rejection != nil || outcomes[i+2].Rejection == nil {
			t.Fatalf("the neighbours of %q are %+v", in, outcomes[i-1:i+3])
		}
	}
}

func BenchmarkScreenSkipped(b *testing.B) {
	in := [][]byte{[]byte(benchEvent(500))}
	events, outcomes := make([]event.Event, 1), make([]event.Outcome, 1)
	b.SetBytes(int64(len(in[0])))
	b.ReportAllocs()
	var s event.Screen
	for b.Loop() {
		s.Decode(in, events, outcomes, never)
	}
}

// benchTraffic returns events of three senders that write their keys in different
// orders, with values of different lengths: an event that is decoded again and
// again teaches the processor's branch prediction where everything is.
func benchTraffic() [][]byte {
	const events, senders = 512, 3
	random := rand.New(rand.NewPCG(1, 2))
	words := func(least, most int) string {
		return strings.Repeat("exploit attempt ", most/16+1)[:least+random.IntN(most-least+1)]
	}
	orders := [senders][]int{}
	all := make([][]byte, events)
	for i := range all {
		members := []string{
			fmt.Sprintf(`"event_id":"%020x"`, random.Uint64()),
			fmt.Sprintf(`"timestamp":"2023-06-16T08:41:%02d.%dZ"`, random.IntN(60), random.IntN(1e6)),
			`"sensor":"` + words(5, 20) + `"`, `"title":"` + words(20, 80) + `"`,
			`"product":"` + words(8, 30) + `"`, `"category":"` + words(8, 40) + `"`,
			fmt.Sprintf(`"plugin_id":%d`, 1001+random.IntN(50)), fmt.Sprintf(`"plugin_sid":%d`, 1+random.IntN(1e7)),
			fmt.Sprintf(`"src_ip":"10.%d.%d.%d"`, random.IntN(256), random.IntN(256), random.IntN(256)),
			fmt.Sprintf(`"dst_ip":"192.168.%d.%d"`, random.IntN(256), random.IntN(256)),
			fmt.Sprintf(`"src_port":%d`, random.IntN(65536)), fmt.Sprintf(`"dst_port":%d`, random.IntN(1024)),
			`"protocol":"TCP"`, `"custom_label1":"http_uri"`, `"custom_data1":"` + words(5, 60) + `"`,
			fmt.Sprintf(`"rcvd_time":%d`, 1686904882987654321+random.Int64N(1e12)),
		}
		sender := i % senders
		if orders[sender] == nil {
			orders[sender] = random.Perm(len(members))
		}
		ordered := make([]string, len(members))
		for at, from := range orders[sender] {
			ordered[at] = members[from]
		}
		all[i] = []byte("{" + strings.Join(ordered, ",") + "}")
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func BenchmarkScreenSkippedTraffic(b *testing.B) {
	traffic := benchTraffic()
	events, outcomes := make([]event.Event, len(traffic)), make([]event.Outcome, len(traffic))
	b.ReportAllocs()
	var s event.Screen
	n := 0
	for ; b.Loop(); n++ {
		s.Decode(traffic, events, outcomes, never)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*len(traffic)), "ns/event")
}

func BenchmarkDecodeTraffic(b *testing.B) {
	traffic := benchTraffic()
	b.ReportAllocs()
	var ev event.Event
	for i := 0; b.Loop(); i++ {
		if rej := event.Decode(traffic[i%len(traffic)], &ev); rej != nil {
			b.Fatal(rej)
		}
	}
}
