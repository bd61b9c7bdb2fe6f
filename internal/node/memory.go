package node

import (
	"log/slog"
	"math"
	"runtime/debug"
	"sync/atomic"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/input/httpin"
)

// The memory budget of a node and its shares (docs/spec/interfaces.md §5.8). The
// runtime, files and pages live in what is not in use.
const (
	// budgetShare is the share of what the container or the machine has.
	budgetShare = 0.75
	// queueShare, requestShare and engineShare are those of a node with a backend;
	// frontendShare is that of the requests of a frontend alone.
	queueShare, requestShare, engineShare = 0.2, 0.2, 0.4
	frontendShare                         = 0.5
	// connectionShare is that of connections, each of which may take connectionBytes while
	// its header comes in: maps and texts of more than a thousand lines, measured.
	connectionShare = 0.2
	connectionBytes = 256 << 10
	// fewestConnections are served whatever memory there is.
	fewestConnections = 64
	// folderShare is that of the configuration files, which take about ten times as much
	// while an upload is checked.
	folderShare = 1.0 / 16
	// shortShare is the share of the budget that may be in use after a garbage
	// collection; beyond it no event is taken.
	shortShare = 0.85
)

// memory is the budget of a node in bytes, 0 if nobody knows how much there is, and
// where it comes from.
type memory struct {
	budget int64
	from   string
	// short says that so much is in use that no event is taken.
	short atomic.Bool
}

// newMemory returns the budget that was asked for or, if that is 0, what the
// environment gives.
func newMemory(asked int64) *memory {
	if asked > 0 {
		return &memory{budget: asked, from: "--memory"}
	}
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return &memory{budget: limit, from: "GOMEMLIMIT"}
	}
	whole, err := memlimit.FromCgroup()
	from := "75 % of the container's memory"
	machine, machineErr := memlimit.FromSystem()
	if err != nil || machineErr == nil && machine < whole {
		whole, err, from = machine, machineErr, "75 % of the machine's memory"
	}
	if err != nil {
		return &memory{from: "not known"}
	}
	return &memory{budget: int64(float64(whole) * budgetShare), from: from}
}

func (m *memory) share(part float64) int64 { return int64(float64(m.budget) * part) }

// requests is what the bodies of requests may take, with the events in them.
func (m *memory) requests(mode string) int64 {
	if mode == ModeFrontend {
		return m.share(frontendShare)
	}
	return m.share(requestShare)
}

// connections returns how many connections are served at a time, of so many that were
// asked for.
func (m *memory) connections(asked int) int {
	if m.budget == 0 {
		return asked
	}
	return min(asked, max(fewestConnections, int(m.share(connectionShare)/connectionBytes)))
}

// errMemory says that the node has no memory left.
const errMemory httpin.OutageError = "memory is short"

// err returns why no event is taken, if that is memory.
func (m *memory) err() error {
	if m.short.Load() {
		return errMemory
	}
	return nil
}

// apply lets the runtime know the budget, and says what it is.
func (m *memory) apply(logger *slog.Logger) {
	if m.budget == 0 {
		logger.Warn("it is not known how much memory there is; set --memory, so that a flood cannot take more than there is")
		return
	}
	debug.SetMemoryLimit(m.budget)
	logger.Info("memory budget", "bytes", m.budget, "by", m.from)
}

// look takes how many bytes were in use after a garbage collection.
func (m *memory) look(live uint64, logger *slog.Logger) {
	short := m.budget > 0 && live > uint64(m.share(shortShare))
	if short == m.short.Swap(short) {
		return
	}
	if short {
		logger.Warn("memory is short, no event is taken until there is room; raise --memory, or send less",
			"in_use", live, "budget", m.budget)
	} else {
		logger.Info("there is memory again, events are taken", "in_use", live, "budget", m.budget)
	}
}

// register shows the budget to Prometheus.
func (m *memory) register(registry prometheus.Registerer) {
	registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "dsiem_memory_budget_bytes", Help: "Memory that the node means to stay below, 0 if it is not known.",
		}, func() float64 { return float64(m.budget) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "dsiem_memory_short", Help: "1 while no event is taken because too much memory is in use.",
		}, func() float64 {
			if m.short.Load() {
				return 1
			}
			return 0
		}),
	)
}
