package correlate

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// group is the live backlogs of one directive whose opening events have the same
// source address and the same values of what later stages copy from them: one
// attacker can make it as long as it may be, but not more than this one.
type group struct {
	first handle // of a circular list in order of opening
	n     int32
}

// groupFields returns the fields in which the opening events of a group are equal.
func groupFields(plan *directive.Plan) directive.Fields {
	fields := directive.SrcIP
	for i := 1; i < len(plan.Stages); i++ {
		fields |= plan.Stages[i].Origin
	}
	return fields
}

// groupKey returns the key of the group of a backlog.
func (e *Engine) groupKey(b *backlog) uint64 {
	v := e.variantOf(b)
	return e.groupKeyOf(v, &b.origin, e.store.extra(b).origin())
}

func (e *Engine) groupKeyOf(v *variant, o *origin, data *openerData) uint64 {
	fields := v.groupFields
	if data == nil {
		fields &^= customData
	}
	return e.index.mix(e.index.originKey(fields, o, data), uint64(v.owner.place)<<32|uint64(v.groupFields))
}

// groupMark returns what a group is remembered by when its backlogs have ended. It
// is the same in every process, because it is saved.
func (e *Engine) groupMark(b *backlog) uint32 {
	v, data := e.variantOf(b), e.store.extra(b).origin()
	buf := append(e.scratch[:0], byte(v.groupFields))
	address := func(a memory.Address) {
		buf = binary.LittleEndian.AppendUint64(buf, a.Hi)
		buf = binary.LittleEndian.AppendUint64(buf, a.Lo)
	}
	address(b.origin.src)
	if v.groupFields.Has(directive.DstIP) {
		address(b.origin.dst)
	}
	if v.groupFields.Has(directive.SrcPort) {
		buf = binary.LittleEndian.AppendUint16(buf, b.origin.srcPort)
	}
	if v.groupFields.Has(directive.DstPort) {
		buf = binary.LittleEndian.AppendUint16(buf, b.origin.dstPort)
	}
	for i := range event.CustomFields {
		if data != nil && v.groupFields.Has(directive.CustomDataField(i)) {
			buf = append(buf, directive.Fold(data.texts[i])...)
			buf = binary.LittleEndian.AppendUint64(buf, data.whole[i])
		}
	}
	e.scratch = buf
	return uint32(xxhash.Sum64(buf) >> 32)
}

// joinGroup puts a new backlog at the end of its group.
func (e *Engine) joinGroup(b *backlog, key uint64) {
	g := e.groups[key]
	if g.n++; g.first == 0 {
		g.first = b.self
		b.member = link{next: b.self, prev: b.self}
	} else {
		head := e.store.at(g.first)
		b.member = link{next: g.first, prev: head.member.prev}
		e.store.at(head.member.prev).member.next = b.self
		head.member.prev = b.self
	}
	e.groups[key] = g
	e.mostGroups = max(e.mostGroups, len(e.groups))
}

// leaveGroup takes a backlog out of its group.
func (e *Engine) leaveGroup(b *backlog) {
	key := e.groupKey(b)
	if b.member.next == b.self {
		if delete(e.groups, key); len(e.groups) == 0 && e.mostGroups > memory.WorthFreeing {
			e.groups, e.mostGroups = map[uint64]group{}, 0
		}
		return
	}
	g := e.groups[key]
	e.store.at(b.member.prev).member.next = b.member.next
	e.store.at(b.member.next).member.prev = b.member.prev
	if g.first == b.self {
		g.first = b.member.next
	}
	g.n--
	e.groups[key] = g
}

// makeRoom ends a backlog of the group that an event is about to open one of, if it
// is full: the oldest without an alarm line, else the oldest.
func (e *Engine) makeRoom(group uint64) {
	g := e.groups[group]
	if int(g.n) < e.bounds.group {
		return
	}
	victim := e.store.at(g.first)
	for b := victim; ; {
		if b.created == 0 {
			victim = b
			break
		}
		if b = e.store.at(b.member.next); b.self == g.first {
			break
		}
	}
	e.stats.Evicted++
	e.timeOut(victim, true)
}
