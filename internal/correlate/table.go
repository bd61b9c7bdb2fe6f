package correlate

import (
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// table holds backlogs that join on the same fields.
type table struct {
	fields directive.Fields
	// heads has, for a key, the first of the backlogs that have it.
	heads map[uint64]handle
}

// link is a backlog's place in the list of one table entry. The list is
// circular and in order of insertion.
type link struct{ next, prev handle }

// customData are the fields of custom data.
const customData = directive.CustomData1 | directive.CustomData2 | directive.CustomData3

// tables hold the live backlogs that one stage could give an event to, by the values of
// their join fields. There is more than one table only if the stage refers to custom
// data, because a backlog without that custom data does not join on it (D18).
type tables struct {
	// stage is the place of the stage in its plan, and join the fields of the plan.
	stage int32
	join  directive.Fields
	// live is the number of backlogs in the tables, most the highest it was since the
	// tables were made.
	live, most int32
	list       []table
}

func (t *tables) table(fields directive.Fields) *table {
	for i := range t.list {
		if t.list[i].fields == fields {
			return &t.list[i]
		}
	}
	t.list = append(t.list, table{fields: fields, heads: map[uint64]handle{}})
	return &t.list[len(t.list)-1]
}

// joinFields returns those of the join fields of a plan on which a backlog with some
// custom data joins events.
func joinFields(fields directive.Fields, data *openerData) directive.Fields {
	if fields&customData == 0 {
		return fields
	}
	for i := range event.CustomFields {
		if data == nil || data.texts[i] == "" {
			fields &^= directive.CustomDataField(i)
		}
	}
	return fields
}

// link returns a backlog's place in the table of one of its stages.
func (s *store) link(b *backlog, stage int32) *link {
	if stage == int32(b.current) {
		return &b.place
	}
	return &s.extra(b).rare.earlier[stage]
}

// enter puts a backlog into the tables of a stage.
func (s *store) enter(t *tables, b *backlog) {
	into, key := s.tableOf(t, b)
	t.live++
	t.most = max(t.most, t.live)
	l, first := s.link(b, t.stage), into.heads[key]
	if first == 0 {
		*l = link{next: b.self, prev: b.self}
		into.heads[key] = b.self
		return
	}
	head := s.link(s.at(first), t.stage)
	*l = link{next: first, prev: head.prev}
	s.link(s.at(head.prev), t.stage).next = b.self
	head.prev = b.self
}

// leave takes a backlog out of the tables of a stage.
func (s *store) leave(t *tables, b *backlog) {
	if t.live--; t.live == 0 && t.most > memory.WorthFreeing {
		t.list, t.most = nil, 0
		return
	}
	from, key := s.tableOf(t, b)
	l := s.link(b, t.stage)
	if l.next == b.self {
		delete(from.heads, key)
		return
	}
	s.link(s.at(l.prev), t.stage).next = l.next
	s.link(s.at(l.next), t.stage).prev = l.prev
	if from.heads[key] == b.self {
		from.heads[key] = l.next
	}
}

// tableOf returns the table of a stage that a backlog belongs to, and its key there.
func (s *store) tableOf(t *tables, b *backlog) (*table, uint64) {
	data := s.extra(b).origin()
	fields := joinFields(t.join, data)
	return t.table(fields), s.originKey(fields, &b.origin, data)
}

// originKey hashes the join fields of an event that could open, or has opened, a
// backlog; equal values have equal keys.
func (s *store) originKey(fields directive.Fields, o *origin, data *openerData) uint64 {
	k := &s.keys
	h := k.Salt
	if fields.Has(directive.SrcIP) {
		h = k.Mix(k.Mix(h, o.src.Hi), o.src.Lo)
	}
	if fields.Has(directive.DstIP) {
		h = k.Mix(k.Mix(h, o.dst.Hi), o.dst.Lo)
	}
	if fields.Has(directive.SrcPort) {
		h = k.Mix(h, uint64(o.srcPort))
	}
	if fields.Has(directive.DstPort) {
		h = k.Mix(h, uint64(o.dstPort))
	}
	if fields&customData == 0 {
		return h
	}
	for i := range event.CustomFields {
		switch {
		case !fields.Has(directive.CustomDataField(i)):
		case data.whole[i] != 0:
			h = k.Mix(h, data.whole[i])
		default:
			h = k.Mix(h, k.Text(directive.Fold(data.texts[i])))
		}
	}
	return h
}

// joins reports whether an event, of which one of these backlogs could come, equals a
// backlog's creating event in fields. Its custom data is needed only for those fields.
func (s *store) joins(b *backlog, fields directive.Fields, o *origin, custom *[event.CustomFields]string) bool {
	if fields.Has(directive.SrcIP) && b.origin.src != o.src ||
		fields.Has(directive.DstIP) && b.origin.dst != o.dst ||
		fields.Has(directive.SrcPort) && b.origin.srcPort != o.srcPort ||
		fields.Has(directive.DstPort) && b.origin.dstPort != o.dstPort {
		return false
	}
	if fields&customData == 0 {
		return true
	}
	data := s.extra(b).origin()
	for i := range event.CustomFields {
		if fields.Has(directive.CustomDataField(i)) && !data.equals(i, custom[i]) {
			return false
		}
	}
	return true
}
