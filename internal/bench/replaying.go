package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
)

// replayStart is the time of the first event of a file, replayStep what lies
// between two.
const (
	replayStart = 1_767_225_600 // 2026-01-01
	replayStep  = 10 * time.Microsecond
)

// replay runs a cell that plays a file, in a directory. Rate and CPU time are
// those of the whole program, start and configuration included.
func (ps *programs) replay(ctx context.Context, c *Cell, dir string) (*Repetition, error) {
	p, err := newPlan(c.Workload, 1)
	if err != nil {
		return nil, err
	}
	h := &host{dir: dir}
	if err := p.writeConfiguration(filepath.Join(dir, configsName)); err != nil {
		return nil, err
	}
	sent := p.throughMatch(p.live + c.Events)
	events := filepath.Join(dir, eventsName)
	if err := p.writeEvents(ctx, events, sent); err != nil {
		return nil, fmt.Errorf("writing the events: %w", err)
	}
	args := append([]string{
		"replay", "--config=" + filepath.Join(dir, configsName), "--out=" + filepath.Join(dir, logsName), "--json", events,
	}, ps.flags...)
	h.server, err = startProcess(ctx, "replay", filepath.Join(dir, "replay.log"), ps.server, args...)
	if err != nil {
		return nil, err
	}
	run := &Repetition{Sent: sent, Values: map[Measure]float64{}}
	peak := h.server.peak()
	if err := h.server.wait(); err != nil {
		return nil, errors.Join(context.Cause(ctx), err)
	}
	seconds, state := time.Since(h.server.started).Seconds(), h.server.cmd.ProcessState
	run.Values[EventsPerSecond] = float64(sent) / seconds
	run.Values[ServerCPU] = (state.UserTime() + state.SystemTime()).Seconds() / float64(sent) * million
	run.Values[PeakMemory] = float64(peak)
	if run.Unseen, err = notReplayed(h.server.log, sent); err != nil {
		return nil, err
	}
	findings, err := newChecker(p, []uint64{sent}).check(h.eventsFile(), h.alarmsFile())
	if err != nil {
		return nil, err
	}
	run.Findings = *findings
	return run, nil
}

// writeEvents writes the first events of the only stream to a file.
func (p *plan) writeEvents(ctx context.Context, name string, events uint64) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	const buffered = 1 << 20
	w := bufio.NewWriterSize(file, buffered)
	s := p.stream(0)
	var buf []byte
	for n := range events {
		if n%burst == 0 {
			if ctx.Err() != nil {
				return errors.Join(context.Cause(ctx), file.Close())
			}
			s.setTime(time.Unix(replayStart, 0).Add(time.Duration(n) * replayStep))
		}
		buf = append(s.append(buf[:0], n), '\n')
		_, _ = w.Write(buf) // Flush says it
	}
	return errors.Join(w.Flush(), file.Close())
}

// peak returns the most memory that a process has while it runs: it looks at it
// until the end.
func (p *process) peak() uint64 {
	const every = 10 * time.Millisecond
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	peak := uint64(0)
	for {
		peak = max(peak, p.usage().peak)
		select {
		case <-p.exited:
			return peak
		case <-ticker.C:
		}
	}
}

// notReplayed returns how many of the events a replay has not offered to the
// engine, by its summary.
func notReplayed(log string, sent uint64) (uint64, error) {
	text, err := os.ReadFile(log)
	if err != nil {
		return 0, fmt.Errorf("reading the summary: %w", err)
	}
	var summary struct {
		Events struct {
			Offered uint64 `json:"offered"`
		} `json:"events"`
	}
	if err := json.Unmarshal(text[max(0, bytes.IndexByte(text, '{')):], &summary); err != nil {
		return 0, fmt.Errorf("reading the summary: %w", err)
	}
	return sent - min(sent, summary.Events.Offered), nil
}
