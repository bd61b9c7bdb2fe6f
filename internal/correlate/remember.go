package correlate

import (
	"dsiem/internal/correlate/backlogs"
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// keep remembers an event that arrives at the time of a.
func (e *Engine) keep(a *arrived) {
	e.identify(a)
	k, place, forgotten := e.memory.Add(a.ev)
	e.stats.ForgottenEarly += forgotten
	k.Src, k.Dst, k.Sent, k.Arrival, k.ID = a.Src, a.Dst, a.sent, a.arrival, a.ID
	k.PluginID, k.PluginSID, k.SrcPort, k.DstPort = a.ev.PluginID, a.ev.PluginSID, a.ev.SrcPort, a.ev.DstPort
	a.kept, a.place = true, place
}

// recall returns a remembered event.
func (e *Engine) recall(k *memory.Event) *event.Event {
	ev := e.memory.Recall(k)
	ev.Seconds = memory.SecondsOf(k.Sent)
	ev.Nanos = int32(k.Sent - memory.NanosOf(ev.Seconds))
	return ev
}

// post notes that an event matches a stage.
func (e *Engine) post(a *arrived, s *stage) {
	if !a.kept {
		e.keep(a)
	}
	s.latest = max(s.latest, a.t)
	e.memory.Post(a.place, s.key(false))
	if s.number > 0 && s.plan.Join&backlogs.CustomData != 0 {
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
			fields &^= backlogs.CustomData
		}
		var data backlogs.OpeningData
		if fields&backlogs.CustomData != 0 {
			data = backlogs.OpeningData{Texts: e.memory.CustomData(k)}
			data.Shorten()
		}
		p.Hash = e.matchHash(p.Key, fields, &o, &data)
		return true
	})
}

func (e *Engine) matchHash(key int32, fields directive.Fields, o *backlogs.Origin, data *backlogs.OpeningData) uint32 {
	return uint32(e.keys.Mix(e.store.OriginKey(fields, o, data), uint64(key)) >> 32)
}

// originOf returns the values that a backlog would have of a remembered event.
func originOf(k *memory.Event) backlogs.Origin {
	return backlogs.Origin{Src: k.Src, Dst: k.Dst, SrcPort: k.SrcPort, DstPort: k.DstPort}
}
