package testkit

import (
	"context"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// Process is a program that runs beside a test.
type Process struct {
	// Log is what it prints, also as errors unless Stderr of its command is
	// something else.
	Log *Logbook
	// Cmd is its command. It is for reading alone.
	Cmd   *exec.Cmd
	ended chan struct{}
}

// Command returns a command for Start. It outlives the context of the test until
// its clean-up, where its Cancel ends it.
func Command(tb testing.TB, path string, args ...string) *exec.Cmd {
	tb.Helper()
	return exec.CommandContext(context.WithoutCancel(tb.Context()), path, args...) //nolint:gosec // a test says what
}

// Start starts a command. At the end of the test it is killed, and what it has
// printed is shown if the test has failed.
func Start(tb testing.TB, cmd *exec.Cmd) *Process {
	tb.Helper()
	p := &Process{Log: new(Logbook), Cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout = p.Log
	if cmd.Stderr == nil {
		cmd.Stderr = p.Log
	}
	problems, _ := cmd.Stderr.(*Logbook)
	Check(tb, cmd.Start())
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // the exit code says it
		p.Log.End()
		if problems != nil {
			problems.End()
		}
	}()
	tb.Cleanup(func() {
		_ = cmd.Cancel() // it may have ended
		<-p.ended
		if tb.Failed() {
			tb.Logf("%s, exit code %d:\n%s", cmd, cmd.ProcessState.ExitCode(), p.Log.Tail())
			if problems != nil && problems != p.Log {
				tb.Logf("its errors:\n%s", problems.Tail())
			}
		}
	})
	return p
}

// Signal sends a signal.
func (p *Process) Signal(tb testing.TB, s syscall.Signal) {
	tb.Helper()
	Check(tb, p.Cmd.Process.Signal(s))
}

// Exit waits for the end and returns the exit code, -1 after a deadly signal.
func (p *Process) Exit(tb testing.TB, within time.Duration) (code int) {
	tb.Helper()
	select {
	case <-p.ended:
	case <-time.After(within):
		tb.Fatalf("%s does not end within %v", p.Cmd, within)
	}
	return p.Cmd.ProcessState.ExitCode()
}

// Stop sends SIGTERM and wants the process to end well.
func (p *Process) Stop(tb testing.TB, within time.Duration) {
	tb.Helper()
	p.Signal(tb, syscall.SIGTERM)
	if code := p.Exit(tb, within); code != 0 {
		tb.Errorf("exit code %d, want 0", code)
	}
}
