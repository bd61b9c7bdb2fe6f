package correlate

import (
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// keep remembers an event that arrives at the time of a.
func (e *Engine) keep(a *arrived) {
	e.identify(a)
	k, place, forgotten := e.memory.Add(a.ev)
	e.stats.ForgottenEarly += forgotten
	k.Src, k.Dst, k.Sent, k.Arrival, k.ID = a.src, a.dst, a.sent, a.arrival, a.ID
	k.PluginID, k.PluginSID, k.SrcPort, k.DstPort = a.ev.PluginID, a.ev.PluginSID, a.ev.SrcPort, a.ev.DstPort
	a.kept, a.place = true, place
}

// recall returns a remembered event.
func (e *Engine) recall(k *memory.Event) *event.Event {
	ev := e.memory.Recall(k)
	ev.Seconds = secondsOf(k.Sent)
	ev.Nanos = int32(k.Sent - nanosOf(ev.Seconds))
	return ev
}

// post notes that an event matches a stage.
func (e *Engine) post(a *arrived, s *stage) {
	if !a.kept {
		e.keep(a)
	}
	s.latest = max(s.latest, a.t)
	e.memory.Post(a.place, s.key(false))
	if s.number > 0 && s.plan.Join&customData != 0 {
		e.memory.Post(a.place, s.key(true))
	}
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
func (e *Engine) stageOf(p *memory.Match) *stage { return e.index.At(p.Key >> 1) }

// linkMatches links the matches that are not linked yet.
func (e *Engine) linkMatches() {
	e.memory.Link(func(p *memory.Match, k *memory.Event) bool {
		s := e.stageOf(p)
		if s == nil || s.number == 0 {
			return false
		}
		fields, o := s.plan.Join, originOf(k)
		if p.Key&1 != 0 {
			fields &^= customData
		}
		var data openerData
		if fields&customData != 0 {
			data = openerData{texts: e.memory.CustomData(k)}
			data.shorten()
		}
		p.Hash = e.matchHash(p.Key, fields, &o, &data)
		return true
	})
}

func (e *Engine) matchHash(key int32, fields directive.Fields, o *origin, data *openerData) uint32 {
	return uint32(e.keys.Mix(e.store.originKey(fields, o, data), uint64(key)) >> 32)
}

// originOf returns the values that a backlog would have of a remembered event.
func originOf(k *memory.Event) origin {
	return origin{src: k.Src, dst: k.Dst, srcPort: k.SrcPort, dstPort: k.DstPort}
}
