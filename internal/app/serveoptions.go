package app

import (
	"io"
	"log/slog"
	"time"
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

	// MaxQueue is the number of events that may wait; 0 is a large number.
	MaxQueue int
	// MaxEPS is the rate the backend is meant to sustain, only used for a
	// warning.
	MaxEPS int
	// MaxDelay is the age from which a matched event is a sign of overload, 0
	// for never. HoldDuration is how long the overload lasts after the last
	// one.
	MaxDelay, HoldDuration time.Duration

	Engine EngineOptions
	// Shards is the number of engines; one per core if 0.
	Shards int

	// CacheDuration is the life of a look-up's result, IntelPrivateIP asks
	// threat intelligence about private addresses too, EnrichWait is how long
	// an alarm line waits for its look-ups.
	CacheDuration  time.Duration
	IntelPrivateIP bool
	EnrichWait     time.Duration

	// ReloadBacklogs loads saved backlogs at start and saves them at the end,
	// Checkpoint is the time between two copies in between, 0 for none.
	ReloadBacklogs bool
	Checkpoint     time.Duration
	// Fsync is "never", "interval" or "always".
	Fsync string

	// MetricsAddress is host:port of the diagnostics server, "" for none.
	MetricsAddress string
	PProf          bool

	// Version is logged at start, Effective the settings that differ from the
	// defaults, by name and with secrets masked.
	Version   string
	Effective []slog.Attr

	Log LogOptions
	// Out receives the log.
	Out io.Writer
}

// LogOptions say how to log.
type LogOptions struct {
	JSON   bool
	Level  slog.Level
	Colour bool
}

// LevelTrace is the level below slog.LevelDebug.
const LevelTrace = slog.LevelDebug - 4
