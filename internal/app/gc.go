package app

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The garbage collector's pace. Every message costs short-lived memory, so a
// small heap would be collected a hundred times a second under load: there are
// heapFloor bytes of garbage before each collection, whatever lives. A large
// heap has the usual pace.
const (
	heapFloor     = 64 << 20
	usualPace     = 100 // percent of what lives, Go's default
	highestPace   = 3200
	paceEvery     = time.Second
	liveHeap      = "/gc/heap/live:bytes"
	paceVariable  = "GOGC"
	worthChanging = 10 // percent
)

// collectLessOften keeps the garbage collector at this pace until ctx ends. If
// the operator has set GOGC, that counts; GOMEMLIMIT does in any case.
func collectLessOften(ctx context.Context) error {
	if os.Getenv(paceVariable) != "" {
		<-ctx.Done()
		return nil
	}
	sample := []metrics.Sample{{Name: liveHeap}}
	ticker := time.NewTicker(paceEvery)
	defer ticker.Stop()
	before := usualPace
	defer func() { debug.SetGCPercent(usualPace) }()
	for {
		metrics.Read(sample)
		if now := pace(sample[0].Value.Uint64()); math.Abs(float64(now-before)) > float64(before*worthChanging/100) {
			debug.SetGCPercent(now)
			before = now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// pace returns the GC percent for a number of bytes that live.
func pace(live uint64) int {
	if live == 0 {
		return highestPace
	}
	return int(min(highestPace, max(usualPace, heapFloor*100/live)))
}
