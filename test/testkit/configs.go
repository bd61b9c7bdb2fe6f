package testkit

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing/fstest"
	"time"
)

// BenchConfig returns a configuration of n directives. Directive i wants the
// signatures 2i and 2i+1 of plugin 1001.
func BenchConfig(n int) fstest.MapFS {
	var text strings.Builder
	text.WriteString(`{"directives": [`)
	for i := range n {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"id": %d, "name": "Directive", "kingdom": "K", "category": "C", "priority": 5, "rules": [
			{"name": "r1", "stage": 1, "type": "PluginRule", "plugin_id": 1001, "plugin_sid": [%d], "occurrence": 1,
			 "from": "ANY", "to": "HOME_NET", "port_from": "ANY", "port_to": "ANY", "protocol": "TCP", "reliability": 2, "timeout": 0},
			{"name": "r2", "stage": 2, "type": "PluginRule", "plugin_id": 1001, "plugin_sid": [%d], "occurrence": 1,
			 "from": ":1", "to": ":1", "port_from": "ANY", "port_to": ":1", "protocol": "TCP", "reliability": 10, "timeout": 600}
		]}`, i+1, 2*i, 2*i+1)
	}
	text.WriteString("]}")
	return fstest.MapFS{
		"assets_bench.json":     {Data: []byte(`{"assets": [{"name": "net", "cidr": "10.0.0.0/8", "value": 3}]}`)},
		"directives_bench.json": {Data: []byte(strings.ReplaceAll(text.String(), "[0]", "["+strconv.Itoa(2*n)+"]"))},
	}
}

// BenchEvents returns n events as lines, of which a share (in percent) is wanted.
func BenchEvents(n, share int) string {
	start := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	var text strings.Builder
	wanted := 0
	for i := range n {
		sid := 1_000_000 + i%500 // nobody wants these
		source := i
		if i*share/100 != (i+1)*share/100 {
			pair := wanted / 2 // of an event that opens a backlog and one that finishes it
			source, sid = pair, 2*(1+pair%999)+wanted%2
			wanted++
		}
		fmt.Fprintf(&text, `{"event_id":"0f1c6c1e-5f0e-4a55-9f3d-%012x","timestamp":%q,"sensor":"sensor-01","title":"ET SCAN a signature of ordinary length",`+
			`"product":"Intrusion Detection System","category":"Attempted Information Leak","plugin_id":1001,"plugin_sid":%d,`+
			`"src_ip":"172.16.%d.%d","src_port":%d,"dst_ip":"10.0.0.%d","dst_port":443,"protocol":"TCP",`+
			`"custom_label1":"url","custom_data1":"GET /index.html"}`+"\n",
			i, start.Add(time.Duration(i)*10*time.Millisecond).Format(time.RFC3339Nano), sid,
			source/250%250, source%250, 1024+i%60_000, 1+source%250)
	}
	return text.String()
}

// ScanConfig has one directive: a scan of a host by another, of the risks 2 and
// 10.
func ScanConfig() fstest.MapFS {
	return fstest.MapFS{
		"assets_a.json": {Data: []byte(`{"assets": [
			{"name": "a", "cidr": "10.0.0.0/8", "value": 5},
			{"name": "scanner", "cidr": "10.9.9.9/32", "value": 1, "whitelisted": true}]}`)},
		"directives_a.json": {Data: []byte(`{"directives": [{"id": 1, "name": "Scan", "kingdom": "K", "category": "C", "priority": 5, "rules": [
			{"name": "r1", "stage": 1, "type": "PluginRule", "plugin_id": 1, "plugin_sid": [1], "occurrence": 1, "from": "ANY", "to": "ANY", "reliability": 2},
			{"name": "r2", "stage": 2, "type": "PluginRule", "plugin_id": 1, "plugin_sid": [2], "occurrence": 1, "from": ":1", "to": ":1", "reliability": 10, "timeout": 60}
		]}]}`)},
	}
}

// Lines returns the lines of a text.
func Lines(text string) [][]byte {
	return bytes.Split([]byte(strings.TrimSuffix(text, "\n")), []byte("\n"))
}
