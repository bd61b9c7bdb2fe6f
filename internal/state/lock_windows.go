package state

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockFile locks a file, unless another process has, which busy says.
func lockFile(f *os.File) (locked, busy bool) {
	const how = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, new(windows.Overlapped))
	return err == nil, errors.Is(err, windows.ERROR_LOCK_VIOLATION)
}
