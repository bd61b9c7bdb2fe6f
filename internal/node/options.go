package node

import (
	"io"
	"log/slog"
	"time"

	"dsiem/internal/correlate"
	"dsiem/internal/live"
)

// The modes of a node, which are the original's (docs/spec/interfaces.md §1.3, 3).
const (
	// ModeStandalone takes events over HTTP and correlates them in one process.
	ModeStandalone = "standalone"
	// ModeFrontend takes events over HTTP, publishes them to backends over NATS
	// and hands out their configuration.
	ModeFrontend = "cluster-frontend"
	// ModeBackend correlates the events of frontends.
	ModeBackend = "cluster-backend"
)

// The statuses and tags that an alarm may have if nobody says otherwise, with commas in
// between (docs/spec/interfaces.md §1.3).
const (
	DefaultStatuses = "Open,In-Progress,Closed"
	DefaultTags     = "Identified Threat,False Positive,Valid Threat,Security Incident"
)

// Options are the settings of a node: everything that the command line and
// the environment decide. Durations are as given, not rounded.
type Options struct {
	// Mode is one of the modes above.
	Mode string
	// Node is the backend's name, which selects its directives at the frontend.
	Node string
	// Frontend is the base URL for the download of the configuration; "" or a
	// file: URL to use the files that are there.
	Frontend string
	// ConfigDir holds the configuration files, LogDir the alarm files and,
	// below it, the saved backlogs.
	ConfigDir, LogDir string
	// ConfigDirBy is the flag or variable that names ConfigDir, "" if it is the
	// default folder. A folder that is named must exist, unless the configuration is
	// downloaded, and gets no sample configuration.
	ConfigDirBy string
	// RejectedMax is the size of the rejected records that are kept in LogDir, in
	// bytes, 0 for none.
	RejectedMax int64
	// SkipInvalid leaves out directives with errors instead of refusing to
	// start.
	SkipInvalid bool

	// NATS is a comma list of server URLs, with or without credentials. The
	// files are optional.
	NATS                                           string
	NATSCreds, NATSNKey, NATSCA, NATSCert, NATSKey string

	// Memory is the budget of the process in bytes; if 0 GOMEMLIMIT is, and without that
	// 75 % of what the container or the machine has.
	Memory int64
	// MaxQueue is the number of events that may wait, at least 1: the command
	// line has turned 0 into a large number.
	MaxQueue int
	// MaxEPS and MinEPS are the events a second that a frontend takes: at most
	// MaxEPS, less and less while a backend is overloaded, but MinEPS always. If
	// one of them is 0 there is no limit. In a backend MaxEPS is the rate it is
	// meant to sustain, only used for a warning.
	MaxEPS, MinEPS int
	// MaxDelay is the age from which a matched event is a sign of overload, 0
	// for never. HoldDuration is how long the overload lasts after the last
	// one.
	MaxDelay, HoldDuration time.Duration

	// Engine are the engine's settings. Statuses and Tags are all that an alarm
	// may have, at least one each; the first ones are also in Engine.
	Engine         correlate.Options
	Statuses, Tags []string
	// Shards is the number of engines; one for every two cores if 0.
	Shards int

	// CacheDuration is the life of a look-up's result, IntelPrivateIP asks
	// threat intelligence about private addresses too, EnrichWait is how long
	// an alarm line waits for its look-ups.
	CacheDuration  time.Duration
	IntelPrivateIP bool
	EnrichWait     time.Duration

	// ReloadBacklogs loads saved backlogs at start and saves them at the end,
	// Checkpoint is the time between two copies in between, 0 for none, as
	// always without ReloadBacklogs.
	ReloadBacklogs bool
	Checkpoint     time.Duration
	// Fsync is "never", "interval" or "always".
	Fsync string

	// HTTP is where and how a frontend serves; a backend alone does not.
	HTTP HTTPOptions
	// Listen makes a standalone node a NATS server for others.
	Listen NATSListenOptions

	// HostNames are names by which browsers may reach the node, beside those that
	// nobody elsewhere can own.
	HostNames []string
	// MetricsAddress is host:port of the diagnostics server, "" for none.
	// Frontends serve the same under HTTP, too.
	MetricsAddress string
	PProf          bool

	// Tracing says where to send traces and metrics.
	Tracing TracingOptions

	// Version is logged at start, and so are Effective, all settings by name and
	// without passwords, and Notes, the remarks on the command line and the
	// environment.
	Version   string
	Effective []slog.Attr
	Notes     []Note

	Log LogOptions
	// Out receives the log.
	Out io.Writer

	// Clock is the clock of correlation and of what is stamped, time.Now if nil.
	Clock func() time.Time
	// Observers want to know what a backend correlates.
	Observers []live.Observer
}

// HTTPOptions are the settings of a frontend's HTTP service.
type HTTPOptions struct {
	// Address is the IP address, Port the TCP port to listen on; port 0 is any
	// that is free.
	Address string
	Port    int
	// CertFile and KeyFile are PEM files that turn TLS on. They are read again
	// when they change.
	CertFile, KeyFile string
	// AuthFile says who may do what, with hashed secrets; without it everybody
	// may do everything. It is read again when it changes.
	AuthFile string
	// WritableConfig allows upload and deletion of configuration files.
	WritableConfig bool
	// WebDir is the directory of static files for /ui/.
	WebDir string
	// WebSocket serves the event rate at /eps/.
	WebSocket bool
	// MaxConnections is how many clients may be connected at a time. MaxBody is
	// the size of the largest body of events, in bytes, after decompression.
	MaxConnections int
	MaxBody        int64
}

// NATSListenOptions are the settings of the NATS server in a standalone node.
type NATSListenOptions struct {
	// URL is nats://[user:password@]host:port, "" for none.
	URL string
	// CertFile and KeyFile are PEM files that turn TLS on; with CAFile clients
	// need a certificate that leads to one of those in it.
	CertFile, KeyFile, CAFile string
}

// TracingOptions are the settings of OpenTelemetry.
type TracingOptions struct {
	Traces, Metrics bool
	// Endpoint is the URL of an OTLP/gRPC collector.
	Endpoint string
}

// Note is a log line of the time before there was a log.
type Note struct {
	Level   slog.Level
	Message string
	Attrs   []slog.Attr
}

// LogOptions say how to log.
type LogOptions struct {
	JSON   bool
	Level  slog.Level
	Colour bool
}
