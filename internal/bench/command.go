package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// programName is what this program is called in its messages.
const programName = "dsiem-bench"

// The exit codes, which are those of all our programs.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// Streams are the program's standard streams.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs dsiem-bench and returns its exit code.
func Main(ctx context.Context, args []string, streams Streams) int {
	exited, code := false, exitDone
	var c command
	parser, err := kong.New(&c,
		kong.Name(programName),
		kong.Description("Measure dsiem and check what it does."),
		kong.Writers(streams.Out, streams.Err),
		kong.Exit(func(c int) { exited, code = true, c }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintf(streams.Err, "%s: the command line is not well defined: %s\n", programName, err)
		return exitFailed
	}
	_, err = parser.Parse(args)
	if exited { // help was asked for
		return code
	}
	if err == nil {
		err = c.run(ctx, streams)
	} else {
		err = &usageError{fmt.Sprintf("%s\nRun %s --help to see what is possible.", err, programName)}
	}
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(streams.Err, "%s: %s\n", programName, err)
	if _, isUsage := errors.AsType[*usageError](err); isUsage {
		return exitUsage
	}
	return exitFailed
}

// usageError is a command line that makes no sense.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

// command is the command line; docs/performance.md describes it.
type command struct {
	Scenario []string `placeholder:"NAME" help:"Measure these scenarios."`
	Matrix   bool     `xor:"what" help:"Measure all scenarios of the matrix: those that take seconds."`
	Quick    bool     `xor:"what" help:"Measure a few events over each transport: a smoke test."`
	Limits   bool     `xor:"what" help:"Measure the limits only: what parts of the server do alone."`
	List     bool     `xor:"what" help:"List the scenarios."`

	Transport   string         `enum:"nats,http,http-array,replay" default:"nats" placeholder:"WAY" help:"How events reach the server: ${enum} (${default})."`
	Directives  int            `default:"100" placeholder:"N" help:"Directives of three stages (${default})."`
	Match       float64        `default:"0.01" placeholder:"SHARE" help:"Share of events that a backlog takes, 0 to 1 (${default})."`
	Near        float64        `default:"0" placeholder:"SHARE" help:"Share of events that a rule names and no backlog takes (${default})."`
	Abandoned   float64        `default:"0" placeholder:"SHARE" help:"Share of events that open a backlog which expires (0)."`
	Timeout     time.Duration  `default:"30s" placeholder:"TIME" help:"Time after which such a backlog expires (${default})."`
	Live        int            `default:"10" placeholder:"N" help:"Live backlogs (${default})."`
	Addresses   int            `default:"10000" placeholder:"N" help:"Distinct sources, and destinations (${default})."`
	EventSize   int            `default:"500" placeholder:"BYTES" help:"Size of an event (${default})."`
	Occurrence  int            `default:"5" placeholder:"N" help:"Events that complete stage 2, and stage 3 (${default})."`
	Seed        uint64         `default:"1" placeholder:"N" help:"Number that decides what is drawn by lot (${default})."`
	Events      uint64         `placeholder:"N" help:"Events to send; by default as many as fit into --duration, a million for replay."`
	Duration    *time.Duration `placeholder:"TIME" help:"How long to send events (5s); also for scenarios that have no number of events."`
	WarmUp      *time.Duration `placeholder:"TIME" help:"How long to send events that do not count before (0s); also for scenarios that do that."`
	Rate        float64        `placeholder:"N" help:"Events a second; by default as many as the server takes. With a rate, latencies are measured."`
	Connections int            `default:"16" placeholder:"N" help:"Connections over HTTP (${default})."`
	Batch       int            `default:"500" placeholder:"N" help:"Events in an array (${default})."`
	Flood       bool           `help:"Publish over NATS without a look at how far the server is."`
	Defaults    bool           `help:"Leave all settings of the server at their defaults."`
	Trend       time.Duration  `placeholder:"TIME" help:"Time between two looks at the server's memory, to measure how it changes; by default there are none."`

	Repeat     int           `default:"1" placeholder:"N" help:"How often to do everything; results are medians (${default})."`
	LimitTime  time.Duration `default:"1s" placeholder:"TIME" help:"How long to measure each limit, 0 for no limits (${default})."`
	Dsiem      string        `placeholder:"FILE" aliases:"program" help:"Program to measure; by default dsiem beside this program, or else built from the source here."`
	ServerFlag []string      `sep:"none" placeholder:"FLAG" help:"Another flag for the server, as --server-flag=--shards=1."`
	Out        string        `placeholder:"DIR" help:"Directory for configuration, events, logs and alarms; a temporary one by default."`
	Keep       bool          `help:"Leave these files behind."`
	JSON       bool          `name:"json" help:"Print the results as JSON."`
	Page       string        `placeholder:"FILE" help:"Put the tables into this page, between its marks: those of which all rows are measured."`

	Role     string `hidden:"" placeholder:"ROLE" help:"Play a role for another dsiem-bench."`
	RoleURL  string `hidden:"" name:"role-url"`
	RoleFile string `hidden:""`
}

// Help is shown below the flags.
func (command) Help() string {
	return `Starts the server as a child process, drives it with events of a known workload, and compares the alarm files with
what had to come of it. Progress goes to standard error, results to standard output.

Exit codes: 0 done, 1 something was lost, duplicate or wrong, or could not be measured, 2 usage.`
}

// run measures.
func (c *command) run(ctx context.Context, streams Streams) error {
	if c.Role != "" {
		role := Role{Name: c.Role, URL: c.RoleURL, File: c.RoleFile, In: streams.In, Out: streams.Out}
		return role.Run(ctx)
	}
	if c.List {
		return listScenarios(streams.Out)
	}
	cells, err := c.cells()
	if err != nil {
		return err
	}
	err = c.measure(ctx, cells, streams)
	if ctx.Err() != nil {
		return errors.New("interrupted; the programs that were started have ended")
	}
	return err
}

// measure measures cells.
func (c *command) measure(ctx context.Context, cells []Cell, streams Streams) (err error) {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	server, remove, err := findServer(ctx, c.Dsiem, self)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	version, err := versionOf(ctx, server)
	if err != nil {
		return err
	}
	return Run(ctx, &Options{
		Cells: cells, Self: self, Server: server, ServerFlags: c.ServerFlag,
		Version: version, Repeat: c.Repeat, LimitTime: c.LimitTime,
		Dir: c.Out, Keep: c.Keep, JSON: c.JSON, Page: c.Page, Out: streams.Out, Progress: streams.Err,
	})
}

// cells returns what is to be measured.
func (c *command) cells() ([]Cell, error) {
	switch {
	case c.Repeat < 1 || c.LimitTime < 0:
		return nil, &usageError{"--repeat must be at least 1, and --limit-time not negative"}
	case c.Duration != nil && *c.Duration <= 0:
		return nil, &usageError{"--duration must be above zero"}
	case c.WarmUp != nil && *c.WarmUp < 0:
		return nil, &usageError{"--warm-up must not be negative"}
	case len(c.Scenario) > 0 && (c.Matrix || c.Quick || c.Limits):
		return nil, &usageError{"--scenario, --matrix, --quick and --limits exclude each other"}
	case c.Limits && c.LimitTime == 0:
		return nil, &usageError{"--limits needs a --limit-time above zero"}
	case c.Limits:
		return nil, nil
	case c.Matrix:
		return c.lasting(Scenarios()), nil
	case c.Quick: // limits would take longer than all of it
		c.LimitTime = 0
		return QuickScenarios(), nil
	case len(c.Scenario) > 0:
		cells, err := Choose(c.Scenario)
		if err != nil {
			return nil, &usageError{"--scenario: " + err.Error()}
		}
		return c.lasting(cells), nil
	}
	return c.own()
}

// lasting gives scenarios the times that the flags say: those that last for a
// time, and those that have a warm-up.
func (c *command) lasting(cells []Cell) []Cell {
	for i := range cells {
		if c.Duration != nil && cells[i].Events == 0 {
			cells[i].Duration = *c.Duration
		}
		if c.WarmUp != nil && cells[i].WarmUp > 0 {
			cells[i].WarmUp = *c.WarmUp
		}
	}
	return cells
}

// own returns the workload that the flags describe.
func (c *command) own() ([]Cell, error) {
	cell := Cell{
		Name: c.Transport, Transport: Transport(c.Transport),
		Workload: Workload{
			Seed: c.Seed, Directives: c.Directives, Match: c.Match, Near: c.Near, Live: c.Live,
			Abandoned: c.Abandoned, Timeout: c.Timeout, Addresses: c.Addresses, EventSize: c.EventSize, Occurrence: c.Occurrence,
		},
		Events: c.Events, Rate: c.Rate, Connections: c.Connections, Batch: c.Batch,
		Flood: c.Flood, Defaults: c.Defaults, Trend: c.Trend,
	}
	if c.Duration != nil {
		cell.Duration = *c.Duration
	}
	if c.WarmUp != nil {
		cell.WarmUp = *c.WarmUp
	}
	if err := cell.Check(); err != nil {
		return nil, &usageError{err.Error()}
	}
	return []Cell{cell}, nil
}

// listScenarios lists the matrix, and what is not in it.
func listScenarios(out io.Writer) error {
	var b strings.Builder
	for _, c := range Scenarios() {
		fmt.Fprintf(&b, "%-18s %s\n", c.Name, c.About)
	}
	for _, c := range LongScenarios() {
		fmt.Fprintf(&b, "%-18s %s; not in the matrix\n", c.Name, c.About)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
