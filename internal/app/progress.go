package app

import (
	"fmt"
	"io"
	"sync"
	"time"

	"dsiem/internal/intake"
)

// progressEvery is how often the progress line is rewritten.
const progressEvery = 500 * time.Millisecond

// watchProgress shows progress until the returned function is called, which
// takes the line away again.
func (r *replay) watchProgress(reader *intake.Reader, started time.Time) (stop func()) {
	w := r.options.Progress
	if w == nil {
		return func() {}
	}
	done := make(chan struct{})
	var finished sync.WaitGroup
	finished.Go(func() {
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				read, total := reader.Progress()
				writeProgress(w, progress{
					events: r.summary.read.Load(), matched: r.summary.matched.Load(),
					read: read, total: total, took: now.Sub(started),
				})
			case <-done:
				fmt.Fprint(w, "\r\x1b[K")
				return
			}
		}
	})
	return func() {
		close(done)
		finished.Wait()
	}
}

// progress is how far a replay is.
type progress struct {
	events, matched int64
	read, total     int64 // bytes; total 0 if unknown
	took            time.Duration
}

// writeProgress rewrites the progress line: share, count, rate and, when the
// total is known, the time left at the rate so far.
func writeProgress(w io.Writer, p progress) {
	rate := int(float64(p.events) / max(p.took.Seconds(), 0.001))
	line := fmt.Sprintf("%s events, %s matched, %s/s", group(int(p.events)), group(int(p.matched)), group(rate))
	if p.total > 0 && p.read > 0 {
		share := min(float64(p.read)/float64(p.total), 1)
		left := time.Duration(float64(p.took) * (1 - share) / share).Round(time.Second)
		line = fmt.Sprintf("%3.0f %%  %s, %s left", 100*share, line, left)
	}
	fmt.Fprintf(w, "\r%s\x1b[K", line)
}
