// Command dsiem-bench measures dsiem and checks what it does. It is for those who
// work on Dsiem or choose a machine for it. See dsiem-bench --help and
// docs/performance.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"dsiem/internal/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(bench.Main(ctx, os.Args[1:], bench.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
