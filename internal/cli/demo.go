package cli

import (
	"context"
	"os"
	"time"

	"dsiem/internal/cli/options"
	"dsiem/internal/demo"
)

type demoCommand struct {
	Fast      bool          `help:"Play without waiting."`
	Out       string        `placeholder:"DIR" help:"Directory for the configuration, events and alarms; a new temporary one by default."`
	Overwrite bool          `help:"Replace the files of an earlier demo."`
	Seed      uint64        `default:"1" help:"Number that decides the details of the story (${default})."`
	Duration  time.Duration `default:"20s" help:"How long to play (${default})."`
	Address   string        `placeholder:"HOST:PORT" help:"Where the demo's server listens; a free port of the loopback interface by default."`
	Stay      bool          `help:"Let the server go on when the story has ended, until Ctrl-C."`
	Start     time.Time     `placeholder:"TIME" format:"2006-01-02T15:04:05Z07:00" help:"When the story begins, like 2026-01-01T09:00:00Z; 40 minutes ago by default."`
}

// Help is shown below the flags.
func (demoCommand) Help() string {
	return "The events go over HTTP to a standalone server, which this command starts; its files are left behind."
}

// Run plays the demo.
func (c *demoCommand) Run(ctx context.Context, streams Streams) error {
	if c.Duration <= 0 {
		return options.UsageError("--duration must be above zero")
	}
	start := c.Start
	if start.IsZero() {
		const storyLength = 40 * time.Minute
		start = time.Now().Add(-storyLength).Truncate(time.Second)
	}
	return demo.Run(ctx, &demo.Options{
		Out: c.Out, Overwrite: c.Overwrite, Fast: c.Fast, Seed: c.Seed,
		Start: start, Took: c.Duration, Address: c.Address, Stay: c.Stay,
		Screen: streams.Out, Colour: terminal(streams.Out) && os.Getenv("NO_COLOR") == "",
	})
}
