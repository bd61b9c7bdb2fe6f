package options

import (
	"math"

	"dsiem/internal/node"
)

// defaultNode is the name of a standalone node. In a cluster there is none: two
// backends of one name would correlate the same events twice.
const defaultNode = "dsiem"

// The limits of a body of events (docs/spec/interfaces.md §3.3).
const (
	minBody = 1 << 10
	maxBody = 1 << 30
)

// maxRejected is the largest size of what is kept of rejected records.
const maxRejected = 1 << 30

func nodeOptions(p Program, s *settings) []*option {
	mode := &option{
		name: "mode", short: 'm', env: []string{"DSIEM_MODE"}, def: node.ModeStandalone,
		value:    choice{&s.Mode, allModes()},
		original: "Incorrect mode configuration: mode must be standalone || cluster-frontend || cluster-backend",
		help: "What this node does: take events over HTTP and correlate them, take them and publish them over NATS, " +
			"or correlate those that a frontend publishes.",
	}
	frontend := &option{
		name: "frontend", short: 'f', env: []string{"DSIEM_FRONTEND"}, urls: true, modes: backendMode,
		value: text{p: &s.Frontend, form: "URL", optional: true}, shown: "none, it is required",
		help: "Where to download the configuration from. With --frontend=file: the files that are there are used.",
	}
	name := &option{
		name: "node", short: 'n', env: []string{"DSIEM_NODE"},
		value: text{p: &s.Node, form: "NAME"}, shown: "none, it is required",
	}
	switch p.Mode {
	case node.ModeBackend:
		name.help = "Name of this node. It gets the directives whose file names begin with directives_NAME_."
		frontend.def = "http://frontend:8080"
	case node.ModeFrontend:
		name.help = "Name of this node, for people who read logs and traces."
	default:
		name.help = "Name of this node. A backend gets the directives whose file names begin with directives_NAME_. " +
			"Beside --mode on the command line, -n is the short form of --hold-duration."
		name.shown = defaultNode + " if standalone; otherwise none, it is required"
	}
	if p.Mode != "" {
		mode.help = "This program is a " + p.Mode + " whatever the environment says; on the command line nothing else is possible."
		mode.def, mode.only, mode.noEffect = p.Mode, p.Mode, "this program is always a "+p.Mode
	}
	return []*option{
		name,
		mode,
		frontend,
		{
			name: "skip-invalid", env: []string{"DSIEM_SKIP_INVALID", "DSIEM_SKIPINVALID"}, modes: engineModes,
			value: toggle{&s.SkipInvalid}, def: "false",
			help: "Leave out directives with errors instead of refusing to start.",
		},
	}
}

func directoryOptions(s *settings) []*option {
	return []*option{
		{
			name: "root-dir", env: []string{"DSIEM_ROOT_DIR", "DSIEM_ROOTDIR"},
			value: text{p: &s.rootDir, form: "DIR"}, shown: "where the program is",
			help: "Directory with configs, logs and web/dist. For a program that go run built it is the working directory.",
		},
		{
			name: "config-dir", aliases: []string{"configs-dir"},
			env:   []string{"DSIEM_CONFIG_DIR", "DSIEM_CONFIGDIR", "DSIEM_CONFIGS_DIR", "DSIEM_CONFIGSDIR"},
			value: text{p: &s.ConfigDir, form: "DIR"}, shown: "configs beside the program",
			help: "Directory of the configuration files. One that is named must exist, unless they are downloaded.",
		},
		{
			name: "log-dir", aliases: []string{"logs-dir"},
			env:   []string{"DSIEM_LOG_DIR", "DSIEM_LOGDIR", "DSIEM_LOGS_DIR", "DSIEM_LOGSDIR"},
			value: text{p: &s.LogDir, form: "DIR"}, shown: "logs beside the program",
			help: "Directory of the alarm files, the rejected records and, below it, the saved backlogs.",
		},
		{
			name: "rejected-max", env: []string{"DSIEM_REJECTED_MAX", "DSIEM_REJECTEDMAX"},
			value: size{&s.RejectedMax, 0, maxRejected}, def: "64MiB",
			help: "Size of the rejected records that are kept in logs/rejected_events.ndjson, the newest ones; 0 keeps none.",
		},
		{
			name: "web-dir", env: []string{"DSIEM_WEB_DIR", "DSIEM_WEBDIR"}, modes: intakeModes,
			value: text{p: &s.HTTP.WebDir, form: "DIR"}, shown: "web/dist beside the program",
			help: "Directory of the files that are served below /ui/.",
		},
	}
}

func httpOptions(s *settings) []*option {
	h := &s.HTTP
	return []*option{
		{
			name: "address", aliases: []string{"ip-address"}, short: 'a', env: []string{"DSIEM_ADDRESS"}, modes: intakeModes,
			value: address{&h.Address}, def: "0.0.0.0",
			original: "Cannot start server: %s is not a valid IP address",
			help:     "IP address to listen on, of version 4 or 6.",
		},
		{
			name: "port", aliases: []string{"tcp-port"}, short: 'p', env: []string{"DSIEM_PORT"}, modes: intakeModes,
			value: number{&h.Port, 0, math.MaxUint16}, def: "8080",
			original: "Cannot start server: Invalid TCP port number",
			help:     "TCP port to listen on; 0 is any that is free, which the log names.",
		},
		{
			name: "host-names", env: []string{"DSIEM_HOST_NAMES", "DSIEM_HOSTNAMES"},
			value: hostNames{list{&s.HostNames, "NAME,…"}}, shown: "none",
			help: "Names by which browsers may reach this node, beside IP addresses, names without a dot, its own and those below local, internal, lan and svc.",
		},
		{
			name: "tls-cert", env: []string{"DSIEM_TLS_CERT", "DSIEM_TLSCERT"}, modes: intakeModes,
			value: text{p: &h.CertFile, form: "FILE", optional: true},
			help:  "Our certificate (PEM), with --tls-key: serve HTTPS instead of HTTP. It is read again when it changes.",
		},
		{
			name: "tls-key", env: []string{"DSIEM_TLS_KEY", "DSIEM_TLSKEY"}, modes: intakeModes,
			value: text{p: &h.KeyFile, form: "FILE", optional: true},
			help:  "Our certificate's key (PEM), with --tls-cert.",
		},
		{
			name: "auth-file", env: []string{"DSIEM_AUTH_FILE", "DSIEM_AUTHFILE"}, modes: intakeModes,
			value: text{p: &h.AuthFile, form: "FILE", optional: true},
			help:  "Who may do what, with hashed secrets; without it everybody may do everything. It is read again when it changes.",
		},
		{
			name: "max-connections", env: []string{"DSIEM_MAX_CONNECTIONS", "DSIEM_MAXCONNECTIONS"}, modes: intakeModes,
			value: number{&h.MaxConnections, 1, math.MaxInt}, def: "10000",
			help: "How many clients may be connected at a time; others wait.",
		},
		{
			name: "max-body", env: []string{"DSIEM_MAX_BODY", "DSIEM_MAXBODY"}, modes: intakeModes,
			value: size{&h.MaxBody, minBody, maxBody}, def: "10MiB",
			help: "Size of the largest body of events, after decompression.",
		},
		{
			name: "writable-config", aliases: []string{"writeable-config"}, modes: intakeModes,
			env: []string{
				"DSIEM_WRITEABLECONFIG", "DSIEM_WRITEABLE_CONFIG", "DSIEM_WRITABLECONFIG", "DSIEM_WRITABLE_CONFIG",
			},
			value: toggle{&h.WritableConfig}, def: "false",
			help: "Let clients upload and delete configuration files.",
		},
		{
			name: "websocket", env: []string{"DSIEM_WEBSOCKET"}, modes: intakeModes,
			value: toggle{&h.WebSocket}, def: "false",
			help: "Serve the event rate over a websocket at /eps/.",
		},
	}
}
