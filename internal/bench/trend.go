package bench

import (
	"context"
	"errors"
	"time"
)

const (
	// A server has filled its heap, its queues and its backlogs after settlingTime:
	// that is not counted, but no more than one part in settlingParts of all.
	settlingTime  = 2 * time.Minute
	settlingParts = 3
)

// Memory is what a server had at a time.
type Memory struct {
	// Seconds is the time since the first event that counts.
	Seconds float64 `json:"seconds"`
	// Resident is its resident memory, Live what the last garbage collection has
	// left of its heap, 0 if it does not tell; both in bytes.
	Resident uint64 `json:"rss_bytes"`
	Live     uint64 `json:"heap_live_bytes"`
}

// observe looks at something at each tick until ctx ends, or until it cannot.
// The times of what it returns begin with start.
func observe(ctx context.Context, start time.Time, ticks <-chan time.Time, look func(context.Context) (Memory, error)) ([]Memory, error) {
	var all []Memory
	for ctx.Err() == nil {
		select {
		case at := <-ticks:
			m, err := look(ctx)
			if ctx.Err() != nil {
				break // half of it may be missing
			}
			if err != nil {
				return all, err
			}
			m.Seconds = at.Sub(start).Seconds()
			all = append(all, m)
		case <-ctx.Done():
		}
	}
	return all, nil
}

// memory looks at the server's memory.
func (s *serving) memory(ctx context.Context) (Memory, error) {
	m := Memory{Resident: s.host.server.usage().resident}
	if s.host.diagnostics == "" {
		return m, nil
	}
	shown, err := scrape(ctx, s.host.diagnostics)
	m.Live = uint64(shown["go_gc_heap_live_bytes"])
	return m, err
}

// observed does something while the server's memory is looked at.
func (s *serving) observed(ctx context.Context, do func() error) error {
	looking, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	ticker := time.NewTicker(s.cell.Trend)
	defer ticker.Stop()
	start := time.Now()
	go func() {
		var err error
		s.run.Memory, err = observe(looking, start, ticker.C, s.memory)
		done <- err
	}()
	err := do()
	stop()
	if err = errors.Join(err, <-done); err == nil {
		recordTrend(s.run.Memory, s.run.Values)
	}
	return err
}

// recordTrend works out how memory has changed. There is nothing to say about
// fewer than two looks.
func recordTrend(all []Memory, v map[Measure]float64) {
	all = settled(all)
	if len(all) < 2 {
		return
	}
	v[FirstMemory], v[LastMemory] = float64(all[0].Resident), float64(all[len(all)-1].Resident)
	v[MemoryGrowth] = growth(all, func(m Memory) uint64 { return m.Resident })
	v[HeapGrowth] = growth(all, func(m Memory) uint64 { return m.Live })
}

// settled leaves out the time in which a server fills up.
func settled(all []Memory) []Memory {
	if len(all) == 0 {
		return nil
	}
	from := min(settlingTime.Seconds(), all[len(all)-1].Seconds/settlingParts)
	first := 0
	for all[first].Seconds < from {
		first++
	}
	return all[first:]
}

// growth returns the slope of the line that is nearest to all values, by the sum
// of squares, in kilobytes (1000 bytes) a minute; 0 if all are of the same time.
func growth(all []Memory, value func(Memory) uint64) float64 {
	n := float64(len(all))
	meanX, meanY := 0.0, 0.0
	for _, m := range all {
		meanX += m.Seconds / n
		meanY += float64(value(m)) / n
	}
	xy, xx := 0.0, 0.0
	for _, m := range all {
		x := m.Seconds - meanX
		xy += x * (float64(value(m)) - meanY)
		xx += x * x
	}
	if xx == 0 {
		return 0
	}
	const kilobyte = 1000
	return xy / xx * time.Minute.Seconds() / kilobyte
}
