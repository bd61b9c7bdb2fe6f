package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"dsiem/internal/cli/options"
	"dsiem/internal/correlate"
	"dsiem/internal/replay"
)

// engineFlags are the server's options that change what alarms are raised and
// what they say. They take what serve takes, see likeServe.
type engineFlags struct {
	MinAlarmLifetime time.Duration `type:"serve" placeholder:"MINUTES" default:"0" help:"Grace added to the timeout of every stage (${default})."`
	OrderTolerance   time.Duration `type:"serve" placeholder:"SECONDS" default:"5s" help:"How much older than the stage before an event of a stage may be, in whole seconds (${default})."`
	LookBack         time.Duration `type:"serve" placeholder:"SECONDS" default:"60s" help:"How long events are remembered that came before the stage they belong to; 0 is not at all (${default})."`
	Remember         time.Duration `type:"serve" placeholder:"SECONDS" default:"1h" help:"How long the events of an ended attack open no other one; 0 is not at all (${default})."`
	MaxAlarmValues   int           `type:"serve" placeholder:"N" default:"1000" help:"Addresses a side, and custom data values of one label, that an alarm lists (${default})."`
	MedRiskMin       int           `type:"serve" placeholder:"RISK" default:"${medRiskMin}" help:"Lowest risk of class Medium, at least 2 (${default})."`
	MedRiskMax       int           `type:"serve" placeholder:"RISK" default:"${medRiskMax}" help:"Highest risk of class Medium, at most 9 (${default})."`
	Status           []string      `type:"serve" placeholder:"STATUS,..." default:"Open,In-Progress,Closed" help:"Alarm statuses; alarms get the first (${default})."`
	Tags             []string      `type:"serve" placeholder:"TAG,..." default:"Identified Threat,False Positive,Valid Threat,Security Incident" help:"Alarm tags; alarms get the first (${default})."`
	ExpandTitles     bool          `type:"serve" default:"true" negatable:"" help:"Replace SRC_IP and DST_IP in alarm titles (${default})."`
}

// check returns a usage error for a value out of range.
func (f *engineFlags) check() error {
	o := f.options()
	err := o.Check()
	if err == nil && f.MedRiskMin == 0 { // stands for the default in the engine's options only
		err = errors.New("medium risk from 0 is not possible; use at least 2")
	}
	if err != nil {
		return options.UsageError(fmt.Sprintf("--med-risk-min, --med-risk-max: %s", err))
	}
	return nil
}

func (f *engineFlags) options() correlate.Options {
	return correlate.Options{
		MinAlarmLifetime: int64(f.MinAlarmLifetime / time.Second),
		OrderTolerance:   options.Seconds(f.OrderTolerance), LookBack: options.Seconds(f.LookBack), Remember: options.Seconds(f.Remember),
		MaxAlarmValues: f.MaxAlarmValues,
		MedRiskMin:     f.MedRiskMin, MedRiskMax: f.MedRiskMax,
		Status: f.Status[0], Tag: f.Tags[0],
		LiteralTitles: !f.ExpandTitles,
	}
}

type replayCommand struct {
	Inputs []string `arg:"" name:"file" help:"Event files, merged by time: JSON lines or arrays, plain, gzip or zstd; - is standard input."`

	Config string `required:"" placeholder:"DIR" help:"Directory of assets_*.json and directives_*.json."`
	Out    string `placeholder:"DIR" default:"out" help:"Directory for siem_alarms.json and siem_alarm_events.json (${default})."`
	Format string `enum:"normalized,suricata-eve" default:"normalized" placeholder:"FORM" help:"Form of the events: ${enum} (${default})."`

	MaxJump time.Duration `type:"serve" placeholder:"SECONDS" default:"1h" help:"Time by which a file may go ahead from one event to the next without those that follow confirming it (${default})."`
	Sort    bool          `help:"Put each file in order of time."`

	Append    bool `xor:"existing" help:"Add to existing output files."`
	Overwrite bool `xor:"existing" help:"Replace existing output files."`

	engineFlags

	SkipInvalid  bool   `help:"Leave out directives with errors instead of refusing to start."`
	ExpireAll    bool   `help:"Let all backlogs expire after the last event."`
	Shards       int    `type:"serve" placeholder:"N" default:"0" help:"Engines to spread the directives over (${default}: one for every two cores). The output is the same."`
	LoadBacklogs string `placeholder:"DIR" help:"Start with the saved backlogs of a directory; its files are deleted."`
	SaveBacklogs string `placeholder:"DIR" help:"Save the live backlogs to a directory at the end."`
	JSON         bool   `name:"json" help:"Print the summary as JSON."`
}

// Help is shown below the flags.
func (replayCommand) Help() string {
	return `The clock is the largest event time so far; the order of the files does not matter. The same input gives the same output, byte for byte. Times are numbers of the unit that is shown, or durations like 1m30s.

Exit codes: 0 done, 1 configuration, input or output failed, 2 usage.`
}

// Run replays.
func (c *replayCommand) Run(ctx context.Context, streams Streams) error {
	if err := cmp.Or(notEmpty("--config", c.Config), notEmpty("--out", c.Out), c.check()); err != nil {
		return err
	}
	o := &replay.Options{
		Config: os.DirFS(c.Config), ConfigName: c.Config, SkipInvalid: c.SkipInvalid,
		Inputs: c.Inputs, Stdin: streams.In, Format: c.Format,
		Out: c.Out, Append: c.Append, Overwrite: c.Overwrite, Engine: c.options(),
		MaxJump: cmp.Or(c.MaxJump, -1), Sort: c.Sort, // 0 stands for the default there
		Shards: c.Shards, ExpireAll: c.ExpireAll,
		LoadBacklogs: c.LoadBacklogs, SaveBacklogs: c.SaveBacklogs,
		Diagnostics: streams.Err,
	}
	if terminal(streams.Err) {
		o.Progress = streams.Err
	}
	summary, err := replay.Run(ctx, o)
	if summary != nil && summary.Started() {
		write := summary.WriteText
		if c.JSON {
			write = summary.WriteJSON
		}
		err = errors.Join(err, write(streams.Out))
	}
	return err
}
