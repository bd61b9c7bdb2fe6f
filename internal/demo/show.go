// Package demo is "dsiem demo": it starts a real standalone node on the sample
// configuration, sends it the events of package story over HTTP at the story's
// pace, and shows each alarm as it opens and grows.
//
// A run owns its node, the node's clock and the files it leaves behind. The
// package never raises, changes or hides an alarm: it shows what the node wrote.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/demo/story"
	"dsiem/internal/event"
	"dsiem/internal/sample"
)

// Options says how to show the demo.
type Options struct {
	// Out is the directory for the configuration, the events and the alarms; a
	// new one among the system's temporary files if "".
	Out string
	// Overwrite replaces the files of an earlier demo.
	Overwrite bool
	// Fast plays without waiting.
	Fast bool
	// Seed decides the details of the story.
	Seed uint64
	// Start is when the story begins, in event time.
	Start time.Time
	// Took is the time the story takes to show.
	Took time.Duration
	// Address is where the server of the demo listens, host:port; port 0 is any
	// free one, "" a free one of the loopback interface.
	Address string
	// Stay lets it serve on when the story has ended, until ctx ends.
	Stay bool
	// Screen receives the show, with colours if Colour is set.
	Screen io.Writer
	Colour bool
}

// The names of what the demo writes besides the alarm files.
const (
	demoConfigs = "configs"
	demoEvents  = "events.ndjson"
	demoLog     = "dsiem.log"
)

// Run plays the embedded story, in real time compressed to o.Took, and shows
// each alarm as it opens and grows. It starts a standalone server on real files
// and sends it the events over HTTP, one after the other. The server's clock is
// that of the story. The files stay behind.
func Run(ctx context.Context, o *Options) error {
	dir, err := demoDir(o)
	if err != nil {
		return err
	}
	story := story.Tell(o.Start, o.Seed)
	lines := make([][]byte, len(story))
	var all []byte
	for i := range story {
		from := len(all)
		all = append(event.AppendJSON(all, &story[i]), '\n')
		lines[i] = all[from:]
	}
	configs := filepath.Join(dir, demoConfigs)
	if err := writeDemoFiles(dir, configs, all); err != nil {
		return err
	}
	show := newPresenter(o, len(story))
	show.begin()
	server, err := startDemoServer(ctx, o, dir, configs, show.watch)
	if err != nil {
		return interrupted(ctx, err, dir)
	}
	err = tell(ctx, o, story, lines, server.send)
	if err == nil {
		counts := server.node.Snapshot().Correlation
		err = show.end(totals{
			events: int(counts.Received), alarms: int(counts.AlarmLines()),
			alarmsFile: filepath.Join(dir, alarm.AlarmsFile), alarmEventsFile: filepath.Join(dir, alarm.EventsFile),
		}, dir, configs, filepath.Join(dir, demoEvents))
	}
	if err == nil && o.Stay {
		if err = show.stay(server.node.URL()); err == nil {
			server.stay(ctx)
		}
	}
	return errors.Join(interrupted(ctx, err, dir), server.stop(ctx))
}

// interrupted says so if that is what an error comes from.
func interrupted(ctx context.Context, err error, dir string) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return errors.New("interrupted; what was played before is in " + dir)
	}
	return err
}

// demoDir returns the directory for the demo's files.
func demoDir(o *Options) (string, error) {
	if o.Out == "" {
		dir, err := os.MkdirTemp("", "dsiem-demo-")
		if err != nil {
			return "", fmt.Errorf("making a directory for the demo: %w", err)
		}
		return dir, nil
	}
	for _, name := range []string{demoConfigs, demoEvents, alarm.AlarmsFile, alarm.EventsFile, demoLog} {
		path := filepath.Join(o.Out, name)
		if _, err := os.Stat(path); err != nil {
			continue // what is wrong besides its absence will show
		}
		if !o.Overwrite {
			return "", fmt.Errorf("%s holds %s already; use --overwrite to replace it, or another directory", o.Out, name)
		}
		if name == demoConfigs { // files in it are replaced one by one
			continue
		}
		if err := os.Remove(path); err != nil {
			return "", fmt.Errorf("removing what an earlier demo left: %w", err)
		}
	}
	return o.Out, nil
}

// writeDemoFiles writes the configuration and the events.
func writeDemoFiles(dir, configs string, events []byte) error {
	if _, err := sample.Write(configs); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, demoEvents), events, 0o644); err != nil {
		return fmt.Errorf("writing the demo's events: %w", err)
	}
	return nil
}

// tell sends each event when its time has come.
func tell(ctx context.Context, o *Options, story []event.Event, lines [][]byte,
	send func(ctx context.Context, at time.Time, line []byte) error,
) error {
	started := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range lines {
		at := time.Unix(story[i].Seconds, int64(story[i].Nanos))
		if !o.Fast {
			timer.Reset(time.Until(started.Add(compressed(at.Sub(o.Start), o.Took))))
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := send(ctx, at, lines[i]); err != nil {
			return err
		}
	}
	return nil
}

// compressed returns when a moment of the story is shown, if the whole of it
// takes a given time to show.
func compressed(at, took time.Duration) time.Duration {
	return time.Duration(float64(at) / float64(story.Length) * float64(took))
}
