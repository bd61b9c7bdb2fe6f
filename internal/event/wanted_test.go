package event_test

import (
	"testing"

	"dsiem/internal/event"
)

// odd wants events with an odd plugin SID or a category of odd length.
func odd(id event.Identity) bool {
	return id.PluginSID%2 == 1 || len(id.Category)%2 == 1
}

func TestDecodeWantedSkipsWhatNobodyWants(t *testing.T) {
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
		`{"plugin_id":"1","plugin_sid":2}`:                           false,
		`{"plugin_id":1,"plugin_sid":-2}`:                            false,
		`{"plugin_id":1,"plugin_sid":99999999999999999998}`:          false,
		`{"plugin_id":0,"plugin_sid":2}`:                             false,
		`{"event_id":"x"}`:                                           false,
		`garbage`:                                                    false,
	} {
		var ev event.Event
		rej, skipped := event.DecodeWanted([]byte(in), &ev, odd)
		if skipped != want {
			t.Errorf("%s: skipped: %v (%v)", in, skipped, rej)
		}
		if skipped && (rej != nil || ev != (event.Event{})) {
			t.Errorf("%s is skipped, and also %v, %+v", in, rej, ev)
		}
	}
}

func TestDecodeWantedAllocatesNothingForWhatItSkips(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	in := []byte(benchEvent(500))
	never := func(event.Identity) bool { return false }
	var ev event.Event
	if n := testing.AllocsPerRun(100, func() { _, _ = event.DecodeWanted(in, &ev, never) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzDecodeWanted compares DecodeWanted with Decode.
func FuzzDecodeWanted(f *testing.F) {
	for _, in := range []string{
		text(nil), benchEvent(500), `{}`, `garbage`, `{"plugin_id":1,"plugin_sid":2,"timestamp":7}`,
		`{"product":"p","category":"ab"}`, `{"plugin_id":1,"plugin_sid":2,"product":"p","category":"abc"}`,
		`{"plugin_id":18446744073709551615,"plugin_sid":18446744073709551616}`,
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var got, want event.Event
		rej, skipped := event.DecodeWanted(in, &got, odd)
		wantRej := event.Decode(in, &want)
		if skipped {
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

func BenchmarkDecodeSkipped(b *testing.B) {
	in := []byte(benchEvent(500))
	never := func(event.Identity) bool { return false }
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	var ev event.Event
	for b.Loop() {
		if _, skipped := event.DecodeWanted(in, &ev, never); !skipped {
			b.Fatal("not skipped")
		}
	}
}
