// Command dsiem-frontend takes normalized security events over HTTP, publishes
// them to backends and hands out their configuration. It is dsiem with the
// command line of the Rust frontend. See dsiem-frontend serve --help.
package main

import (
	"context"
	"os"

	"dsiem/internal/cli"
)

func main() {
	os.Exit(cli.MainFrontend(context.Background(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
