package event

// screenSize is the number of events whose identities are asked about together.
const screenSize = 16

// Outcome is what came out of decoding a text: an event, neither rejected nor
// skipped.
type Outcome struct {
	Rejection *Rejection
	// Skipped events are wanted by nobody.
	Skipped bool
}

// Screen decodes many events as DecodeWanted does, and asks about several at once:
// an answer waits for memory that is seldom in the processor's cache, and several
// of them can wait together. The zero value is ready; it belongs to one goroutine
// at a time, and holds on to the texts of the last few events.
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
