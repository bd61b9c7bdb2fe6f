package event

import (
	"bytes"
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Decode reads one normalized event from its JSON text and replaces *ev by
// it. It returns nil, or why the event is rejected; *ev is the zero Event then.
// Where several reasons apply, the first one in the order of the constants is
// given, so that it does not depend on the order of the keys. The event's
// strings do not alias data, but share one allocation: clone (strings.Clone)
// one that outlives the event.
//
// The rules are those of spec/correlation.md §1 with decision D17:
//   - keys are case-sensitive, unknown ones are ignored, see ReadMembers;
//   - timestamp, src_ip, dst_ip and one identity family are required, null is
//     the same as absent for everything else;
//   - numbers are plain integers in their field's range: no fraction, no
//     exponent, no sign except for rcvd_time, and no "-0" (OutOfRange).
//
// Decode may be called from several goroutines at once.
func Decode(data []byte, ev *Event) *Rejection {
	*ev = Event{}
	var m members
	if _, rej := m.read(data); rej != nil {
		return rej
	}
	rej := m.event(ev)
	if rej != nil {
		*ev = Event{}
	}
	return rej
}

// field is a known key of a normalized event.
type field uint8

const (
	eventID field = iota
	timestamp
	srcIP
	dstIP
	sensor
	protocol
	title
	product
	category
	subcategory
	customData1
	customLabel1
	customData2
	customLabel2
	customData3
	customLabel3
	textFields // the fields up to here are strings, those after it are numbers
)

const (
	srcPort = textFields + iota
	dstPort
	connID
	pluginID
	pluginSID
	rcvdTime
	fieldCount
)

// String returns the key of the field (§1.1).
func (f field) String() string {
	return [fieldCount]string{
		"event_id", "timestamp", "src_ip", "dst_ip", "sensor", "protocol", "title",
		"product", "category", "subcategory",
		"custom_data1", "custom_label1", "custom_data2", "custom_label2", "custom_data3", "custom_label3",
		"src_port", "dst_port", "conn_id", "plugin_id", "plugin_sid", "rcvd_time",
	}[f]
}

// fieldIndex is the inverse of field.String; it returns -1 for an unknown key.
func fieldIndex(key []byte) int {
	var f field
	switch string(key) {
	case "event_id":
		f = eventID
	case "timestamp":
		f = timestamp
	case "src_ip":
		f = srcIP
	case "dst_ip":
		f = dstIP
	case "sensor":
		f = sensor
	case "protocol":
		f = protocol
	case "title":
		f = title
	case "product":
		f = product
	case "category":
		f = category
	case "subcategory":
		f = subcategory
	case "custom_data1":
		f = customData1
	case "custom_label1":
		f = customLabel1
	case "custom_data2":
		f = customData2
	case "custom_label2":
		f = customLabel2
	case "custom_data3":
		f = customData3
	case "custom_label3":
		f = customLabel3
	case "src_port":
		f = srcPort
	case "dst_port":
		f = dstPort
	case "conn_id":
		f = connID
	case "plugin_id":
		f = pluginID
	case "plugin_sid":
		f = pluginSID
	case "rcvd_time":
		f = rcvdTime
	default:
		return -1
	}
	return int(f)
}

// typicalText is the number of bytes of text that an event's strings may have
// together before decoding them takes a scratch buffer from the heap.
const typicalText = 1024

// members is an event half-way between its JSON text and an Event.
type members struct {
	raw [fieldCount]jsontext.Value
	rej *Rejection
}

// read sets the raw values, and reports whether the text is of ordinary form.
func (m *members) read(data []byte) (ordinary bool, rej *Rejection) {
	if scan(data, &m.raw) {
		return true, nil
	}
	m.raw = [fieldCount]jsontext.Value{}
	return false, ReadMembers(data, m.raw[:], fieldIndex)
}

// reject notes a rejection unless an earlier reason is known already.
func (m *members) reject(f field, reason Reason, detail string) {
	if m.rej == nil || reason < m.rej.Reason {
		m.rej = &Rejection{Reason: reason, Field: f.String(), Detail: detail}
	}
}

// event fills *ev from the raw values.
func (m *members) event(ev *Event) *Rejection {
	var texts [textFields]string
	m.texts(&texts)
	m.numbers(ev)
	if m.rej != nil {
		return m.rej
	}
	m.time(ev, texts[timestamp])
	ev.SrcIP = m.address(srcIP, texts[srcIP])
	ev.DstIP = m.address(dstIP, texts[dstIP])

	ev.ID, ev.Sensor, ev.Title, ev.Protocol = texts[eventID], texts[sensor], texts[title], texts[protocol]
	ev.Product, ev.Category, ev.Subcategory = texts[product], texts[category], texts[subcategory]
	ev.CustomData = [CustomFields]string{texts[customData1], texts[customData2], texts[customData3]}
	ev.CustomLabel = [CustomFields]string{texts[customLabel1], texts[customLabel2], texts[customLabel3]}
	if m.rej == nil && !ev.HasPlugin() && !ev.HasTaxonomy() {
		return &Rejection{Reason: NoIdentity, Detail: "want plugin_id and plugin_sid, or product and category"}
	}
	return m.rej
}

// texts sets the unescaped text of each string member, "" where it is absent.
// All of them share one allocation.
func (m *members) texts(texts *[textFields]string) {
	var buf [typicalText]byte
	var ends [textFields]int
	all := buf[:0]
	for f := range textFields {
		all = m.appendText(all, f)
		ends[f] = len(all)
	}
	shared, start := string(all), 0
	for f, end := range ends {
		texts[f], start = shared[start:end], end
	}
}

// appendText appends the unescaped text of a string member.
func (m *members) appendText(dst []byte, f field) []byte {
	raw := m.raw[f]
	switch raw.Kind() {
	case jsontext.KindString:
		if bytes.IndexByte(raw, '\\') < 0 {
			return append(dst, raw[1:len(raw)-1]...)
		}
		text, err := jsontext.AppendUnquote(dst, raw)
		if err != nil { // cannot happen: ReadMembers has checked it
			m.reject(f, BadEncoding, err.Error())
		}
		return text
	case jsontext.KindNull:
		if f == timestamp || f == srcIP || f == dstIP {
			m.reject(f, BadType, "null, want a string")
		}
	case jsontext.KindInvalid: // absent
	default:
		m.reject(f, BadType, "want a string")
	}
	return dst
}

// numbers sets the numeric fields of *ev.
func (m *members) numbers(ev *Event) {
	ev.SrcPort = uint16(m.unsigned(srcPort, 16)) //nolint:gosec // 16 bits
	ev.DstPort = uint16(m.unsigned(dstPort, 16)) //nolint:gosec // 16 bits
	ev.ConnID = m.unsigned(connID, 64)
	ev.PluginID = m.unsigned(pluginID, 64)
	ev.PluginSID = m.unsigned(pluginSID, 64)
	if raw := m.number(rcvdTime); raw != nil {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil || string(raw) == "-0" {
			m.reject(rcvdTime, OutOfRange, "want an integer of 64 bits")
		}
		ev.ReceivedAt = n
	}
}

// unsigned returns the value of a numeric member, 0 if it is absent.
func (m *members) unsigned(f field, bits int) uint64 {
	raw := m.number(f)
	if raw == nil {
		return 0
	}
	n, err := strconv.ParseUint(string(raw), 10, bits)
	if err != nil {
		m.reject(f, OutOfRange, "want a non-negative integer of "+strconv.Itoa(bits)+" bits")
	}
	return n
}

// number returns the text of a numeric member, nil if it is absent or null.
func (m *members) number(f field) jsontext.Value {
	switch raw := m.raw[f]; raw.Kind() {
	case jsontext.KindNumber:
		return raw
	case jsontext.KindInvalid, jsontext.KindNull:
	default:
		m.reject(f, BadType, "want a number")
	}
	return nil
}

func (m *members) time(ev *Event, text string) {
	if m.raw[timestamp] == nil {
		m.reject(timestamp, BadTimestamp, "missing")
		return
	}
	var err error
	if ev.Seconds, ev.Nanos, err = parseTime(text); err != nil {
		m.reject(timestamp, BadTimestamp, quote(text)+": "+err.Error())
	}
}

func (m *members) address(f field, text string) netip.Addr {
	if m.raw[f] == nil {
		m.reject(f, BadAddress, "missing")
		return netip.Addr{}
	}
	addr, err := parseAddr(text)
	if err != nil {
		m.reject(f, BadAddress, quote(text)+": "+err.Error())
	}
	return addr
}

// parseAddr reads an address in the grammar of spec/correlation.md §1.4.
func parseAddr(text string) (netip.Addr, error) {
	if strings.IndexByte(text, '%') >= 0 {
		return netip.Addr{}, errors.New("zones are not accepted")
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, errors.New("want an IPv4 or IPv6 address")
	}
	return addr.Unmap(), nil
}

// quote returns a sender's text for a message: quoted, and cut where it is
// much longer than any valid one.
func quote(text string) string {
	const limit = 64
	if len(text) > limit {
		return strconv.Quote(text[:limit]) + "..."
	}
	return strconv.Quote(text)
}
