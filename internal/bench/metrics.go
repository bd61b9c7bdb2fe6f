package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// metrics are the values that a server shows, by name and labels. Those of a
// name with labels are also added up under the name alone.
type metrics map[string]float64

// scrapeTime is the longest that a server may take to show its metrics.
const scrapeTime = 30 * time.Second

// get asks a server's diagnostics for a page.
func get(ctx context.Context, address, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the server: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", response.Status)
	}
	if err != nil {
		return nil, fmt.Errorf("asking the server for %s: %w", path, err)
	}
	return body, nil
}

// scrape reads a server's metrics.
func scrape(ctx context.Context, address string) (metrics, error) {
	text, err := get(ctx, address, "/metrics")
	return parseMetrics(string(text)), err
}

// parseMetrics reads the text form of Prometheus.
func parseMetrics(text string) metrics {
	m := metrics{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		end := strings.LastIndexByte(line, ' ')
		if end < 0 || line[0] == '#' {
			continue
		}
		value, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			continue
		}
		m[line[:end]] = value
		if name, _, labelled := strings.Cut(line[:end], "{"); labelled {
			m[name] += value
		}
	}
	return m
}

// looked returns the number of events that the server has looked at.
func (m metrics) looked() uint64 {
	return uint64(m[`dsiem_events_total{outcome="accepted"}`] + m[`dsiem_events_total{outcome="unwanted"}`])
}

// accounted returns the number of events of which the server knows what became.
func (m metrics) accounted() uint64 {
	return uint64(m["dsiem_events_total"] + m["dsiem_events_dropped_total"])
}

// expired returns the number of backlogs that expired.
func (m metrics) expired() uint64 { return uint64(m[`dsiem_backlogs_closed_total{outcome="expired"}`]) }

// checkpointed returns the number of backlogs in the last checkpoint.
func (m metrics) checkpointed() uint64 { return uint64(m["dsiem_checkpoint_backlogs"]) }

// live returns the number of live backlogs.
func (m metrics) live() uint64 { return uint64(m["dsiem_backlogs"]) }

// since returns what was added to each value since another look.
func (m metrics) since(before metrics) metrics {
	added := make(metrics, len(m))
	for name, value := range m {
		added[name] = value - before[name]
	}
	return added
}

// collections works out, from what was added, what garbage collections took.
// Numerator and denominator are both the runtime's: it brings them up to date
// together, at the end of each collection, and both hold the time in which the
// system gave the processor to somebody else. The CPU time of the process is of
// another moment and without that time, so a quotient with it would be too high.
func (added metrics) collections(v map[Measure]float64) {
	v[Collections] = added["go_gc_duration_seconds_count"]
	used := added["go_cpu_classes_total_cpu_seconds_total"] - added["go_cpu_classes_idle_cpu_seconds_total"]
	if used > 0 { // pauses alone are brought up to date sooner
		v[GCShare] = added["go_cpu_classes_gc_total_cpu_seconds_total"] / used
		v[GCIdleShare] = added["go_cpu_classes_gc_mark_idle_cpu_seconds_total"] / used
	}
}

// collected returns the bytes of the server's heap after a collection.
func collected(ctx context.Context, address string) (uint64, error) {
	if _, err := get(ctx, address, "/debug/pprof/heap?gc=1"); err != nil {
		return 0, err
	}
	m, err := scrape(ctx, address)
	return uint64(m["go_memstats_heap_alloc_bytes"]), err
}

// number reads a whole number, 0 if it is none.
func number(text string) int64 {
	n, _ := strconv.ParseInt(text, decimal, 64) // 0 after an error
	return n
}
