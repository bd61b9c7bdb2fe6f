package cli

import (
	"iter"
	"math"
	"time"

	"dsiem/internal/app"
)

// program says as what a command line runs.
type program struct {
	// called is the name the program goes by in messages: dsiem, dsiem-backend
	// or dsiem-frontend.
	called string
	// backend gives the seed's command line: the program is a backend, whatever
	// the mode says.
	backend bool
}

// The modes of serve, which are the original's.
const (
	modeStandalone = "standalone"
	modeFrontend   = "cluster-frontend"
	modeBackend    = "cluster-backend"
)

// unlimitedQueue is the number of events that may wait if max-queue is 0
// (spec/interfaces.md §5.2).
const unlimitedQueue = 1_000_000

// defaultCache is how long the result of a look-up lives, also if cache-duration
// is 0 (spec/interfaces.md §1.3, 17).
const defaultCache = 10 * time.Minute

// settings are what the options of serve set: most are those of the backend,
// the others are turned into these by options.
type settings struct {
	app.ServeOptions

	help, version bool
	debug, trace  bool
	verbosity     int
	lifetime      time.Duration // min-alarm-lifetime
	expandTitles  bool
}

// option is one setting of serve. Its name and aliases are found in every
// spelling: --max-eps, --max_eps and --maxEPS are the same flag
// (spec/interfaces.md §1.6).
type option struct {
	name    string   // in kebab-case
	aliases []string // other names, in kebab-case
	short   byte     // 0 for none
	// shortWithMode is a short flag with another meaning if the program is called
	// dsiem and the mode stands on the command line, as for the original.
	shortWithMode byte
	// env are the variables, the first that is set and not empty counts.
	env   []string
	value value
	// def is the text of the default, "" for the zero value. shown says it for
	// people if there is no such text.
	def, shown string
	help       string
	// noEffect says why the option is accepted without doing anything; its value
	// is not looked at. only is the one text that agrees with what happens anyway:
	// it needs no remark, and another one on the command line is an error.
	noEffect, only string
	// urls marks values that may hold user names and passwords.
	urls bool
	// stops ends the command line: what follows is not looked at.
	stops bool
}

// group is a heading of the help and the options below it.
type group struct {
	title   string
	options []*option
}

// options goes through all options.
func options(groups []group) iter.Seq[*option] {
	return func(yield func(*option) bool) {
		for _, g := range groups {
			for _, o := range g.options {
				if !yield(o) {
					return
				}
			}
		}
	}
}

// optionTable is the one place that knows the options of serve. Flags,
// variables, help, shell completion, the settings in the log and
// docs/backend-options.md are made from it. The values are set in s.
//
// Units, ranges and names are those of spec/interfaces.md §1.2 and §1.3, the
// rules for their texts are those of §1.5 and §1.6.
func optionTable(p program, s *settings) []group {
	return []group{
		{"Node", nodeOptions(p, s)},
		{"Messages", natsOptions(s)},
		{"Load", loadOptions(s)},
		{"Alarms", alarmOptions(s)},
		{"Threat intelligence and vulnerabilities", lookupOptions(s)},
		{"State", stateOptions(s)},
		{"Log and diagnostics", logOptions(s)},
		{"Accepted without effect", foreignOptions()},
	}
}

func nodeOptions(p program, s *settings) []*option {
	mode := &option{
		name: "mode", short: 'm', env: []string{"DSIEM_MODE"}, def: modeStandalone,
		value: choice{&s.Mode, []string{modeStandalone, modeFrontend, modeBackend}},
		help:  "What this node does.",
	}
	frontend := &option{
		name: "frontend", short: 'f', env: []string{"DSIEM_FRONTEND"}, urls: true,
		value: text{p: &s.Frontend, form: "URL", optional: true}, shown: "none, it is required",
		help: "Where to download the configuration from. With --frontend=file: the files that are there are used.",
	}
	nodeHelp := "Name of this node. It gets the directives whose file names begin with directives_NAME_."
	if p.backend {
		mode.help = "This program is a " + modeBackend + " whatever the environment says; on the command line nothing else is possible."
		mode.def, mode.only, mode.noEffect = modeBackend, modeBackend, "this program is always a "+modeBackend
		frontend.def = "http://frontend:8080"
	} else {
		nodeHelp += " Beside --mode on the command line, -n is the short form of --hold-duration."
	}
	return []*option{
		{
			name: "node", short: 'n', env: []string{"DSIEM_NODE"},
			value: text{p: &s.Node, form: "NAME"}, shown: "none, it is required", help: nodeHelp,
		},
		mode,
		frontend,
		{
			name: "config-dir", aliases: []string{"configs-dir"},
			env:   []string{"DSIEM_CONFIG_DIR", "DSIEM_CONFIGDIR", "DSIEM_CONFIGS_DIR", "DSIEM_CONFIGSDIR"},
			value: text{p: &s.ConfigDir, form: "DIR"}, shown: "configs beside the program",
			help: "Directory of the configuration files.",
		},
		{
			name: "log-dir", aliases: []string{"logs-dir"},
			env:   []string{"DSIEM_LOG_DIR", "DSIEM_LOGDIR", "DSIEM_LOGS_DIR", "DSIEM_LOGSDIR"},
			value: text{p: &s.LogDir, form: "DIR"}, shown: "logs beside the program",
			help: "Directory of the alarm files and, below it, the saved backlogs.",
		},
		{
			name: "skip-invalid", env: []string{"DSIEM_SKIP_INVALID", "DSIEM_SKIPINVALID"},
			value: toggle{&s.SkipInvalid}, def: "false",
			help: "Leave out directives with errors instead of refusing to start.",
		},
	}
}

func natsOptions(s *settings) []*option {
	return []*option{
		{
			name: "msq", env: []string{"DSIEM_MSQ"}, urls: true,
			value: text{p: &s.NATS, form: "URL,…"}, def: "nats://dsiem-nats:4222",
			help: "NATS servers, with user:password@ if they want it; tls:// for TLS.",
		},
		{
			name: "nats-creds", env: []string{"DSIEM_NATS_CREDS", "DSIEM_NATSCREDS"},
			value: text{p: &s.NATSCreds, form: "FILE", optional: true},
			help:  "Credentials file, with a JWT and its key.",
		},
		{
			name: "nats-nkey", env: []string{"DSIEM_NATS_NKEY", "DSIEM_NATSNKEY"},
			value: text{p: &s.NATSNKey, form: "FILE", optional: true},
			help:  "File with the seed of an NKey.",
		},
		{
			name: "nats-ca", env: []string{"DSIEM_NATS_CA", "DSIEM_NATSCA"},
			value: text{p: &s.NATSCA, form: "FILE", optional: true},
			help:  "Certificates (PEM) that the server's certificate must lead to, instead of the system's.",
		},
		{
			name: "nats-cert", env: []string{"DSIEM_NATS_CERT", "DSIEM_NATSCERT"},
			value: text{p: &s.NATSCert, form: "FILE", optional: true},
			help:  "Our certificate (PEM), with --nats-key.",
		},
		{
			name: "nats-key", env: []string{"DSIEM_NATS_KEY", "DSIEM_NATSKEY"},
			value: text{p: &s.NATSKey, form: "FILE", optional: true},
			help:  "Our certificate's key (PEM), with --nats-cert.",
		},
	}
}

func loadOptions(s *settings) []*option {
	return []*option{
		{
			name: "max-eps", short: 'e', env: []string{"DSIEM_MAXEPS", "DSIEM_MAX_EPS", "MAX_EPS"},
			value: number{&s.MaxEPS, 1, math.MaxInt}, def: "1000",
			help: "Events a second this backend should sustain. It limits nothing; a warning says if they take too long.",
		},
		{
			name: "max-queue", short: 'q', env: []string{"DSIEM_MAXQUEUE", "DSIEM_MAX_QUEUE"},
			value: number{&s.MaxQueue, 0, math.MaxInt}, def: "25000",
			help: "Events that may wait, four times as many in a burst; more are dropped and counted. 0 stands for 1000000.",
		},
		{
			name: "max-delay", short: 'd', env: []string{"DSIEM_MAXDELAY", "DSIEM_MAX_DELAY"},
			value: span{&s.MaxDelay, time.Second, 0}, def: "180",
			help: "Age from which a matched event is a sign of overload that makes frontends throttle; 0 for never.",
		},
		{
			name: "hold-duration", shortWithMode: 'n', env: []string{"DSIEM_HOLDDURATION", "DSIEM_HOLD_DURATION"},
			value: span{&s.HoldDuration, time.Second, time.Second}, def: "10",
			help: "How long an overload lasts after its last sign.",
		},
		{
			name: "shards", env: []string{"DSIEM_SHARDS"},
			value: number{&s.Shards, 0, maxShards}, def: "0",
			help: "Engines that the directives are spread over; 0 is one per core. The alarms are the same.",
		},
	}
}

func alarmOptions(s *settings) []*option {
	return []*option{
		{
			name: "status", short: 's', env: []string{"DSIEM_STATUS"},
			value: list{&s.Statuses, "STATUS,…"}, def: "Open,In-Progress,Closed",
			help: "Alarm statuses; alarms get the first.",
		},
		{
			name: "tags", aliases: []string{"tag"}, short: 't', env: []string{"DSIEM_TAGS"},
			value: list{&s.Tags, "TAG,…"}, def: "Identified Threat,False Positive,Valid Threat,Security Incident",
			help: "Alarm tags; alarms get the first.",
		},
		{
			name: "med-risk-min", env: []string{"DSIEM_MEDRISKMIN", "DSIEM_MED_RISK_MIN"},
			value: number{&s.Engine.MedRiskMin, 0, math.MaxInt}, def: "3",
			help: "Lowest risk of class Medium: at least 2 and below --med-risk-max.",
		},
		{
			name: "med-risk-max", env: []string{"DSIEM_MEDRISKMAX", "DSIEM_MED_RISK_MAX"},
			value: number{&s.Engine.MedRiskMax, 0, math.MaxInt}, def: "6",
			help: "Highest risk of class Medium: at most 9.",
		},
		{
			name: "min-alarm-lifetime", short: 'l', env: []string{"DSIEM_MINALARMLIFETIME", "DSIEM_MIN_ALARM_LIFETIME"},
			value: span{&s.lifetime, time.Minute, 0}, def: "0",
			help: "Grace added to the timeout of every stage.",
		},
		{
			name: "expand-titles", env: []string{"DSIEM_EXPAND_TITLES", "DSIEM_EXPANDTITLES"},
			value: toggle{&s.expandTitles}, def: "true",
			help: "Replace SRC_IP and DST_IP in alarm titles.",
		},
		{
			name: "fsync", env: []string{"DSIEM_FSYNC"},
			value: choice{&s.Fsync, []string{"never", "interval", "always"}}, def: "interval",
			help: "When alarm lines must be on disk: when the system likes, soon, or before anything else happens.",
		},
	}
}

func lookupOptions(s *settings) []*option {
	return []*option{
		{
			name: "cache-duration", aliases: []string{"cache"}, short: 'c',
			env:   []string{"DSIEM_CACHEDURATION", "DSIEM_CACHE_DURATION"},
			value: span{&s.CacheDuration, time.Minute, 0}, def: "10",
			help: "How long the result of a look-up is used again; 0 stands for the default.",
		},
		{
			name: "intel-private-ip", env: []string{"DSIEM_INTELPRIVATEIP", "DSIEM_INTEL_PRIVATE_IP"},
			value: toggle{&s.IntelPrivateIP}, def: "false",
			help: "Ask threat intelligence about private addresses too.",
		},
		{
			name: "enrich-wait", env: []string{"DSIEM_ENRICH_WAIT", "DSIEM_ENRICHWAIT"},
			value: span{&s.EnrichWait, time.Second, 0}, def: "2",
			help: "How long an alarm line waits for its look-ups.",
		},
	}
}

func stateOptions(s *settings) []*option {
	return []*option{
		{
			name: "reload-backlogs", env: []string{"DSIEM_RELOAD_BACKLOGS", "DSIEM_RELOADBACKLOGS"},
			value: toggle{&s.ReloadBacklogs}, def: "true",
			help: "Save the live backlogs at the end and load them at the start.",
		},
		{
			name: "checkpoint", env: []string{"DSIEM_CHECKPOINT"},
			value: span{&s.Checkpoint, time.Second, 0}, def: "30",
			help: "Time between two copies of the live backlogs, for a start after a crash; 0 for none. None without --reload-backlogs.",
		},
	}
}

func logOptions(s *settings) []*option {
	return []*option{
		{
			name: "json", short: 'j', env: []string{"DSIEM_JSON"},
			value: toggle{&s.Log.JSON}, def: "false",
			help: "Log JSON lines.",
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
			help: "Log more: -v is DEBUG, -vv is TRACE. The most of --debug, --trace and this counts.",
		},
		{
			name: "metrics-address", env: []string{"DSIEM_METRICS_ADDRESS", "DSIEM_METRICSADDRESS"},
			value: text{p: &s.MetricsAddress, form: "HOST:PORT", optional: true},
			help:  "Where to serve /healthz, /readyz and /metrics; nowhere by default.",
		},
		{
			name: "pprof", env: []string{"DSIEM_PPROF"},
			value: toggle{&s.PProf}, def: "false",
			help: "Serve /debug/pprof/ at the metrics address too.",
		},
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
