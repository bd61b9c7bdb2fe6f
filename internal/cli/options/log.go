package options

import (
	"log/slog"

	"dsiem/internal/observe/log"
)

// logLevels are the texts of --log-level.
func logLevels() []string { return []string{"error", "warn", "info", "debug", "trace"} }

// level is the lowest level to log: the most verbose of all switches counts
// (docs/spec/interfaces.md §1.2).
func (s *settings) level() slog.Level {
	level := map[string]slog.Level{
		"error": slog.LevelError, "warn": slog.LevelWarn, "info": slog.LevelInfo, "debug": slog.LevelDebug, "trace": log.LevelTrace,
	}[s.logLevel]
	if s.debug || s.verbosity == 1 {
		level = min(level, slog.LevelDebug)
	}
	if s.trace || s.verbosity > 1 {
		level = min(level, log.LevelTrace)
	}
	return level
}

func logOptions(s *settings) []*option {
	return []*option{
		{
			name: "json", short: 'j', env: []string{"DSIEM_JSON"},
			value: toggle{&s.Log.JSON}, def: "false",
			help: "Log JSON lines.",
		},
		{
			name: "log-level", env: []string{"DSIEM_LOG_LEVEL", "DSIEM_LOGLEVEL"},
			value: choice{p: &s.logLevel, of: logLevels()}, def: "info",
			help: "Log from this level on. The most verbose of this, --debug, --trace and --verbosity counts.",
		},
		{
			name: "debug", env: []string{"DSIEM_DEBUG"},
			value: toggle{&s.debug}, def: "false",
			help: "Log from level DEBUG on.",
		},
		{
			name: "trace", env: []string{"DSIEM_TRACE"},
			value: toggle{&s.trace}, def: "false",
			help: "Log from level TRACE on.",
		},
		{
			name: "verbosity", short: 'v', value: counter{&s.verbosity},
			help: "Log more: -v is DEBUG, -vv is TRACE.",
		},
		{
			name: "metrics-address", env: []string{"DSIEM_METRICS_ADDRESS", "DSIEM_METRICSADDRESS"},
			value: text{p: &s.MetricsAddress, form: "HOST:PORT", optional: true},
			help:  "Where to serve /healthz, /readyz and /metrics; nowhere by default. A node that serves HTTP serves them there too.",
		},
		{
			name: "pprof", env: []string{"DSIEM_PPROF"},
			value: toggle{&s.PProf}, def: "false",
			help: "Serve /debug/pprof/ where /metrics is.",
		},
	}
}

func telemetryOptions(s *settings) []*option {
	t := &s.Tracing
	return []*option{
		{
			name: "otel-tracing-enabled", env: []string{"DSIEM_OTEL_TRACING_ENABLED", "DSIEM_OTELTRACINGENABLED"},
			value: toggle{&t.Traces}, def: "false",
			help: "Send OpenTelemetry traces to --otel-endpoint.",
		},
		{
			name: "otel-metrics-enabled", env: []string{"DSIEM_OTEL_METRICS_ENABLED", "DSIEM_OTELMETRICSENABLED"},
			value: toggle{&t.Metrics}, def: "false",
			help: "Send OpenTelemetry metrics to --otel-endpoint.",
		},
		{
			name: "otel-endpoint", env: []string{"DSIEM_OTEL_ENDPOINT", "DSIEM_OTELENDPOINT"}, urls: true,
			value: text{p: &t.Endpoint, form: "URL"}, def: "http://localhost:4317",
			help: "OpenTelemetry collector, which takes OTLP over gRPC.",
		},
	}
}

func stopOptions(s *settings) []*option {
	return []*option{
		{
			name: "help", short: 'h', value: toggle{&s.help}, stops: true,
			help: "Show this and stop.",
		},
		{
			name: "version", short: 'V', value: toggle{&s.version}, stops: true,
			help: "Print the version and stop.",
		},
	}
}
