package node

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"dsiem/internal/input/httpin"
)

// The budget is what was asked for, and always something on a machine that says how
// much memory it has.
func TestMemoryBudget(t *testing.T) {
	t.Parallel()
	if m := newMemory(100 << 20); m.budget != 100<<20 || m.from != "--memory" {
		t.Errorf("asked for 100 MiB, got %d by %s", m.budget, m.from)
	}
	m := newMemory(0)
	if m.budget <= 0 {
		t.Errorf("a machine has %d bytes by %s", m.budget, m.from)
	}
	if small := (&memory{budget: 384 << 20}); small.connections(10_000) != 307 || small.connections(100) != 100 {
		t.Errorf("a small node serves %d connections of 10,000, and %d of 100", small.connections(10_000), small.connections(100))
	}
	if got := (&memory{budget: 64 << 20}).connections(10_000); got != 64 {
		t.Errorf("a tiny node serves %d connections", got)
	}
	if got := (&memory{}).connections(10_000); got != 10_000 {
		t.Errorf("a node that does not know its memory serves %d connections", got)
	}
	all := m.share(queueShare) + m.requests(ModeBackend) + m.share(engineShare)
	if all > m.budget || m.requests(ModeFrontend) > m.budget {
		t.Errorf("shares of %d bytes are in all %d", m.budget, all)
	}
}

// Beyond the budget events are refused, and taken again below; each change is told once.
func TestMemoryIsShort(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, nil))
	m := newMemory(100 << 20)
	for _, c := range []struct {
		live  uint64
		short bool
		lines int
	}{
		{1, false, 0}, {85 << 20, false, 0}, {85<<20 + 1, true, 1}, {100 << 20, true, 1}, {85 << 20, false, 2}, {1, false, 2},
	} {
		m.look(c.live, logger)
		if got := strings.Count(out.String(), "\n"); m.short.Load() != c.short || got != c.lines {
			t.Errorf("with %d bytes in use it is short: %v after %d lines, want %v and %d", c.live, m.short.Load(), got, c.short, c.lines)
		}
	}
	if m.short.Store(true); !errors.Is(m.err(), httpin.ErrUnavailable) {
		t.Errorf("while memory is short events are refused because of %v", m.err())
	}
	unknown := &memory{}
	if unknown.look(1<<40, logger); unknown.short.Load() {
		t.Error("an unknown budget is short")
	}
}
