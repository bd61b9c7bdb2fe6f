package bench

// Goal is a bound of a measure's median.
type Goal struct {
	Measure Measure `json:"measure"`
	// AtLeast and AtMost are the bounds, 0 for none. A bound below 0 is one.
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
}

// reached reports whether a value is within the bound.
func (g Goal) reached(value float64) bool {
	return (g.AtLeast == 0 || value >= g.AtLeast) && (g.AtMost == 0 || value <= g.AtMost)
}

// Measure is one number of a run, by its name in JSON.
type Measure string

// The measures.
const (
	EventsPerSecond Measure = "events_per_second"
	// OfSubscriber is EventsPerSecond as a share of that of a NATS client that only
	// counts events, measured in the same repetition.
	OfSubscriber Measure = "of_subscriber"
	// ServerCPU, DriverCPU and QueueCPU are seconds of CPU time for a million
	// events: of the server, of this program and of the NATS server.
	ServerCPU Measure = "server_cpu_seconds_per_million"
	DriverCPU Measure = "driver_cpu_seconds_per_million"
	QueueCPU  Measure = "queue_cpu_seconds_per_million"
	// RelativeCPU is ServerCPU as a share of that of the first cell of its table.
	RelativeCPU Measure = "relative_cpu"
	// GCShare is the share of garbage collections in the CPU time that the server
	// used, and GCIdleShare the part of it for which the server had no other use,
	// both by the accounting of Go's runtime: from the last collection that ended
	// before the measured time to the last one that ended in it. They are not there
	// if none did. Collections is how many did.
	GCShare     Measure = "gc_share"
	GCIdleShare Measure = "gc_idle_share"
	Collections Measure = "gc_collections"
	// PeakMemory is the most resident memory of the server, in bytes.
	PeakMemory Measure = "peak_rss_bytes"
	// MemoryGrowth is by how much the server's resident memory grew, HeapGrowth by how
	// much what garbage collections have left, in kilobytes a minute: the slopes of
	// the lines that are nearest to what was seen, look by look, without the first
	// two minutes, or the first third. FirstMemory and LastMemory are the resident
	// memory at both ends of that time, in bytes.
	MemoryGrowth Measure = "rss_growth_kb_per_minute"
	HeapGrowth   Measure = "heap_growth_kb_per_minute"
	FirstMemory  Measure = "rss_first_bytes"
	LastMemory   Measure = "rss_last_bytes"
	// Expired is the number of backlogs that expired, by the server's counter.
	Expired Measure = "expired"
	// ReadySeconds is the time from the start of the server until it takes events,
	// ReadyMemory its resident memory then, in bytes.
	ReadySeconds Measure = "ready_seconds"
	ReadyMemory  Measure = "ready_rss_bytes"
	// StopSeconds is the time that an orderly stop took, StopMemory the most resident
	// memory up to its end, and SavedBytes the size of what it saved. AgainSeconds is the
	// time from the next start until the server took events, AgainMemory the most resident
	// memory until its first checkpoint was on disk, both in bytes, and OfRunning is
	// AgainMemory as a share of PeakMemory, that before the stop.
	StopSeconds  Measure = "stop_seconds"
	StopMemory   Measure = "stop_peak_rss_bytes"
	SavedBytes   Measure = "saved_bytes"
	AgainSeconds Measure = "start_again_seconds"
	AgainMemory  Measure = "start_again_peak_rss_bytes"
	OfRunning    Measure = "start_again_of_running"
	// BacklogBytes is by how much the heap grew for each live backlog.
	BacklogBytes Measure = "heap_bytes_per_backlog"
	// Allocations and AllocatedBytes are those of the server for each event.
	Allocations    Measure = "allocations_per_event"
	AllocatedBytes Measure = "allocated_bytes_per_event"
	// P50, P99 and P999 are quantiles of the time from when an event was due until
	// its line could be read, in milliseconds; LongestDelay is the longest.
	P50          Measure = "latency_p50_ms"
	P99          Measure = "latency_p99_ms"
	P999         Measure = "latency_p999_ms"
	LongestDelay Measure = "latency_max_ms"
	// Refused is the number of times that the server refused an event for lack of
	// room; it was sent again.
	Refused Measure = "refused"
)

// spreads reports whether a table shows the least and the greatest value of a
// measure beside its median: it compares two runs, and the machine is not the
// same from one to the next.
func (m Measure) spreads() bool { return m == OfSubscriber || m == RelativeCPU }

// Repetition is the result of one repetition of a cell.
type Repetition struct {
	// Sent is the number of events, those included that opened the live backlogs.
	Sent uint64 `json:"sent"`
	// Values are the measures; those that a cell has not are not there.
	Values map[Measure]float64 `json:"values"`
	// Findings is what was wrong with the alarm files.
	Findings Findings `json:"findings"`
	// Unseen is the number of events that the server did not look at, by its own
	// counters.
	Unseen uint64 `json:"unseen"`
	// Unexpired is by how much the number of backlogs that expired differs from that
	// of attacks that were abandoned, by the server's own counters.
	Unexpired uint64 `json:"unexpired"`
	// Memory is the server's memory, look by look, if that was wanted.
	Memory []Memory `json:"memory,omitempty"`
	// Failure says why there is no result, "" if there is one.
	Failure string `json:"failure,omitempty"`
}

// wrong returns the number of things that must not be.
func (r *Repetition) wrong() uint64 {
	wrong := r.Findings.Total() + r.Unseen + r.Unexpired
	if r.Failure != "" {
		wrong++
	}
	return wrong
}
