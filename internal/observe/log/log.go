// Package log writes the program's log lines, in the two formats of the Rust
// backends, holds back lines that repeat, and hides secrets.
//
// Loggers are made by whoever wires the program, handed to the parts, and safe
// for concurrent use. Nothing here is global, reads a clock or starts a
// goroutine, and no value can break a line or reach the terminal unescaped.
//
// Source of the formats: docs/spec/interfaces.md §6.
package log

import "log/slog"

// LevelTrace is the level below slog.LevelDebug, for what is logged per event
// and stage.
const LevelTrace = slog.LevelDebug - 4

// DefaultRoot is the target of a logger that was given none (§6.2).
const DefaultRoot = "dsiem_backend"

// Options says how log lines look. The zero value gives plain text from
// INFO on.
type Options struct {
	// JSON gives JSON lines instead of text (-j, DSIEM_JSON).
	JSON bool
	// Level is the lowest level that is written; nil is slog.LevelInfo.
	Level slog.Leveler
	// Colour puts ANSI colours into text lines. JSON lines never have any.
	Colour bool
	// Root is the first part of every target; "" is DefaultRoot.
	Root string
}

// target is the value of the attribute that names the part of the program a
// line comes from. The type keeps ordinary attributes of that name apart.
type target string

// targetKey is the key of a target where another handler shows it.
const targetKey = "target"

// WithTarget returns a logger whose lines have the target "<root>::<name>",
// as dsiem_backend::worker; an empty name stands for the root alone. Other
// handlers than this package's show it as an attribute.
func WithTarget(logger *slog.Logger, name string) *slog.Logger {
	return logger.With(slog.Any(targetKey, target(name)))
}

// levelName returns the name of a level in the references, right-aligned to
// five characters. A level in between has the name of the one below.
func levelName(level slog.Level) string {
	switch {
	case level < slog.LevelDebug:
		return "TRACE"
	case level < slog.LevelInfo:
		return "DEBUG"
	case level < slog.LevelWarn:
		return " INFO"
	case level < slog.LevelError:
		return " WARN"
	default:
		return "ERROR"
	}
}
