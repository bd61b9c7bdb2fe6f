package replay

import (
	"fmt"
	"io"
	"sync"
	"time"

	"dsiem/internal/text"
)

// progressEvery is how often the progress line is rewritten.
const progressEvery = 500 * time.Millisecond

// watchProgress shows progress until the returned function is called, which
// takes the line away again. Diagnostics stand above the line meanwhile.
func (r *replay) watchProgress(started time.Time) (stop func()) {
	if r.options.Progress == nil {
		return func() {}
	}
	line := &progressLine{w: r.options.Progress}
	r.diagnostics = line.above(r.options.Diagnostics)
	done := make(chan struct{})
	var finished sync.WaitGroup
	finished.Go(func() {
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				line.show(progress{
					events: r.summary.read.Load(), matched: r.summary.matched.Load(),
					read: r.pipeline.bytes.sum(), total: r.bytes, took: now.Sub(started),
				})
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		finished.Wait()
		line.clear()
		r.diagnostics = r.options.Diagnostics
	}
}

// progressLine is the last line of a terminal, which is rewritten. Its methods
// may be called by several goroutines.
type progressLine struct {
	mu sync.Mutex
	w  io.Writer
}

// clearLine goes to the start of the line and clears it.
const clearLine = "\r\x1b[K"

func (l *progressLine) show(p progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	writeProgress(l.w, p)
}

func (l *progressLine) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprint(l.w, clearLine)
}

// above returns a writer of whole lines for the same terminal: the line makes
// way for them and comes back when it is shown next.
func (l *progressLine) above(w io.Writer) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		fmt.Fprint(l.w, clearLine)
		return w.Write(p)
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

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
	line := fmt.Sprintf("%s events, %s matched, %s/s", text.Group(int(p.events)), text.Group(int(p.matched)), text.Group(rate))
	if p.total > 0 && p.read > 0 {
		share := min(float64(p.read)/float64(p.total), 1)
		left := time.Duration(float64(p.took) * (1 - share) / share).Round(time.Second)
		line = fmt.Sprintf("%3.0f %%  %s, %s left", 100*share, line, left)
	}
	fmt.Fprintf(w, "\r%s\x1b[K", line)
}
