package file

import (
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/observe/metric"
)

// Register registers the metrics of the alarm files.
func (w *Writer) Register(reg prometheus.Registerer) {
	s := metric.NewSnapshot(w.Stats)
	lines := s.Counters("dsiem_alarm_file_lines_total", "Lines that were written, by file.", "file")
	lines("alarms", func(s Stats) uint64 { return s.AlarmLines })
	lines("alarm_events", func(s Stats) uint64 { return s.EventLines })
	size := s.Counters("dsiem_alarm_file_bytes_total", "Bytes that were written, by file.", "file")
	size("alarms", func(s Stats) uint64 { return s.AlarmBytes })
	size("alarm_events", func(s Stats) uint64 { return s.EventBytes })
	s.Counter("dsiem_alarm_file_flushes_total", "Times that what was pending was written.",
		func(s Stats) uint64 { return s.Flushes })
	s.Counter("dsiem_alarm_file_retries_total", "Attempts to write after an error.",
		func(s Stats) uint64 { return s.Retries })
	s.Counter("dsiem_alarm_file_reopened_total", "Files that were opened anew after a rotation.",
		func(s Stats) uint64 { return s.Reopened })
	s.Counter("dsiem_alarm_file_sync_errors_total", "Calls of fsync that failed.",
		func(s Stats) uint64 { return s.SyncErrors })
	s.Counter("dsiem_alarm_file_waits_total", "Times that the pipeline had to wait for room in the buffer.",
		func(s Stats) uint64 { return s.Waits })
	s.Gauge("dsiem_alarm_file_pending_bytes", "Bytes of lines that are not written yet.",
		func(s Stats) float64 { return float64(s.Pending) })
	s.Gauge("dsiem_alarm_file_failing", "1 while lines cannot be written.",
		func(s Stats) float64 { return metric.Truth(s.Failing) })
	reg.MustRegister(s)
}
