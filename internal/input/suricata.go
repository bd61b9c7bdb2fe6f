package input

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"dsiem/internal/event"
)

// The keys of an EVE record that take part in the mapping.
const (
	eveTimestamp = iota
	eveFlowID
	eveEventType
	eveSrcIP
	eveSrcPort
	eveDestIP
	eveDestPort
	eveProto
	eveHost
	eveInIface
	eveTxID
	evePcapCnt
	eveAlert
	// These are keys of the object in eveAlert.
	eveSignatureID
	eveSignature
	eveCategory
	eveAction
	// This is a key of the object in eveHost.
	eveHostName
	eveKeys

	// eveInforms are the keys that reject no record.
	eveInforms = 1<<eveFlowID | 1<<eveProto | 1<<eveHost | 1<<eveInIface | 1<<eveTxID | 1<<evePcapCnt |
		1<<eveSignature | 1<<eveAction | 1<<eveHostName
)

// eveRecord holds the raw values of an EVE record, nil where it has none.
type eveRecord [eveKeys]jsontext.Value

// DecodeSuricata reads one record of Suricata's eve.json and replaces *ev by the
// normalized event it stands for, or returns why it is skipped: it is no alert, or
// one without addresses. *ev is the zero Event then, as after a rejection.
//
// An alert is a record of event_type "alert", or "drop" with an alert inside, which
// is how Suricata as an IPS may log what it has blocked. There may be a syslog header
// before it, see SyslogHeader.
//
// The mapping is the one that Dsiem's directives for Suricata are written for:
//
//	plugin_id   1001
//	plugin_sid  alert.signature_id
//	title       alert.signature
//	product     "Intrusion Detection System"
//	category    alert.category
//	src_ip, src_port, dst_ip, dst_port, protocol
//	            src_ip, src_port, dest_ip, dest_port, proto
//	sensor      host or host.name, or else in_iface
//	timestamp   timestamp; UTC if it has no offset, which may be the name of a zone
//	            of Windows
//	event_id    made of flow_id (addresses and ports if there is none), signature,
//	            time, tx_id, pcap_cnt and alert.action, so that it is the same each
//	            time, and others in the same packet have another one
//
// Limits, required values, forms of values and reasons of rejection are those of
// event.Decode, which does the work; a Rejection names the key of the EVE record. A
// missing event_type is BadType, so that input of another kind does not pass as
// something to skip. DecodeSuricata may be called from several goroutines.
//
// Source of the behaviour: docs/spec/correlation.md D39 and D41.
func DecodeSuricata(data []byte, ev *event.Event) (skip Skip, rej *event.Rejection) {
	*ev = event.Event{}
	var rec eveRecord
	repaired, rej := event.ReadMembers(data[SyslogHeader(data):], rec[:], event.Keys{Index: eveIndex, Informs: eveInforms, Wrapped: true})
	if rej != nil {
		return 0, rej
	}
	kind, ok := text(rec[eveEventType])
	switch {
	case !ok:
		return 0, &event.Rejection{Reason: event.BadType, Field: "event_type", Detail: "want a string, as Suricata writes"}
	case string(kind) == "alert":
	case string(kind) != "drop", rec[eveAlert].Kind() != jsontext.KindBeginObject:
		return NoAlert, nil
	}
	if rec.lacks(eveSrcIP) && rec.lacks(eveDestIP) { // an alert about a packet without, as of ARP
		return NoAddresses, nil
	}
	if rej := rec.readAlert(); rej != nil {
		return 0, rej
	}
	if rec[eveHost].Kind() == jsontext.KindBeginObject {
		// It cannot fail: the object was read as part of the record.
		_, _ = event.ReadMembers(rec[eveHost], rec[:], event.Keys{Index: hostIndex, Informs: eveInforms})
	}

	buf := scratch.Get().(*[]byte) // the pool holds nothing else
	defer scratch.Put(buf)
	*buf = rec.appendNormalized((*buf)[:0])
	if rej := event.Decode(*buf, ev); rej != nil {
		return 0, rec.inTermsOfEVE(rej)
	}
	*buf = rec.appendEventID((*buf)[:0], ev)
	ev.ID = string(*buf)
	ev.Repaired = repaired
	return 0, nil
}

// longestHeader is the length from which a text before a record is no header.
const longestHeader = 1 << 10

// SyslogHeader returns the length of the syslog header at the start of a line, behind
// which an EVE record stands, 0 if there is none. A header is what syslog daemons
// write before a message: it begins with a letter, a digit or <, and ends with a
// colon, as "suricata[123]:" and "@cee:" do, or as RFC 5424 has it without or with
// structured data.
func SyslogHeader(line []byte) int {
	end := bytes.IndexByte(line[:min(len(line), longestHeader)], '{')
	if end < 1 {
		return 0
	}
	header := bytes.TrimRight(line[:end], " \t")
	if len(header) < 2 || bytes.IndexByte(header, '\n') >= 0 {
		return 0
	}
	first, last := header[0], header[len(header)-1]
	begins := first == '<' || first == '@' || first >= '0' && first <= '9' || first|0x20 >= 'a' && first|0x20 <= 'z'
	if begins && (last == ':' || last == '-' || last == ']') {
		return end
	}
	return 0
}

// scratch recycles the memory for the text of normalized events.
var scratch = sync.Pool{New: func() any { return new([]byte) }} //nolint:gochecknoglobals // a pool is shared by nature and holds no state

// eveIndex returns the place of a record's key in an eveRecord, or -1.
func eveIndex(key []byte) int {
	switch string(key) {
	case "timestamp":
		return eveTimestamp
	case "flow_id":
		return eveFlowID
	case "event_type":
		return eveEventType
	case "src_ip":
		return eveSrcIP
	case "src_port":
		return eveSrcPort
	case "dest_ip":
		return eveDestIP
	case "dest_port":
		return eveDestPort
	case "proto":
		return eveProto
	case "host":
		return eveHost
	case "in_iface":
		return eveInIface
	case "tx_id":
		return eveTxID
	case "pcap_cnt":
		return evePcapCnt
	case "alert":
		return eveAlert
	}
	return -1
}

// alertIndex returns the place of a key of the alert object, or -1.
func alertIndex(key []byte) int {
	switch string(key) {
	case "signature_id":
		return eveSignatureID
	case "signature":
		return eveSignature
	case "category":
		return eveCategory
	case "action":
		return eveAction
	}
	return -1
}

// hostIndex returns the place of a key of the host object, or -1.
func hostIndex(key []byte) int {
	if string(key) == "name" {
		return eveHostName
	}
	return -1
}

// lacks reports whether a record has nothing in a place.
func (r *eveRecord) lacks(i int) bool {
	raw := r[i]
	return raw.Kind() == jsontext.KindInvalid || raw.Kind() == jsontext.KindNull || string(raw) == `""`
}

// readAlert reads the members of the alert object.
func (r *eveRecord) readAlert() *event.Rejection {
	switch alert := r[eveAlert]; alert.Kind() {
	case jsontext.KindInvalid, jsontext.KindNull: // absent
		return nil
	case jsontext.KindBeginObject:
		_, rej := event.ReadMembers(alert, r[:], event.Keys{Index: alertIndex, Informs: eveInforms})
		if rej != nil && rej.Field != "" {
			rej.Field = "alert." + rej.Field
		}
		return rej
	default:
		return &event.Rejection{Reason: event.BadType, Field: "alert", Detail: "want an object"}
	}
}

// commonStart is how the normalized text of every alert begins.
const commonStart = `{"plugin_id":1001,"product":"Intrusion Detection System"`

// appendNormalized appends the JSON text of the normalized event, with the
// values as they stand in the record: event.Decode judges them.
func (r *eveRecord) appendNormalized(dst []byte) []byte {
	dst = append(dst, commonStart...)
	for _, m := range [...]struct {
		key string
		raw jsontext.Value
	}{
		{"plugin_sid", r[eveSignatureID]},
		{"title", r[eveSignature]},
		{"category", r[eveCategory]},
		{"src_ip", r[eveSrcIP]},
		{"src_port", r[eveSrcPort]},
		{"dst_ip", r[eveDestIP]},
		{"dst_port", r[eveDestPort]},
		{"protocol", r[eveProto]},
		{"sensor", r[r.sensor()]},
		{"timestamp", r[eveTimestamp]}, // the last one, see below
	} {
		if m.raw == nil {
			continue
		}
		dst = append(dst, ',', '"')
		dst = append(dst, m.key...)
		dst = append(dst, '"', ':')
		dst = append(dst, m.raw...)
	}
	if raw := r[eveTimestamp]; raw.Kind() == jsontext.KindString {
		if at, offset := missingOffset(unquoted(raw)); offset != "" {
			dst, _ = jsontext.AppendQuote(dst[:len(dst)-len(raw)], at+offset) // valid UTF-8
		}
	}
	return append(dst, '}')
}

// sensor returns the key whose value names the sensor.
func (r *eveRecord) sensor() int {
	for _, key := range [...]int{eveHost, eveHostName} {
		if name, ok := text(r[key]); ok && len(name) > 0 {
			return key
		}
	}
	return eveInIface
}

// inTermsOfEVE makes a rejection of the normalized event one of the record.
func (*eveRecord) inTermsOfEVE(rej *event.Rejection) *event.Rejection {
	switch rej.Field {
	case "plugin_sid":
		rej.Field = "alert.signature_id"
	case "category":
		rej.Field = "alert.category"
	case "dst_ip":
		rej.Field = "dest_ip"
	case "dst_port":
		rej.Field = "dest_port"
	}
	if rej.Reason == event.NoIdentity {
		rej.Field, rej.Detail = "alert.signature_id", "missing or 0, and no alert.category"
	}
	return rej
}

// missingOffset returns a timestamp without what is no offset in it, and the offset
// that it stands for: a time of day alone is UTC, and Suricata for Windows writes the
// name of its zone. offset is "" for all others.
func missingOffset(timestamp []byte) (at, offset string) {
	i := bytes.IndexByte(timestamp, ':')
	if i < 0 {
		return "", ""
	}
	rest := bytes.TrimLeft(timestamp[i:], "0123456789:. ")
	at = string(timestamp[:len(timestamp)-len(rest)])
	if len(rest) == 0 {
		return at, "Z"
	}
	minutes, ok := windowsZone(string(bytes.TrimRight(rest, " ")))
	if !ok {
		return "", ""
	}
	sign := '+'
	if minutes < 0 {
		sign, minutes = '-', -minutes
	}
	return at, fmt.Sprintf("%c%02d:%02d", sign, minutes/60, minutes%60)
}

// text returns the text of a JSON string, number or boolean, as event.Decode takes
// it, or false if it has none.
func text(raw jsontext.Value) ([]byte, bool) {
	switch raw.Kind() {
	case jsontext.KindString:
		return unquoted(raw), true
	case jsontext.KindNumber, jsontext.KindTrue, jsontext.KindFalse:
		return raw, true
	}
	return nil, false
}

// unquoted returns the text of a JSON string that ReadMembers has checked.
func unquoted(raw jsontext.Value) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	text, _ := jsontext.AppendUnquote(nil, raw) // cannot fail
	return text
}

// appendEventID appends the id of an alert: its flow, signature and time, and what
// tells it from others of the same packet.
func (r *eveRecord) appendEventID(dst []byte, ev *event.Event) []byte {
	if flow, ok := text(r[eveFlowID]); ok && len(flow) > 0 {
		dst = appendShort(dst, flow)
	} else {
		dst = netip.AddrPortFrom(ev.SrcIP, ev.SrcPort).AppendTo(dst)
		dst = append(dst, '-')
		dst = netip.AddrPortFrom(ev.DstIP, ev.DstPort).AppendTo(dst)
	}
	dst = strconv.AppendUint(append(dst, '-'), ev.PluginSID, 10)
	dst = strconv.AppendInt(append(dst, '-'), ev.Seconds, 10)
	point := len(dst)
	dst = strconv.AppendInt(dst, 1e9+int64(ev.Nanos), 10) // ten digits
	dst[point] = '.'
	for _, part := range [...]struct {
		name string
		key  int
	}{{"-tx", eveTxID}, {"-pkt", evePcapCnt}, {"-", eveAction}} {
		if value, ok := text(r[part.key]); ok && len(value) > 0 {
			dst = appendShort(append(dst, part.name...), value)
		}
	}
	return dst
}

// appendShort appends a part of an id, or its hash where it is longer than Suricata
// writes any.
func appendShort(dst, part []byte) []byte {
	const longest = 64
	if len(part) > longest {
		return append(dst, event.HashID(string(part)).String()...)
	}
	return append(dst, part...)
}
