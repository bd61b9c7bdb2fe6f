package correlate

import (
	"testing"

	"pgregory.net/rapid"
)

// TestStoreKeepsBacklogsApart takes and drops backlogs in any order and compares
// with a map: every backlog keeps what was written to it, a dropped one cannot be
// found, and a new one is empty.
func TestStoreKeepsBacklogsApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s store
		steps := map[handle]int64{}
		var handles []handle
		for n := range rapid.IntRange(0, 4*blockLen).Draw(t, "steps") {
			if len(handles) == 0 || rapid.IntRange(0, 9).Draw(t, "what") < rapid.IntRange(2, 8).Draw(t, "of ten") {
				b := s.take()
				if b.step != 0 || s.extra(b) != nil || steps[b.self] != 0 {
					t.Fatalf("place %d is not empty: %+v", b.self, *b)
				}
				b.step = int64(n + 1)
				s.more(b).rarely().id = "used"
				steps[b.self] = b.step
				handles = append(handles, b.self)
				continue
			}
			i := rapid.IntRange(0, len(handles)-1).Draw(t, "dropped")
			h := handles[i]
			handles[i] = handles[len(handles)-1]
			handles = handles[:len(handles)-1]
			s.drop(s.at(h))
			delete(steps, h)
			if s.find(h) != nil {
				t.Fatalf("place %d is found after it was dropped", h)
			}
		}
		for h, step := range steps {
			if b := s.find(h); b == nil || b.self != h || b.step != step {
				t.Fatalf("place %d has %+v, want step %d", h, b, step)
			}
		}
	})
}

// TestStoreGivesMemoryBack holds that what a burst took is given back, but for
// one block.
func TestStoreGivesMemoryBack(t *testing.T) {
	t.Parallel()
	var s store
	var handles []handle
	for range 10 * blockLen {
		handles = append(handles, s.take().self)
	}
	for _, h := range handles {
		s.drop(s.at(h))
	}
	kept := 0
	for i := range s.backlogs {
		if s.backlogs[i] != nil {
			kept++
		}
	}
	if kept > 1 || len(s.room) != len(s.blocks) {
		t.Errorf("%d blocks of %d are kept and %d have room, want 1 kept and room in all", kept, len(s.blocks), len(s.room))
	}
	for range 10 * blockLen {
		s.take()
	}
	if len(s.blocks) != len(handles)/blockLen {
		t.Errorf("there are %d blocks after the second burst, want those of the first, %d", len(s.blocks), len(handles)/blockLen)
	}
}
