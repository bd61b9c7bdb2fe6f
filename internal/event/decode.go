package event

import (
	"bytes"
	"errors"
	"math"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	words "dsiem/internal/text"
)

// Decode reads one normalized event from its JSON text and replaces *ev by
// it. It returns nil, or why the event is rejected; *ev is the zero Event then.
// Where several reasons apply, the first one in the order of the constants is
// given, so that it does not depend on the order of the keys. The event's
// strings do not alias data, but share one allocation: clone (strings.Clone)
// one that outlives the event.
//
// The rules are those of docs/spec/correlation.md §1 with D39:
//   - keys are case-sensitive, unknown ones are ignored, see ReadMembers;
//   - timestamp, src_ip, dst_ip and one identity family are required, null is
//     the same as absent for everything else;
//   - a number is a JSON number of whole value in any notation, or digits in
//     quotes, or "" for 0;
//   - a text is a string, or a number, true or false as it is written;
//   - what only informs is left out where it is neither, so that it rejects
//     nothing; so is an event_id without a text.
//
// Decode may be called from several goroutines at once.
func Decode(data []byte, ev *Event) *Rejection {
	*ev = Event{}
	var m members
	if rej := m.read(data); rej != nil {
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

const (
	// informs has the bits of the fields that are for people and statistics only:
	// they reject nothing, and given twice the last one counts (D39).
	informs = 1<<sensor | 1<<protocol | 1<<title | 1<<customLabel1 | 1<<customLabel2 | 1<<customLabel3 | 1<<connID | 1<<rcvdTime
	// mayLack has the bits of the fields that are left out if their value has no
	// text or is no number: without one an event gets an id (D34).
	mayLack = informs | 1<<eventID
)

// span is a place in a text.
type span struct{ from, to int32 }

// members is an event half-way between its JSON text and an Event.
type members struct {
	data []byte
	// has has the bit of each field that is there, escaped of each one that is a
	// string with escapes.
	has, escaped uint32
	// at holds the places of the raw values in data. There is a byte before and one
	// behind each.
	at       [fieldCount]span
	rej      *Rejection
	repaired uint32 // see Event.Repaired
}

// read finds the raw values.
func (m *members) read(data []byte) *Rejection {
	if m.scan(data) && m.has != 0 {
		return nil
	}
	return m.readUnusual(data)
}

// readUnusual is read for a text that the scanner does not take, or finds nothing
// in.
func (m *members) readUnusual(data []byte) *Rejection {
	text, repaired, rej := repair(data)
	if rej != nil {
		return rej
	}
	*m = members{repaired: repaired}
	if (repaired > 0 || len(text) < len(data)) && m.scan(text) && m.has != 0 {
		return nil
	}
	var values [fieldCount]jsontext.Value
	if rej := readMembers(text, values[:], Keys{Index: fieldIndex, Informs: informs, Wrapped: true}); rej != nil {
		return rej
	}
	*m = members{repaired: repaired}
	for f, raw := range values {
		if raw != nil {
			m.data = append(m.data, ' ')
			from := len(m.data)
			m.data = append(m.data, raw...)
			m.found(field(f), from, len(m.data), bytes.IndexByte(raw, '\\') >= 0)
		}
	}
	m.data = append(m.data, ' ')
	return nil
}

// raw returns the JSON text of a member, nil if it is absent.
func (m *members) raw(f field) []byte {
	if m.has>>f&1 == 0 {
		return nil
	}
	at := m.at[f]
	return m.data[at.from:at.to]
}

// reject notes a rejection unless an earlier reason is known already.
func (m *members) reject(f field, reason Reason, detail string) {
	if m.rej == nil || reason < m.rej.Reason {
		m.rej = &Rejection{Reason: reason, Field: f.String(), Detail: detail}
	}
}

// event fills *ev from the raw values.
func (m *members) event(ev *Event) *Rejection {
	size := m.checkTexts()
	m.numbers(ev)
	if m.rej != nil {
		return m.rej
	}
	m.time(ev)
	ev.SrcIP = m.address(srcIP)
	ev.DstIP = m.address(dstIP)
	if m.rej != nil {
		return m.rej
	}
	m.texts(ev, size)
	ev.Repaired = m.repaired
	if !ev.HasPlugin() && !ev.HasTaxonomy() {
		return &Rejection{Reason: NoIdentity, Detail: "want plugin_id and plugin_sid, or product and category"}
	}
	return nil
}

const (
	// requiredTexts has the bits of the strings that must be there. Of these the
	// event keeps what they say and not their text.
	requiredTexts = 1<<timestamp | 1<<srcIP | 1<<dstIP
	allTexts      = 1<<textFields - 1
)

// checkTexts checks that texts are texts, and takes null as absent. It returns how
// many bytes the texts that the event keeps have at most.
func (m *members) checkTexts() (size int) {
	for left := m.has & allTexts; left != 0; left &= left - 1 {
		f := field(bits.TrailingZeros32(left)) //nolint:gosec // less than 32
		bit := uint32(1) << f
		at := m.at[f]
		switch m.data[at.from] {
		case '"':
			if bit&requiredTexts == 0 {
				size += int(at.to-at.from) - len(`""`)
			}
		case 'n':
			if bit&requiredTexts != 0 {
				m.reject(f, BadType, "null, want a string")
			}
			m.has &^= bit
		case '{', '[':
			if bit&mayLack == 0 {
				m.reject(f, BadType, "want a string")
			}
			m.has &^= bit
		default: // a number, true or false, as if it stood in quotes
			m.at[f] = span{at.from - 1, at.to + 1}
			size += int(at.to - at.from)
		}
	}
	return size
}

// texts sets the strings of *ev. All of them share one allocation of a size.
func (m *members) texts(ev *Event, size int) {
	var shared strings.Builder
	shared.Grow(size)
	ev.ID = m.text(&shared, eventID)
	ev.Sensor = m.text(&shared, sensor)
	ev.Protocol = m.text(&shared, protocol)
	ev.Title = m.text(&shared, title)
	ev.Product = m.text(&shared, product)
	ev.Category = m.text(&shared, category)
	ev.Subcategory = m.text(&shared, subcategory)
	ev.CustomData[0] = m.text(&shared, customData1)
	ev.CustomLabel[0] = m.text(&shared, customLabel1)
	ev.CustomData[1] = m.text(&shared, customData2)
	ev.CustomLabel[1] = m.text(&shared, customLabel2)
	ev.CustomData[2] = m.text(&shared, customData3)
	ev.CustomLabel[2] = m.text(&shared, customLabel3)
}

// text returns the unescaped text of a string, "" if it is absent.
func (m *members) text(shared *strings.Builder, f field) string {
	if m.has>>f&1 == 0 {
		return ""
	}
	from, at := shared.Len(), m.at[f]
	quoted := m.data[at.from+1 : at.to-1]
	if m.escaped>>f&1 == 0 {
		shared.Write(quoted)
	} else {
		unescape(shared, quoted)
	}
	return shared.String()[from:]
}

// plain is text for a string that the event does not keep.
func (m *members) plain(f field) []byte {
	raw := m.raw(f)
	raw = raw[1 : len(raw)-1]
	if m.escaped>>f&1 == 0 {
		return raw
	}
	var text strings.Builder
	unescape(&text, raw)
	return []byte(text.String())
}

// numbers sets the numeric fields of *ev.
func (m *members) numbers(ev *Event) {
	ev.SrcPort = uint16(m.unsigned(srcPort, 16)) //nolint:gosec // 16 bits
	ev.DstPort = uint16(m.unsigned(dstPort, 16)) //nolint:gosec // 16 bits
	ev.ConnID = m.unsigned(connID, 64)
	ev.PluginID = m.unsigned(pluginID, 64)
	ev.PluginSID = m.unsigned(pluginSID, 64)
	if raw := m.raw(rcvdTime); raw != nil {
		n, ok := plainNumber(raw)
		if ok && n <= math.MaxInt64 {
			ev.ReceivedAt = int64(n)
		} else {
			ev.ReceivedAt = anyNumber(raw).signed()
		}
	}
}

// unsigned returns the value of a numeric member, 0 if it is absent.
func (m *members) unsigned(f field, size int) uint64 {
	if m.has>>f&1 == 0 {
		return 0
	}
	raw := m.raw(f)
	n, ok := plainNumber(raw)
	if ok && bits.Len64(n) <= size {
		return n
	}
	x := anyNumber(raw)
	switch {
	case x.reason == Accepted && !x.negative && bits.Len64(x.n) <= size:
		return x.n
	case informs>>f&1 == 1:
	case x.reason == BadType:
		m.reject(f, BadType, "want a number")
	default:
		m.reject(f, OutOfRange, "want a non-negative integer of "+strconv.Itoa(size)+" bits")
	}
	return 0
}

func (m *members) time(ev *Event) {
	if m.has>>timestamp&1 == 0 {
		m.reject(timestamp, BadTimestamp, "missing")
		return
	}
	text := m.plain(timestamp)
	var ok bool
	if ev.Seconds, ev.Nanos, ok = commonTime(text); ok {
		return
	}
	var err error
	if ev.Seconds, ev.Nanos, err = parseTime(string(text)); err != nil {
		m.reject(timestamp, BadTimestamp, quote(string(text))+": "+err.Error())
	}
}

func (m *members) address(f field) netip.Addr {
	if m.has>>f&1 == 0 {
		m.reject(f, BadAddress, "missing")
		return netip.Addr{}
	}
	text := m.plain(f)
	if v4, ok := parseIPv4(text); ok {
		return netip.AddrFrom4(v4)
	}
	addr, err := parseAddr(string(text))
	if err != nil {
		m.reject(f, BadAddress, quote(string(text))+": "+err.Error())
	}
	return addr
}

// parseIPv4 reads the form of an address that most have: four numbers of one to
// three digits without leading zeros. Anything else is for parseAddr to judge.
func parseIPv4(text []byte) (addr [4]byte, ok bool) {
	part, digits, n := 0, 0, uint(0)
	for _, c := range text {
		switch {
		case isDigit(c):
			if digits > 0 && n == 0 {
				return addr, false
			}
			digits++
			if n = n*10 + uint(c-'0'); n > math.MaxUint8 {
				return addr, false
			}
			addr[part] = byte(n)
		case c == '.' && digits > 0 && part < len(addr)-1:
			part, digits, n = part+1, 0, 0
		default:
			return addr, false
		}
	}
	return addr, digits > 0 && part == len(addr)-1
}

// parseAddr reads an address in the grammar of docs/spec/correlation.md §1.4. The
// zone of an IPv6 address is cut off (D39): it says where a host is for another
// host, and nothing to rules.
func parseAddr(text string) (netip.Addr, error) {
	if at := strings.IndexByte(text, '%'); at >= 0 && strings.IndexByte(text[:at], ':') >= 0 {
		text = text[:at]
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, errors.New("want an IPv4 or IPv6 address")
	}
	return addr.Unmap(), nil
}

// quote returns a sender's text for a message: quoted, and cut where it is
// much longer than any valid one.
func quote(sent string) string {
	const limit = 64 // bytes
	return strconv.Quote(words.Clip(sent, limit))
}
