package event_test

import (
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"dsiem/internal/event"
)

func TestReasonNamesAreDistinct(t *testing.T) {
	seen := map[string]bool{event.Reason(event.Reasons).String(): true}
	for r := range event.Reason(event.Reasons) {
		if name := r.String(); name == "" || seen[name] {
			t.Errorf("reason %d has the name %q of another one", r, name)
		} else {
			seen[name] = true
		}
	}
	if got := event.Reason(event.Reasons).String(); got != "unknown" {
		t.Errorf("a reason outside the set is called %q", got)
	}
}

func TestHashIDIsStableThroughItsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := event.HashID(rapid.String().Draw(t, "id"))
		if again := event.HashID(h.String()); again != h {
			t.Fatalf("%v read back is %v", h, again)
		}
	})
	if got := event.HashID("h:00000000000000af"); got != 0xaf {
		t.Errorf("the text of hash 0xaf is read as %v", got)
	}
	for _, id := range []string{"", "e1", "h:", "h:00000000000000AF", "h:00000000000000a", "h:00000000000000a ", "H:00000000000000af"} {
		if got, want := event.HashID(id), event.IDHash(xxhash.Sum64String(id)); got != want {
			t.Errorf("HashID(%q) = %v, want %v", id, got, want)
		}
	}
}
