package cli

import (
	"context"

	"dsiem/internal/bench"
	"dsiem/internal/node"

	"github.com/alecthomas/kong"
)

// MainWith is Main in this process with another way to run a node.
func MainWith(ctx context.Context, called string, args []string, streams Streams, serve func(context.Context, *node.Options) error) int {
	proc := thisProcess(streams)
	proc.serve = serve
	return run(ctx, proc, programCalled(called, program{called: nameDsiem}), args)
}

// BenchCells returns what dsiem bench measures with these flags.
func BenchCells(args ...string) ([]bench.Cell, error) {
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
