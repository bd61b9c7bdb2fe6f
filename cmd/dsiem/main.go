// Command dsiem correlates normalized security events with directives and
// publishes risk-scored alarms. See dsiem --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"dsiem/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(cli.Main(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
