package otel_test

import (
	"fmt"
	"testing"

	"dsiem/internal/observe/otel"
	"dsiem/test/testkit/oteltest"

	"github.com/google/go-cmp/cmp"
)

func TestMetricsHaveTheNamesAndTypesOfTheSpec(t *testing.T) {
	t.Parallel()
	readings := otel.Readings{
		EPS: 1.5, AvgProcTimeMS: 0.25, QueueLength: 3, Directives: 4, ActiveDirectives: 5, Backlogs: 6,
		EventsReceived: 7, EventsMatched: 8, BacklogsTimedOut: 1<<64 - 1,
		EventsDropped: map[string]uint64{"queue_full": 9, "shutdown": 0}, AlarmsWritten: 10,
	}
	type point struct {
		Counter bool
		Value   any
	}
	all := map[string]point{
		"dsiem_eps":               {false, 1.5},
		"dsiem_avg_proc_time_ms":  {false, 0.25},
		"dsiem_queue_length":      {false, int64(3)},
		"dsiem_directives_ttl":    {false, int64(4)},
		"dsiem_directives_active": {false, int64(5)},
		"dsiem_events_rcvd":       {false, int64(7)},
		"dsiem_events_matched":    {false, int64(8)},
		"dsiem_backlogs":          {false, int64(6)},
		"dsiem_backlogs_timedout": {false, int64(1<<63 - 1)},
		"dsiem_events_dropped_total map[reason:queue_full]": {true, int64(9)},
		"dsiem_events_dropped_total map[reason:shutdown]":   {true, int64(0)},
		"dsiem_alarms_written_total":                        {true, int64(10)},
	}
	frontends := map[string]point{}
	for _, name := range []string{
		"dsiem_eps", "dsiem_queue_length", "dsiem_events_rcvd",
		"dsiem_events_dropped_total map[reason:queue_full]", "dsiem_events_dropped_total map[reason:shutdown]",
	} {
		frontends[name] = all[name]
	}
	for mode, want := range map[string]map[string]point{
		"standalone": all, "cluster-backend": all, "": all, otel.ModeFrontend: frontends,
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			c := oteltest.Start(t)
			tracer := start(t, otel.Options{
				Metrics: true, Endpoint: c.Endpoint(), Mode: mode, Readings: func() otel.Readings { return readings },
			})
			if tracer.Tracing() {
				t.Error("traces are on")
			}
			flush(t, tracer)
			got := map[string]point{}
			for _, m := range c.Metrics() {
				name := m.Name
				if len(m.Attributes) > 0 {
					name += fmt.Sprintf(" %v", map[string]any(m.Attributes))
				}
				got[name] = point{m.Counter, m.Value}
				if m.Resource["service.name"] != "dsiem" {
					t.Errorf("resource %v", m.Resource)
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			if sent := tracer.Stats().Points.Sent; sent != uint64(len(want)) {
				t.Errorf("%d points sent, want %d", sent, len(want))
			}
		})
	}
}

func TestMetricsAreExportedAgainAndAgain(t *testing.T) {
	t.Parallel()
	c := oteltest.Start(t)
	n := uint64(0)
	options := soon(c)
	options.Metrics, options.Readings = true, func() otel.Readings {
		n++
		return otel.Readings{AlarmsWritten: n}
	}
	tracer := start(t, options)
	c.WaitForMetric("dsiem_alarms_written_total", func(m oteltest.Metric) bool { return m.Value == int64(3) })
	flush(t, tracer)
}
