package event_test

import (
	"fmt"
	"regexp"
	"sync"
	"testing"

	"dsiem/internal/event"
)

var sixteen = regexp.MustCompile(`^[0-9A-Za-z]{16}$`)

// D34: an input given twice is the same events, and nothing else is.
func TestRecordID(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, base := range []string{"", "a", "a.ndjson", "stdin"} {
		for number := range 3 {
			for _, record := range []string{"", "{}", "a", `{"src_ip":"10.0.0.1"}`} {
				id, of := event.RecordID(base, number, []byte(record)), fmt.Sprint(base, number, record)
				if other, ok := seen[id]; ok || !sixteen.MatchString(id) {
					t.Errorf("the id of %q is %q, which is also that of %q", of, id, other)
				}
				if again := event.RecordID(base, number, []byte(record)); again != id {
					t.Errorf("the id of %q is %q, and then %q", of, id, again)
				}
				seen[id] = of
			}
		}
	}
	const want = "kHvsDifiJMqtFCK8" // the same in each version, so that a replay updates its alarms
	if got := event.RecordID("a.ndjson", 1, []byte("{}")); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestIDsAreUnique(t *testing.T) {
	t.Parallel()
	const each = 1000
	var mu sync.Mutex
	var group sync.WaitGroup
	seen := map[string]bool{}
	for _, ids := range []*event.IDs{event.NewIDs(0), event.NewIDs(1), event.NewIDs(1 << 40)} {
		for range 2 {
			group.Go(func() {
				for range each {
					id := ids.Next()
					mu.Lock()
					if seen[id] || !sixteen.MatchString(id) {
						t.Errorf("id %q", id)
					}
					seen[id] = true
					mu.Unlock()
				}
			})
		}
	}
	group.Wait()
}

// D34: a message that is delivered again, or to another backend, keeps its id.
func TestIDsOfMessages(t *testing.T) {
	t.Parallel()
	one, other := event.NewIDs(1), event.NewIDs(2)
	a, b := []byte(`{"conn_id":7,"rcvd_time":1}`), []byte(`{"conn_id":7,"rcvd_time":2}`)
	id := one.OfMessage(a, 7)
	if !sixteen.MatchString(id) || one.OfMessage(a, 7) != id || other.OfMessage(a, 7) != id || one.OfMessage(b, 7) == id {
		t.Errorf("ids %q, %q, %q, %q", id, one.OfMessage(a, 7), other.OfMessage(a, 7), one.OfMessage(b, 7))
	}
	first, second := one.OfMessage(a, 0), one.OfMessage(a, 0)
	if first == second || first == other.OfMessage(a, 0) || !sixteen.MatchString(first) {
		t.Errorf("without a number: %q, %q", first, second)
	}
}
