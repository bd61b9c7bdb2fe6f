package diagnostics

import (
	"cmp"
	"net/http"
	"runtime"
	"sync"
	"time"
)

// memoryEvery is the least time between two looks at the memory, each of which
// stops the whole program for a moment.
const memoryEvery = time.Second

// Variables are what /debug/vars/ shows besides the Go runtime, with the
// original's names (docs/spec/interfaces.md §3.6). The functions are called from any
// goroutine; one that is nil leaves its member out, as the modes of the original
// do: frontends have no alarms and backlogs, backends no event rate.
type Variables struct {
	// Program is shown as the command line; "" is "dsiem". Flags are never
	// shown, because they can hold passwords.
	Program string
	// EPS is the number of events of the last full second (eps_counter).
	EPS func() int64
	// Alarms is the number of alarms since the start (alarm_counter, D53).
	Alarms func() int64
	// Backlogs is the number of backlogs that are live (backlog_counter).
	Backlogs func() int64
}

// program returns the name of the program; v may be nil.
func (v *Variables) program() string {
	const name = "dsiem"
	if v == nil {
		return name
	}
	return cmp.Or(v.Program, name)
}

// variables is the body of /debug/vars/, in the order of package expvar.
type variables struct {
	Alarms     *int64            `json:"alarm_counter,omitempty"`
	Backlogs   *int64            `json:"backlog_counter,omitempty"`
	Cmdline    []string          `json:"cmdline"`
	EPS        *int64            `json:"eps_counter,omitempty"`
	Goroutines int               `json:"goroutine_counter"`
	Memstats   *runtime.MemStats `json:"memstats"`
}

// Vars shows the variables of the original, with real values: nothing in them
// waits for a tick, except the memory statistics, which may be a second old.
func (d *Diagnostics) Vars(w http.ResponseWriter, r *http.Request) {
	v := d.o.Variables
	if v == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	d.answer(w, http.StatusOK, variables{
		Alarms: value(v.Alarms), Backlogs: value(v.Backlogs), EPS: value(v.EPS),
		Cmdline: []string{v.program()}, Goroutines: runtime.NumGoroutine(), Memstats: d.memory.read(time.Now()),
	})
}

func value(read func() int64) *int64 {
	if read == nil {
		return nil
	}
	return new(read())
}

// memory keeps the memory statistics for a while.
type memory struct {
	mu    sync.Mutex
	stats *runtime.MemStats // never changed once it is here
	at    time.Time
}

func (m *memory) read(now time.Time) *runtime.MemStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stats == nil || now.Sub(m.at) >= memoryEvery {
		m.stats, m.at = new(runtime.MemStats), now
		runtime.ReadMemStats(m.stats)
	}
	return m.stats
}
