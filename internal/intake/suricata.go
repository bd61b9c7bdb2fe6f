package intake

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"dsiem/internal/event"
)

// What every Suricata alert has in common, as Dsiem's directives expect it.
const (
	suricataPluginID = 1001
	suricataProduct  = "Intrusion Detection System"
)

// eveField is a key of an EVE record, or of the object under its key "alert",
// that takes part in the mapping.
type eveField int

// The fields up to eveCopied go into the normalized event as they are.
const (
	eveSrcIP eveField = iota
	eveDestIP
	eveSrcPort
	eveDestPort
	eveProto
	eveSignatureID
	eveSignature
	eveCategory
	eveCopied
)

const (
	eveTimestamp = eveCopied + iota
	eveFlowID
	eveEventType
	eveHost
	eveInIface
	eveAlert
	eveFields
)

// eveKey returns the field's key in the record, and in the normalized event if
// it has just one there.
func (f eveField) keys() (eve, normalized string) {
	pair := [eveFields][2]string{
		{"src_ip", "src_ip"},
		{"dest_ip", "dst_ip"},
		{"src_port", "src_port"},
		{"dest_port", "dst_port"},
		{"proto", "protocol"},
		{"alert.signature_id", "plugin_sid"},
		{"alert.signature", "title"},
		{"alert.category", "category"},
		{"timestamp", "timestamp"},
		{"flow_id", ""},
		{"event_type", ""},
		{"host", "sensor"},
		{"in_iface", ""},
		{"alert", ""},
	}[f]
	return pair[0], pair[1]
}
