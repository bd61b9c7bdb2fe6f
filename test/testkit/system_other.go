//go:build !linux && !darwin

package testkit

import (
	"os"
	"testing"
)

// Fifo makes a named pipe; where there are none the test is skipped.
func Fifo(t testing.TB, _ string) {
	t.Helper()
	t.Skip("there are no named pipes here")
}

// FewOpenFiles lets this process have so many files open until the test ends; where that
// cannot be set the test is skipped.
func FewOpenFiles(t testing.TB, _ uint64) {
	t.Helper()
	t.Skip("the number of open files cannot be set here")
}

// SmallFiles lets this process write no file that is larger until restore is called;
// where that cannot be set the test is skipped.
func SmallFiles(t testing.TB, _ uint64) (restore func()) {
	t.Helper()
	t.Skip("the size of files cannot be limited here")
	return nil
}

// Pause stops a process until Resume lets it go on; where that is not possible the test
// is skipped.
func Pause(t testing.TB, _ *os.Process) {
	t.Helper()
	t.Skip("a process cannot be paused here")
}

// Resume lets a process go on.
func Resume(testing.TB, *os.Process) {}
