package replay

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dsiem/test/testkit"
)

// BenchmarkReplay replays a file from end to end: 100,000 events of the size that
// sensors send, with 1,000 directives of which some want one event in a hundred,
// or every other one. Half of the wanted events open a backlog, the others finish
// it.
func BenchmarkReplay(b *testing.B) {
	const events = 100_000
	for _, share := range []int{1, 50} {
		path := filepath.Join(b.TempDir(), "events.ndjson")
		if err := os.WriteFile(path, []byte(testkit.BenchEvents(events, share)), 0o600); err != nil {
			b.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		config := testkit.BenchConfig(1000)
		for _, shards := range []int{1, 2} {
			b.Run(fmt.Sprintf("matched=%d%%/shards=%d", share, shards), func(b *testing.B) {
				out := b.TempDir()
				b.ReportAllocs()
				b.SetBytes(info.Size())
				for b.Loop() {
					s, err := Run(b.Context(), &Options{
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

// BenchmarkReplayFiles replays the same events from several files, one event in each
// in turn, as sensors write them, and sorted.
func BenchmarkReplayFiles(b *testing.B) {
	const events = 100_000
	lines := strings.SplitAfter(testkit.BenchEvents(events, 1), "\n")
	config := testkit.BenchConfig(1000)
	for _, test := range []struct {
		files int
		sort  bool
	}{{1, false}, {4, false}, {200, false}, {1, true}} {
		b.Run(fmt.Sprintf("files=%d/sort=%v", test.files, test.sort), func(b *testing.B) {
			dir := b.TempDir()
			o := &Options{Config: config, Out: b.TempDir(), Overwrite: true, Shards: 1, Sort: test.sort, Diagnostics: io.Discard}
			for f := range test.files {
				var text strings.Builder
				for i := f; i < len(lines); i += test.files {
					text.WriteString(lines[i])
				}
				o.Inputs = append(o.Inputs, filepath.Join(dir, fmt.Sprint(f)))
				testkit.WriteFile(b, o.Inputs[f], text.String())
			}
			b.ReportAllocs()
			for b.Loop() {
				s, err := Run(b.Context(), o)
				if err != nil || s.Events.Offered != events || s.Events.Matched != events/100 {
					b.Fatal(err, s)
				}
			}
			b.ReportMetric(events*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
