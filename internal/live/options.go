package live

import (
	"log/slog"
	"time"

	"dsiem/internal/config"
	"dsiem/internal/correlate"
	"dsiem/internal/enrich"
	"dsiem/internal/event"
)

// Options are the parts of a Correlator. Config, Source and Output must be given.
type Options struct {
	// Config has the plans and the assets, Engine the engines' settings. Shards is
	// the number of engines; one for every two cores if 0.
	Config *config.Config
	Engine correlate.Options
	Shards int
	// Source is where events come from, Output where lines go.
	Source Source
	Output Output
	// Lookups asks services about alarms; their lines wait for it for LookupWait.
	// Without it, lines are written at once.
	Lookups    *enrich.Enricher
	LookupWait time.Duration
	// Overload says when events are too old, and whom to tell.
	Overload Overload
	// Observers want to know; Traced is whether one of them wants trace contexts.
	Observers []Observer
	Traced    bool
	// IDs gives ids to events that come as messages without one; they may be the same
	// events again if it is nil.
	IDs *event.IDs
	// Clock is the clock, time.Now if nil. It does not go back.
	Clock func() time.Time
	// Logger gets the lines about backlogs; nil is silence.
	Logger *slog.Logger
}

// Overload says when a backend is overloaded (docs/spec/interfaces.md §4.6).
type Overload struct {
	// MaxDelay is the age from which a matched event is a sign of overload, 0 for
	// never. Hold is how long an overload lasts after the last one.
	MaxDelay, Hold time.Duration
	// Signal is told when an overload begins and ends.
	Signal func(overloaded bool)
}
