package app

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// BenchmarkReplay replays a file from end to end: 100,000 events of the size that
// sensors send, with 1,000 directives of which some want one event in a hundred,
// or every other one. Half of the wanted events open a backlog, the others finish
// it.
func BenchmarkReplay(b *testing.B) {
	const events = 100_000
	for _, share := range []int{1, 50} {
		path := filepath.Join(b.TempDir(), "events.ndjson")
		if err := os.WriteFile(path, []byte(benchEvents(events, share)), 0o600); err != nil {
			b.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		config := benchConfig(1000)
		for _, shards := range []int{1, 2} {
			b.Run(fmt.Sprintf("matched=%d%%/shards=%d", share, shards), func(b *testing.B) {
				out := b.TempDir()
				b.ReportAllocs()
				b.SetBytes(info.Size())
				for b.Loop() {
					s, err := Replay(b.Context(), &ReplayOptions{
						Config: config, Inputs: []string{path}, Out: out, Overwrite: true, Shards: shards, Diagnostics: io.Discard,
					})
					if err != nil {
						b.Fatal(err)
					}
					if s.Events.Offered != events || s.Events.Matched != events*share/100 {
						b.Fatalf("%d events were offered, %d matched", s.Events.Offered, s.Events.Matched)
					}
				}
				b.ReportMetric(events*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

// benchConfig returns a configuration of n directives. Directive i wants the
// signatures 2i and 2i+1 of plugin 1001.
func benchConfig(n int) fstest.MapFS {
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

// benchEvents returns n events as lines, of which a share (in percent) is wanted.
func benchEvents(n, share int) string {
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
