package backlogs

import (
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// Table holds backlogs that join on the same fields.
type Table struct {
	Fields directive.Fields
	// Heads has, for a key, the first of the backlogs that have it.
	Heads map[uint64]Handle
}

// Link is a backlog's place in the list of one table entry. The list is
// circular and in order of insertion.
type Link struct{ Next, prev Handle }

// CustomData are the fields of custom data.
const CustomData = directive.CustomData1 | directive.CustomData2 | directive.CustomData3

// Tables hold the live backlogs that one stage could give an event to, by the values of
// their join fields. There is more than one table only if the stage refers to custom
// data, because a backlog without that custom data does not join on it (D18).
type Tables struct {
	// Stage is the place of the stage in its plan, and join the fields of the plan.
	Stage int32
	Join  directive.Fields
	// Live is the number of backlogs in the tables, most the highest it was since the
	// tables were made.
	Live, most int32
	List       []Table
}

func (t *Tables) table(fields directive.Fields) *Table {
	for i := range t.List {
		if t.List[i].Fields == fields {
			return &t.List[i]
		}
	}
	t.List = append(t.List, Table{Fields: fields, Heads: map[uint64]Handle{}})
	return &t.List[len(t.List)-1]
}

// JoinFields returns those of the join fields of a plan on which a backlog with some
// custom data joins events.
func JoinFields(fields directive.Fields, data *OpeningData) directive.Fields {
	if fields&CustomData == 0 {
		return fields
	}
	for i := range event.CustomFields {
		if data == nil || data.Texts[i] == "" {
			fields &^= directive.CustomDataField(i)
		}
	}
	return fields
}

// Link returns a backlog's place in the table of one of its stages.
func (s *Store) Link(b *Backlog, stage int32) *Link {
	if stage == int32(b.Current) {
		return &b.Place
	}
	return &s.Extra(b).Rare.Earlier[stage]
}

// Enter puts a backlog into the tables of a stage.
func (s *Store) Enter(t *Tables, b *Backlog) {
	into, key := s.tableOf(t, b)
	t.Live++
	t.most = max(t.most, t.Live)
	l, first := s.Link(b, t.Stage), into.Heads[key]
	if first == 0 {
		*l = Link{Next: b.Self, prev: b.Self}
		into.Heads[key] = b.Self
		return
	}
	head := s.Link(s.At(first), t.Stage)
	*l = Link{Next: first, prev: head.prev}
	s.Link(s.At(head.prev), t.Stage).Next = b.Self
	head.prev = b.Self
}

// Leave takes a backlog out of the tables of a stage.
func (s *Store) Leave(t *Tables, b *Backlog) {
	if t.Live--; t.Live == 0 && t.most > memory.WorthFreeing {
		t.List, t.most = nil, 0
		return
	}
	from, key := s.tableOf(t, b)
	l := s.Link(b, t.Stage)
	if l.Next == b.Self {
		delete(from.Heads, key)
		return
	}
	s.Link(s.At(l.prev), t.Stage).Next = l.Next
	s.Link(s.At(l.Next), t.Stage).prev = l.prev
	if from.Heads[key] == b.Self {
		from.Heads[key] = l.Next
	}
}

// tableOf returns the table of a stage that a backlog belongs to, and its key there.
func (s *Store) tableOf(t *Tables, b *Backlog) (*Table, uint64) {
	data := s.Extra(b).Origin()
	fields := JoinFields(t.Join, data)
	return t.table(fields), s.OriginKey(fields, &b.Origin, data)
}

// OriginKey hashes the join fields of an event that could open, or has opened, a
// backlog; equal values have equal keys.
func (s *Store) OriginKey(fields directive.Fields, o *Origin, data *OpeningData) uint64 {
	k := &s.Keys
	h := k.Salt
	if fields.Has(directive.SrcIP) {
		h = k.Mix(k.Mix(h, o.Src.Hi), o.Src.Lo)
	}
	if fields.Has(directive.DstIP) {
		h = k.Mix(k.Mix(h, o.Dst.Hi), o.Dst.Lo)
	}
	if fields.Has(directive.SrcPort) {
		h = k.Mix(h, uint64(o.SrcPort))
	}
	if fields.Has(directive.DstPort) {
		h = k.Mix(h, uint64(o.DstPort))
	}
	if fields&CustomData == 0 {
		return h
	}
	for i := range event.CustomFields {
		switch {
		case !fields.Has(directive.CustomDataField(i)):
		case data.Whole[i] != 0:
			h = k.Mix(h, data.Whole[i])
		default:
			h = k.Mix(h, k.Text(directive.Fold(data.Texts[i])))
		}
	}
	return h
}

// Joins reports whether an event, of which one of these backlogs could come, equals a
// backlog's creating event in fields. Its custom data is needed only for those fields.
func (s *Store) Joins(b *Backlog, fields directive.Fields, o *Origin, custom *[event.CustomFields]string) bool {
	if fields.Has(directive.SrcIP) && b.Origin.Src != o.Src ||
		fields.Has(directive.DstIP) && b.Origin.Dst != o.Dst ||
		fields.Has(directive.SrcPort) && b.Origin.SrcPort != o.SrcPort ||
		fields.Has(directive.DstPort) && b.Origin.DstPort != o.DstPort {
		return false
	}
	if fields&CustomData == 0 {
		return true
	}
	data := s.Extra(b).Origin()
	for i := range event.CustomFields {
		if fields.Has(directive.CustomDataField(i)) && !data.equals(i, custom[i]) {
			return false
		}
	}
	return true
}
