package backlogs

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"dsiem/internal/correlate/memory"
)

// TestStoreKeepsBacklogsApart lets bursts of backlogs come and go in any order and
// compares with a map: every backlog keeps what was written to it, a dropped one
// cannot be found, a new one is empty, and memory is held for used blocks only.
func TestStoreKeepsBacklogsApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := storeModel{steps: map[Handle]int64{}}
		m.store.KnowVariant(0)
		for range rapid.IntRange(1, 8).Draw(t, "bursts") {
			for range rapid.IntRange(0, 3*blockLen).Draw(t, "opened") {
				m.take(t)
			}
			draw := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
			for range rapid.IntRange(0, len(m.handles)).Draw(t, "ended") {
				m.drop(t, draw.IntN(len(m.handles)))
			}
			m.check(t)
		}
	})
}

// storeModel is a store with what must be in it.
type storeModel struct {
	store   Store
	handles []Handle
	steps   map[Handle]int64
	taken   int64
}

func (m *storeModel) take(t *rapid.T) {
	b := m.store.Take()
	if *b != (Backlog{Self: b.Self}) || m.store.Extra(b) != nil || m.steps[b.Self] != 0 {
		t.Fatalf("place %d is not empty: %+v", b.Self, *b)
	}
	m.taken++
	b.Step = m.taken
	m.store.More(b).Rarely().id = "used"
	m.steps[b.Self] = b.Step
	m.handles = append(m.handles, b.Self)
}

func (m *storeModel) drop(t *rapid.T, i int) {
	h, last := m.handles[i], len(m.handles)-1
	m.handles[i] = m.handles[last]
	m.handles = m.handles[:last]
	delete(m.steps, h)
	m.store.Drop(m.store.At(h))
	if m.store.Find(h) != nil {
		t.Fatalf("place %d is found after it was dropped", h)
	}
}

func (m *storeModel) check(t *rapid.T) {
	used := make([]int32, len(m.store.blocks))
	for h, step := range m.steps {
		used[int(h-1)/blockLen]++
		if b := m.store.Find(h); b == nil || b.Self != h || b.Step != step {
			t.Fatalf("place %d has %+v, want step %d", h, b, step)
		}
	}
	empty := 0
	for i, k := range m.store.blocks {
		if k.used != used[i] || slices.Contains(m.store.room, int32(i)) != (used[i] < blockLen) {
			t.Fatalf("block %d has %d used places instead of %d; room %v", i, k.used, used[i], m.store.room)
		}
		if m.store.backlogs[i] != nil && used[i] == 0 {
			empty++
		}
	}
	all := 0
	for range m.store.All() {
		all++
	}
	if empty > 1 || all != len(m.handles) || !slices.IsSortedFunc(m.store.room, func(a, b int32) int { return cmp.Compare(b, a) }) {
		t.Fatalf("%d empty blocks, %d backlogs of %d, room %v", empty, all, len(m.handles), m.store.room)
	}
}

// TestMemoryIsGivenBack holds that what a burst took is given back, but for one
// block, whichever backlogs end first.
func TestMemoryIsGivenBack(t *testing.T) {
	t.Parallel()
	const burst = 100 * blockLen
	for name, order := range map[string]func([]Handle){"oldest first": func([]Handle) {}, "newest first": slices.Reverse[[]Handle]} {
		var s Store
		all := Timers{Store: &s}
		for range 2 { // a second burst takes no more than the first
			var handles []Handle
			for i := range burst {
				b := s.Take()
				b.Deadline = int64(i)
				all.Push(b)
				handles = append(handles, b.Self)
			}
			order(handles)
			for i, h := range handles {
				all.Remove(s.At(h))
				s.Drop(s.At(h))
				if left := burst - i - 1; cap(all.heap) > max(slack*left+slack, memory.WorthFreeing) {
					t.Fatalf("%s: room for %d timers with %d left", name, cap(all.heap), left)
				}
			}
		}
		kept := 0
		for i := range s.backlogs {
			if s.backlogs[i] != nil {
				kept++
			}
		}
		if blocks := burst / blockLen; kept != 1 || len(s.blocks) != blocks || len(s.room) != blocks {
			t.Errorf("%s: %d blocks of %d are kept and %d have room, want 1 of %d and room in all", name, kept, len(s.blocks), len(s.room), blocks)
		}
	}
}
