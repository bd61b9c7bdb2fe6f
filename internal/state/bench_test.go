package state_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate"
	"dsiem/internal/state"
)

// The size of the benchmarks.
const (
	benchDirectives = 1000
	benchEach       = 100
	benchBacklogs   = benchDirectives * benchEach
)

// benchEngines returns a function that makes engines, and the directives' ids.
func benchEngines(b *testing.B) (func() *correlate.Engine, []uint64) {
	b.Helper()
	ids := make([]uint64, benchDirectives)
	directives := make([]string, benchDirectives)
	one := strings.Trim(strings.TrimSpace(fixture(b, "scan_directives.json")), "[]")
	for i := range directives {
		ids[i] = uint64(i + 1)
		directives[i] = strings.NewReplacer(
			`"id": 1`, fmt.Sprintf(`"id": %d`, i+1),
			`"plugin_id": 1001`, fmt.Sprintf(`"plugin_id": %d`, i+1),
		).Replace(one)
	}
	return engines(b, "["+strings.Join(directives, ",")+"]"), ids
}

// fill opens the backlogs and gives each two more events.
func fill(b *testing.B, e *correlate.Engine) {
	b.Helper()
	n := 0
	for i := range benchBacklogs {
		for j := range uint16(3) {
			n++
			ev := anEvent(fmt.Sprint("event ", n), int64(j), uint64(min(j, 1)+1), j)
			ev.PluginID = uint64(i/benchEach + 1)
			ev.SrcIP = netip.AddrFrom4([4]byte{10, 1, byte(i % benchEach), byte(i / benchEach)})
			ev.CustomData[0], ev.CustomLabel[0] = "root", "user"
			e.Step((start+int64(j))*1e9, ev)
		}
	}
	if live := e.Stats().Live; live != benchBacklogs {
		b.Fatalf("%d live backlogs", live)
	}
}

// BenchmarkSave saves 100,000 backlogs to 1,000 files.
func BenchmarkSave(b *testing.B) {
	makeEngine, _ := benchEngines(b)
	e := makeEngine()
	fill(b, e)
	dir := b.TempDir()
	b.ReportAllocs()
	for b.Loop() {
		written, err := state.Save(dir, e.Save())
		if want := (state.Written{Files: benchDirectives, Backlogs: benchBacklogs}); err != nil || written != want {
			b.Fatal(written, err)
		}
	}
}

// BenchmarkLoad loads 100,000 backlogs from 1,000 files, first without and then
// with the engine.
func BenchmarkLoad(b *testing.B) {
	makeEngine, ids := benchEngines(b)
	full := makeEngine()
	fill(b, full)
	dir := b.TempDir()
	save(b, dir, full.Save())
	run := func(name string, restore func() func(uint64, *alarm.Saved) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				loaded, err := state.Load(dir, ids, restore())
				if err != nil || loaded.Restored != benchBacklogs {
					b.Fatal(loaded, err)
				}
			}
		})
	}
	run("reader", func() func(uint64, *alarm.Saved) error { return func(uint64, *alarm.Saved) error { return nil } })
	run("engine", func() func(uint64, *alarm.Saved) error { return makeEngine().Restore })
}
