package backlogs

import "strings"

// IDLength is the length of an alarm's id.
const IDLength = 16

// SetID gives a backlog an id of any form.
func (s *Store) SetID(b *Backlog, id string) {
	if len(id) == IDLength && id[0] != 0 {
		copy(b.ID[:], id)
		return
	}
	s.More(b).Rarely().id = id
}

// ID returns the id of a backlog.
func (s *Store) ID(b *Backlog) string {
	if b.ID[0] == 0 {
		return s.Extra(b).Rare.id
	}
	return s.texts.of(b.ID[:])
}

// idTexts makes texts of ids, many in one piece of memory.
type idTexts struct {
	block strings.Builder
	last  string
}

// idBlock is the size of a piece of memory: what a text that is kept keeps alive.
const idBlock = 64 * IDLength

func (t *idTexts) of(id []byte) string {
	if t.last != string(id) {
		if t.block.Cap()-t.block.Len() < len(id) {
			t.block.Reset()
			t.block.Grow(idBlock)
		}
		from := t.block.Len()
		t.block.Write(id)
		t.last = t.block.String()[from:]
	}
	return t.last
}
