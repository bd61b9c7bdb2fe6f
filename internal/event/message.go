package event

import (
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Carrier is the trace context of an event on its way from a frontend to a
// backend: the two header values of W3C Trace Context, not checked in any way.
// The zero value is no trace.
type Carrier struct {
	// TraceParent names the trace and the span that sent the event, "" for no
	// trace.
	TraceParent string
	// TraceState is what tracing systems added to it, usually "".
	TraceState string
}

// The members of a message that hold its trace context: the successor's object
// and the names in it, and the original's two strings (docs/spec/interfaces.md §8).
const (
	carrierKey     = "carrier"
	traceParentKey = "trace_parent"
	traceStateKey  = "trace_state"

	carrierParent = "traceparent"
	carrierState  = "tracestate"
)

// AppendMessage appends the message that a frontend publishes about a valid
// event: one JSON object on one line, which the backends of all Dsiem
// generations take (docs/spec/interfaces.md §4.4, D43). It differs from AppendJSON,
// whose rules it follows otherwise, in its members and their order:
//
//   - every member that a backend may want is there, also if it is "" or 0;
//     only subcategory and the custom fields, which none requires, are left out
//     when empty;
//   - with a trace, carrier, trace_parent and trace_state are there too;
//   - the order is the successor's, but for what a frontend says about its
//     message: rcvd_time and conn_id are the last members, where AppendOrigin
//     completes and ReadOrigin finds them (decision D44 of docs/spec/correlation.md).
//     No backend relies on the order.
//
// Decode gives the same event back, and ReadCarrier the carrier. A message is
// longer than the text it was made of, so one of an event near MaxSize may be
// over MaxSize: who publishes it must look.
func AppendMessage(dst []byte, ev *Event, c Carrier) []byte {
	dst = append(dst, '{')
	dst = appendAnyText(dst, eventID, ev.ID)
	dst = append(appendKey(dst, timestamp), '"')
	dst = append(appendTime(dst, ev), '"')
	dst = appendAnyText(dst, sensor, ev.Sensor)
	dst = appendAnyText(dst, title, ev.Title)
	dst = appendAddr(dst, srcIP, ev.SrcIP)
	dst = appendAddr(dst, dstIP, ev.DstIP)
	dst = appendAnyNumber(dst, pluginID, ev.PluginID)
	dst = appendAnyNumber(dst, pluginSID, ev.PluginSID)
	dst = appendAnyText(dst, product, ev.Product)
	dst = appendAnyText(dst, category, ev.Category)
	dst = appendText(dst, subcategory, ev.Subcategory)
	dst = appendAnyNumber(dst, srcPort, uint64(ev.SrcPort))
	dst = appendAnyNumber(dst, dstPort, uint64(ev.DstPort))
	dst = appendAnyText(dst, protocol, ev.Protocol)
	for i, f := range [CustomFields][2]field{{customData1, customLabel1}, {customData2, customLabel2}, {customData3, customLabel3}} {
		dst = appendText(dst, f[0], ev.CustomData[i])
		dst = appendText(dst, f[1], ev.CustomLabel[i])
	}
	dst = appendCarrier(dst, c)
	dst = strconv.AppendInt(appendKey(dst, rcvdTime), ev.ReceivedAt, 10)
	return append(appendAnyNumber(dst, connID, ev.ConnID), '}')
}

// PublishedSize returns how many bytes the message of an event has at most when a
// frontend publishes it without a trace: with what the frontend says about it, and an
// id if it has none.
func PublishedSize(ev *Event) int {
	e := *ev
	if e.ID == "" {
		e.ID = strings.Repeat("0", idLength)
	}
	e.ReceivedAt, e.ConnID = math.MaxInt64, math.MaxInt64
	return len(AppendMessage(nil, &e, Carrier{})) + OriginSize
}

// appendAnyText is appendText for a member that is there even if it is "".
func appendAnyText(dst []byte, f field, text string) []byte {
	if text == "" {
		return append(appendKey(dst, f), '"', '"')
	}
	return appendText(dst, f, text)
}

// appendAnyNumber is appendNumber for a member that is there even if it is 0.
func appendAnyNumber(dst []byte, f field, n uint64) []byte {
	if n == 0 {
		return append(appendKey(dst, f), '0')
	}
	return appendNumber(dst, f, n)
}

// appendCarrier appends the trace context in the successor's form and in the
// original's, or nothing if there is no trace.
func appendCarrier(dst []byte, c Carrier) []byte {
	if c.TraceParent == "" {
		return dst
	}
	dst = append(dst, `,"`+carrierKey+`":{"`+carrierParent+`":`...)
	dst = appendQuoted(dst, c.TraceParent)
	if c.TraceState != "" {
		dst = append(dst, `,"`+carrierState+`":`...)
		dst = appendQuoted(dst, c.TraceState)
	}
	dst = append(dst, `},"`+traceParentKey+`":`...)
	dst = appendQuoted(dst, c.TraceParent)
	if c.TraceState != "" {
		dst = append(dst, `,"`+traceStateKey+`":`...)
		dst = appendQuoted(dst, c.TraceState)
	}
	return dst
}

func appendQuoted(dst []byte, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, text) // the error is about U+FFFD, see AppendJSON
	return dst
}

// The places of a message's trace context among raw values.
const (
	rawCarrier = iota
	rawParent
	rawState
	rawCarrierValues
)

// ReadCarrier returns the trace context of a message as any frontend writes it:
// that of the successor's member carrier, or else that of the original's
// trace_parent and trace_state. A message without a trace, or one that is no
// JSON object, gives the zero Carrier; values that are no strings count as
// absent. Whether the message is an event is for Decode to say. The strings do
// not alias data.
//
// It reads the whole message once more, so it is for nodes that trace.
func ReadCarrier(data []byte) Carrier {
	var raw [rawCarrierValues]jsontext.Value
	if _, rej := ReadMembers(data, raw[:], Keys{Index: messageIndex}); rej != nil {
		return Carrier{}
	}
	if raw[rawCarrier].Kind() == jsontext.KindBeginObject {
		var inner [rawCarrierValues]jsontext.Value
		if _, rej := ReadMembers(raw[rawCarrier], inner[:], Keys{Index: carrierIndex}); rej == nil {
			if c := carrierOf(&inner); c.TraceParent != "" {
				return c
			}
		}
	}
	return carrierOf(&raw)
}

func messageIndex(key []byte) int {
	switch string(key) {
	case carrierKey:
		return rawCarrier
	case traceParentKey:
		return rawParent
	case traceStateKey:
		return rawState
	}
	return -1
}

func carrierIndex(key []byte) int {
	switch string(key) {
	case carrierParent:
		return rawParent
	case carrierState:
		return rawState
	}
	return -1
}

// carrierOf returns the carrier of raw values. A state without its parent says
// nothing.
func carrierOf(raw *[rawCarrierValues]jsontext.Value) Carrier {
	c := Carrier{TraceParent: stringOf(raw[rawParent])}
	if c.TraceParent != "" {
		c.TraceState = stringOf(raw[rawState])
	}
	return c
}

// stringOf returns the text of a JSON string, "" for any other value.
func stringOf(raw jsontext.Value) string {
	if raw.Kind() != jsontext.KindString {
		return ""
	}
	text, _ := jsontext.AppendUnquote(nil, raw) // cannot fail: ReadMembers has checked it
	return string(text)
}
