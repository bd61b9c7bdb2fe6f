package event

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendJSON appends the JSON text of a valid event to dst: one object on one
// line, without a newline, with the keys of docs/spec/correlation.md §1.1 in their
// order there. Optional fields that are "" or 0 are left out. The timestamp is
// in UTC. Decode gives the same event back; bytes that are not UTF-8, which
// Decode lets into no event, are replaced by U+FFFD.
func AppendJSON(dst []byte, ev *Event) []byte {
	dst = append(dst, '{')
	dst = appendText(dst, eventID, ev.ID)
	dst = appendKey(dst, timestamp)
	dst = append(dst, '"')
	dst = appendTime(dst, ev)
	dst = append(dst, '"')
	dst = appendAddr(dst, srcIP, ev.SrcIP)
	dst = appendAddr(dst, dstIP, ev.DstIP)
	dst = appendNumber(dst, srcPort, uint64(ev.SrcPort))
	dst = appendNumber(dst, dstPort, uint64(ev.DstPort))
	dst = appendText(dst, sensor, ev.Sensor)
	dst = appendText(dst, protocol, ev.Protocol)
	dst = appendText(dst, title, ev.Title)
	dst = appendNumber(dst, connID, ev.ConnID)
	dst = appendNumber(dst, pluginID, ev.PluginID)
	dst = appendNumber(dst, pluginSID, ev.PluginSID)
	dst = appendText(dst, product, ev.Product)
	dst = appendText(dst, category, ev.Category)
	dst = appendText(dst, subcategory, ev.Subcategory)
	for i, f := range [CustomFields]field{customData1, customData2, customData3} {
		dst = appendText(dst, f, ev.CustomData[i])
	}
	for i, f := range [CustomFields]field{customLabel1, customLabel2, customLabel3} {
		dst = appendText(dst, f, ev.CustomLabel[i])
	}
	if ev.ReceivedAt != 0 {
		dst = appendKey(dst, rcvdTime)
		dst = strconv.AppendInt(dst, ev.ReceivedAt, 10)
	}
	return append(dst, '}')
}

// appendKey appends the key of a member, after a comma where one is due.
func appendKey(dst []byte, f field) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, f.String()...)
	return append(dst, '"', ':')
}

func appendText(dst []byte, f field, text string) []byte {
	if text == "" {
		return dst
	}
	dst, _ = jsontext.AppendQuote(appendKey(dst, f), text) // the error is about U+FFFD, see AppendJSON
	return dst
}

func appendNumber(dst []byte, f field, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return strconv.AppendUint(appendKey(dst, f), n, 10)
}

func appendAddr(dst []byte, f field, addr netip.Addr) []byte {
	dst = append(appendKey(dst, f), '"')
	return append(addr.AppendTo(dst), '"')
}

// appendTime appends the event's time so that parseTime gives it back.
func appendTime(dst []byte, ev *Event) []byte {
	return time.Unix(ev.Seconds, int64(ev.Nanos)).UTC().AppendFormat(dst, time.RFC3339Nano)
}
