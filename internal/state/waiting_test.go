package state

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	if n, long, err := loadWaiting(path, func(data []byte) { got = append(got, string(data)) }); err != nil || n != 3 || long != 0 {
		t.Fatalf("%d events, %d lines too long, %v", n, long, err)
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
	if n, _, err := loadWaiting(path, nil); err != nil || n != 0 {
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
	if _, _, err := loadWaiting(filepath.Join(file, waitingName), nil); err == nil {
		t.Error("a path below a file can be read")
	}
}

// A line that is too long to be an event is passed over wherever it is, and costs
// neither the others nor the start.
func TestWaitingLinesThatAreTooLong(t *testing.T) {
	t.Parallel()
	const most = 2 * event.MaxSize
	long, longest := strings.Repeat("x", 3*most+7), strings.Repeat("y", most)
	for _, tt := range []struct {
		name, content string
		want          []string
		tooLong       int
	}{
		{"at the beginning", long + "\n1\n2\n", []string{"1", "2"}, 1},
		{"in between, twice", "1\n" + longest + "z\n\n" + long + "\n2\n", []string{"1", "", "2"}, 2},
		{"at the end, without a newline", "1\n" + long, []string{"1"}, 1},
		{"alone", long + "\n", nil, 1},
		{"just not too long", longest + "\n" + longest, []string{longest, longest}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), waitingName)
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			var got []string
			n, tooLong, err := loadWaiting(path, func(data []byte) { got = append(got, string(data)) })
			if err != nil || n != len(tt.want) || tooLong != tt.tooLong || !slices.Equal(got, tt.want) {
				t.Errorf("%d events, %d lines too long, %v", n, tooLong, err)
			}
		})
	}
}
