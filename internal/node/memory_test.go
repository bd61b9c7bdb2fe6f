package node

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
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
	unknown := &memory{}
	if unknown.look(1<<40, logger); unknown.short.Load() {
		t.Error("an unknown budget is short")
	}
}
