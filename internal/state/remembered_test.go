package state_test

import (
	"iter"
	"os"
	"path/filepath"
	"testing"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate/resume"
	"dsiem/test/testkit"
)

// nothing is no backlogs.
func nothing(func(uint64, alarm.Saved) bool) {}

// twoEngines returns parts of what two engines remember, of each so many: the same events,
// and ends that take turns.
func twoEngines(parts int) iter.Seq[*resume.Remembered] {
	const events = 256
	return func(yield func(*resume.Remembered) bool) {
		for engine := range int64(2) {
			for i := range parts {
				part := &resume.Remembered{}
				for j := range events {
					part.Events = append(part.Events, resume.RememberedEvent{
						Arrival: int64(i*events + j), Event: anEvent("an event", int64(j), 1, 80),
					})
				}
				if !yield(part) {
					return
				}
			}
			for i := range int64(parts) {
				one := resume.EndedEvents{Directive: uint64(engine + 1), Age: 2*(int64(parts)-i) + engine, Events: make([]resume.EndedEvent, events)}
				if !yield(&resume.Remembered{Ended: []resume.EndedEvents{one}}) {
					return
				}
			}
			if !yield(&resume.Remembered{Latest: []resume.LatestEvent{{Directive: uint64(engine + 1), Sent: 5}}}) {
				return
			}
		}
	}
}

// What two engines remembered comes back in order, each event once, and no more than a
// few parts of it are in memory.
func TestRememberedIsReadInParts(t *testing.T) {
	const parts, most = 50, 1e6
	logDir := t.TempDir()
	store, _ := openStore(t, logDir)
	if _, err := store.Save(nothing, twoEngines(parts)); err != nil {
		t.Fatal(err)
	}
	before := inUse()
	events, ended, latest, calls, highest := 0, 0, 0, 0, 0.0
	age := int64(2*parts + 1)
	testkit.Check(t, store.LoadRemembered(func(r *resume.Remembered) {
		for _, one := range r.Events {
			if one.Arrival != int64(events) || one.Event.ID != "an event" || ended > 0 {
				t.Fatalf("event %d arrived at %d", events, one.Arrival)
			}
			events++
		}
		for _, one := range r.Ended {
			if one.Age != age || one.Directive != uint64(age%2+1) {
				t.Fatalf("an end of age %d, not %d", one.Age, age)
			}
			age--
			ended++
		}
		latest += len(r.Latest)
		if calls++; calls%25 == 0 {
			highest = max(highest, inUse()-before)
		}
	}))
	if events != parts*256 || ended != 2*parts || latest != 2 {
		t.Errorf("%d events, %d ends, %d latest events", events, ended, latest)
	}
	info, err := os.Stat(filepath.Join(logDir, "backlogs", "remembered.events"))
	testkit.Check(t, err)
	if highest == 0 || highest > most || info.Size() < 5*most {
		t.Errorf("%.0f bytes were held of %d", highest, info.Size())
	}
}

// Of a file of which the end is damaged nothing is remembered.
func TestRememberedOfADamagedFile(t *testing.T) {
	logDir := t.TempDir()
	store, _ := openStore(t, logDir)
	if _, err := store.Save(nothing, twoEngines(2)); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(logDir, "backlogs", "remembered.events")
	text, err := os.ReadFile(name)
	testkit.Check(t, err)
	testkit.Check(t, os.WriteFile(name, text[:len(text)-3], 0o600))
	testkit.Check(t, store.LoadRemembered(func(r *resume.Remembered) { t.Errorf("%d events are remembered", len(r.Events)) }))
}
