// Command dsiem-backend correlates the events that come over NATS with directives
// and writes risk-scored alarms. It is dsiem with the command line of the Rust
// backends. See dsiem-backend serve --help.
package main

import (
	"context"
	"os"

	"dsiem/internal/cli"
)

func main() {
	os.Exit(cli.MainBackend(context.Background(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
