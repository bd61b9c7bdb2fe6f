package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// afterRestart is the number of events that a server gets when it has started again.
const afterRestart = 20_000

// restart ends the server, starts it again with what it has saved, and sends some
// more events, of which many are for saved backlogs.
func (s *serving) restart(ctx context.Context) error {
	h, v := s.host, s.run.Values
	m, err := scrape(ctx, h.diagnostics)
	if err != nil {
		return err
	}
	live := m.live()
	if err := s.stop(); err != nil {
		return err
	}
	saved, err := size(filepath.Join(h.dir, logsName, stateName))
	if err != nil {
		return err
	}
	v[SavedBytes] = float64(saved)
	if err := os.Rename(h.server.log, h.server.log+".before"); err != nil {
		return fmt.Errorf("keeping the log of the server: %w", err)
	}
	if err := s.programs.startServer(ctx, s.cell, h); err != nil {
		return err
	}
	v[AgainSeconds] = h.ready.Seconds()
	ctx, release := h.server.bound(ctx)
	defer release()
	if n, err := s.counted(ctx, live, stopTime, metrics.checkpointed); err != nil || n != live {
		return errors.Join(err, fmt.Errorf("starting the server again: %d of %d backlogs are in its checkpoint", n, live))
	}
	again := float64(h.server.usage().peak)
	v[AgainMemory], v[OfRunning] = again, again/v[PeakMemory]
	s.watcher.due.Store(nil) // what comes now has no rate
	if err := s.send(ctx, afterRestart, 0, 0); err != nil {
		return fmt.Errorf("sending events to the server that has started again: %w", err)
	}
	s.run.Sent = s.total()
	return nil
}

// stop ends the server, and looks at its memory until it is gone.
func (s *serving) stop() error {
	server, v := s.host.server, s.run.Values
	begun, looked := time.Now(), make(chan struct{})
	go func() {
		defer close(looked)
		ticker := time.NewTicker(listenEvery)
		defer ticker.Stop()
		for {
			v[StopMemory] = max(v[StopMemory], float64(server.usage().peak))
			select {
			case <-server.exited:
				return
			case <-ticker.C:
			}
		}
	}()
	err := server.stop()
	<-looked
	v[StopSeconds] = time.Since(begun).Seconds()
	return err
}

// size returns the bytes of all files below a directory.
func size(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("looking at what the server has saved: %w", err)
	}
	return sum, nil
}
