package state

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"dsiem/internal/event"
)

// textsOf is a batch of texts.
func textsOf(texts ...string) *event.Batch {
	b := event.NewBatch(nil)
	for _, text := range texts {
		b.AddText([]byte(text))
	}
	return b
}

func TestWaitingEventsComeBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "backlogs", waitingName)
	w := &Waiting{path: path}
	const text = "{\"event_id\":\"e1\",\n\"plugin_id\":1}"
	var ev event.Event
	if rej := event.Decode([]byte(`{"event_id":"e2","timestamp":"2024-01-01T00:00:00Z","src_ip":"10.0.0.1","dst_ip":"10.0.0.2","plugin_id":1,"plugin_sid":2,"rcvd_time":7}`), &ev); rej != nil {
		t.Fatal(rej)
	}
	carrier := event.Carrier{TraceParent: "p"}
	decoded := event.NewBatch(nil)
	decoded.Events, decoded.Carriers = append(decoded.Events, ev), []event.Carrier{carrier}
	w.Add(textsOf(text))
	w.Add(decoded)
	w.Add(textsOf("garbage"))
	if err := w.close(); err != nil || w.events != 3 {
		t.Fatalf("%d events, %v", w.events, err)
	}
	var got []string
	if n, err := loadWaiting(path, func(data []byte) { got = append(got, string(data)) }); err != nil || n != 3 {
		t.Fatalf("%d events, %v", n, err)
	}
	want := []string{`{"event_id":"e1", "plugin_id":1}`, string(event.AppendMessage(nil, &ev, carrier)), "garbage"}
	if !slices.Equal(got, want) {
		t.Errorf("loaded %q, want %q", got, want)
	}
}

func TestNoWaitingEventsMakeNoFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), waitingName)
	w := &Waiting{path: path}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	if n, err := loadWaiting(path, nil); err != nil || n != 0 {
		t.Errorf("%d events, %v", n, err)
	}
}

func TestWaitingEventsThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := &Waiting{path: filepath.Join(file, waitingName)}
	w.Add(textsOf("one", "two"))
	if err := w.close(); err == nil || w.events != 2 {
		t.Errorf("%d events, %v", w.events, err)
	}
	if _, err := loadWaiting(filepath.Join(file, waitingName), nil); err == nil {
		t.Error("a path below a file can be read")
	}
}
