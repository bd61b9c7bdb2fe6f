package file

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/test/testkit"
)

func TestAlarmFilesAreReadWhenAsked(t *testing.T) {
	t.Parallel()
	w, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.events.close(), w.alarms.close()); err != nil {
			t.Error(err)
		}
	})
	reg := prometheus.NewPedanticRegistry()
	w.Register(reg)
	want := []string{
		`dsiem_alarm_file_bytes_total{file="alarm_events"} 0`,
		`dsiem_alarm_file_bytes_total{file="alarms"} 0`,
		`dsiem_alarm_file_failing 0`,
		`dsiem_alarm_file_flushes_total 0`,
		`dsiem_alarm_file_lines_total{file="alarm_events"} 0`,
		`dsiem_alarm_file_lines_total{file="alarms"} 0`,
		`dsiem_alarm_file_pending_bytes 0`,
		`dsiem_alarm_file_reopened_total 0`,
		`dsiem_alarm_file_retries_total 0`,
		`dsiem_alarm_file_sync_errors_total 0`,
		`dsiem_alarm_file_waits_total 0`,
	}
	if diff := cmp.Diff(want, testkit.Samples(t, reg)); diff != "" {
		t.Errorf("at the start (-want +got):\n%s", diff)
	}
	w.alarms.lines.Store(1)
	w.alarms.bytes.Store(900)
	w.events.lines.Store(3)
	w.events.bytes.Store(240)
	w.alarms.reopened.Store(1)
	w.count.flushes.Store(2)
	w.count.retries.Store(4)
	w.count.syncErrors.Store(5)
	w.count.waits.Store(6)
	w.accepted.bytes = 900 + 240 + 77
	w.failing = errors.New("disk full")
	want = []string{
		`dsiem_alarm_file_bytes_total{file="alarm_events"} 240`,
		`dsiem_alarm_file_bytes_total{file="alarms"} 900`,
		`dsiem_alarm_file_failing 1`,
		`dsiem_alarm_file_flushes_total 2`,
		`dsiem_alarm_file_lines_total{file="alarm_events"} 3`,
		`dsiem_alarm_file_lines_total{file="alarms"} 1`,
		`dsiem_alarm_file_pending_bytes 77`,
		`dsiem_alarm_file_reopened_total 1`,
		`dsiem_alarm_file_retries_total 4`,
		`dsiem_alarm_file_sync_errors_total 5`,
		`dsiem_alarm_file_waits_total 6`,
	}
	if diff := cmp.Diff(want, testkit.Samples(t, reg)); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}
