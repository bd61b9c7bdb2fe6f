package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// untilSignal returns a context that ends with the first signal that asks the
// process to end. The second one ends it at once, with exit code 1
// (docs/spec/interfaces.md §5.6). stop gives the signals back.
func untilSignal(parent context.Context, proc *process) (ctx context.Context, stop func()) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // by nohup
		signals = append(signals, syscall.SIGHUP)
	}
	received := make(chan os.Signal, 2)
	signal.Notify(received, signals...)
	ctx, cancel := context.WithCancel(parent)
	stopped, watching := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watching)
		obey(received, stopped, cancel, func() {
			fmt.Fprintln(proc.Err, "second signal, leaving at once")
			proc.exit(exitFailed)
		})
	}()
	return ctx, func() {
		signal.Stop(received)
		close(stopped)
		<-watching
		cancel()
	}
}

// sameSignal is the time in which a further signal counts as the first one: a
// supervisor may signal the process and then its group.
const sameSignal = 500 * time.Millisecond

// obey calls first for the first signal, and second for the next one that is
// not the same.
func obey(received <-chan os.Signal, stopped <-chan struct{}, first, second func()) {
	select {
	case <-received:
		first()
	case <-stopped:
		return
	}
	for began := time.Now(); ; {
		select {
		case <-received:
			if time.Since(began) >= sameSignal {
				second()
				return
			}
		case <-stopped:
			return
		}
	}
}
