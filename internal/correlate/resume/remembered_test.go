package resume_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/correlate/resume"
	"dsiem/internal/event"
)

func sample() *resume.Remembered {
	text := `{"event_id":"e1","timestamp":"2026-01-02T03:04:05.678Z","sensor":"s","plugin_id":1001,"plugin_sid":2,"src_ip":"10.0.0.1","dst_ip":"2001:db8::1"}`
	ev := new(event.Event)
	if rej := event.Decode([]byte(text), ev); rej != nil {
		panic(rej)
	}
	return &resume.Remembered{
		Events: []resume.RememberedEvent{{Arrival: 20, Event: ev}},
		Ended: []resume.EndedEvents{
			{Directive: 1, Age: 2, Events: []resume.EndedEvent{{Mark: 1 << 63, Group: 7, Opener: true}, {Mark: 3}}},
			{Directive: 2, Age: 0, Events: []resume.EndedEvent{{Mark: 4}}},
		},
		Latest: []resume.LatestEvent{{Directive: 1, Sent: -5}},
	}
}

// FuzzParse holds that a document is understood as it was meant, or refused.
func FuzzParse(f *testing.F) {
	f.Add(sample().AppendJSON(nil))
	f.Add([]byte(`{"ended":[{"directive":1,"age":-1,"events":"AAAAAAAAAAAAAAAAAAA="}]}`))
	f.Add([]byte(`{"events":[{"arrival":1,"event":{"event_id":"x"}}],"latest":null}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := resume.Parse(text)
		if err != nil {
			return
		}
		document := string(r.AppendJSON(nil))
		again, err := resume.Parse([]byte(document))
		if err != nil {
			t.Fatalf("its own document: %v", err)
		}
		if diff := cmp.Diff(document, string(again.AppendJSON(nil))); diff != "" {
			t.Fatalf("written - written again +:\n%s", diff)
		}
	})
}

// The parts of several engines make one: in order of arrival, each event once.
func TestCollect(t *testing.T) {
	t.Parallel()
	one, two := sample(), sample()
	two.Ended, two.Latest = nil, nil
	earlier, other := *two.Events[0].Event, *two.Events[0].Event
	earlier.ID = "e0"
	other.Seconds++ // another event with the same id
	one.Events = append(one.Events, resume.RememberedEvent{Arrival: 20, Event: &other})
	two.Events = []resume.RememberedEvent{{Arrival: 10, Event: &earlier}, one.Events[0], one.Events[1]}
	want := sample()
	want.Events = two.Events
	got := resume.Collect(slices.Values([]*resume.Remembered{one, two}))
	if diff := cmp.Diff(string(want.AppendJSON(nil)), string(got.AppendJSON(nil))); diff != "" {
		t.Error(diff)
	}
}
