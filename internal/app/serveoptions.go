package app

import (
	"io"
	"log/slog"
	"time"

	"dsiem/internal/telemetry"
)

// ServeOptions are the settings of a backend: everything that the command line
// and the environment decide. Durations are as given, not rounded.
type ServeOptions struct {
	// Mode is "cluster-backend"; other modes come later.
	Mode string
	// Node is the backend's name, which selects its directives at the frontend.
	Node string
	// Frontend is the base URL for the download of the configuration; "" or a
	// file: URL to use the files that are there.
	Frontend string
	// ConfigDir holds the configuration files, LogDir the alarm files and,
	// below it, the saved backlogs.
	ConfigDir, LogDir string
	// SkipInvalid leaves out directives with errors instead of refusing to
	// start.
	SkipInvalid bool

	// NATS is a comma list of server URLs, with or without credentials. The
	// files are optional.
	NATS                                           string
	NATSCreds, NATSNKey, NATSCA, NATSCert, NATSKey string

	// MaxQueue is the number of events that may wait, at least 1: the command
	// line has turned 0 into a large number.
	MaxQueue int
	// MaxEPS is the rate the backend is meant to sustain, only used for a
	// warning.
	MaxEPS int
	// MaxDelay is the age from which a matched event is a sign of overload, 0
	// for never. HoldDuration is how long the overload lasts after the last
	// one.
	MaxDelay, HoldDuration time.Duration

	// Engine are the engine's settings. Statuses and Tags are all that an alarm
	// may have, at least one each; the first ones are also in Engine.
	Engine         EngineOptions
	Statuses, Tags []string
	// Shards is the number of engines; one per core if 0.
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

	// MetricsAddress is host:port of the diagnostics server, "" for none.
	MetricsAddress string
	PProf          bool

	// Version is logged at start, and so are Effective, all settings by name and
	// without passwords, and Notes, the remarks on the command line and the
	// environment.
	Version   string
	Effective []slog.Attr
	Notes     []Note

	Log LogOptions
	// Out receives the log.
	Out io.Writer
}

// Note is a log line of the time before there was a log.
type Note struct {
	Level   slog.Level
	Message string
	Attrs   []slog.Attr
}

// WithoutCredentials returns a list of URLs without user names and passwords.
func WithoutCredentials(urls string) string { return telemetry.WithoutCredentials(urls) }

// LogOptions say how to log.
type LogOptions struct {
	JSON   bool
	Level  slog.Level
	Colour bool
}

// LevelTrace is the level below slog.LevelDebug.
const LevelTrace = slog.LevelDebug - 4
