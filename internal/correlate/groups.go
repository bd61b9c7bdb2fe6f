package correlate

import (
	"encoding/binary"

	"dsiem/internal/correlate/backlogs"

	"github.com/cespare/xxhash/v2"

	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// groupKey returns the key of the group of a backlog.
func (e *Engine) groupKey(b *backlogs.Backlog) uint64 {
	v := e.variantOf(b)
	return e.groupKeyOf(v, &b.Origin, e.store.Extra(b).Origin())
}

func (e *Engine) groupKeyOf(v *variant, o *backlogs.Origin, data *backlogs.OpeningData) uint64 {
	fields := v.groupFields
	if data == nil {
		fields &^= backlogs.CustomData
	}
	return e.keys.Mix(e.store.OriginKey(fields, o, data), uint64(v.owner.place)<<32|uint64(v.groupFields))
}

// groupMark returns what a group is remembered by when its backlogs have ended. It
// is the same in every process, because it is saved.
func (e *Engine) groupMark(b *backlogs.Backlog) uint32 {
	v, data := e.variantOf(b), e.store.Extra(b).Origin()
	buf := append(e.scratch[:0], byte(v.groupFields))
	address := func(a memory.Address) {
		buf = binary.LittleEndian.AppendUint64(buf, a.Hi)
		buf = binary.LittleEndian.AppendUint64(buf, a.Lo)
	}
	address(b.Origin.Src)
	if v.groupFields.Has(directive.DstIP) {
		address(b.Origin.Dst)
	}
	if v.groupFields.Has(directive.SrcPort) {
		buf = binary.LittleEndian.AppendUint16(buf, b.Origin.SrcPort)
	}
	if v.groupFields.Has(directive.DstPort) {
		buf = binary.LittleEndian.AppendUint16(buf, b.Origin.DstPort)
	}
	for i := range event.CustomFields {
		if data != nil && v.groupFields.Has(directive.CustomDataField(i)) {
			buf = append(buf, directive.Fold(data.Texts[i])...)
			buf = binary.LittleEndian.AppendUint64(buf, data.Whole[i])
		}
	}
	e.scratch = buf
	return uint32(xxhash.Sum64(buf) >> 32)
}

// makeRoom ends a backlog of the group that an event is about to open one of, if it
// is full: the oldest without an alarm line, else the oldest.
func (e *Engine) makeRoom(group uint64) {
	first, n := e.store.Group(group)
	if n < e.bounds.group {
		return
	}
	victim := e.store.At(first)
	for b := victim; ; {
		if b.Created == 0 {
			victim = b
			break
		}
		if b = e.store.At(b.Member.Next); b.Self == first {
			break
		}
	}
	e.stats.Evicted++
	e.timeOut(victim, true)
}
