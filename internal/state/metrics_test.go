package state_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/correlate/shard"
	"dsiem/internal/state"
	"dsiem/test/testkit"
)

func TestLastCheckpointIsShown(t *testing.T) {
	t.Parallel()
	e := newEngine(t, fixture(t, "scan_directives.json"))
	store, err := state.Open(t.TempDir(), true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	reg := prometheus.NewPedanticRegistry()
	store.Register(reg)
	expect := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, testkit.Samples(t, reg)); diff != "" {
			t.Errorf("samples (-want +got):\n%s", diff)
		}
	}
	expect(`dsiem_checkpoint_backlogs 0`, `dsiem_checkpoint_timestamp_seconds 0`)

	e.Step(start, anEvent("e1", 0, 1, 80))
	var stopped error
	c := state.Checkpointer{
		Store: store,
		Ask: func(_ context.Context, f func()) error {
			if stopped == nil {
				f()
			}
			return stopped
		},
		Backlogs: func() shard.Snapshots { return shard.Snapshots{e.Snapshot()} },
		Now:      func() time.Time { return time.UnixMilli(1700000000500) },
	}
	if written, err := c.Write(t.Context()); err != nil || written.Backlogs != 1 {
		t.Fatalf("%d backlogs, %v", written.Backlogs, err)
	}
	expect(`dsiem_checkpoint_backlogs 1`, `dsiem_checkpoint_timestamp_seconds 1.7000000005e+09`)

	// One that was not written leaves the last one as it is.
	stopped = errors.New("stopped")
	c.Now = func() time.Time { return time.UnixMilli(1800000000000) }
	if _, err := c.Write(t.Context()); !errors.Is(err, stopped) {
		t.Fatal(err)
	}
	expect(`dsiem_checkpoint_backlogs 1`, `dsiem_checkpoint_timestamp_seconds 1.7000000005e+09`)
}
