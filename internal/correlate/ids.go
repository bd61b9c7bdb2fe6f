package correlate

import "strings"

// idLength is the length of an alarm's id.
const idLength = 16

// setID gives a backlog an id of any form.
func (s *store) setID(b *backlog, id string) {
	if len(id) == idLength && id[0] != 0 {
		copy(b.id[:], id)
		return
	}
	s.more(b).rarely().id = id
}

// id returns the id of a backlog.
func (s *store) id(b *backlog) string {
	if b.id[0] == 0 {
		return s.extra(b).rare.id
	}
	return s.texts.of(b.id[:])
}

// idTexts makes texts of ids, many in one piece of memory.
type idTexts struct {
	block strings.Builder
	last  string
}

// idBlock is the size of a piece of memory: what a text that is kept keeps alive.
const idBlock = 64 * idLength

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
