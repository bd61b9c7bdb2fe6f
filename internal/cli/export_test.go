package cli

import (
	"context"

	"dsiem/internal/cli/options"
	"dsiem/internal/node"
)

// MainWith is Main in this process with another way to run a node.
func MainWith(ctx context.Context, called string, args []string, streams Streams, serve func(context.Context, *node.Options) error) int {
	proc := thisProcess(streams)
	proc.serve = serve
	return run(ctx, proc, programCalled(called, options.Program{Called: nameDsiem}), args)
}
