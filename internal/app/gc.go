package app

import (
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// The garbage collector's pace. Every message costs short-lived memory, so a
// small heap would be collected a hundred times a second under load: there are
// heapFloor bytes of garbage before each collection, whatever lives. A large
// heap has the usual pace.
const (
	heapFloor     = 32 << 20
	usualPace     = 100 // percent of what lives, Go's default
	highestPace   = 3200
	worthChanging = 10 // percent of the pace
	paceVariable  = "GOGC"
)

// collectLessOften keeps the garbage collector at this pace until ctx ends. If
// the operator has set GOGC, that counts; GOMEMLIMIT does in any case.
func collectLessOften(ctx context.Context) error {
	if os.Getenv(paceVariable) == "" {
		collected := make(chan struct{}, 1)
		defer debug.SetGCPercent(usualPace)
		for now := usualPace; ctx.Err() == nil; {
			if next := pace(liveHeap()); math.Abs(float64(next-now)) > float64(now*worthChanging/100) {
				debug.SetGCPercent(next)
				now = next
			}
			onCollection(collected)
			select {
			case <-collected:
			case <-ctx.Done():
			}
		}
	}
	<-ctx.Done()
	return nil
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

// pace returns the GC percent for a number of bytes that live.
func pace(live uint64) int {
	if live == 0 {
		return usualPace // there was no collection yet
	}
	return int(min(highestPace, max(usualPace, heapFloor*100/live)))
}
