package input

import (
	"bytes"
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
	eveAlert
	// These are keys of the object in eveAlert.
	eveSignatureID
	eveSignature
	eveCategory
	eveKeys
)

// eveRecord holds the raw values of an EVE record, nil where it has none.
type eveRecord [eveKeys]jsontext.Value

// DecodeSuricata reads one record of Suricata's eve.json, replaces *ev by the
// normalized event it stands for and reports whether it is one: only records
// of event_type "alert" are, others are not rejected but left to be skipped.
// *ev is the zero Event then, as after a rejection.
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
//	sensor      host, or else in_iface
//	timestamp   timestamp; UTC if it has no offset
//	event_id    made of flow_id (addresses and ports if there is none),
//	            signature and time, so that it is the same each time
//
// Limits, required values and reasons of rejection are those of event.Decode,
// which does the work; a Rejection names the key of the EVE record. A missing
// event_type is BadType, so that input of another kind does not pass as
// something to skip. DecodeSuricata may be called from several goroutines.
func DecodeSuricata(data []byte, ev *event.Event) (alert bool, rej *event.Rejection) {
	*ev = event.Event{}
	var rec eveRecord
	if _, rej := event.ReadMembers(data, rec[:], event.Keys{Index: eveIndex}); rej != nil {
		return false, rej
	}
	switch kind := rec[eveEventType].Kind(); {
	case kind != jsontext.KindString:
		return false, &event.Rejection{Reason: event.BadType, Field: "event_type", Detail: "want a string, as Suricata writes"}
	case string(unquoted(rec[eveEventType])) != "alert":
		return false, nil
	}
	if rej := rec.readAlert(); rej != nil {
		return false, rej
	}
	flow, rej := rec.flow()
	if rej != nil {
		return false, rej
	}

	buf := scratch.Get().(*[]byte) // the pool holds nothing else
	defer scratch.Put(buf)
	*buf = rec.appendNormalized((*buf)[:0])
	if rej := event.Decode(*buf, ev); rej != nil {
		return false, rec.inTermsOfEVE(rej)
	}
	*buf = appendEventID((*buf)[:0], flow, ev)
	ev.ID = string(*buf)
	return true, nil
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
	}
	return -1
}

// readAlert reads the members of the alert object.
func (r *eveRecord) readAlert() *event.Rejection {
	switch alert := r[eveAlert]; alert.Kind() {
	case jsontext.KindInvalid, jsontext.KindNull: // absent
		return nil
	case jsontext.KindBeginObject:
		_, rej := event.ReadMembers(alert, r[:], event.Keys{Index: alertIndex})
		if rej != nil && rej.Field != "" {
			rej.Field = "alert." + rej.Field
		}
		return rej
	default:
		return &event.Rejection{Reason: event.BadType, Field: "alert", Detail: "want an object"}
	}
}

// flow returns the text of the flow id, nil if the record has none.
func (r *eveRecord) flow() ([]byte, *event.Rejection) {
	const key = "flow_id"
	switch raw := r[eveFlowID]; raw.Kind() {
	case jsontext.KindInvalid, jsontext.KindNull: // absent
		return nil, nil
	case jsontext.KindNumber:
		if _, err := strconv.ParseUint(string(raw), 10, 64); err != nil {
			return nil, &event.Rejection{Reason: event.OutOfRange, Field: key, Detail: "want a non-negative integer of 64 bits"}
		}
		return raw, nil
	default:
		return nil, &event.Rejection{Reason: event.BadType, Field: key, Detail: "want a number"}
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
	if raw := r[eveTimestamp]; raw.Kind() == jsontext.KindString && lacksOffset(unquoted(raw)) {
		dst = append(dst[:len(dst)-1], 'Z', '"')
	}
	return append(dst, '}')
}

// sensor returns the key whose value names the sensor.
func (r *eveRecord) sensor() int {
	switch host := r[eveHost]; {
	case host == nil, host.Kind() == jsontext.KindNull, string(host) == `""`:
		return eveInIface
	}
	return eveHost
}

// inTermsOfEVE makes a rejection of the normalized event one of the record.
func (r *eveRecord) inTermsOfEVE(rej *event.Rejection) *event.Rejection {
	switch rej.Field {
	case "plugin_sid":
		rej.Field = "alert.signature_id"
	case "title":
		rej.Field = "alert.signature"
	case "category":
		rej.Field = "alert.category"
	case "dst_ip":
		rej.Field = "dest_ip"
	case "dst_port":
		rej.Field = "dest_port"
	case "protocol":
		rej.Field = "proto"
	case "sensor":
		rej.Field = "host"
		if r.sensor() == eveInIface {
			rej.Field = "in_iface"
		}
	}
	if rej.Reason == event.NoIdentity {
		rej.Field, rej.Detail = "alert.signature_id", "missing or 0, and no alert.category"
	}
	return rej
}

// lacksOffset reports whether a timestamp ends with its time of day.
func lacksOffset(timestamp []byte) bool {
	i := bytes.IndexByte(timestamp, ':')
	return i >= 0 && len(bytes.Trim(timestamp[i:], "0123456789:. ")) == 0
}

// unquoted returns the text of a JSON string that ReadMembers has checked.
func unquoted(raw jsontext.Value) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	text, _ := jsontext.AppendUnquote(nil, raw) // cannot fail
	return text
}

// appendEventID appends the id of an alert: its flow, signature and time.
func appendEventID(dst, flow []byte, ev *event.Event) []byte {
	if flow != nil {
		dst = append(dst, flow...)
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
	return dst
}
