package node

import (
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The garbage collector's pace. Every message costs short-lived memory, which
// the NATS client allocates, and each collection looks at everything that lives:
// a small heap would be collected a hundred times a second under load, and a
// large one would cost a third of the processor.
const (
	// heapFloor is the garbage, in bytes, before each collection, whatever lives.
	heapFloor = 32 << 20
	// usualPace is the garbage before each collection in percent of what lives,
	// Go's default; lazyPace the most that a busy server may come to, and
	// smallPace the most for a small heap.
	usualPace, lazyPace, smallPace = 100, 400, 3200
	// shareLimit is the share of the used processor time that collections may
	// take, if that goes on for patientSeconds.
	shareLimit, patientSeconds = 0.05, 2

	worthChanging = 10 // percent of the pace
	paceVariable  = "GOGC"
)

// collectLessOften keeps the garbage collector at a pace until ctx ends: a small
// heap grows up to heapFloor, and a server that is busy with collections for
// seconds uses more memory instead, up to five times what lives. If the operator
// has set GOGC, that counts; the memory budget does in any case. After each collection
// looks is told what lives, and reports whether that is too much: then there is a
// collection every second, because a server that takes nothing makes no garbage.
func collectLessOften(ctx context.Context, looks func(live uint64) (tooMuch bool)) error {
	ours := os.Getenv(paceVariable) == ""
	if ours {
		defer debug.SetGCPercent(usualPace)
	}
	second := time.NewTicker(time.Second)
	defer second.Stop()
	collected := make(chan struct{}, 1)
	onCollection(collected)
	var load gcLoad
	lazy := laziness{pace: usualPace}
	for now := usualPace; ; {
		live := liveHeap()
		tooMuch := looks(live)
		if next := pace(live, lazy.pace); ours && math.Abs(float64(next-now)) > float64(now*worthChanging/100) {
			debug.SetGCPercent(next)
			now = next
		}
		select {
		case <-collected:
			onCollection(collected)
		case <-second.C:
			if lazy.next(load.share()); tooMuch {
				runtime.GC()
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// onCollection signals the end of the next garbage collection, when an object
// that nobody refers to is gone.
func onCollection(collected chan<- struct{}) {
	object := new([32]byte)
	runtime.AddCleanup(object, func(c chan<- struct{}) {
		select {
		case c <- struct{}{}:
		default:
		}
	}, collected)
	runtime.KeepAlive(object)
}

// liveHeap returns the bytes that the last collection has left.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// gcLoad measures what garbage collections cost.
type gcLoad struct{ gc, used float64 }

// share returns the share that collections had in the processor time that was
// used since the last call.
func (l *gcLoad) share() float64 {
	samples := []metrics.Sample{
		{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/total:cpu-seconds"}, {Name: "/cpu/classes/idle:cpu-seconds"},
	}
	metrics.Read(samples)
	now := gcLoad{gc: samples[0].Value.Float64(), used: samples[1].Value.Float64() - samples[2].Value.Float64()}
	gc, used := now.gc-l.gc, now.used-l.used
	*l = now
	if used <= 0 {
		return 0
	}
	return gc / used
}

// laziness is how much longer than usual collections wait.
type laziness struct {
	pace    int
	seconds int // in a row with too many collections
}

// next takes the share of collections in the last second.
func (l *laziness) next(share float64) {
	switch {
	case share <= shareLimit/2:
		l.seconds = 0
		l.pace = max(usualPace, l.pace*9/10)
	case share <= shareLimit:
		l.seconds = 0
	default:
		if l.seconds++; l.seconds > patientSeconds {
			l.pace = min(lazyPace, l.pace*3/2)
		}
	}
}

// pace returns the GC percent for a number of bytes that live.
func pace(live uint64, lazy int) int {
	if live == 0 {
		return usualPace // there was no collection yet
	}
	return max(lazy, int(min(smallPace, heapFloor*100/live)))
}
