package event

// screenSize is the number of events whose identities are asked about together.
const screenSize = 16

// Identity is what rules identify an event by (docs/spec/correlation.md §1.2). A
// family that is not complete is zero.
type Identity struct {
	// PluginID and PluginSID are both non-zero or both zero.
	PluginID, PluginSID uint64
	// Product and Category are both non-empty or both empty. They are parts of
	// the event's text.
	Product, Category []byte
}

// Outcome is what came out of decoding a text: an event, neither rejected nor
// skipped.
type Outcome struct {
	Rejection *Rejection
	// Skipped events are wanted by nobody; of these, and of rejected ones, there is
	// the zero Event.
	Skipped bool
}

// Screen decodes many events as Decode does, but skips those that nobody wants: it
// reads the identities first and asks about several at once, because an answer
// waits for memory that is seldom in the processor's cache, and several of them
// can wait together. The zero value is ready; it belongs to one goroutine at a
// time, and holds on to the texts of the last few events.
//
// An event that is skipped is well-formed JSON, has no known name twice but of what
// only informs, and has an identity whose members are of the right type and in range.
// Nothing else of it was looked at: its timestamp and addresses may be missing or
// none, its other members of any type and out of range. That is safe because no
// rule sees the event, so that there is no alarm that depends on it; it only means
// that it counts as unwanted and not as one of BadType, OutOfRange, BadTimestamp
// or BadAddress. Everything else is decoded and checked by every rule of Decode,
// with the same outcome; so is an event whose identity is written in an unusual way:
// a product or category that is no string or has escapes, a number with a fraction or
// an exponent.
type Screen struct {
	members [screenSize]members
	ids     [screenSize]Identity
	places  [screenSize]int // of the events that ids are of
	wanted  [screenSize]bool
}

// Decode decodes texts into events, and says in outcomes what each is; all three
// have the same length. wanted is to say of identities which ones are wanted.
func (s *Screen) Decode(texts [][]byte, events []Event, outcomes []Outcome, wanted func(ids []Identity, wanted []bool)) {
	for len(texts) > 0 {
		n := min(screenSize, len(texts))
		s.decode(texts[:n], events[:n], outcomes[:n], wanted)
		texts, events, outcomes = texts[n:], events[n:], outcomes[n:]
	}
}

func (s *Screen) decode(texts [][]byte, events []Event, outcomes []Outcome, wanted func([]Identity, []bool)) {
	asked := 0
	for i, data := range texts {
		m := &s.members[i]
		*m = members{}
		outcomes[i] = Outcome{Rejection: m.read(data)}
		if outcomes[i].Rejection != nil {
			continue
		}
		if id, ok := m.identity(); ok {
			s.ids[asked], s.places[asked] = id, i
			asked++
		}
	}
	wanted(s.ids[:asked], s.wanted[:asked])
	for j, place := range s.places[:asked] {
		outcomes[place].Skipped = !s.wanted[j]
	}
	for i := range outcomes {
		events[i] = Event{}
		o := &outcomes[i]
		if o.Skipped || o.Rejection != nil {
			continue
		}
		if o.Rejection = s.members[i].event(&events[i]); o.Rejection != nil {
			events[i] = Event{}
		}
	}
}

// identity returns the identity if there is one and its members are in order.
func (m *members) identity() (id Identity, ok bool) {
	var okID, okSID, okProduct, okCategory bool
	id.PluginID, okID = plainNumber(m.raw(pluginID))
	id.PluginSID, okSID = plainNumber(m.raw(pluginSID))
	id.Product, okProduct = m.plainText(product)
	id.Category, okCategory = m.plainText(category)
	if id.PluginID == 0 || id.PluginSID == 0 {
		id.PluginID, id.PluginSID = 0, 0
	}
	if len(id.Product) == 0 || len(id.Category) == 0 {
		id.Product, id.Category = nil, nil
	}
	return id, okID && okSID && okProduct && okCategory && (id.PluginID != 0 || id.Product != nil)
}

// plainNumber returns the value of a number of up to 19 digits, all of which fit
// any field of 64 bits, be it in quotes or not; 0 for null, "" or an absent member.
func plainNumber(raw []byte) (n uint64, ok bool) {
	const safeDigits = 19
	if len(raw) == 0 || raw[0] == 'n' {
		return 0, true
	}
	if raw[0] == '"' {
		raw = raw[1 : len(raw)-1]
	}
	if len(raw) > safeDigits {
		return 0, false
	}
	for _, c := range raw {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// plainText returns the text of a string without escapes, nil for null or an
// absent member.
func (m *members) plainText(f field) (text []byte, ok bool) {
	raw := m.raw(f)
	switch {
	case len(raw) == 0 || raw[0] == 'n':
		return nil, true
	case raw[0] != '"' || m.escaped>>f&1 != 0:
		return nil, false
	}
	return raw[1 : len(raw)-1], true
}
