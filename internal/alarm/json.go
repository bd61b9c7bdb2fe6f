package alarm

import (
	"net/netip"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"dsiem/internal/event"
)

// AppendJSON appends the alarm as one line of siem_alarms.json, newline
// included.
func (a *Alarm) AppendJSON(dst []byte) []byte {
	w := writer{buf: dst}
	w.open('{')
	w.alarm(a, nil)
	w.close('}')
	return append(w.buf, '\n')
}

// AppendJSON appends the event as one line of siem_alarm_events.json, newline
// included.
func (e *Event) AppendJSON(dst []byte) []byte {
	w := writer{buf: dst}
	w.open('{')
	w.text("alarm_id", e.AlarmID)
	w.number("stage", int64(e.Stage))
	w.text("event_id", e.EventID)
	w.close('}')
	return append(w.buf, '\n')
}

// AppendSaved appends saved backlogs as the content of one file of saved
// backlogs: an indented array and a newline.
func AppendSaved(dst []byte, backlogs []Saved) []byte {
	w := writer{buf: dst, pretty: true}
	w.open('[')
	for i := range backlogs {
		w.element()
		w.saved(&backlogs[i])
	}
	w.close(']')
	return append(w.buf, '\n')
}

// writer appends JSON, compact or indented by two blanks.
type writer struct {
	buf    []byte
	pretty bool
	depth  int
	filled bool                    // the open list or object has an element
	ids    map[event.IDHash]string // those that are known as text
}

func (w *writer) open(c byte) {
	w.buf = append(w.buf, c)
	w.depth++
	w.filled = false
}

func (w *writer) close(c byte) {
	w.depth--
	if w.filled {
		w.newline()
	}
	w.buf = append(w.buf, c)
	w.filled = true
}

func (w *writer) newline() {
	if !w.pretty {
		return
	}
	w.buf = append(w.buf, '\n')
	for range w.depth {
		w.buf = append(w.buf, ' ', ' ')
	}
}

// element starts an element of a list or object.
func (w *writer) element() {
	if w.filled {
		w.buf = append(w.buf, ',')
	}
	w.newline()
	w.filled = true
}

func (w *writer) key(key string) {
	w.element()
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, key...)
	w.buf = append(w.buf, '"', ':')
	if w.pretty {
		w.buf = append(w.buf, ' ')
	}
}

func (w *writer) quote(text string) {
	// The error is about invalid UTF-8 only, which is then replaced.
	w.buf, _ = jsontext.AppendQuote(w.buf, text)
}

func (w *writer) text(key, text string) {
	w.key(key)
	w.quote(text)
}

func (w *writer) number(key string, n int64) {
	w.key(key)
	w.buf = strconv.AppendInt(w.buf, n, 10)
}

func (w *writer) unsigned(key string, n uint64) {
	w.key(key)
	w.buf = strconv.AppendUint(w.buf, n, 10)
}

// textIf and numberIf leave out what is empty or not above zero.
func (w *writer) textIf(key, text string) {
	if text != "" {
		w.text(key, text)
	}
}

func (w *writer) numberIf(key string, n int64) {
	if n > 0 {
		w.number(key, n)
	}
}

// list writes a list by calling each for every element.
func list[T any](w *writer, key string, elems []T, each func(*writer, *T)) {
	w.key(key)
	w.open('[')
	for i := range elems {
		w.element()
		each(w, &elems[i])
	}
	w.close(']')
}

// listIf leaves out an empty list.
func listIf[T any](w *writer, key string, elems []T, each func(*writer, *T)) {
	if len(elems) > 0 {
		list(w, key, elems, each)
	}
}

func appendText(w *writer, s *string) { w.quote(*s) }

func appendUnsigned(w *writer, n *uint64) { w.buf = strconv.AppendUint(w.buf, *n, 10) }

func appendAddr(w *writer, a *netip.Addr) {
	w.buf = append(w.buf, '"')
	w.buf = a.AppendTo(w.buf)
	w.buf = append(w.buf, '"')
}

func (w *writer) id(id *event.IDHash) {
	text, known := w.ids[*id]
	if !known {
		text = id.String()
	}
	w.quote(text)
}

func appendIdentity(w *writer, i *Identity) { w.quote(i.String()) }

func appendOther(w *writer, o *OtherEvent) { w.quote(o.String()) }

func appendHit(w *writer, h *Hit) {
	w.open('{')
	w.text("provider", h.Provider)
	w.text("term", h.Term)
	w.text("result", h.Result)
	w.close('}')
}

// AppendJSON appends the value as it stands in an alarm.
func (c *CustomData) AppendJSON(dst []byte) []byte {
	w := writer{buf: dst}
	appendCustomData(&w, c)
	return w.buf
}

func appendCustomData(w *writer, c *CustomData) {
	w.open('{')
	w.text("label", c.Label)
	w.text("content", c.Content)
	w.close('}')
}

// alarm writes the members of an alarm in the order of §8.2. extras, if not
// nil, adds the hidden state of its rules.
func (w *writer) alarm(a *Alarm, extras []Extra) {
	w.text("alarm_id", a.ID)
	w.text("title", a.Title)
	w.text("status", a.Status)
	w.text("tag", a.Tag)
	w.text("kingdom", a.Kingdom)
	w.text("category", a.Category)
	w.number("created_time", a.Created)
	w.number("update_time", a.Updated)
	w.number("risk", int64(a.Risk))
	w.text("risk_class", a.Class.String())
	w.key("rules")
	w.open('[')
	for i := range a.Rules {
		w.element()
		w.open('{')
		w.rule(&a.Rules[i])
		if extras != nil {
			w.extra(&extras[i])
		}
		w.close('}')
	}
	w.close(']')
	list(w, "src_ips", a.SrcIPs, appendAddr)
	list(w, "dst_ips", a.DstIPs, appendAddr)
	list(w, "networks", a.Networks, appendText)
	listIf(w, "intel_hits", a.IntelHits, appendHit)
	listIf(w, "vulnerabilities", a.Vulnerabilities, appendHit)
	listIf(w, "custom_data", a.CustomData, appendCustomData)
	if t := &a.Truncated; *t != (Truncated{}) {
		w.key("truncated")
		w.open('{')
		w.unsigned("src_ips", t.SrcIPs)
		w.unsigned("dst_ips", t.DstIPs)
		w.unsigned("custom_data", t.CustomData)
		w.close('}')
	}
}

// rule writes the members of a rule in the order of §8.3; plugin_sid is never
// left out (D5).
func (w *writer) rule(r *Rule) {
	w.text("name", r.Name)
	w.number("stage", int64(r.Stage))
	w.unsigned("occurrence", r.Occurrence)
	w.text("from", r.From)
	w.text("to", r.To)
	w.unsigned("plugin_id", r.PluginID)
	list(w, "plugin_sid", r.PluginSID, appendUnsigned)
	listIf(w, "product", r.Product, appendText)
	w.textIf("category", r.Category)
	listIf(w, "subcategory", r.Subcategory, appendText)
	w.text("type", r.Type)
	w.text("port_from", r.PortFrom)
	w.text("port_to", r.PortTo)
	w.text("protocol", r.Protocol)
	w.number("reliability", int64(r.Reliability))
	w.number("timeout", r.Timeout)
	w.numberIf("start_time", r.Start)
	w.numberIf("end_time", r.End)
	w.textIf("status", r.Status.String())
	w.textIf("sticky_different", r.StickyDifferent)
	for i := range event.CustomFields {
		n := string(rune('1' + i))
		w.textIf("custom_data"+n, r.CustomData[i])
		w.textIf("custom_label"+n, r.CustomLabel[i])
	}
}

// extra writes the hidden state of a rule (§11.2).
func (w *writer) extra(x *Extra) {
	if len(x.StickyTexts)+len(x.StickyNumbers) > 0 {
		w.key("saved_sticky_diffdata")
		w.open('{')
		list(w, "sdiff_string", x.StickyTexts, appendText)
		list(w, "sdiff_int", x.StickyNumbers, appendUnsigned)
		w.close('}')
	}
	listIf(w, "saved_event_ids", x.EventIDs, (*writer).id)
	if x.Origin != nil {
		list(w, "saved_origin", x.Origin, appendText)
	}
	listIf(w, "saved_events", x.Events, appendIdentity)
	listIf(w, "saved_other_events", x.Others, appendOther)
}

func (w *writer) unlisted(u *Unlisted) {
	if u.Value == 0 && len(u.SrcNetworks)+len(u.DstNetworks) == 0 {
		return
	}
	w.key("saved_unlisted")
	w.open('{')
	w.number("value", int64(u.Value))
	list(w, "src_networks", u.SrcNetworks, appendText)
	list(w, "dst_networks", u.DstNetworks, appendText)
	w.close('}')
}

func (w *writer) saved(s *Saved) {
	w.ids = s.IDs
	w.open('{')
	w.alarm(&s.Alarm, s.Extras)
	w.numberIf("saved_last_srcport", int64(s.LastSrcPort))
	w.numberIf("saved_last_dstport", int64(s.LastDstPort))
	w.textIf("saved_expanded_title", s.ExpandedTitle)
	w.numberIf("saved_arrival", s.Arrival)
	w.numberIf("saved_opened", s.Opened)
	w.numberIf("saved_latest", s.Latest)
	if s.Opener.IsValid() {
		w.key("saved_opener")
		appendAddr(w, &s.Opener)
	}
	if s.Opening != (OtherEvent{}) {
		w.key("saved_opening_event")
		appendOther(w, &s.Opening)
	}
	w.numberIf("saved_line_time", s.LineTime)
	if s.LineDue {
		w.key("saved_line_due")
		w.buf = append(w.buf, "true"...)
	}
	for i, hash := range s.LongData {
		if hash != 0 {
			w.text("saved_long_data"+string(rune('1'+i)), hash.String())
		}
	}
	w.unlisted(&s.Unlisted)
	w.close('}')
}
