package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"dsiem/internal/demo"
	"dsiem/internal/event"
	"dsiem/internal/intake"
	"dsiem/internal/sink"
)

// DemoOptions says how to show the demo.
type DemoOptions struct {
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
	// Screen receives the show, with colours if Colour is set.
	Screen io.Writer
	Colour bool
}

// The names of what the demo writes besides the alarm files.
const (
	demoConfigs = "configs"
	demoEvents  = "events.ndjson"
)

// Demo plays the embedded story through the engine, in real time compressed to
// o.Took, and shows each alarm as it opens and grows. It is a Replay of real
// files, which it leaves behind.
func Demo(ctx context.Context, o *DemoOptions) error {
	dir, err := demoDir(o)
	if err != nil {
		return err
	}
	story := demo.Story(o.Start, o.Seed)
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
	input, feed := io.Pipe()
	go func() { // ends with the story, or when the replay closes its end
		feed.CloseWithError(tell(ctx, o, story, lines, feed))
	}()
	summary, err := Replay(ctx, &ReplayOptions{
		Config: os.DirFS(configs), ConfigName: configs,
		Inputs: []string{intake.Stdin}, Stdin: input,
		Out: dir, Overwrite: true, BatchSize: 1, Shards: 1,
		Diagnostics: o.Screen, Watch: show.watch,
	})
	err = errors.Join(err, input.Close())
	if err != nil {
		return err
	}
	return show.end(summary, dir, configs, filepath.Join(dir, demoEvents))
}

// demoDir returns the directory for the demo's files.
func demoDir(o *DemoOptions) (string, error) {
	if o.Out == "" {
		dir, err := os.MkdirTemp("", "dsiem-demo-")
		if err != nil {
			return "", fmt.Errorf("making a directory for the demo: %w", err)
		}
		return dir, nil
	}
	for _, name := range []string{demoConfigs, demoEvents, sink.AlarmsName, sink.AlarmEventsName} {
		if _, err := os.Stat(filepath.Join(o.Out, name)); err == nil && !o.Overwrite {
			return "", fmt.Errorf("%s holds %s already; use --overwrite to replace it, or another directory", o.Out, name)
		}
	}
	return o.Out, nil
}

// writeDemoFiles writes the configuration and the events.
func writeDemoFiles(dir, configs string, events []byte) error {
	if err := os.MkdirAll(configs, 0o755); err != nil {
		return fmt.Errorf("making a directory for the demo: %w", err)
	}
	sample := demo.Configs()
	names, err := fs.Glob(sample, "*.json")
	if err != nil {
		return fmt.Errorf("listing the sample configuration: %w", err)
	}
	for _, name := range names {
		content, err := fs.ReadFile(sample, name)
		if err != nil {
			return fmt.Errorf("reading the sample configuration: %w", err)
		}
		if err := os.WriteFile(filepath.Join(configs, name), content, 0o644); err != nil {
			return fmt.Errorf("writing the sample configuration: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, demoEvents), events, 0o644); err != nil {
		return fmt.Errorf("writing the demo's events: %w", err)
	}
	return nil
}

// tell writes each event when its time has come.
func tell(ctx context.Context, o *DemoOptions, story []event.Event, lines [][]byte, w io.Writer) error {
	started := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range lines {
		if !o.Fast {
			at := time.Unix(story[i].Seconds, int64(story[i].Nanos)).Sub(o.Start)
			timer.Reset(time.Until(started.Add(compressed(at, o.Took))))
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if _, err := w.Write(lines[i]); err != nil {
			return err
		}
	}
	return nil
}

// compressed returns when a moment of the story is shown, if the whole of it
// takes a given time to show.
func compressed(at, took time.Duration) time.Duration {
	return time.Duration(float64(at) / float64(demo.Length) * float64(took))
}
