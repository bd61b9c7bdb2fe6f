package backlogs

// What live backlogs take in memory is estimated, because nobody can measure it while
// events are matched: so many bytes for each thing that one holds, with what finds it.
// A test compares the sum with what the runtime measures.
const (
	// BacklogBytes is what a backlog takes that has taken one event: its place in a
	// block, in tables and timers, its group and the id that its directive has seen.
	BacklogBytes = 512
	extraBytes   = 512 // of what few backlogs have, texts apart
	recordBytes  = 160 // of an event that a stage has recorded
	// chargedTogether is the number of such events that are charged together: most
	// events that count are this.
	chargedTogether = 8
	valueBytes      = 160 // of an address, a sticky_different value, custom data or a finding, texts apart
)

// Bytes returns the estimate of what all live backlogs take.
func (s *Store) Bytes() int { return s.bytes }

// BytesOf returns the estimate of what the backlogs of a variant take beyond BacklogBytes
// each.
func (s *Store) BytesOf(variant int32) int { return s.charged[variant] }

// KnowVariant makes room for what the backlogs of a variant take.
func (s *Store) KnowVariant(variant int32) {
	s.charged = append(s.charged, make([]int, int(variant)+1-len(s.charged))...)
}

// Cost returns the estimate of what a backlog takes.
func (s *Store) Cost(b *Backlog) int {
	if x := s.Extra(b); x != nil {
		return BacklogBytes + x.cost
	}
	return BacklogBytes
}

// charge notes that a backlog takes so many bytes more.
func (s *Store) charge(b *Backlog, bytes int) { s.chargeTo(b, s.More(b), bytes) }

func (s *Store) chargeTo(b *Backlog, x *Extra, bytes int) {
	x.cost += bytes
	s.bytes += bytes
	s.charged[b.Variant] += bytes
}

// Knows notes that a backlog knows n events more than those that Record has added, or
// less if n is negative.
func (s *Store) Knows(b *Backlog, n int) { s.charge(b, n*recordBytes) }

// SetData lets a backlog know the custom data of its opening event, which it keeps.
func (s *Store) SetData(b *Backlog, data *OpeningData) {
	size := 0
	for _, text := range data.Texts {
		size += len(text)
	}
	s.charge(b, size)
	s.More(b).Data = data
}

// AddValue adds a sticky_different value to those of a stage. Its text is kept.
func (s *Store) AddValue(b *Backlog, stage int, v Sticky) {
	if s.More(b).RestOf(stage).addValue(v) {
		s.charge(b, valueBytes+len(v.Text))
	}
}
