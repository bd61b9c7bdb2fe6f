package options

// foreignOptions are those of the other programs and generations, so that their
// unit files and environments go on working (docs/spec/interfaces.md §1.6). Their
// values are not looked at.
func foreignOptions() []*option {
	const (
		engine    = "the engine needs no such setting"
		relocated = "use --root-dir"
	)
	return []*option{
		{
			name: "apm", env: []string{"DSIEM_APM"},
			value: ignoredToggle(), noEffect: "use --otel-tracing-enabled and --otel-metrics-enabled",
			help: "The original's Elastic APM.",
		},
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

func ignoredText(form string) value { return text{p: new(string), form: form, optional: true} }

func ignoredToggle() value { return toggle{new(bool)} }

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
