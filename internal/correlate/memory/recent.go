package memory

import (
	"encoding/binary"
	"iter"

	"dsiem/internal/event"
)

// Recent holds the events of the last seconds that match a stage after the first,
// whatever was live then, for backlogs that reach that stage only now.
//
// Nearly all events come in order, and then nothing is looked up: remembering one
// is a copy of it without pointers, one of its texts, and a match for each stage.
// Only when a stage begins that has seen a later event are the matches linked, by
// what the stage's backlogs refer to.
type Recent struct {
	// Seconds is how long an event is remembered, 0 if none is, Most how many, and
	// MostBytes how much memory they may take.
	Seconds     int64
	Most        int
	MostBytes   int
	events      ring[Event]
	matches     ring[Match]
	texts       texts
	firstText   uint64 // position of the texts of the oldest event
	chains      chains
	firstUnlink uint32 // place of the first match that is not linked
}

// Event is a remembered event, but for its texts.
type Event struct {
	Src, Dst Address
	// Sent is its time and Arrival that of its arrival, in UNIX nanoseconds.
	Sent, Arrival       int64
	PluginID, PluginSID uint64
	ID                  event.IDHash
	text                uint64 // position of its texts
	Match, Matches      uint32 // place of the first of its matches, and their number
	SrcPort, DstPort    uint16
}

// Time returns the time that the event counts as (D28).
func (k *Event) Time() int64 { return min(k.Sent, k.Arrival) }

// Match says that an event matches a stage, but for its references.
type Match struct {
	// Latest is the largest time of the events of the chain up to this one.
	Latest int64
	Hash   uint32
	Event  uint32 // place
	// Key is what the event was posted for.
	Key int32
	// back is how far before it the next older one of the chain is, 0 if it is the
	// oldest.
	back uint32
}

// The sizes of what is remembered, with that of the chains.
const eventSize, matchSize = 96, 24 + 4*4

// Bytes returns how much memory is in use.
func (m *Recent) Bytes() int {
	return m.events.len()*eventSize + m.matches.len()*matchSize + int(m.texts.next-m.firstText)
}

// pop forgets the oldest event.
func (m *Recent) pop() {
	for range m.events.at(m.events.first).Matches {
		if m.firstUnlink == m.matches.first {
			m.firstUnlink++
		}
		m.matches.pop()
	}
	m.events.pop()
	m.firstText = m.texts.next
	if m.events.len() > 0 {
		m.firstText = m.events.at(m.events.first).text
	}
	m.texts.release(m.firstText)
}

// Forget forgets what arrived before a time.
func (m *Recent) Forget(before int64) {
	if m.events.len() == 0 {
		return
	}
	for m.events.len() > 0 && m.events.at(m.events.first).Arrival < before {
		m.pop()
	}
	if m.events.len() == 0 { // gives the memory of a burst back
		m.chains, m.texts.spare, m.matches.spare, m.events.spare = chains{}, nil, nil, nil
	}
}

// Add remembers the texts of an event and returns where the rest of it is to be put, its
// place, and how many others had to go.
func (m *Recent) Add(ev *event.Event) (k *Event, place uint32, forgotten uint64) {
	for m.events.len() > 0 && (m.events.len() >= m.Most || m.Bytes() > m.MostBytes) {
		m.pop()
		forgotten++
	}
	k, place = m.events.push()
	k.text, k.Match, k.Matches = m.texts.add(ev), m.matches.next, 0
	return k, place, forgotten
}

// Post notes that the newest event matches a stage with a key.
func (m *Recent) Post(event uint32, key int32) {
	p, _ := m.matches.push()
	*p = Match{Event: event, Key: key}
	m.events.at(event).Matches++
}

// Link links the matches that are not linked yet: fn sets the hash of one and reports
// whether it is ever looked up.
func (m *Recent) Link(fn func(p *Match, k *Event) bool) {
	if !m.chains.roomFor(m.matches.len()) {
		m.chains.start(m.matches.len())
		for place := m.matches.first; place != m.firstUnlink; place++ {
			m.linkOne(place)
		}
	}
	for ; m.firstUnlink != m.matches.next; m.firstUnlink++ {
		if p := m.matches.at(m.firstUnlink); fn(p, m.events.at(p.Event)) {
			m.linkOne(m.firstUnlink)
		}
	}
}

// Newest returns the place of the newest of the matches that are linked with a hash,
// among others, false if there is none.
func (m *Recent) Newest(hash uint32) (place uint32, ok bool) {
	if m.matches.len() == 0 {
		return 0, false
	}
	place = *m.chains.head(uint64(hash))
	return place, m.matches.has(place)
}

// Older returns the place of the next older one, false if there is none.
func (m *Recent) Older(place uint32) (older uint32, ok bool) {
	back := m.matches.at(place).back
	return place - back, back > 0 && m.matches.has(place-back)
}

// At returns the match of a place.
func (m *Recent) At(place uint32) *Match { return m.matches.at(place) }

// Event returns the event of a place.
func (m *Recent) Event(place uint32) *Event { return m.events.at(place) }

// Age returns how many events are older than that of a place.
func (m *Recent) Age(place uint32) uint32 { return place - m.events.first }

// All returns the events, the oldest first.
func (m *Recent) All() iter.Seq[*Event] { return m.events.all() }

// Len returns the number of events.
func (m *Recent) Len() int { return m.events.len() }

// Posted returns a number that grows with each match.
func (m *Recent) Posted() uint32 { return m.matches.next }

// linkOne puts a match at the head of its chain.
func (m *Recent) linkOne(place uint32) {
	p := m.matches.at(place)
	head := m.chains.head(uint64(p.Hash))
	p.Latest, p.back = m.events.at(p.Event).Time(), m.matches.back(place, *head)
	if p.back > 0 {
		p.Latest = max(p.Latest, m.matches.at(*head).Latest)
	}
	*head = place
}

// CustomData returns the custom data of an event.
func (m *Recent) CustomData(k *Event) (data [event.CustomFields]string) {
	r := m.texts.read(k.text)
	for bit := range textData {
		r.next(bit)
	}
	for i := range data {
		data[i] = string(r.next(textData + i))
	}
	return data
}

// ID returns the text of an event's id.
func (m *Recent) ID(k *Event) string {
	r := m.texts.read(k.text)
	return string(r.next(textID))
}

// Recall returns a remembered event but for its time, without what the engine has no
// use for.
func (m *Recent) Recall(k *Event) *event.Event {
	ev := &event.Event{
		SrcIP: k.Src.Addr(), DstIP: k.Dst.Addr(),
		SrcPort: k.SrcPort, DstPort: k.DstPort, PluginID: k.PluginID, PluginSID: k.PluginSID,
	}
	r := m.texts.read(k.text)
	for bit, text := range [...]*string{&ev.ID, &ev.Product, &ev.Category, &ev.Subcategory} {
		*text = string(r.next(bit))
	}
	for i := range ev.CustomData {
		ev.CustomData[i] = string(r.next(textData + i))
	}
	for i := range ev.CustomLabel {
		ev.CustomLabel[i] = string(r.next(textLabel + i))
	}
	return ev
}

// texts holds the texts of remembered events, those of one event together, in pieces
// of memory that are given back in order. A position counts up.
type texts struct {
	// chunks begin at a multiple of textChunk. What is larger than one has several,
	// each of which is the rest of it.
	chunks [][]byte
	base   uint64 // number of the first chunk
	next   uint64
	spare  []byte
}

const textChunk = 64 << 10

// add adds the texts of an event and returns their position: which of them there are,
// as bits, and the length and the bytes of each of those.
func (t *texts) add(ev *event.Event) uint64 {
	mask, size := uint16(0), 2
	note := func(text string, bit uint16) {
		if n := len(text); n > 0 {
			mask |= bit
			size += n + uvarintLen(n)
		}
	}
	note(ev.ID, 1<<textID)
	if len(ev.Product)+len(ev.Category)+len(ev.Subcategory) > 0 {
		note(ev.Product, 1<<textProduct)
		note(ev.Category, 1<<textCategory)
		note(ev.Subcategory, 1<<textSubcategory)
	}
	custom := false
	for i := range event.CustomFields {
		custom = custom || len(ev.CustomData[i])+len(ev.CustomLabel[i]) > 0
	}
	if custom {
		for i := range event.CustomFields {
			note(ev.CustomData[i], 1<<(textData+i))
			note(ev.CustomLabel[i], 1<<(textLabel+i))
		}
	}
	at := t.reserve(size)
	w := textWriter{binary.LittleEndian.AppendUint16(t.at(at)[:0], mask)}
	w.add(ev.ID)
	if mask == 1<<textID {
		return at
	}
	w.add(ev.Product)
	w.add(ev.Category)
	w.add(ev.Subcategory)
	for i := range event.CustomFields {
		w.add(ev.CustomData[i])
	}
	for i := range event.CustomFields {
		w.add(ev.CustomLabel[i])
	}
	return at
}

// The bits of an event's texts, in the order in which they are kept.
const (
	textID = iota
	textProduct
	textCategory
	textSubcategory
	textData
	textLabel = textData + event.CustomFields
)

type textWriter struct{ buf []byte }

func (w *textWriter) add(text string) {
	switch n := len(text); {
	case n == 0:
		return
	case n < 0x80:
		w.buf = append(w.buf, byte(n))
	default:
		w.buf = binary.AppendUvarint(w.buf, uint64(n))
	}
	w.buf = append(w.buf, text...)
}

func uvarintLen(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

// reserve returns the position of so many bytes that are next to each other.
func (t *texts) reserve(size int) uint64 {
	if rest := textChunk - int(t.next%textChunk); size > rest || rest == textChunk {
		t.next = (t.next + textChunk - 1) / textChunk * textChunk
		if len(t.chunks) == 0 {
			t.base = t.next / textChunk
		}
		t.grow(size)
	}
	at := t.next
	t.next += uint64(size)
	return at
}

func (t *texts) grow(size int) {
	if size <= textChunk {
		chunk := t.spare
		if t.spare = nil; chunk == nil {
			chunk = make([]byte, textChunk)
		}
		t.chunks = append(t.chunks, chunk)
		return
	}
	large := make([]byte, (size+textChunk-1)/textChunk*textChunk)
	for ; len(large) > 0; large = large[textChunk:] {
		t.chunks = append(t.chunks, large)
	}
}

// at returns the memory from a position on.
func (t *texts) at(position uint64) []byte {
	return t.chunks[position/textChunk-t.base][position%textChunk:]
}

// release gives back what is before a position.
func (t *texts) release(position uint64) {
	for ; len(t.chunks) > 0 && t.base < position/textChunk; t.base++ {
		if len(t.chunks[0]) == textChunk {
			t.spare = t.chunks[0]
		}
		last := copy(t.chunks, t.chunks[1:])
		t.chunks[last] = nil
		t.chunks = t.chunks[:last]
	}
}

// read returns a reader of the texts at a position.
func (t *texts) read(position uint64) textReader {
	buf := t.at(position)
	return textReader{binary.LittleEndian.Uint16(buf), buf[2:]}
}

// textReader reads the texts of an event one after the other.
type textReader struct {
	mask uint16
	rest []byte
}

// next returns the text of a bit, of which none may be left out.
func (r *textReader) next(bit int) []byte {
	if r.mask>>bit&1 == 0 {
		return nil
	}
	n, size := binary.Uvarint(r.rest)
	text := r.rest[size : size+int(n)]
	r.rest = r.rest[size+int(n):]
	return text
}
