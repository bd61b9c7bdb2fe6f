package cli

import (
	"context"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"dsiem/internal/cli/options"
	"dsiem/internal/node"
)

// process is what a program takes from the process it runs in.
type process struct {
	Streams
	environ []string // NAME=value
	// executable returns the path of the running program. Its directory holds
	// configs, logs and web/dist, unless they are elsewhere (docs/spec/interfaces.md
	// §7.1). directory returns the working directory.
	executable, directory func() (string, error)
	// serve runs a node until the context ends. It logs why it failed.
	serve func(context.Context, *node.Options) error
	// exit ends the process at once, on a second signal.
	exit func(code int)
}

func thisProcess(streams Streams) *process {
	return &process{
		Streams: streams, environ: os.Environ(), executable: os.Executable, directory: os.Getwd,
		serve: node.Run, exit: os.Exit,
	}
}

// The names that decide what a program is.
const (
	nameDsiem    = "dsiem"
	nameBackend  = "dsiem-backend"
	nameFrontend = "dsiem-frontend"
)

// programCalled returns what a program is: dsiem-backend and dsiem-frontend are
// that by their names, whatever they were built as. Any other name leaves a
// program what it was built as (docs/spec/interfaces.md §1.6, binary names): in the
// seed's container dsiem-backend is called dsiem, and so are its messages.
func programCalled(path string, built options.Program) options.Program {
	switch strings.TrimSuffix(filepath.Base(path), ".exe") {
	case nameBackend:
		return options.Program{Called: nameBackend, Mode: node.ModeBackend}
	case nameFrontend:
		return options.Program{Called: nameFrontend, Mode: node.ModeFrontend}
	case nameDsiem:
		built.Called = nameDsiem
	}
	return built
}

// Main runs dsiem, or what the program's name says instead, and returns its exit
// code.
func Main(ctx context.Context, args []string, streams Streams) int {
	built := options.Program{Called: nameDsiem}
	return run(ctx, thisProcess(streams), programCalled(os.Args[0], built), args)
}

// MainBackend runs dsiem-backend, which has the seed's command line, and returns
// its exit code.
func MainBackend(ctx context.Context, args []string, streams Streams) int {
	built := options.Program{Called: nameBackend, Mode: node.ModeBackend}
	return run(ctx, thisProcess(streams), programCalled(os.Args[0], built), args)
}

// MainFrontend runs dsiem-frontend, which has the command line of dsiem-rs's
// frontend, and returns its exit code.
func MainFrontend(ctx context.Context, args []string, streams Streams) int {
	built := options.Program{Called: nameFrontend, Mode: node.ModeFrontend}
	return run(ctx, thisProcess(streams), programCalled(os.Args[0], built), args)
}

// run finds the command. serve and healthcheck have a parser of their own, the
// other commands are left to kong.
func run(ctx context.Context, proc *process, p options.Program, args []string) int {
	command, asked := p.Command(args)
	switch {
	case command == "serve":
		return exitCode(proc.runServe(ctx, p, args), p, proc.Streams)
	case command == "healthcheck":
		return exitCode(proc.runHealthcheck(ctx, p, args), p, proc.Streams)
	case command == "help" && args[0] == "help":
		return run(ctx, proc, p, append(args[1:len(args):len(args)], "--help"))
	case asked == options.Version:
		return exitCode(versionCommand{}.Run(p, proc.Streams), p, proc.Streams)
	case asked != "": // --help
		return runOthers(ctx, p, []string{"--help"}, proc.Streams)
	case len(args) == 0 && p.Mode != "": // as for the seed, docs/spec/interfaces.md §11 T2
		_ = runOthers(ctx, p, []string{"--help"}, Streams{In: proc.In, Out: proc.Err, Err: proc.Err})
		return exitUsage
	case len(args) == 0:
		args = []string{"--help"}
	}
	return runOthers(ctx, p, args, proc.Streams)
}

// runServe runs a node as the arguments and the environment of serve say.
func (proc *process) runServe(ctx context.Context, p options.Program, args []string) error {
	o, asked, err := p.Serve(args, &options.System{
		Environ: proc.environ, Executable: proc.executable, Directory: proc.directory, Terminal: terminal(proc.Out),
	})
	switch {
	case err != nil:
		return err
	case asked == options.Version:
		return versionCommand{}.Run(p, proc.Streams)
	case asked != "":
		return p.ServeHelp(proc.Out)
	}
	o.Out, o.Version = proc.Out, node.Version(debug.ReadBuildInfo)
	ctx, stop := untilSignal(ctx, proc)
	defer stop()
	if err := proc.serve(ctx, o); err != nil {
		return errReported
	}
	return nil
}
