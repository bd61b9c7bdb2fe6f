package cli

import (
	"context"

	"github.com/alecthomas/kong"

	"dsiem/internal/app"
)

// MainWith is Main in this process with another way to run a node.
func MainWith(ctx context.Context, called string, args []string, streams Streams, serve func(context.Context, *app.ServeOptions) error) int {
	proc := thisProcess(streams)
	proc.serve = serve
	return run(ctx, proc, programCalled(called, program{called: nameDsiem}), args)
}

// BenchCells returns what dsiem bench measures with these flags.
func BenchCells(args ...string) ([]app.BenchCell, error) {
	var c benchCommand
	parser, err := kong.New(&c)
	if err != nil {
		return nil, err
	}
	if _, err := parser.Parse(args); err != nil {
		return nil, err
	}
	return c.cells()
}
