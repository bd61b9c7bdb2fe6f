//go:build linux || darwin

package testkit

import (
	"os"
	"syscall"
	"testing"
)

// Fifo makes a named pipe; where there are none the test is skipped.
func Fifo(t testing.TB, name string) {
	t.Helper()
	Check(t, syscall.Mkfifo(name, 0o600))
}

// FewOpenFiles lets this process have so many files open until the test ends; where that
// cannot be set the test is skipped.
func FewOpenFiles(t testing.TB, most uint64) {
	t.Helper()
	t.Cleanup(limit(t, syscall.RLIMIT_NOFILE, most))
}

// SmallFiles lets this process write no file that is larger until restore is called;
// where that cannot be set the test is skipped.
func SmallFiles(t testing.TB, bytes uint64) (restore func()) {
	t.Helper()
	return limit(t, syscall.RLIMIT_FSIZE, bytes)
}

func limit(t testing.TB, resource int, most uint64) (restore func()) {
	t.Helper()
	var before syscall.Rlimit
	Check(t, syscall.Getrlimit(resource, &before))
	low := before
	low.Cur = most
	Check(t, syscall.Setrlimit(resource, &low))
	return func() { Check(t, syscall.Setrlimit(resource, &before)) }
}

// Pause stops a process until Resume lets it go on; where that is not possible the test
// is skipped.
func Pause(t testing.TB, p *os.Process) {
	t.Helper()
	Check(t, p.Signal(syscall.SIGSTOP))
}

// Resume lets a process go on.
func Resume(t testing.TB, p *os.Process) {
	t.Helper()
	Check(t, p.Signal(syscall.SIGCONT))
}
