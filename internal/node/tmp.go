package node

import (
	"log/slog"

	"dsiem/internal/observe/log"
)

func WithoutCredentials(urls string) string { return log.Redact(urls) }

const LevelTrace = slog.LevelDebug - 4

var Serve = Run
