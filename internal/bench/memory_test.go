package bench

import (
	"runtime"
	runtimemetrics "runtime/metrics"
	"testing"
)

// memory is what lives on the heap after a collection.
type memory struct{ bytes, scanned, objects uint64 }

func liveMemory() memory {
	runtime.GC()
	runtime.GC()
	samples := []runtimemetrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/scan/heap:bytes"}, {Name: "/gc/heap/objects:objects"},
	}
	runtimemetrics.Read(samples)
	return memory{samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64()}
}

// BenchmarkCollection collects the garbage beside an engine, which collections
// go through as long as it lives. It reports what a directive of the engine
// costs: bytes and objects on the heap, and the bytes that collections scan for
// pointers.
func BenchmarkCollection(b *testing.B) {
	const directives = 24_000
	p, err := newPlan(Workload{Directives: directives, Live: 10, Match: 0.1}, 1)
	if err != nil {
		b.Fatal(err)
	}
	before := liveMemory()
	engine, err := p.engine(0)
	if err != nil {
		b.Fatal(err)
	}
	after := liveMemory()
	for b.Loop() {
		runtime.GC()
	}
	b.ReportMetric(float64(after.bytes-before.bytes)/directives, "B/directive")
	b.ReportMetric(float64(after.scanned-before.scanned)/directives, "scanned-B/directive")
	b.ReportMetric(float64(after.objects-before.objects)/directives, "objects/directive")
	runtime.KeepAlive(engine)
}
