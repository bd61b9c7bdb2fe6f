package cli

import "slices"

// foreignOptions are those of the other programs and generations, so that their
// unit files and environments go on working (spec/interfaces.md §1.6). Their
// values are not looked at.
func foreignOptions() []*option {
	return slices.Concat(frontendOptions(), telemetryOptions(), formerOptions())
}

func ignoredText(form string) value { return text{p: new(string), form: form, optional: true} }

func ignoredToggle() value { return toggle{new(bool)} }

func frontendOptions() []*option {
	const frontend = "only a frontend uses it"
	return []*option{
		{
			name: "address", aliases: []string{"ip-address"}, short: 'a', env: []string{"DSIEM_ADDRESS"},
			value: ignoredText("IP"), noEffect: frontend, help: "Address of a frontend.",
		},
		{
			name: "port", aliases: []string{"tcp-port"}, short: 'p', env: []string{"DSIEM_PORT"},
			value: ignoredText("PORT"), noEffect: frontend, help: "Port of a frontend.",
		},
		{
			name: "min-eps", short: 'i', env: []string{"DSIEM_MINEPS", "DSIEM_MIN_EPS", "MIN_EPS"},
			value: ignoredText("N"), noEffect: frontend, help: "Lowest rate of a throttled frontend.",
		},
		{
			name: "writable-config", aliases: []string{"writeable-config"},
			env: []string{
				"DSIEM_WRITEABLECONFIG", "DSIEM_WRITEABLE_CONFIG", "DSIEM_WRITABLECONFIG", "DSIEM_WRITABLE_CONFIG",
			},
			value: ignoredToggle(), noEffect: frontend, help: "Upload of configuration files to a frontend.",
		},
	}
}

func telemetryOptions() []*option {
	const telemetry = "telemetry is served at --metrics-address"
	return []*option{
		{
			name: "websocket", env: []string{"DSIEM_WEBSOCKET"},
			value: ignoredToggle(), noEffect: telemetry, help: "The original's event rate over a websocket.",
		},
		{
			name: "apm", env: []string{"DSIEM_APM"},
			value: ignoredToggle(), noEffect: telemetry, help: "The original's Elastic APM.",
		},
		{
			name: "otel-tracing-enabled", env: []string{"DSIEM_OTEL_TRACING_ENABLED", "DSIEM_OTELTRACINGENABLED"},
			value: ignoredToggle(), noEffect: telemetry, help: "OpenTelemetry traces of dsiem-rs.",
		},
		{
			name: "otel-metrics-enabled", env: []string{"DSIEM_OTEL_METRICS_ENABLED", "DSIEM_OTELMETRICSENABLED"},
			value: ignoredToggle(), noEffect: telemetry, help: "OpenTelemetry metrics of dsiem-rs.",
		},
		{
			name: "otel-endpoint", env: []string{"DSIEM_OTEL_ENDPOINT", "DSIEM_OTELENDPOINT"},
			value: ignoredText("URL"), noEffect: telemetry, help: "OpenTelemetry collector of dsiem-rs.",
		},
	}
}

func formerOptions() []*option {
	const (
		engine    = "the engine needs no such setting"
		relocated = "use --config-dir and --log-dir"
	)
	return []*option{
		{
			name: "filter-threads", env: []string{"DSIEM_FILTER_THREADS", "DSIEM_FILTERTHREADS"},
			value: ignoredText("N"), noEffect: "see --shards", help: "Threads of dsiem-rs that look for matching directives.",
		},
		{
			name: "preload-all-directives", aliases: []string{"preload-directives"},
			env:   []string{"DSIEM_PRELOAD_DIRECTIVES", "DSIEM_PRELOADDIRECTIVES"},
			value: ignoredToggle(), noEffect: engine, help: "dsiem-rs: start all directives at once.",
		},
		{
			name: "idle-directives-timeout", aliases: []string{"directives-idle-timeout-minutes"},
			env:   []string{"DSIEM_DIRECTIVES_IDLE_TIMEOUT_MINUTES", "DSIEM_DIRECTIVESIDLETIMEOUTMINUTES"},
			value: ignoredText("MINUTES"), noEffect: engine, help: "dsiem-rs: when to stop an idle directive.",
		},
		{
			name: "dev", env: []string{"DSIEM_DEV"},
			value: ignoredToggle(), noEffect: relocated, help: "The original's directories for development.",
		},
		{
			name: "test-env", value: ignoredToggle(), noEffect: relocated, help: "The seed's directories for tests.",
		},
	}
}

// foreignVariables are those of other programs that often share the
// environment; a * stands for any end. Nothing is said about them.
func foreignVariables() []string {
	return []string{
		"DSIEM_FILEPATTERN", // the original's validate
		"DSIEM_FILE_PATTERN",
		"DSIEM_WEB_*",     // the start script of the container
		"DSIEM_ESPROXY_*", // the alarm proxy
	}
}
