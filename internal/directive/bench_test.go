package directive_test

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"

	"dsiem/internal/directive"
	"dsiem/internal/jsonfile"
)

// generated returns files of three-stage directives as large sites have them:
// about a thousand in a file, each with plugin SIDs of its own, references,
// lists and texts.
func generated(directives int) (names []string, contents [][]byte) {
	const perFile = 960
	for id := 1; id <= directives; id += perFile {
		var b strings.Builder
		b.WriteString("{\n  \"directives\": [")
		for i := id; i < min(id+perFile, directives+1); i++ {
			if i > id {
				b.WriteString(",")
			}
			generate(&b, i)
		}
		b.WriteString("\n  ]\n}\n")
		names = append(names, fmt.Sprintf("directives_%02d.json", len(names)))
		contents = append(contents, []byte(b.String()))
	}
	return names, contents
}

func generate(b *strings.Builder, id int) {
	fmt.Fprintf(b, `
    {
      "id": %d,
      "name": "Signature %d against DST_IP",
      "kingdom": "Reconnaissance & Probing",
      "category": "Network Scan",
      "priority": %d,
      "all_rules_always_active": %v,
      "disabled": false,
      "rules": [`, id, id, 1+id%5, id%2 == 0)
	for stage := 1; stage <= 3; stage++ {
		occurrence, from, to, portTo := 1, "HOME_NET", "!HOME_NET", "ANY"
		switch stage {
		case 2:
			occurrence, from, to = 100, ":1", fmt.Sprintf("10.%d.0.0/16, !10.%d.1.0/24, 192.168.%d.7", id%256, id%256, id%250)
			portTo = fmt.Sprintf("%d,443,!8080", 1+id%65535)
		case 3:
			occurrence, from, to, portTo = 10000, ":1", ":2", ":2"
		}
		fmt.Fprintf(b, `%s
        {
          "name": "Signature %d, stage %d",
          "type": "PluginRule",
          "stage": %d,
          "plugin_id": %d,
          "plugin_sid": [%d, %d],
          "occurrence": %d,
          "from": %q,
          "to": %q,
          "port_from": "ANY",
          "port_to": %q,
          "protocol": "TCP/IP",
          "reliability": %d,
          "timeout": %d,
          "custom_data1": "user%d",
          "custom_label1": "username"
        }`, comma(stage > 1), id, stage, stage, 1000+id%50, 3*id+stage, 100_000+3*id+stage, occurrence, from, to, portTo,
			3*stage, 3600*(stage-1), id)
	}
	b.WriteString("\n      ]\n    }")
}

func comma(yes bool) string {
	if yes {
		return ","
	}
	return ""
}

// loadAll loads and compiles; it is what a start or a reload costs.
func loadAll(tb testing.TB, files []*jsonfile.File) []directive.Plan {
	tb.Helper()
	var report jsonfile.Report
	directives := directive.Load(files, &report)
	if err := report.Err(); err != nil {
		tb.Fatal(err)
	}
	return directive.CompileAll(directives)
}

// heapInUse returns the bytes that live on the heap, and those of them that
// collections scan for pointers.
func heapInUse() (bytes, scanned uint64) {
	runtime.GC()
	runtime.GC()
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/scan/heap:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[1].Value.Uint64()
}

// BenchmarkLoad24000 loads, validates and compiles 24,000 directives in 25
// files. It reports what a directive costs in memory once its file is gone.
func BenchmarkLoad24000(b *testing.B) {
	const n = 24_000
	names, contents := generated(n)
	var size int64
	for _, content := range contents {
		size += int64(len(content))
	}
	read := func() []*jsonfile.File {
		files := make([]*jsonfile.File, len(names))
		for i, name := range names {
			files[i] = jsonfile.NewFile(name, contents[i])
		}
		return files
	}
	before, scannedBefore := heapInUse()
	plans := loadAll(b, read())
	after, scannedAfter := heapInUse()
	runtime.KeepAlive(plans)
	if len(plans) != n {
		b.Fatalf("%d plans", len(plans))
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		loadAll(b, read())
	}
	b.ReportMetric(float64(after-before)/n, "retained-B/directive")
	b.ReportMetric(float64(scannedAfter-scannedBefore)/n, "scanned-B/directive")
}
