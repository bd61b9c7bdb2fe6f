package state

import (
	"fmt"
	"io"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"dsiem/internal/alarm"
	"dsiem/internal/event"
	"dsiem/internal/jsonfile"
)

// reader reads the backlogs of one file.
type reader struct {
	restore func(*alarm.Saved) error
	// file is the part of the file that has the element being looked at.
	file *jsonfile.File
	// restoredFrom tells the number of the element that an alarm id was restored from.
	restoredFrom ids
	// texts holds one copy of each text, so that backlogs share what they have
	// in common and nothing of them holds on to the file. It is emptied when there
	// are maxTexts: what few have in common is not worth more.
	texts map[string]string
	// report holds what was found since the last element ended.
	report jsonfile.Report
	// keys are those of the object being looked at.
	keys map[string]int

	restored, discarded int
	problems            []jsonfile.Problem
	untold              int
}

// maxTexts is the number of texts that are looked for to be shared.
const maxTexts = 4096

func (r *reader) read(name string, from io.ReaderAt, size int64) {
	r.texts, r.keys = map[string]string{}, map[string]int{}
	complete := jsonfile.StreamElements(name, from, size, &r.report, func(f *jsonfile.File, i int, v *jsonfile.Value) {
		r.file = f
		r.element(i, v)
	})
	if !complete {
		r.discarded++
	}
	if r.untold > 0 {
		r.problems = append(r.problems, jsonfile.Problem{
			File: name, Msg: fmt.Sprintf("%d more problems of this file are not shown", r.untold),
		})
	}
	r.problems = append(r.problems, r.report.Problems...)
}

// element reads element i and gives it to restore.
func (r *reader) element(i int, v *jsonfile.Value) {
	scope := r.scope("", v)
	if s := r.backlog(scope); len(r.report.Problems) == 0 {
		if first := r.restoredFrom.get(s.ID); first > 0 {
			scope.Errorf(v.Get("alarm_id").Offset, "alarm_id", "backlog number %d has the same id %s; only the first is kept", first, jsonfile.Quote(s.ID))
		} else if err := r.restore(s); err != nil {
			scope.Errorf(v.Offset, "", "%s cannot go on: %v", jsonfile.Quote(s.ID), err)
		} else {
			r.restoredFrom.set(s.ID, i+1)
			r.restored++
			return
		}
	}
	r.discarded++
	where := "backlog number " + strconv.Itoa(i+1)
	for _, p := range r.report.Problems {
		if len(r.problems) >= maxProblems {
			r.untold++
			continue
		}
		if p.Where != "" {
			p.Where = ", " + p.Where
		}
		p.Where = where + p.Where
		r.problems = append(r.problems, p)
	}
	r.report.Problems = r.report.Problems[:0]
}

// keep returns the reader's own copy of a text.
func (r *reader) keep(text string) string {
	if kept, ok := r.texts[text]; ok {
		return kept
	}
	if len(r.texts) >= maxTexts {
		clear(r.texts)
	}
	text = strings.Clone(text)
	r.texts[text] = text
	return text
}

func (r *reader) keepAll(texts []string) []string {
	for i := range texts {
		texts[i] = r.keep(texts[i])
	}
	return texts
}

func (r *reader) text(s *jsonfile.Scope, key string) string {
	return r.keep(s.String(key, true, ""))
}

func (r *reader) optionalText(s *jsonfile.Scope, key string) string {
	return r.keep(s.String(key, false, ""))
}

// backlog reads one backlog; unknown keys are those of other programs or
// versions (§11.5).
func (r *reader) backlog(s *jsonfile.Scope) *alarm.Saved {
	if s.Object.Kind != jsonfile.Object {
		s.Errorf(s.Object.Offset, "", "a backlog must be an object, not %s", s.Object.Kind)
		return nil
	}
	out := &alarm.Saved{
		Alarm: alarm.Alarm{
			ID:       strings.Clone(s.NonEmpty("alarm_id")),
			Title:    r.text(s, "title"),
			Status:   r.text(s, "status"),
			Tag:      r.text(s, "tag"),
			Kingdom:  r.text(s, "kingdom"),
			Category: r.text(s, "category"),
			Created:  seconds(s, "created_time", true),
			Updated:  seconds(s, "update_time", true),
			Risk:     number[int](s, "risk", jsonfile.Range{Max: alarm.MaxRisk, Required: true}),
			Class:    class(s),
		},
		LastSrcPort:   number[uint16](s, "saved_last_srcport", jsonfile.Range{Max: math.MaxUint16}),
		LastDstPort:   number[uint16](s, "saved_last_dstport", jsonfile.Range{Max: math.MaxUint16}),
		ExpandedTitle: r.optionalText(s, "saved_expanded_title"),
		Arrival:       seconds(s, "saved_arrival", false),
		Opened:        number[int64](s, "saved_opened", jsonfile.Range{Max: math.MaxInt64}),
		Latest:        number[int64](s, "saved_latest", jsonfile.Range{Max: math.MaxInt64}),
		Opener:        opener(s),
		Opening:       opening(s),
		LineTime:      seconds(s, "saved_line_time", false),
		LineDue:       s.Bool("saved_line_due"),
		Successor:     s.Object.Get("saved_src_socketaddr") != nil || s.Object.Get("saved_dst_socketaddr") != nil,
	}
	r.rules(s, out)
	out.SrcIPs = addresses(s, "src_ips")
	out.DstIPs = addresses(s, "dst_ips")
	out.Networks = r.keepAll(s.Strings("networks", true))
	out.IntelHits = r.hits(s, "intel_hits")
	out.Vulnerabilities = r.hits(s, "vulnerabilities")
	for _, item := range r.objects(s, "custom_data", false) {
		out.CustomData = append(out.CustomData, alarm.CustomData{
			Label: r.text(item, "label"), Content: r.text(item, "content"),
		})
	}
	for i := range out.LongData {
		if hash := r.optionalText(s, "saved_long_data"+strconv.Itoa(i+1)); hash != "" {
			out.LongData[i] = event.HashID(hash)
		}
	}
	r.truncated(s, out)
	return out
}

// opener reads an address that may be missing.
func opener(s *jsonfile.Scope) netip.Addr {
	const key = "saved_opener"
	text := s.String(key, false, "")
	if text == "" {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		s.Errorf(s.Object.Get(key).Offset, key, "%s is not an address", jsonfile.Quote(text))
	}
	return addr
}

// opening reads an event that may be missing.
func opening(s *jsonfile.Scope) alarm.OtherEvent {
	const key = "saved_opening_event"
	text := s.String(key, false, "")
	if text == "" {
		return alarm.OtherEvent{}
	}
	one, ok := alarm.ParseOtherEvent(text)
	if !ok {
		s.Errorf(s.Object.Get(key).Offset, key, "%s is not 48 hex digits", jsonfile.Quote(text))
	}
	return one
}

// truncated reads what is known of values that an alarm does not list.
func (r *reader) truncated(s *jsonfile.Scope, out *alarm.Saved) {
	if v := s.Object.Get("truncated"); v != nil && v.Kind == jsonfile.Object {
		in, most := r.scope("truncated", v), jsonfile.Range{Max: math.MaxInt64}
		out.Truncated = alarm.Truncated{
			SrcIPs: in.Uint("src_ips", most), DstIPs: in.Uint("dst_ips", most), CustomData: in.Uint("custom_data", most),
		}
	}
	if v := s.Object.Get("saved_unlisted"); v != nil && v.Kind == jsonfile.Object {
		in := r.scope("saved_unlisted", v)
		out.Unlisted = alarm.Unlisted{
			Value:       number[int](in, "value", jsonfile.Range{Max: math.MaxInt32}),
			SrcNetworks: r.keepAll(in.Strings("src_networks", false)),
			DstNetworks: r.keepAll(in.Strings("dst_networks", false)),
		}
	}
}

func (r *reader) hits(s *jsonfile.Scope, key string) []alarm.Hit {
	items := r.objects(s, key, false)
	hits := make([]alarm.Hit, len(items))
	for i, item := range items {
		hits[i] = alarm.Hit{
			Provider: r.text(item, "provider"), Term: r.text(item, "term"), Result: r.text(item, "result"),
		}
	}
	return hits
}

// rules reads the rules and their hidden state.
func (r *reader) rules(s *jsonfile.Scope, out *alarm.Saved) {
	items := r.objects(s, "rules", true)
	out.Rules = make([]alarm.Rule, len(items))
	out.Extras = make([]alarm.Extra, len(items))
	for i, item := range items {
		out.Rules[i] = r.rule(item)
		out.Extras[i] = r.extra(item)
	}
}

// rule reads one rule. What its texts mean is for the engine to say.
func (r *reader) rule(s *jsonfile.Scope) alarm.Rule {
	rule := alarm.Rule{
		Name:            r.text(s, "name"),
		Stage:           number[int](s, "stage", jsonfile.Range{Min: 1, Max: math.MaxUint8, Required: true}),
		Occurrence:      s.Uint("occurrence", jsonfile.Range{Min: 1, Max: math.MaxInt64, Required: true}),
		From:            r.text(s, "from"),
		To:              r.text(s, "to"),
		PluginID:        s.Uint("plugin_id", jsonfile.Range{Max: math.MaxUint64}),
		PluginSID:       s.Uints("plugin_sid", jsonfile.Range{Max: math.MaxUint64}),
		Product:         r.keepAll(s.Strings("product", false)),
		Category:        r.optionalText(s, "category"),
		Subcategory:     r.keepAll(s.Strings("subcategory", false)),
		Type:            r.text(s, "type"),
		PortFrom:        r.text(s, "port_from"),
		PortTo:          r.text(s, "port_to"),
		Protocol:        r.text(s, "protocol"),
		Reliability:     number[int](s, "reliability", jsonfile.Range{Max: 10, Required: true}),
		Timeout:         number[int64](s, "timeout", jsonfile.Range{Max: math.MaxUint32, Required: true}),
		Start:           seconds(s, "start_time", false),
		End:             seconds(s, "end_time", false),
		Status:          status(s),
		StickyDifferent: r.optionalText(s, "sticky_different"),
	}
	for i := range event.CustomFields {
		n := strconv.Itoa(i + 1)
		rule.CustomData[i] = r.optionalText(s, "custom_data"+n)
		rule.CustomLabel[i] = r.optionalText(s, "custom_label"+n)
	}
	return rule
}

func (r *reader) extra(s *jsonfile.Scope) alarm.Extra {
	var x alarm.Extra
	for _, id := range s.Strings("saved_event_ids", false) {
		x.EventIDs = append(x.EventIDs, event.HashID(id))
	}
	for _, text := range s.Strings("saved_events", false) {
		id, ok := alarm.ParseIdentity(text)
		if !ok {
			s.Errorf(s.Object.Get("saved_events").Offset, "saved_events", "%s is not 32 hex digits", jsonfile.Quote(text))
		}
		x.Events = append(x.Events, id)
	}
	for _, text := range s.Strings("saved_other_events", false) {
		other, ok := alarm.ParseOtherEvent(text)
		if !ok {
			s.Errorf(s.Object.Get("saved_other_events").Offset, "saved_other_events", "%s is not 48 hex digits", jsonfile.Quote(text))
		}
		x.Others = append(x.Others, other)
	}
	if s.Object.Get("saved_origin") != nil {
		x.Origin = append([]string{}, r.keepAll(s.Strings("saved_origin", false))...)
	}
	const key = "saved_sticky_diffdata"
	sticky := s.Object.Get(key)
	if sticky == nil {
		return x
	}
	if sticky.Kind != jsonfile.Object {
		s.Errorf(sticky.Offset, key, "%s is required, not %s", jsonfile.Object, sticky.Kind)
		return x
	}
	in := r.scope(s.Where+", "+key, sticky)
	x.StickyTexts = r.keepAll(in.Strings("sdiff_string", false))
	x.StickyNumbers = in.Uints("sdiff_int", jsonfile.Range{Max: math.MaxUint64})
	return x
}
