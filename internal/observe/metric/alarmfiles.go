package metric

import "github.com/prometheus/client_golang/prometheus"

// AlarmFiles is what the writer of the alarm files has counted by a moment.
// Pending and Failing are of the moment; everything else only grows. Its fields
// are those of file.WriterStats.
type AlarmFiles struct {
	// Lines and bytes in siem_alarms.json and siem_alarm_events.json.
	AlarmLines, AlarmBytes, EventLines, EventBytes uint64
	// Flushes are the group commits, Retries the attempts after a write
	// failed, Reopened the files that were opened anew after a rotation,
	// SyncErrors the calls of fsync that failed, Waits the times that the
	// pipeline had to wait for room.
	Flushes, Retries, Reopened, SyncErrors, Waits uint64
	// Pending are the bytes that were accepted and not written yet.
	Pending int64
	// Failing reports whether the last attempt to write failed.
	Failing bool
}

// alarmFiles reads the counts when Prometheus asks.
type alarmFiles struct {
	read func() AlarmFiles

	lines, bytes, flushes, retries, reopened, syncErrors, waits, pending, failing *prometheus.Desc
}

var _ prometheus.Collector = (*alarmFiles)(nil)

// RegisterAlarmFiles registers the metrics of the alarm files. read is called
// from any goroutine.
func RegisterAlarmFiles(reg prometheus.Registerer, read func() AlarmFiles) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("dsiem_alarm_file"+name, help, labels, nil)
	}
	reg.MustRegister(&alarmFiles{
		read:       read,
		lines:      desc("_lines_total", "Lines that were written, by file.", "file"),
		bytes:      desc("_bytes_total", "Bytes that were written, by file.", "file"),
		flushes:    desc("_flushes_total", "Times that what was pending was written."),
		retries:    desc("_retries_total", "Attempts to write after an error."),
		reopened:   desc("_reopened_total", "Files that were opened anew after a rotation."),
		syncErrors: desc("_sync_errors_total", "Calls of fsync that failed."),
		waits:      desc("_waits_total", "Times that the pipeline had to wait for room in the buffer."),
		pending:    desc("_pending_bytes", "Bytes of lines that are not written yet."),
		failing:    desc("_failing", "1 while lines cannot be written."),
	})
}

// Describe implements prometheus.Collector.
func (a *alarmFiles) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		a.lines, a.bytes, a.flushes, a.retries, a.reopened, a.syncErrors, a.waits, a.pending, a.failing,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (a *alarmFiles) Collect(to chan<- prometheus.Metric) {
	c := a.read()
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	counter(a.lines, c.AlarmLines, "alarms")
	counter(a.lines, c.EventLines, "alarm_events")
	counter(a.bytes, c.AlarmBytes, "alarms")
	counter(a.bytes, c.EventBytes, "alarm_events")
	counter(a.flushes, c.Flushes)
	counter(a.retries, c.Retries)
	counter(a.reopened, c.Reopened)
	counter(a.syncErrors, c.SyncErrors)
	counter(a.waits, c.Waits)
	failing := 0.0
	if c.Failing {
		failing = 1
	}
	to <- prometheus.MustNewConstMetric(a.pending, prometheus.GaugeValue, float64(c.Pending))
	to <- prometheus.MustNewConstMetric(a.failing, prometheus.GaugeValue, failing)
}
