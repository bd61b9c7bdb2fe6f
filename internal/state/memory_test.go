package state_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"dsiem/internal/alarm"
	"dsiem/internal/state"
)

// inUse returns the bytes of memory that are in use.
func inUse() float64 {
	runtime.GC()
	runtime.GC() // what the first one has only marked as garbage
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// A stop with many backlogs of one directive starts again in the memory that they need:
// nothing of them is larger than it was, and beside them there are no more than their
// ids, however large their file is.
func TestStartNeedsTheMemoryOfTheState(t *testing.T) {
	const many, parts, most = 10_000, 10, 1.3
	makeEngine := engines(t, fixture(t, "scan_directives.json"))
	dir := t.TempDir()
	empty := inUse()
	before := makeEngine()
	for i := range many {
		for sid := range uint64(2) {
			ev := anEvent(fmt.Sprint("event ", i, " ", sid), int64(sid), sid+1, 80)
			ev.SrcIP = netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
			ev.CustomData[0], ev.CustomLabel[0] = "root", "user"
			before.Step((start+int64(sid))*1e9, ev)
		}
	}
	running := inUse() - empty
	save(t, dir, before.Save())
	want := before.Stats().Live
	runtime.KeepAlive(before)
	before = nil

	empty = inUse()
	after, n, highest := makeEngine(), 0, 0.0
	loaded, err := state.Load(dir, []uint64{1}, func(id uint64, s *alarm.Saved) error {
		if n++; n%(many/parts) == 0 {
			highest = max(highest, inUse()-empty)
		}
		return after.Restore(id, s)
	})
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Restored != want || want != many {
		t.Fatalf("%d of %d backlogs restored: %v", loaded.Restored, want, loaded.Problems)
	}
	highest = max(highest, inUse()-empty)
	loaded = nil
	restored := inUse() - empty
	runtime.KeepAlive(after)
	t.Logf("%.1f MB running, at most %.1f MB during the start, %.1f MB after it", running/1e6, highest/1e6, restored/1e6)
	if highest > most*running {
		t.Errorf("the start needed %.2f times the memory of the state, not at most %.2f", highest/running, most)
	}
	if restored > running {
		t.Errorf("the restored state is %.2f times as large as before", restored/running)
	}
}
