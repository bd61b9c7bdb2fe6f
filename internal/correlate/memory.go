package correlate

import (
	"encoding/binary"

	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// memory holds the events of the last seconds that match a stage after the first,
// whatever was live then, for backlogs that reach that stage only now.
//
// Nearly all events come in order, and then nothing is looked up: remembering one
// is a copy of it without pointers, one of its texts, and a match for each stage.
// Only when a stage begins that has seen a later event are the matches linked, by
// what the stage's backlogs refer to.
type memory struct {
	// seconds is how long an event is remembered, 0 if none is.
	seconds     int64
	most        int
	mostBytes   int
	events      ring[kept]
	matches     ring[match]
	texts       texts
	firstText   uint64 // position of the texts of the oldest event
	chains      chains
	firstUnlink uint32 // place of the first match that is not linked
}

// kept is a remembered event, but for its texts.
type kept struct {
	src, dst address
	// sent is its time and arrival that of its arrival, in UNIX nanoseconds.
	sent, arrival       int64
	pluginID, pluginSID uint64
	id                  event.IDHash
	text                uint64 // position of its texts
	match, matches      uint32 // place of the first of its matches, and their number
	srcPort, dstPort    uint16
}

// time returns the time that the event counts as (D28).
func (k *kept) time() int64 { return min(k.sent, k.arrival) }

// match says that an event matches a stage, but for its references.
type match struct {
	// latest is the largest time of the events of the chain up to this one.
	latest int64
	hash   uint32
	event  uint32 // place
	// key is the stage's: see keyOf.
	key int32
	// back is how far before it the next older one of the chain is, 0 if it is the
	// oldest.
	back uint32
}

// The sizes of what is remembered, with that of the chains.
const keptSize, matchSize = 96, 24 + 4*4

// bytes returns how much memory is in use.
func (m *memory) bytes() int {
	return m.events.len()*keptSize + m.matches.len()*matchSize + int(m.texts.next-m.firstText)
}

// pop forgets the oldest event.
func (m *memory) pop() {
	for range m.events.at(m.events.first).matches {
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

// pass forgets what is too old at a second of the clock.
func (m *memory) pass(second int64) {
	if m.events.len() == 0 {
		return
	}
	for m.events.len() > 0 && second-secondsOf(m.events.at(m.events.first).arrival) > m.seconds {
		m.pop()
	}
	if m.events.len() == 0 { // gives the memory of a burst back
		m.chains, m.texts.spare, m.matches.spare, m.events.spare = chains{}, nil, nil, nil
	}
}

// keep remembers an event that arrives at the time of a.
func (e *Engine) keep(a *arrived) {
	m := &e.memory
	for m.events.len() > 0 && (m.events.len() >= m.most || m.bytes() > m.mostBytes) {
		m.pop()
		e.stats.ForgottenEarly++
	}
	e.identify(a)
	k, place := m.events.push()
	*k = kept{
		src: a.src, dst: a.dst, sent: a.sent, arrival: a.arrival,
		pluginID: a.ev.PluginID, pluginSID: a.ev.PluginSID, id: a.id,
		text: m.texts.add(a.ev), match: m.matches.next,
		srcPort: a.ev.SrcPort, dstPort: a.ev.DstPort,
	}
	a.kept, a.place = true, place
}

// post notes that an event matches a stage.
func (e *Engine) post(a *arrived, s *stage) {
	if !a.kept {
		e.keep(a)
	}
	s.latest = max(s.latest, a.t)
	e.memory.add(a.place, s.key(false))
	if s.number > 0 && s.plan.Join&customData != 0 {
		e.memory.add(a.place, s.key(true))
	}
}

func (m *memory) add(event uint32, key int32) {
	p, _ := m.matches.push()
	*p = match{event: event, key: key}
	m.events.at(event).matches++
}

// key returns what the matches of a stage have. If it refers to custom data they are
// linked a second time without, because a backlog that has none does not (D18).
func (s *stage) key(withoutCustomData bool) int32 {
	if withoutCustomData {
		return s.place<<1 | 1
	}
	return s.place << 1
}

// stageOf returns the stage of a match, nil if it is gone.
func (e *Engine) stageOf(p *match) *stage { return e.index.stages[p.key>>1] }

// linkMatches links the matches that are not linked yet.
func (e *Engine) linkMatches() {
	m := &e.memory
	if !m.chains.roomFor(m.matches.len()) {
		m.chains.start(m.matches.len())
		for place := m.matches.first; place != m.firstUnlink; place++ {
			m.link(place)
		}
	}
	for ; m.firstUnlink != m.matches.next; m.firstUnlink++ {
		p := m.matches.at(m.firstUnlink)
		k, s := m.events.at(p.event), e.stageOf(p)
		if s == nil || s.number == 0 {
			continue // never looked up
		}
		fields, o := s.plan.Join, k.origin()
		if p.key&1 != 0 {
			fields &^= customData
		}
		var data openerData
		if fields&customData != 0 {
			data = openerData{texts: m.customData(k)}
			data.shorten()
		}
		p.hash = e.matchHash(p.key, fields, &o, &data)
		m.link(m.firstUnlink)
	}
}

func (e *Engine) matchHash(key int32, fields directive.Fields, o *origin, data *openerData) uint32 {
	return uint32(e.index.mix(e.index.originKey(fields, o, data), uint64(key)) >> 32)
}

// link puts a match at the head of its chain.
func (m *memory) link(place uint32) {
	p := m.matches.at(place)
	head := m.chains.head(uint64(p.hash))
	p.latest, p.back = m.events.at(p.event).time(), m.matches.back(place, *head)
	if p.back > 0 {
		p.latest = max(p.latest, m.matches.at(*head).latest)
	}
	*head = place
}

func (k *kept) origin() origin {
	return origin{src: k.src, dst: k.dst, srcPort: k.srcPort, dstPort: k.dstPort}
}

// customData returns the custom data of an event.
func (m *memory) customData(k *kept) (data [event.CustomFields]string) {
	r := m.texts.read(k.text)
	for bit := range textData {
		r.next(bit)
	}
	for i := range data {
		data[i] = string(r.next(textData + i))
	}
	return data
}

// recall returns a remembered event, without what the engine has no use for.
func (m *memory) recall(k *kept) *event.Event {
	ev := &event.Event{
		Seconds: secondsOf(k.sent), SrcIP: k.src.addr(), DstIP: k.dst.addr(),
		SrcPort: k.srcPort, DstPort: k.dstPort, PluginID: k.pluginID, PluginSID: k.pluginSID,
	}
	ev.Nanos = int32(k.sent - nanosOf(ev.Seconds))
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
