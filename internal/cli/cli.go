// Package cli is the command line: it turns arguments into options, runs a
// command and turns its error into an exit code. It keeps no state beyond a run,
// and never does a command's work itself.
//
// The commands are read by kong, except serve and healthcheck, which asks the node
// that serve runs: these are read by package options, and kong only lists them in
// the help.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"dsiem/internal/cli/options"
	"dsiem/internal/config"
	"dsiem/internal/correlate"
	"dsiem/internal/jsonfile"
	"dsiem/internal/node"
	"dsiem/internal/validate"

	"github.com/alecthomas/kong"
	"golang.org/x/term"
)

// The exit codes of every command.
const (
	exitDone   = 0
	exitFailed = 1 // configuration, input or output
	exitUsage  = 2
)

// Streams are the program's standard streams.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// terminal reports whether a stream is a terminal.
func terminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// commands is the command line of dsiem.
type commands struct {
	Demo        demoCommand        `cmd:"" help:"Play a story of attacks through the engine and watch the alarms grow."`
	Replay      replayCommand      `cmd:"" help:"Play recorded events through the engine, with their own time as the clock."`
	Serve       serveCommand       `cmd:"" help:"Run a node: standalone, frontend or backend."`
	Validate    validateCommand    `cmd:"" help:"Report every problem of every configuration file, with its place and the remedy."`
	Secret      secretCommand      `cmd:"" help:"Make a token, or hash a password, for --auth-file."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask the node on this machine whether it is ready."`
	Completion  completionCommand  `cmd:"" help:"Print a script that completes the command line in a shell."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// frontendCommands is the command line of dsiem-frontend.
type frontendCommands struct {
	Serve       serveCommand       `cmd:"" help:"Run a frontend: take events over HTTP, publish them over NATS, hand out the configuration."`
	Secret      secretCommand      `cmd:"" help:"Make a token, or hash a password, for --auth-file."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask the node on this machine whether it is ready."`
	Completion  completionCommand  `cmd:"" help:"Print a script that completes the command line in a shell."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// backendCommands is the command line of dsiem-backend.
type backendCommands struct {
	Serve       serveCommand       `cmd:"" help:"Run a backend: take events from NATS, write alarms."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask the node on this machine whether it is ready."`
	Completion  completionCommand  `cmd:"" help:"Print a script that completes the command line in a shell."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// serveCommand and healthcheckCommand stand for serve and healthcheck in the
// help; see the package comment.
type (
	serveCommand       struct{}
	healthcheckCommand struct{}
)

// grammar returns what kong reads.
func grammar(p options.Program) any {
	switch p.Mode {
	case node.ModeFrontend:
		return &frontendCommands{}
	case node.ModeBackend:
		return &backendCommands{}
	}
	return &commands{}
}

// runOthers runs a command that kong reads.
func runOthers(ctx context.Context, p options.Program, args []string, streams Streams) int {
	exited, code := false, exitDone
	parser, err := newParser(grammar(p), p, streams,
		kong.Exit(func(c int) { exited, code = true, c }),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		fmt.Fprintf(streams.Err, "%s: the command line is not well defined: %s\n", p.Called, err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	if exited { // help was asked for
		return code
	}
	if err != nil {
		fmt.Fprintf(streams.Err, "%[1]s: %[2]s\nRun %[1]s --help, or %[1]s COMMAND --help, to see what is possible.\n", p.Called, err)
		return exitUsage
	}
	return exitCode(parsed.Run(), p, streams)
}

// newParser returns a parser of the command line that a grammar describes.
func newParser(grammar any, p options.Program, streams Streams, others ...kong.Option) (*kong.Kong, error) {
	return kong.New(grammar, append(others,
		kong.Name(p.Called),
		kong.Description("Dsiem turns normalized security events into the few alarms that matter."),
		kong.Writers(streams.Out, streams.Err),
		kong.Bind(streams, p),
		kong.NamedMapper("serve", likeServe{}),
		kong.Vars{
			"medRiskMin": strconv.Itoa(correlate.DefaultMedRiskMin),
			"medRiskMax": strconv.Itoa(correlate.DefaultMedRiskMax),
		},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, Tree: false}),
	)...)
}

func exitCode(err error, p options.Program, streams Streams) int {
	usage, isUsage := errors.AsType[options.UsageError](err)
	switch {
	case err == nil:
		return exitDone
	case isUsage:
		fmt.Fprintf(streams.Err, "%s: %s\n", p.Called, usage)
		return exitUsage
	case errors.Is(err, errReported):
		return exitFailed
	}
	fmt.Fprintf(streams.Err, "%s: %s\n", p.Called, err)
	return exitFailed
}

// notEmpty returns a usage error for a flag with an empty value, as a shell
// makes it of a variable that is not set.
func notEmpty(flag, value string) error {
	if value == "" {
		return options.UsageError(flag + " must not be empty")
	}
	return nil
}

// errReported is a failure that the user has been told about.
var errReported = errors.New("reported")

type versionCommand struct{}

// Run prints the version the binary was built from.
func (versionCommand) Run(p options.Program, streams Streams) error {
	_, err := fmt.Fprintln(streams.Out, p.Called, node.Version(debug.ReadBuildInfo))
	return err
}

type validateCommand struct {
	Config string `required:"" placeholder:"DIR" help:"Directory of assets_*.json and directives_*.json."`
	JSON   bool   `name:"json" help:"Print one JSON object for machines."`
	Plan   bool   `help:"Print how each directive is matched: stages, index keys, join keys."`
	Strict bool   `help:"Let warnings fail the validation too."`

	LintOff []string `placeholder:"NAME" help:"Names of warnings to leave out, with commas in between."`
}

// Help is shown below the flags.
func (validateCommand) Help() string {
	return "Exit codes: 0 no error, 1 errors (or warnings with --strict), 2 usage."
}

// Run validates.
func (c *validateCommand) Run(streams Streams) error {
	if err := notEmpty("--config", c.Config); err != nil {
		return err
	}
	var off []jsonfile.Lint
	for _, name := range c.LintOff {
		lint, err := jsonfile.ParseLint(strings.TrimSpace(name))
		if err != nil {
			return options.UsageError("--lint-off: " + err.Error())
		}
		off = append(off, lint)
	}
	err := validate.Run(&validate.Options{
		Config: os.DirFS(c.Config), ConfigName: c.Config,
		Strict: c.Strict, LintOff: off, Plan: c.Plan, JSON: c.JSON, Out: streams.Out,
	})
	if errors.Is(err, config.ErrInvalid) {
		return errReported
	}
	return err
}
