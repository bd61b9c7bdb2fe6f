package correlate

import (
	"hash/maphash"
	"math/bits"

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

func (s *stage) table(fields directive.Fields) *table {
	for i := range s.tables {
		if s.tables[i].fields == fields {
			return &s.tables[i]
		}
	}
	s.tables = append(s.tables, table{fields: fields, heads: map[uint64]handle{}})
	return &s.tables[len(s.tables)-1]
}

// joinFields returns the fields on which a backlog with some custom data joins
// events.
func (s *stage) joinFields(data *openerData) directive.Fields {
	fields := s.plan.Join
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
func (e *Engine) link(b *backlog, stage int) *link {
	if stage == int(b.current) {
		return &b.place
	}
	return &e.store.extra(b).rare.earlier[stage]
}

// enter puts a backlog into a stage's table.
func (e *Engine) enter(s *stage, b *backlog) {
	data := e.store.extra(b).origin()
	fields := s.joinFields(data)
	t := s.table(fields)
	key := e.index.originKey(fields, &b.origin, data)
	s.live++
	s.most = max(s.most, s.live)
	l, first := e.link(b, int(s.number)), t.heads[key]
	if first == 0 {
		*l = link{next: b.self, prev: b.self}
		t.heads[key] = b.self
		return
	}
	head := e.link(e.store.at(first), int(s.number))
	*l = link{next: first, prev: head.prev}
	e.link(e.store.at(head.prev), int(s.number)).next = b.self
	head.prev = b.self
}

// leave takes a backlog out of a stage's table.
func (e *Engine) leave(s *stage, b *backlog) {
	if s.live--; s.live == 0 && s.most > memory.WorthFreeing {
		s.tables, s.most = nil, 0
		return
	}
	data := e.store.extra(b).origin()
	fields := s.joinFields(data)
	t := s.table(fields)
	key := e.index.originKey(fields, &b.origin, data)
	l := e.link(b, int(s.number))
	if l.next == b.self {
		delete(t.heads, key)
		return
	}
	e.link(e.store.at(l.prev), int(s.number)).next = l.next
	e.link(e.store.at(l.next), int(s.number)).prev = l.prev
	if t.heads[key] == b.self {
		t.heads[key] = l.next
	}
}

// enterStages puts a backlog into the tables of its current stage and, if its
// directive is always-active, of the stages before.
func (e *Engine) enterStages(b *backlog) {
	v := e.variantOf(b)
	if v.plan.AllRulesAlwaysActive {
		e.store.more(b).rarely().earlier = make([]link, b.current)
		for i := range int(b.current) {
			e.enter(&v.stages[i], b)
		}
	}
	e.enter(&v.stages[b.current], b)
}

// leaveStages takes a backlog out of the tables, if it is in any: a new one is not.
func (e *Engine) leaveStages(b *backlog) {
	if b.place.next == 0 {
		return
	}
	v := e.variantOf(b)
	if v.plan.AllRulesAlwaysActive {
		for i := range int(b.current) {
			e.leave(&v.stages[i], b)
		}
	}
	e.leave(&v.stages[b.current], b)
}

// collectJoined adds to e.offers the live backlogs of a stage whose creating
// events an event equals in their join fields, but for those whose attack it is too old
// for, and those whose window it misses: that it met one of these is noted in e.outside.
func (e *Engine) collectJoined(s *stage, a *arrived) {
	for i := range s.tables {
		t := &s.tables[i]
		first := t.heads[e.index.eventKey(t.fields, a)]
		for h := first; h != 0; {
			b := e.store.at(h)
			if e.joins(b, t.fields, a) && e.notBefore(b, a.seconds) {
				current := s.plan
				if b.current != uint8(s.number) {
					current = e.plan(b, int(b.current))
				}
				if e.inWindow(b, current, a.seconds) {
					e.offers = append(e.offers, offer{b, int(s.number)})
				} else {
					e.outside = true
				}
			}
			if h = e.link(b, int(s.number)).next; h == first {
				break
			}
		}
	}
}

// originKey and eventKey hash the join fields of a backlog's creating event
// and of an event; equal values have equal keys.
func (x *index) originKey(fields directive.Fields, o *origin, data *openerData) uint64 {
	h := x.salt
	if fields.Has(directive.SrcIP) {
		h = x.mix(x.mix(h, o.src.Hi), o.src.Lo)
	}
	if fields.Has(directive.DstIP) {
		h = x.mix(x.mix(h, o.dst.Hi), o.dst.Lo)
	}
	if fields.Has(directive.SrcPort) {
		h = x.mix(h, uint64(o.srcPort))
	}
	if fields.Has(directive.DstPort) {
		h = x.mix(h, uint64(o.dstPort))
	}
	if fields&customData == 0 {
		return h
	}
	for i := range event.CustomFields {
		switch {
		case !fields.Has(directive.CustomDataField(i)):
		case data.whole[i] != 0:
			h = x.mix(h, data.whole[i])
		default:
			h = x.mix(h, maphash.String(x.seed, directive.Fold(data.texts[i])))
		}
	}
	return h
}

func (x *index) eventKey(fields directive.Fields, a *arrived) uint64 {
	o := a.origin()
	if fields&customData == 0 {
		return x.originKey(fields, &o, nil)
	}
	data := dataOf(a.ev)
	return x.originKey(fields, &o, &data)
}

// joins reports whether an event equals a backlog's creating event in fields.
func (e *Engine) joins(b *backlog, fields directive.Fields, a *arrived) bool {
	o := &b.origin
	if fields.Has(directive.SrcIP) && o.src != a.src ||
		fields.Has(directive.DstIP) && o.dst != a.dst ||
		fields.Has(directive.SrcPort) && o.srcPort != a.ev.SrcPort ||
		fields.Has(directive.DstPort) && o.dstPort != a.ev.DstPort {
		return false
	}
	if fields&customData == 0 {
		return true
	}
	data := e.store.extra(b).origin()
	for i := range event.CustomFields {
		if fields.Has(directive.CustomDataField(i)) && !data.equals(i, a.ev.CustomData[i]) {
			return false
		}
	}
	return true
}

// mix folds a value into a hash by a widening multiplication.
func (x *index) mix(h, v uint64) uint64 {
	hi, lo := bits.Mul64(h^0x9e3779b97f4a7c15, v^x.salt)
	return hi ^ lo
}
